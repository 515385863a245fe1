"""The versions of a model that are pushed to where a server looks."""

import os
import pathlib

from pipelines import hashes


def versions(directory: str | os.PathLike[str]) -> list[pathlib.Path]:
    """List the versions' folders, oldest first."""
    folders = [path.parent for path in pathlib.Path(directory).glob("*/saved_model.pb")]
    return sorted((path for path in folders if path.name.isdigit()), key=lambda p: int(p.name))


def newest(directory: str | os.PathLike[str]) -> pathlib.Path | None:
    """Return the newest version's folder; None if nothing was pushed yet."""
    return versions(directory)[-1] if versions(directory) else None


def last_other(directory: str | os.PathLike[str], model: pathlib.Path) -> pathlib.Path | None:
    """Return the newest version that is another model: what a new one must beat.

    A model that was pushed is not compared with itself when the same command runs again.
    """
    own = hashes.of_model(model)
    found = (path for path in reversed(versions(directory)) if hashes.of_model(path) != own)
    return next(found, None)

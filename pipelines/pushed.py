"""The versions of a model that are pushed to where a server looks."""

import os
import pathlib

from keras_gan import card
from pipelines import hashes


def versions(directory: str | os.PathLike[str]) -> list[pathlib.Path]:
    """List the whole versions' folders, oldest first."""
    folders = [pathlib.Path(directory) / str(number) for number in card.versions(directory)]
    return [folder for folder in folders if (folder / "saved_model.pb").is_file()]


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

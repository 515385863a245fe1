"""Where files are: folders of this machine, or whatever Beam's file systems reach.

A path with "://" in it (gs://, s3://, hdfs://) goes through Beam, whose extra for it must be
installed: `pip install 'apache-beam[gcp]'`, `[aws]` or `hdfs`.
"""

import contextlib
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any, BinaryIO

from keras_gan import files
from keras_gan.interfaces import UserError


def is_remote(path: str) -> bool:
    """Say whether a path is not one of this machine's."""
    return "://" in path


def join(folder: str, *names: str) -> str:
    """Name something in a folder."""
    return "/".join((folder.rstrip("/"), *names))


def read(path: str) -> bytes:
    """Read a file."""
    if not is_remote(path):
        return pathlib.Path(path).read_bytes()
    with open_to_read(path) as file:
        return file.read()


@contextlib.contextmanager
def open_to_read(path: str) -> Iterator[BinaryIO]:
    """Open a file to read, and to seek in."""
    if is_remote(path):
        with _beam(path).open(path, compression_type="uncompressed") as file:
            yield file
    else:
        with pathlib.Path(path).open("rb") as file:
            yield file


@contextlib.contextmanager
def create(path: str) -> Iterator[BinaryIO]:
    """Open a file to write; it appears whole or not at all."""
    if is_remote(path):  # object stores show nothing before the end
        with _beam(path).create(path, compression_type="uncompressed") as file:
            yield file
    else:
        # Its folder is there, or was taken away from a worker that nobody waits for any more.
        with files.replacing(path, parents=False) as temporary, temporary.open("wb") as file:
            yield file


def exists(path: str) -> bool:
    """Say whether there is such a file or folder."""
    return _beam(path).exists(path) if is_remote(path) else pathlib.Path(path).exists()


def match(pattern: str) -> list[tuple[str, int, float]]:
    """List the files that a pattern matches, in order: (path, bytes, time of last change)."""
    found = _beam(pattern).match([pattern])[0].metadata_list
    return sorted((each.path, each.size_in_bytes, each.last_updated_in_seconds) for each in found)


def make_folder(path: str) -> None:
    """Make a folder, where there are any, in one that is there."""
    if not is_remote(path):
        pathlib.Path(path).mkdir(exist_ok=True)


def delete(path: str) -> None:
    """Delete a file that may not be there."""
    if not is_remote(path):
        pathlib.Path(path).unlink(missing_ok=True)
    elif exists(path):
        _beam(path).delete([path])


def delete_folder(folder: str) -> None:
    """Delete a folder and what is in it."""
    if is_remote(folder):
        _beam(folder).delete([folder])
    else:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def new_folder(path: str) -> Iterator[str]:
    """Yield a folder to fill; on this machine it is renamed into place, see `files.new_folder`.

    Elsewhere there are no folders to rename: the description, written last, makes it finished.
    """
    if not is_remote(path):
        with files.new_folder(path) as folder:
            yield str(folder)
        return
    if any(match(join(path, "**"))):
        raise UserError(f"Expected a folder with nothing in it; received {path}. Try another.")
    try:
        yield path
    except BaseException:
        delete_folder(path)
        raise


def _beam(path: str) -> Any:
    """Return Beam's file systems, or say what is missing for this path."""
    from apache_beam.io.filesystems import FileSystems

    try:
        FileSystems.get_filesystem(path)
    except (ImportError, ValueError) as error:
        scheme = path.partition("://")[0]
        extra = {"gs": "apache-beam[gcp]", "s3": "apache-beam[aws]", "hdfs": "hdfs"}.get(scheme)
        advice = f"Try pip install '{extra}'." if extra else "Try gs://, s3:// or hdfs://."
        raise UserError(
            f"Expected a file system that is installed; received {path}. {advice}"
        ) from error
    return FileSystems

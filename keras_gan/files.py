"""Files appear whole or not at all: write beside, then rename."""

import contextlib
import errno
import fcntl
import glob
import os
import pathlib
import shutil
import tempfile
import time
from collections.abc import Iterator

PARTIAL = ".partial-"  # what a folder that is being filled has in its name


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


# Asked for once: asking changes it for a moment, for every thread.
UMASK = _umask()


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], parents: bool = True) -> Iterator[pathlib.Path]:
    """Yield a file beside `path` to write; rename it into place, or delete it on failure.

    Args:
        path: the file.
        parents: whether to make its folder.
    """
    path = pathlib.Path(path)
    if parents:
        path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        error.filename = str(path)  # what the user named, not what is beside it
        raise
    os.close(handle)
    temporary = pathlib.Path(name)
    temporary.chmod(0o666 & ~UMASK)  # mkstemp's files are private; open()'s are not
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yield an empty folder beside `path` to fill; rename it into place on success.

    Nothing is ever replaced but an empty folder: `FileExistsError` if `path` holds something, also
    if that came while this folder was being filled.
    """
    path = pathlib.Path(path).resolve()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    _delete_abandoned(path)
    with contextlib.ExitStack() as leaving:
        temporary = leaving.enter_context(_scratch(path))
        try:
            yield temporary
            temporary.rename(path)
        finally:
            for _ in range(10):  # somebody who was interrupted may still be writing
                shutil.rmtree(temporary, ignore_errors=True)
                if not temporary.exists():
                    break
                time.sleep(0.1)


@contextlib.contextmanager
def _scratch(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Make a folder beside `path` and hold it."""
    while True:
        made = pathlib.Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}{PARTIAL}"))
        with contextlib.ExitStack() as leaving:
            try:
                leaving.enter_context(held(made))
                made.chmod(0o777 & ~UMASK)
            except (BlockingIOError, FileNotFoundError):
                continue  # another process took it for abandoned before it was held
            yield made
            return


def sync(path: str | os.PathLike[str]) -> None:
    """Have the disk hold a file, or a folder's list of files, also if the power goes."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_full(error: BaseException) -> bool:
    """Say whether an error, the system's own or wrapped in another, is of a full disk."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return any(os.strerror(code) in str(error) for code in (errno.ENOSPC, errno.EDQUOT))


def _delete_abandoned(path: pathlib.Path) -> None:
    """Delete what killed processes left beside `path`; the living hold theirs."""
    for folder in path.parent.glob(f".{glob.escape(path.name)}{PARTIAL}{'[a-z0-9_]' * 8}/"):
        with contextlib.suppress(OSError), held(folder):
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def held(folder: str | os.PathLike[str], *, wait: bool = False) -> Iterator[None]:
    """Hold a folder for this process; if another one does, wait or raise `BlockingIOError`."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)  # which lets go


def is_held(folder: str | os.PathLike[str]) -> bool:
    """Say whether a process holds a folder; looking holds it for a moment."""
    try:
        with held(folder):
            return False
    except BlockingIOError:
        return True

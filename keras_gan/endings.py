"""How runs end, written into their work directories."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator

import keras
from absl import logging

from keras_gan import callbacks, distribution, files, guards, monitors
from keras_gan import workdir as workdirs
from keras_gan.interfaces import Preempted, Stopped

FINISHED = "finished"
LONGEST = 300  # characters of another library's error

# The first that an error is.
HOW: dict[type[BaseException], str] = {
    KeyboardInterrupt: "interrupted",
    Preempted: "preempted",
    monitors.Collapsed: "collapsed",
    guards.NonFinite: "non-finite",
    guards.Diverged: "non-finite",
    guards.FullDisk: "full disk",
    **dict.fromkeys(distribution.LOST_WORKER, "preempted"),
}


def describe(error: BaseException) -> tuple[str, str]:
    """Say how a run ended that an error ended: in a word or two, and why in a sentence."""
    how = next((word for kind, word in HOW.items() if isinstance(error, kind)), "")
    how = how or ("full disk" if files.is_full(error) else "error")
    if isinstance(error, Stopped):
        return how, " ".join(str(error).split())
    if how == "interrupted":
        return how, ""
    first = next(iter(str(error).splitlines()), "")
    return how, f"{type(error).__name__}: {first}"[:LONGEST].removesuffix(": ")


@contextlib.contextmanager
def written_down(
    workdir: pathlib.Path, gan: keras.Model
) -> Iterator[Callable[[BaseException], None]]:
    """Write down how what happens in this context ends; nothing can if the process is killed.

    Args:
        workdir: of the run, claimed before.
        gan: the model, whose step the run has reached.

    Yields:
        What to tell of an error that ended the run, where it goes no further.
    """
    told = [(FINISHED, "")]
    try:
        yield lambda error: told.append(describe(error))
    except BaseException as error:
        told.append(describe(error))
        raise
    finally:
        try:
            workdirs.end(workdir, *told[-1], step=callbacks.current_step(gan))
        except OSError as error:  # the disk is full, or the folder is gone
            logging.warning("Not written down how the run ended: %s", error)

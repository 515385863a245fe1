"""One line that says how far preprocessing is."""

import contextlib
import pathlib
import shutil
import sys
import threading
import time
from collections.abc import Iterator

from absl import logging
from tqdm import tqdm

from keras_gan import cli
from pipelines import storage, work

POLL_SECONDS = 0.25
SHARE = 50  # looking takes at most one part in so many of the time
PLAIN_SECONDS = 15  # between two lines where there is no terminal
STAGES = {"read": "Reading", "written": "Writing"}


@contextlib.contextmanager
def shown(folder: str, images: int) -> Iterator[None]:
    """Show images done, images a second and the time left, for as long as the work folder fills.

    Args:
        folder: the data folder; of a remote one nothing can be shown.
        images: how many there are.
    """
    if storage.is_remote(folder):
        yield
        return
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(folder, images, done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def count(folder: str, stage: str) -> int:
    """Add up the images of all blocks that a stage ("read" or "written") has done."""
    total = 0
    for path in pathlib.Path(work.in_work(folder)).glob(f"{stage}-*"):
        with contextlib.suppress(OSError, ValueError):  # it may just be being written
            total += int(path.read_text())
    return total


def _watch(folder: str, images: int, done: threading.Event) -> None:
    terminal = sys.stderr.isatty()
    for stage, text in STAGES.items():
        start = spoken = time.monotonic()
        with tqdm(
            total=images,
            desc=text,
            unit=" images",
            leave=False,
            disable=not terminal or cli.is_quiet(),
            ncols=min(shutil.get_terminal_size().columns, 100),
        ) as bar:
            number, pause = 0, POLL_SECONDS
            while number < images and not done.wait(pause):
                began = time.monotonic()
                number = count(folder, stage)
                bar.update(number - bar.n)
                now = time.monotonic()
                pause = max(POLL_SECONDS, SHARE * (now - began))
                if not terminal and now - spoken > PLAIN_SECONDS:
                    spoken = now
                    rate = number / (now - start)
                    left = tqdm.format_interval((images - number) / rate) if rate else "?"
                    logging.info(
                        "%s: %s of %s images, %s images/s, %s left",
                        text,
                        f"{number:,}",
                        f"{images:,}",
                        f"{rate:,.0f}",
                        left,
                    )

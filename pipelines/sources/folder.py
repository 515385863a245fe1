"""Image files: every PNG, JPEG, WebP, BMP and GIF below a folder, or that a pattern matches.

The first folder below is an image's class. Where those folders are called train, validation (or
val) and test, they are splits, and the next ones are classes.
"""

import dataclasses
import fnmatch
import hashlib
import os
import pathlib
import re
import stat
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import numpy as np
from absl import logging

from keras_gan import images
from keras_gan.interfaces import UserError
from pipelines import storage
from pipelines.options import DEFAULT_SIZE, Options, split_expressions
from pipelines.sources.source import Block, Chunk

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif")
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
CHUNK = 64
SLOW_SECONDS = 5e-4  # an image, from which on several threads are worth it
MAX_FILE_BYTES = 2**28
SAMPLED = 64  # files whose headers say whether a folder is grey or in colour


@dataclasses.dataclass(frozen=True)
class FolderSource:
    """Image files.

    Args:
        name: the folder's.
        folder: what the images' names are relative to.
        image_shape: (H, W, C) that every image is brought to.
        fit: how an image becomes square.
        classes: names of the first folders below, in order.
        splits: files of each split.
        depth: folders above the class in an image's name: 1 where there are split folders.
        ignored: files that are no images by their names.
        grey: whether it was chosen to be grey because the images looked at are.
        fingerprint: hash of the files' names, sizes and times of last change.
        names: each split's files, relative to `folder`, in the order of `_scattered`.
    """

    name: str
    folder: str
    image_shape: tuple[int, int, int]
    fit: str
    classes: tuple[str, ...]
    splits: dict[str, int]
    depth: int
    ignored: int
    grey: bool
    fingerprint: str
    names: dict[str, tuple[str, ...]] = dataclasses.field(repr=False)

    def describe(self) -> dict[str, Any]:
        """Say what is read."""
        return {"kind": "image_files", "folder": self.folder, "ignored_files": self.ignored}

    def read(self, block: Block) -> Iterator[Chunk]:
        """Read a block's files; what is no image to train on is set aside with its reason."""
        numbers = {name: number for number, name in enumerate(self.classes)}
        each: Callable[..., Iterator[Any]] = map
        with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(block.names), CHUNK):
                names = block.names[start : start + CHUNK]
                began = time.perf_counter()
                rows = list(enumerate(each(self._picture, names), start))
                # Large images are decoded without the interpreter's lock; small ones only wait.
                slow = time.perf_counter() - began > SLOW_SECONDS * len(names)
                each = pool.map if slow else map
                read = [(row, result) for row, result in rows if isinstance(result, np.ndarray)]
                kept = [block.names[row] for row, _ in read]
                labels = [numbers.get(_class_of(name, self.depth), -1) for name in kept]
                yield Chunk(
                    np.array([picture for _, picture in read], np.uint8).reshape(
                        -1, *self.image_shape
                    ),
                    np.array(labels, np.int64) if self.classes else None,
                    np.array([block.start + row for row, _ in read], np.int64),
                    kept,
                    [
                        (block.names[row], str(result))
                        for row, result in rows
                        if isinstance(result, images.BadImage)
                    ],
                )

    def _picture(self, name: str) -> np.ndarray | images.BadImage:
        """Read one file: its pixels, or why there are none."""
        try:
            picture = images.decode(_content(self.folder, name), self.image_shape[0])
            if self.grey and images.has_colour(picture):
                return images.BadImage("in colour among grey images; --channels=3 keeps colours")
            return images.to_shape(picture, self.image_shape, self.fit)
        except images.BadImage as reason:
            return reason


def open_source(options: Options) -> FolderSource:
    """List the files; the first of them say whether to keep colours, if the options do not.

    Raises:
        UserError: if there are none.
    """
    place = options.images or ""
    root, files, ignored = list_files(place)
    names = [name for name, _, _ in files]
    splits, depth = _splits(names, split_expressions(options.splits))
    if not splits.get("train"):
        raise UserError(
            f"Expected images ({', '.join(SUFFIXES)}) in {place}; received {ignored} other files. "
            "Try another --images."
        )
    used = [name for listed in splits.values() for name in listed]
    channels = options.channels or _channels(root, used)
    classes = sorted({_class_of(name, depth) for name in used} - {""})
    if ignored:
        logging.info(
            "Ignoring %s files of other kinds than %s", f"{ignored:,}", ", ".join(SUFFIXES)
        )
    if depth:
        logging.info("The folders of %s are its splits: %s", place, ", ".join(sorted(splits)))
    size = options.size or _common_size(root, used, place)
    return FolderSource(
        name=options.title,
        folder=root,
        image_shape=(size, size, channels),
        fit=options.fit,
        classes=tuple(classes),
        splits={split: len(listed) for split, listed in splits.items()},
        depth=depth,
        ignored=ignored,
        grey=not options.channels and channels == 1,
        fingerprint=_fingerprint(files),
        names={split: _scattered(listed) for split, listed in splits.items()},
    )


def _scattered(names: list[str]) -> tuple[str, ...]:
    """Order files as if at random, always alike: the first of them stand for all, of any class."""

    def digest(name: str) -> bytes:
        return hashlib.sha256(name.encode(errors="surrogateescape")).digest()

    return tuple(sorted(names, key=digest))


def fingerprint(options: Options) -> str:
    """Hash the files' names, sizes and times of last change."""
    return _fingerprint(list_files(options.images or "")[1])


def _fingerprint(files: list[tuple[str, int, float]]) -> str:
    digest = hashlib.sha256()
    for name, size, changed in files:
        digest.update(f"{name}\0{size}\0{changed}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def list_files(place: str) -> tuple[str, list[tuple[str, int, float]], int]:
    """List a folder's or pattern's image files in order: (root, [(name, bytes, changed)], others).

    Names are relative to the root. Hidden files and folders are left out, and so are folders
    reached by symbolic links.

    Raises:
        UserError: if there is no such folder, or nothing matches.
    """
    if not storage.is_remote(place) and pathlib.Path(place).is_dir():
        found = list(_walk(place, ""))
        root = place
    else:
        root, found = _matched(place)
    chosen = [entry for entry in found if entry[0].lower().endswith(SUFFIXES)]
    return root, chosen, len(found) - len(chosen)


def _walk(root: str, below: str) -> Iterator[tuple[str, int, float]]:
    """List the files in a folder and then those in the folders below it, by name."""
    folders = []
    with os.scandir(os.path.join(root, below)) as entries:  # noqa: PTH118
        for entry in sorted(entries, key=lambda entry: entry.name):
            name = f"{below}{entry.name}"
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(name + "/")
            elif entry.is_symlink() and entry.is_dir():
                logging.info("Not following %s, a link to a folder", name)
            elif entry.is_symlink() or entry.is_file():
                try:
                    status = entry.stat()  # of what a link leads to
                except OSError:
                    status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode) or entry.is_symlink():
                    yield name, status.st_size, status.st_mtime_ns
    for folder in folders:
        yield from _walk(root, folder)


def _matched(pattern: str) -> tuple[str, list[tuple[str, int, float]]]:
    """List what a pattern matches, relative to its last folder without wildcards."""
    if not set(pattern) & set("*?["):
        if not storage.is_remote(pattern):
            raise UserError(
                f"Expected --images to be a folder or a pattern; received {pattern}, which is "
                "neither. Try another path."
            )
        pattern = storage.join(pattern, "**")
    root = re.split(r"[*?\[]", pattern, maxsplit=1)[0].rpartition("/")[0]
    listed = [
        (path[len(root) + 1 :], size, changed)
        for path, size, changed in storage.match(pattern)
        if size or not path.endswith("/")
    ]
    visible = [entry for entry in listed if not fnmatch.fnmatch("/" + entry[0], "*/.*")]
    return root, visible


def _splits(names: list[str], chosen: dict[str, str]) -> tuple[dict[str, list[str]], int]:
    """Sort names by split: ({our split: names}, how many folders of a name say the split)."""
    tops = {name.partition("/")[0] if "/" in name else "" for name in names}
    if not chosen:
        known = {top: SPLIT_FOLDERS.get(top.lower(), "") for top in tops}
        ours = set(known.values()) - {""}
        if "train" not in ours or len(known) == 1 or (len(ours) == 1 and "" in known.values()):
            return {"train": names}, 0  # classes, one of which may be called so
        if "" in known.values() or len(ours) < len(known):
            raise UserError(
                "Expected folders of splits alone, or of classes alone; received "
                f"{', '.join(sorted(filter(None, tops)))}{' and files' * ('' in tops)}. Try "
                "--splits=train=FOLDER,test=FOLDER."
            )
    else:
        unknown = set(chosen.values()) - tops
        if unknown:
            raise UserError(
                f"Expected --splits to name folders of the images ({', '.join(sorted(tops))}); "
                f"received {', '.join(sorted(unknown))}."
            )
        known = {folder: split for split, folder in chosen.items()}
        if len(known) < len(chosen):
            raise UserError(
                f"Expected --splits to name each folder once; received {list(chosen.values())}."
            )
    splits: dict[str, list[str]] = {}
    for name in names:
        split = known.get(name.partition("/")[0])
        if split:
            splits.setdefault(split, []).append(name)
    return splits, 1


def _class_of(name: str, depth: int) -> str:
    """Return the folder that names an image's class; "" if it lies in none."""
    parts = name.encode("utf-8", "backslashreplace").decode().split("/")
    return parts[depth] if len(parts) > depth + 1 else ""


def _content(folder: str, name: str) -> bytes:
    """Read an image file; refuse what is no plain file of the folder."""
    path = storage.join(folder, name)
    try:
        if not storage.is_remote(path):
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                real = pathlib.Path(path).resolve(strict=True)
                if not real.is_relative_to(pathlib.Path(folder).resolve()):
                    raise images.BadImage("a symbolic link that leads out of the folder")
                status = real.stat()
            if not stat.S_ISREG(status.st_mode):
                raise images.BadImage("not a plain file")
            if status.st_size > MAX_FILE_BYTES:
                raise images.BadImage(f"too large: a file of more than {MAX_FILE_BYTES:,} bytes")
        return storage.read(path)
    except OSError as error:
        raise images.BadImage(f"unreadable: {error.strerror or error}") from error


def _sample(root: str, names: list[str]) -> Iterator[bytes]:
    """Read some files, evenly spread."""
    for name in names[:: -(-len(names) // SAMPLED)]:
        try:
            yield _content(root, name)
        except images.BadImage:
            continue


def _channels(root: str, names: list[str]) -> int:
    """Choose grey if no image that was looked at has colours."""
    grey = []
    for content in _sample(root, names):
        try:
            grey.append(not images.has_colour(images.decode(content, DEFAULT_SIZE)))
        except images.BadImage:
            continue
    return 1 if grey and all(grey) else 3


def _common_size(root: str, names: list[str], place: str) -> int:
    """Find the side that all square images share, for those who keep sizes."""
    sizes = set()
    for content in _sample(root, names):
        try:
            sizes.add(images.decode(content).size)
        except images.BadImage:
            continue
    if len(sizes) == 1 and len(set(next(iter(sizes)))) == 1:
        return next(iter(sizes))[0]
    listed = ", ".join(f"{width} x {height}" for width, height in sorted(sizes)[:3]) or "none"
    raise UserError(
        f"Expected square images of one size to keep; received {listed} in {place}. "
        f"Try --size={DEFAULT_SIZE}."
    )

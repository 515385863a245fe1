"""Arrays: images (and labels) in an .npz or .npy file, or the Toronto Face Database's .mat.

Rows are read from the file as they are needed. Nothing is ever unpickled.
"""

import contextlib
import dataclasses
import functools
import hashlib
import pathlib
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from absl import logging
from PIL import Image

from keras_gan import images, records
from keras_gan.interfaces import UserError
from pipelines import storage
from pipelines.options import Options, split_expressions
from pipelines.sources.source import Block, Chunk

# What others call the images and labels of each split; the first that is there is taken.
NAMINGS: tuple[dict[str, tuple[str, str]], ...] = (
    {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")},  # Keras
    {
        "train": ("train_images", "train_labels"),
        "validation": ("val_images", "val_labels"),
        "test": ("test_images", "test_labels"),
    },  # MedMNIST
    {"train": ("images", "labels")},
    {"train": ("x", "y")},
    {"train": ("arr_0", "arr_1")},
)
PARTNERS = {pair[0]: pair[1] for naming in NAMINGS for pair in naming.values()}
# What the Toronto Face Database's folds say of each image.
FOLDS = {"unlabelled": 0, "train": 1, "validation": 2, "test": 3}
NOT_IN_RANGE = "values outside [0, 1], which floating-point pixels must be in: divide by 255"
CHUNK = 1024
CHUNK_BYTES = 2**23
MAX_CLASSES = 2**16
MANY = 100  # labels, which are not in order by chance


@dataclasses.dataclass(frozen=True)
class ArraySource:
    """Images in an array file.

    Args:
        name: the file's.
        path: the file.
        labels_path: an .npy file of labels, where `path` has no room for them.
        image_shape: (H, W, C) that every image is brought to.
        fit: how an image becomes square.
        classes: class names in label order.
        splits: images of each split.
        keys: (images, labels) in the file, for each split; "@" and a fold's part in a .mat file.
        fingerprint: hash of the files' content.
        fold: the .mat file's column.
    """

    name: str
    path: str
    labels_path: str | None
    image_shape: tuple[int, int, int]
    fit: str
    classes: tuple[str, ...]
    splits: dict[str, int]
    keys: dict[str, tuple[str, str | None]]
    fingerprint: str
    fold: int = 0
    names: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """Say what is read."""
        return {"kind": "arrays", "file": self.path, "arrays": self.keys}

    def read(self, block: Block) -> Iterator[Chunk]:
        """Read a block's rows."""
        images_key, labels_key = self.keys[block.split]
        known = None
        if labels_key is not None:
            file = self.labels_path or self.path
            known = _labels(_all_rows(file, labels_key, block.start, block.stop, self.fold))
        start = block.start
        for rows in _rows(self.path, images_key, block.start, block.stop, self.fold):
            stop = start + len(rows)
            labels = None if known is None else known[start - block.start : stop - block.start]
            pictures, good = _eight_bit(rows)
            if pictures.shape[1:] != self.image_shape:
                pictures = np.stack([self._shaped(picture) for picture in pictures])
            names = [f"{images_key}[{index}]" for index in range(start, stop)]
            yield Chunk(
                pictures[good],
                None if labels is None else labels[good],
                np.arange(start, stop)[good],
                [name for name, ok in zip(names, good, strict=True) if ok],
                [(name, NOT_IN_RANGE) for name, ok in zip(names, good, strict=True) if not ok],
            )
            start = stop

    def _shaped(self, picture: np.ndarray) -> np.ndarray:
        whole = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
        return images.to_shape(whole, self.image_shape, self.fit)


def open_source(options: Options) -> ArraySource:
    """Find the arrays in a file.

    Raises:
        UserError: if it is no such file, or has no images in it.
    """
    path = options.arrays or ""
    if not storage.exists(path):
        raise UserError(f"Expected --arrays to be a file; received {path}, which is not there.")
    keys, shapes = (_open_mat if _is_mat(path) else _open_numpy)(path, options)
    for shape in shapes.values():
        if len(shape) not in (3, 4) or 0 in shape or (len(shape) == 4 and shape[-1] not in (1, 3)):
            raise UserError(
                "Expected images [n, H, W], [n, H, W, 1] or [n, H, W, 3], with n of at least 1; "
                f"received {path} with {shape}. Try transposing the array."
            )
    sizes = {shape[1:] for shape in shapes.values()}
    if len(sizes) > 1 and not options.size:
        raise UserError(
            f"Expected images of one shape in all splits; received {path} with "
            f"{' and '.join(map(str, sorted(sizes)))}. Try --size=64."
        )
    shape = next(iter(shapes.values()))[1:]
    shape = (*shape, 1) if len(shape) == 2 else shape
    size, channels = options.size, options.channels or shape[-1]
    file = options.labels or path
    highest = -1
    for split, (_, key) in keys.items():
        if key is not None:
            labels = _all_labels(file, key, split, shapes[split][0], options.fold)
            highest = max(highest, int(labels.max(initial=-1)))
            if len(labels) >= MANY and (np.diff(labels) >= 0).all() and labels[0] < labels[-1]:
                logging.warning(
                    "The %s images of %s are in the order of their labels: what looks at the first "
                    "of them sees few classes. Try shuffling images and labels alike",
                    split,
                    path,
                )
    return ArraySource(
        name=options.title,
        path=path,
        labels_path=options.labels,
        image_shape=(size or shape[0], size or shape[1], channels),
        fit=options.fit,
        classes=tuple(str(number) for number in range(highest + 1)),
        splits={split: shape[0] for split, shape in shapes.items()},
        keys=keys,
        fingerprint=fingerprint(options),
        fold=options.fold,
    )


def fingerprint(options: Options) -> str:
    """Hash the files' content; of remote ones, their sizes and times of last change."""
    stamps: list[Any] = []
    for path in filter(None, (options.arrays, options.labels)):
        if storage.is_remote(path):
            stamps += [entry[1:] for entry in storage.match(path)]
        elif pathlib.Path(path).is_file():
            stamps.append(records.file_sha256(path))
    return hashlib.sha256(repr(stamps).encode()).hexdigest()


Found = tuple[dict[str, tuple[str, str | None]], dict[str, tuple[int, ...]]]


def _open_numpy(path: str, options: Options) -> Found:
    """Find images and labels by their names: ({split: keys}, {split: shape of its images})."""
    names = _names(path)
    chosen = split_expressions(options.splits)
    if chosen:
        naming = {ours: (theirs, PARTNERS.get(theirs, "")) for ours, theirs in chosen.items()}
    else:
        naming = next((n for n in NAMINGS if n["train"][0] in names), {})
        if not naming and len(names) == 1:
            naming = {"train": (names[0], "")}
    keys: dict[str, tuple[str, str | None]] = {}
    shapes = {}
    for split, (images_key, labels_key) in naming.items():
        if images_key not in names:
            if split == "train" or chosen:
                raise UserError(
                    f"Expected {images_key!r} among the arrays of {path}; received "
                    f"{', '.join(names)}."
                )
            continue
        with _array(path, images_key) as (_, shape, dtype):
            _expect_pixels(path, images_key, dtype)
            shapes[split] = shape
        own = labels_key if labels_key in names else None
        keys[split] = (images_key, _only_name(options.labels) if options.labels else own)
    if options.labels and len(keys) > 1:
        raise UserError(
            f"Expected --labels for one array of images; received {path} with {', '.join(keys)}."
        )
    if not keys:
        raise UserError(
            f"Expected arrays named images and labels, or x_train, y_train, x_test and y_test, in "
            f"{path}; received {', '.join(names) or 'none'}. Try --splits=train=NAME."
        )
    return keys, shapes


def _open_mat(path: str, options: Options) -> Found:
    """Find the Toronto Face Database's images, classes and folds."""
    data = _load_mat(path)
    missing = {"images", "folds"} - set(data)
    if missing:
        raise UserError(
            "Expected the Toronto Face Database's keys, images, labs_ex and folds; received "
            f"{path} with {', '.join(sorted(data)) or 'none'}."
        )
    if options.labels:
        raise UserError(
            f"Expected the labels in the .mat file; received --labels={options.labels}."
        )
    _expect_pixels(path, "images", data["images"].dtype)
    lengths = {key: len(data[key]) for key in ("images", "folds", "labs_ex") if key in data}
    if len(set(lengths.values())) > 1:
        raise UserError(f"Expected arrays of one length; received {path} with {lengths}.")
    folds = data["folds"]
    if folds.ndim != 2 or not 0 <= options.fold < folds.shape[1]:
        raise UserError(f"Expected --fold of 0 to {folds.shape[-1] - 1}; received {options.fold}.")
    chosen = split_expressions(options.splits) or {
        "train": "unlabelled",  # what the paper trained on
        "validation": "validation",
        "test": "test",
    }
    unknown = set(chosen.values()) - set(FOLDS)
    if unknown:
        raise UserError(
            f"Expected --splits to name {', '.join(FOLDS)}; received {', '.join(sorted(unknown))}."
        )
    labelled = "labs_ex" in data
    keys: dict[str, tuple[str, str | None]] = {
        split: (f"images@{theirs}", f"labs_ex@{theirs}" if labelled else None)
        for split, theirs in chosen.items()
    }
    shapes = {
        split: (int((folds[:, options.fold] == FOLDS[theirs]).sum()), *data["images"].shape[1:])
        for split, theirs in chosen.items()
    }
    return keys, shapes


def _expect_pixels(path: str, key: str, dtype: np.dtype) -> None:
    if dtype != np.uint8 and dtype.kind not in "bf":
        raise UserError(
            "Expected pixels of uint8, or floating-point ones in [0, 1]; received "
            f"{key!r} of {path} with {dtype}."
        )


def _eight_bit(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bring rows to (uint8 [n, H, W, C], whether each was a valid image)."""
    rows = rows[..., None] if rows.ndim == 3 else rows
    good: np.ndarray = np.ones(len(rows), bool)
    if rows.dtype.kind == "b":
        rows = rows.astype(np.uint8) * images.WHITE
    elif rows.dtype.kind == "f":
        flat = rows.reshape(len(rows), -1)
        with np.errstate(invalid="ignore"):
            good = np.all((flat >= 0) & (flat <= 1), axis=1)
        rows = images.to_uint8(np.where(good[:, None, None, None], rows, 0).astype(np.float32))
    return rows, good


def _labels(rows: np.ndarray) -> np.ndarray:
    """Check class numbers: int64 [n], -1 for none."""
    rows = rows[:, 0] if rows.ndim == 2 and rows.shape[1] == 1 else rows
    whole = rows.ndim == 1 and rows.dtype.kind in "iu"
    if not whole or rows.min(initial=0) < -1 or rows.max(initial=0) >= MAX_CLASSES:
        found = f"{rows.min(initial=0)} to {rows.max(initial=0)}" if whole else f"{rows.dtype}"
        raise UserError(
            f"Expected labels to be whole numbers [n] from 0 to {MAX_CLASSES - 1} (-1 for none); "
            f"received {list(rows.shape)} of {found}."
        )
    return rows.astype(np.int64)


def _all_labels(path: str, key: str, split: str, count: int, fold: int) -> np.ndarray:
    """Read the labels of a split's `count` images."""
    if not _is_mat(path):
        with _array(path, key) as (_, shape, _):
            if shape[:1] != (count,):
                raise UserError(
                    f"Expected a label for each of the {count} images of {split}; received "
                    f"{key!r} of {path} with {shape}."
                )
    return _labels(_all_rows(path, key, 0, count, fold))


def _all_rows(path: str, key: str, start: int, stop: int, fold: int) -> np.ndarray:
    """Read rows `start` to `stop` of an array at once."""
    return np.concatenate(list(_rows(path, key, start, stop, fold)))


def _rows(path: str, key: str, start: int, stop: int, fold: int) -> Iterator[np.ndarray]:
    """Read rows `start` to `stop` of an array, some at a time."""
    if _is_mat(path):
        data = _load_mat(path)
        name, _, part = key.partition("@")
        chosen = np.flatnonzero(data["folds"][:, fold] == FOLDS[part])[start:stop]
        rows = data[name][chosen]
        yield rows if name == "images" else np.where(rows > 0, rows.astype(np.int64) - 1, -1)
        return
    with _array(path, key) as (file, shape, dtype):
        row = int(np.prod(shape[1:])) * dtype.itemsize
        chunk = max(1, min(CHUNK, CHUNK_BYTES // row))
        file.seek(start * row, 1)
        while start < stop:
            count = min(chunk, stop - start)
            content = file.read(min(count, shape[0] - start) * row)
            if len(content) != count * row:
                raise UserError(f"Expected {stop} rows in {path}; received fewer: it is cut short.")
            yield np.frombuffer(content, dtype).reshape(count, *shape[1:])
            start += count


def _names(path: str) -> list[str]:
    """List the arrays in a file; a bare .npy file has one, "images"."""
    if not path.lower().endswith((".npz", ".npy")):
        raise UserError(f"Expected --arrays to be an .npz, .npy or .mat file; received {path}.")
    if path.lower().endswith(".npy"):
        return ["images"]
    try:
        with storage.open_to_read(path) as file, zipfile.ZipFile(file) as archive:
            return [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(
            f"Expected --arrays to be an .npz, .npy or .mat file; received {path}: {error}."
        ) from error


def _only_name(path: str) -> str:
    """Return the one array of a file of labels."""
    names = _names(path)
    if len(names) != 1:
        raise UserError(f"Expected one array in {path}; received {', '.join(names) or 'none'}.")
    return names[0]


def _is_mat(path: str) -> bool:
    return path.lower().endswith(".mat")


@contextlib.contextmanager
def _array(path: str, key: str) -> Iterator[tuple[BinaryIO, tuple[int, ...], np.dtype]]:
    """Open an array where its rows begin: (file, shape, dtype)."""
    with contextlib.ExitStack() as stack:
        file: Any = stack.enter_context(storage.open_to_read(path))
        if path.lower().endswith(".npz"):
            file = stack.enter_context(zipfile.ZipFile(file)).open(f"{key}.npy")
            stack.enter_context(file)
        try:
            shape, dtype = _header(path, key, file)
            yield file, shape, dtype
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise UserError(f"Expected {path} whole; received damaged content: {error}.") from error


def _header(path: str, key: str, file: Any) -> tuple[tuple[int, ...], np.dtype]:
    """Read an array's shape and dtype."""
    try:
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = read_header(file)
    except (ValueError, KeyError) as error:
        raise UserError(f"Expected an array in {path}; received {error}.") from error
    if dtype.hasobject or (fortran and len(shape) > 1):
        kind = "Python objects" if dtype.hasobject else "Fortran order"
        raise UserError(
            f"Expected {key!r} of {path} to be plain numbers in C order; received {kind}. "
            "Try numpy.ascontiguousarray before saving it."
        )
    return shape, dtype


@functools.lru_cache(maxsize=1)
def _load_mat(path: str) -> dict[str, np.ndarray]:
    import scipy.io

    try:
        with storage.open_to_read(path) as file:
            data = scipy.io.loadmat(file)
    except Exception as error:  # whatever its reader stumbles over in damaged bytes
        raise UserError(f"Expected a MATLAB file (up to 7.2); received {path}: {error}.") from error
    return {key: value for key, value in data.items() if not key.startswith("__")}

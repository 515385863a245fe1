"""Sources of images: one reader for each kind, all with the same three members.

A source is plain data, so that Beam can send it to any worker:
    splits      images in each of the source's splits, in order
    describe()  where the images come from, for `dataset_info.json`
    read(split, start, stop) -> (uint8 [n, H, W, C], int64 [n] or None, int64 [n])
The last of these is each image's position in the original distribution, which "last:N" counts by.
"""

import contextlib
import dataclasses
import difflib
import functools
import gzip
import hashlib
import io
import pathlib
import re
import sys
from typing import Any

import numpy as np
import requests
from absl import logging

from keras_gan import images, records
from keras_gan.interfaces import UserError

# The original files of these data sets come with this package.
EMBEDDED = pathlib.Path(__file__).parent / "originals"


@dataclasses.dataclass(frozen=True)
class TfdsSource:
    """Images of a prepared TensorFlow Datasets data set.

    Args:
        name: full name, with configuration and version.
        directory: the folder with its prepared files.
        image_shape: (H, W, C) that every image is brought to.
        resize: whether images must be cropped and resized for that.
        image_key: the image feature.
        label_key: the class feature, or None.
        id_key: a text feature that ends in the image's original position, or None.
        classes: class names in label order.
        splits: images in each split.
    """

    name: str
    directory: str
    image_shape: tuple[int, int, int]
    resize: bool
    image_key: str
    label_key: str | None
    id_key: str | None
    classes: tuple[str, ...]
    splits: dict[str, int]

    def describe(self) -> dict[str, Any]:
        """Say what is read."""
        return {"kind": "tensorflow_datasets", "name": self.name}

    def read(
        self, split: str, start: int, stop: int
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Read images `start` to `stop` of a split, in the order that TFDS stored them in."""
        import tensorflow_datasets as tfds

        wanted = [key for key in (self.image_key, self.label_key, self.id_key) if key]
        dataset = tfds.builder_from_directory(self.directory).as_dataset(
            split=f"{split}[{start}:{stop}]",
            decoders=tfds.decode.PartialDecoding(dict.fromkeys(wanted, True)),
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
        )
        columns: dict[str, list[Any]] = {key: [] for key in wanted}
        # Images of many sizes come one by one, and only what they are brought to is kept.
        for batch in tfds.as_numpy(dataset.batch(1 if self.resize else 512)):
            if self.resize:
                fitted = images.fit(batch[self.image_key][0], self.image_shape[0])
                batch[self.image_key] = fitted[None]
            for key in wanted:
                columns[key].append(batch[key])
        rows = {key: np.concatenate(values) for key, values in columns.items()}
        pictures = rows[self.image_key]
        labels = rows[self.label_key].astype(np.int64) if self.label_key else None
        ids = list(rows[self.id_key]) if self.id_key else None
        return pictures, labels, original_positions(self.name, split, pictures, ids, start)


def open_tfds(
    dataset: str,
    *,
    data_dir: str | None = None,
    manual_dir: str | None = None,
    size: int = 0,
) -> TfdsSource:
    """Find a TensorFlow Datasets data set; prepare it from its original files if need be.

    Args:
        dataset: its name, `name`, `name/config` or `name:version`.
        data_dir: the folder with prepared data sets; TFDS's own default when None.
        manual_dir: a folder with the original files.
        size: side that images are brought to; 0 keeps their own size.

    Raises:
        UserError: if there is no such data set, its files are not to be had, or it has no images.
    """
    import tensorflow_datasets as tfds

    for name, folder in (("data_dir", data_dir), ("manual_dir", manual_dir)):
        if folder is not None and not pathlib.Path(folder).is_dir():
            raise UserError(
                f"Expected --{name} to be a folder; received {folder}, which is not one."
            )
    builder = _builder(dataset, data_dir)
    if not builder.is_prepared():
        _prepare(builder, manual_dir)
    features = builder.info.features
    if not isinstance(features, tfds.features.FeaturesDict):
        raise UserError(f"Expected a data set of images; received {dataset}, which has none.")
    image_keys = [k for k, f in features.items() if isinstance(f, tfds.features.Image)]
    if not image_keys:
        raise UserError(
            f"Expected a data set of images; received {dataset}, with {', '.join(features)}."
        )
    image_key = "image" if "image" in image_keys else image_keys[0]
    label_keys = [k for k, f in features.items() if isinstance(f, tfds.features.ClassLabel)]
    label_key = "label" if "label" in label_keys else next(iter(label_keys), None)
    shape, dtype = features[image_key].shape, features[image_key].np_dtype
    if dtype != np.uint8 or shape[-1] not in (1, 3):
        raise UserError(
            f"Expected 8-bit images with 1 or 3 channels; received {dataset} with {dtype} {shape}."
        )
    resize = size > 0 and tuple(shape[:2]) != (size, size)
    if size == 0 and None in shape:
        raise UserError(
            f"Expected images of one size; received {dataset}, whose sizes vary. "
            "Try --size=64 (python -m pipelines.preprocess) or --set image_size=64 (training)."
        )
    return TfdsSource(
        name=builder.info.full_name,
        directory=str(builder.data_dir),
        image_shape=(size, size, shape[-1]) if size else tuple(shape),
        resize=resize,
        image_key=image_key,
        label_key=label_key,
        id_key="id" if isinstance(dict(features).get("id"), tfds.features.Text) else None,
        classes=tuple(features[label_key].names or ()) if label_key else (),
        splits={name: split.num_examples for name, split in builder.info.splits.items()},
    )


def original_positions(
    name: str, split: str, pictures: np.ndarray, ids: list[bytes] | None, start: int
) -> np.ndarray:
    """Find where images stood in the original distribution: TFDS stores them shuffled.

    By the number that ends TFDS's "id" (CIFAR-10: b"train_00042"), by content for MNIST, whose
    original files are here; otherwise TFDS's order is all there is.

    Args:
        name: the data set's full name.
        split: the source's split.
        pictures: uint8 [n, H, W, C].
        ids: TFDS's id of each, or None.
        start: position of the first in TFDS's order.

    Returns:
        int64 [n].
    """
    numbers = [re.search(rb"_(\d+)$", text) for text in ids or []]
    if numbers and all(numbers):
        return np.asarray([int(match[1]) for match in numbers if match], np.int64)
    if name.startswith("mnist/") and split == "train" and pictures.shape[1:] == (28, 28, 1):
        table = _mnist_positions()
        found = [table.get(hashlib.sha256(picture.tobytes()).digest()) for picture in pictures]
        if None not in found:
            return np.asarray(found, np.int64)
    return np.arange(start, start + len(pictures))


@functools.cache
def _mnist_positions() -> dict[bytes, int]:
    with gzip.open(EMBEDDED / "mnist" / "train-images-idx3-ubyte.gz") as file:
        pixels = file.read()[16:]
    return {
        hashlib.sha256(pixels[i * 784 : (i + 1) * 784]).digest(): i
        for i in range(len(pixels) // 784)
    }


def _builder(dataset: str, data_dir: str | None) -> Any:
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(dataset, data_dir=data_dir, try_gcs=False)
    except tfds.core.DatasetNotFoundError:
        name = dataset.partition("/")[0].partition(":")[0]
        near = difflib.get_close_matches(
            name, tfds.list_builders(with_community_datasets=False), n=3
        )
        raise UserError(
            "Expected --dataset to be mnist, cifar10 or any other image data set of TensorFlow "
            f"Datasets; received {name!r}."
            + (f" Did you mean {' or '.join(near)}?" if near else "")
        ) from None
    except (ValueError, KeyError, AssertionError) as error:
        raise UserError(
            f"Expected --dataset as NAME, NAME/CONFIG or NAME:VERSION; received {dataset!r}: "
            f"{error}"
        ) from None


def _prepare(builder: Any, manual_dir: str | None) -> None:
    """Build a data set from files that are here, or download them; fail at once if not."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError
    from tensorflow_datasets.core.download.util import DownloadError

    embedded = EMBEDDED / builder.name
    folder = pathlib.Path(manual_dir) if manual_dir else embedded
    expected = {
        url: info.filename for url, info in (builder.url_infos or {}).items() if info.filename
    }
    missing = {url: name for url, name in expected.items() if not (folder / name).is_file()}
    if missing or not expected:
        _expect_network(builder, missing, folder if manual_dir else None)
    elif manual_dir:
        _trust(builder, folder)
    logging.info(
        "Preparing %s with TensorFlow Datasets in %s", builder.info.full_name, builder.data_dir
    )
    root = pathlib.Path(builder.data_dir_root)
    config = tfds.download.DownloadConfig(
        manual_dir=folder if folder.is_dir() else None,
        # Data sets that share file names would corrupt each other in one folder.
        extract_dir=root / "extracted" / builder.name,
        try_download_gcs=False,
    )
    local = bool(expected) and not missing
    if local:
        tfds.disable_progress_bar()
    try:
        # TFDS prints what it downloads. A command's output is its result alone.
        with contextlib.redirect_stdout(io.StringIO() if local else sys.stderr):
            builder.download_and_prepare(download_dir=root / "downloads", download_config=config)
    except (
        AssertionError,
        DownloadError,
        NonMatchingChecksumError,
        requests.RequestException,
    ) as error:
        raise UserError(f"TensorFlow Datasets could not prepare {builder.name}: {error}") from error


def _expect_network(builder: Any, missing: dict[str, str], folder: pathlib.Path | None) -> None:
    """Fail at once, naming the files, where TFDS would try again for minutes."""
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS and not missing:
        if folder is not None:
            return
        raise UserError(
            f"Expected the files of {builder.name} in --manual_dir: "
            f"{' '.join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())}"
        )
    url = next(iter(missing), "https://storage.googleapis.com")
    try:
        # Any answer, even a refusal, shows that the network is there.
        requests.head(url, timeout=5, allow_redirects=False)
    except requests.RequestException:
        names = ", ".join(missing.values()) or "its original files"
        place = f"{folder} holds none of them" if folder else "no --manual_dir was given"
        if folder and any(folder.iterdir()):
            place = f"they are not in {folder}"
        raise UserError(
            f"Expected {builder.name} prepared in {builder.data_dir_root}, or its original files, "
            f"or the network; there is no network, and {place}. Missing: {names}. Try "
            "putting them into one folder and --manual_dir=FOLDER, or --data_dir=FOLDER for a "
            "prepared copy."
        ) from None


def _trust(builder: Any, folder: pathlib.Path) -> None:
    """Let TFDS take the user's own files, and say so where they are not the ones it knows."""
    from tensorflow_datasets.core.download import checksums

    for url, known in list(builder.url_infos.items()):
        path = folder / known.filename
        if records.file_sha256(path) == known.checksum:
            continue
        logging.warning(
            "%s is not byte for byte the file that TensorFlow Datasets knows; it is used because "
            "--manual_dir names it.",
            path,
        )
        found = checksums.compute_url_info(path)
        builder.url_infos[url] = checksums.UrlInfo(
            size=found.size, checksum=found.checksum, filename=known.filename
        )

"""What decides the content of a data folder, as checked, frozen data."""

import dataclasses
import hashlib
import json
import pathlib
import re
from typing import Any

from keras_gan import config, images, records
from keras_gan.interfaces import UserError
from keras_gan.overrides import unknown

MAX_SIZE = 4096
DEFAULT_SIZE = 64  # of images from files, which come in all sizes
SPLITS = ("train", "validation", "test")
COMPRESSIONS = ("none", "gzip")
PATHS = ("images", "arrays", "labels", "data_dir", "manual_dir", "schema")


@dataclasses.dataclass(frozen=True)
class Options:
    """Which images, and what becomes of them.

    Args:
        dataset: TensorFlow Datasets name.
        validation: "last:N", "hash:SHARE" or "none": what is held out of the training images where
            the source has no validation split.
        size: side that images are brought to; 0 keeps their own.
        data_dir: folder with prepared TFDS data sets.
        manual_dir: folder with a TFDS data set's original files.
        images: a folder of images, or a pattern.
        arrays: an .npz, .npy or .mat file of images.
        labels: an .npy file of class numbers that goes with `arrays`.
        splits: "train=NAME,test=NAME": which of the source's splits are used as which.
        fold: which of a .mat file's folds says what is validation and test.
        test: "hash:SHARE" or "none", where the source has no test split.
        channels: 1 (grey) or 3 (colour); 0 keeps the source's own.
        fit: "crop", "pad" or "stretch": how an image becomes square.
        compression: of the shards, "none" or "gzip".
        shard_mb: mebibytes of pixels that a shard may hold.
        schema: a schema to check against instead of the known or inferred one.
    """

    dataset: str = ""
    validation: str = config.DEFAULT_VALIDATION
    size: int = 0
    data_dir: str | None = None
    manual_dir: str | None = None
    images: str | None = None
    arrays: str | None = None
    labels: str | None = None
    splits: str = ""
    fold: int = 0
    test: str = "none"
    channels: int = 0
    fit: str = "crop"
    compression: str = "none"
    shard_mb: int = 32
    schema: str | None = None

    def __post_init__(self) -> None:
        """Check, and make paths absolute: the same place always has the same name."""
        for name in PATHS:
            path = getattr(self, name)
            if path is not None and "://" not in path:
                object.__setattr__(self, name, str(pathlib.Path(path).absolute()))
        kind, share = config.validation_rule(self.validation)
        test_kind, test_share = config.validation_rule(self.test, "test")
        if test_kind == "last" or (kind == "hash" and share + test_share >= 1):
            raise UserError(
                "Expected --test to be hash:SHARE or none, and to leave something to train on; "
                f"received test={self.test!r}, validation={self.validation!r}."
            )
        for name, known in (("fit", images.FITS), ("compression", COMPRESSIONS)):
            if getattr(self, name) not in known:
                raise unknown(f"--{name}", getattr(self, name), known)
        split_expressions(self.splits)
        if self.channels not in (0, 1, 3):
            raise UserError(f"Expected --channels of 1 or 3; received {self.channels}.")
        if self.size and not images.MIN_SIDE <= self.size <= MAX_SIZE:
            raise UserError(
                f"Expected --size of 0 (keep) or {images.MIN_SIDE} to {MAX_SIZE}; received "
                f"{self.size}."
            )
        for name in ("data_dir", "manual_dir"):
            if getattr(self, name) and (self.images or self.arrays):
                raise UserError(
                    f"Expected --{name} with a --dataset; received it with "
                    f"{self.images or self.arrays}."
                )
        if self.fold and not (self.arrays or "").lower().endswith(".mat"):
            raise UserError(f"Expected --fold with a .mat file; received --fold={self.fold}.")
        if self.labels and not self.arrays:
            raise UserError(f"Expected --labels with --arrays; received --labels={self.labels}.")

    @property
    def title(self) -> str:
        """Name the source shortly, fit for a file's name."""
        path = self.images or self.arrays
        name = self.dataset or _stem(path or "")
        return re.sub(r"[^\w.-]+", "_", name).strip("._") or "images"

    def parameters(self) -> dict[str, Any]:
        """List what decides the content but for where the source is: that has a fingerprint."""
        values = dataclasses.asdict(self) | dict.fromkeys(PATHS)
        if self.schema:
            values["schema"] = records.file_sha256(self.schema)
        return values

    def folder_name(self, fingerprint: str) -> str:
        """Name a data folder after what decides its content, so that no two ever mix."""
        content = json.dumps([self.title, self.parameters(), fingerprint, records.FORMAT_VERSION])
        return f"{self.title}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


@dataclasses.dataclass(frozen=True)
class Checks:
    """What a data folder must pass to be trained on, and how long to wait for it.

    Args:
        max_rejected: share of the images that may be unusable.
        allow: names of anomalies that are accepted.
        baseline: an earlier data folder that this one should be like.
        patience: seconds without progress before workers elsewhere are given up; 0 for no end.
    """

    max_rejected: float = 0.01
    allow: tuple[str, ...] = ()
    baseline: str | None = None
    patience: float = 60.0


def split_expressions(text: str) -> dict[str, str]:
    """Read "train=unlabelled,test=test[:50%]" as {our split: the source's}.

    Raises:
        UserError: if it is not of this form.
    """
    chosen: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        ours, equals, theirs = part.partition("=")
        if not equals or ours not in SPLITS or not theirs or ours in chosen:
            raise UserError(
                f"Expected --splits as train=NAME,validation=NAME,test=NAME, each once at most; "
                f"received {text!r}."
            )
        chosen[ours] = theirs
    if chosen and "train" not in chosen:
        raise UserError(f"Expected --splits to name train; received {text!r}.")
    return chosen


def _stem(path: str) -> str:
    """Name a folder, file or pattern by its last plain part."""
    parts = [part for part in path.split("/") if part and not set(part) & set("*?[")]
    name = parts[-1] if parts else ""
    return name.removesuffix(".npz").removesuffix(".npy").removesuffix(".mat")

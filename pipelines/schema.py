"""Schemas: what a data set should look like, inferred or loaded, and what of it does not hold.

A schema is a `tensorflow_metadata` Schema in text form, to read, edit and commit. The checks are
those that TensorFlow Data Validation makes of such a schema, as far as images and classes go.
"""

import dataclasses
import pathlib
from collections.abc import Iterable, Iterator

import numpy as np
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from keras_gan.interfaces import UserError
from keras_gan.overrides import unknown

KNOWN = pathlib.Path(__file__).parent / "schemas"

# What an inferred schema allows; a schema's own thresholds take their place.
CLASS_SHIFT = 0.05  # of any class's share, between splits or from a baseline
BRIGHTNESS_SHIFT = 0.05  # Jensen-Shannon divergence of the images' brightness, in bits
LEAST_CONTRAST = 1.0  # standard deviation of an image's pixels, of 255, below which it is constant
CONTRASTED = 0.99  # share of images that must have more
OVERLAP = 0.01  # share of a split's images that may also have been in another

NAMES = {
    "image_shape": "images of another shape than the schema's",
    "value_range": "pixels outside the schema's range",
    "too_many_rejected": "more files that are no images than --max_rejected allows",
    "too_few_examples": "fewer images than the schema asks for",
    "label_missing": "images without a class in a split where others have one",
    "label_domain": "classes outside the schema's domain",
    "class_missing": "classes of the schema that no image has",
    "near_constant": "too many images of nearly one colour",
    "split_overlap": "too many images that were in two splits",
    "train_test_skew": "a test split unlike the training split",
    "train_validation_skew": "a validation split unlike the training split",
    "class_drift": "classes in other shares than in the baseline",
    "brightness_drift": "images of another brightness than in the baseline",
}

Statistics = dict[str, statistics_pb2.DatasetFeatureStatistics]


@dataclasses.dataclass(frozen=True)
class Anomaly:
    """Something that does not hold: a key of `NAMES`, where, and what was expected and found."""

    name: str
    split: str
    text: str


def infer(
    statistics: Statistics, image_shape: tuple[int, int, int], classes: tuple[str, ...]
) -> schema_pb2.Schema:
    """Write down what a data set looks like, with the default thresholds.

    Args:
        statistics: of each split.
        image_shape: (H, W, C).
        classes: class names in label order.
    """
    schema = schema_pb2.Schema()
    tensor = schema.tensor_representation_group[""].tensor_representation["image"].dense_tensor
    tensor.column_name = "image"
    for size in image_shape:
        tensor.shape.dim.add(size=size)
    image = _add_feature(schema, "image", schema_pb2.BYTES)
    image.presence.min_fraction = 1
    image.value_count.min = image.value_count.max = 1
    if any(_feature(split, "label") for split in statistics.values()):
        label = _add_feature(schema, "label", schema_pb2.INT)
        label.int_domain.name = "classes"
        label.int_domain.min, label.int_domain.max = 0, max(len(classes) - 1, 0)
        label.int_domain.is_categorical = True
        label.annotation.comment.append(", ".join(classes[:20]))
        label.skew_comparator.infinity_norm.threshold = CLASS_SHIFT
        label.drift_comparator.infinity_norm.threshold = CLASS_SHIFT
    value = _add_feature(schema, "image/value", schema_pb2.INT, derived=True)
    value.int_domain.min, value.int_domain.max = 0, 255
    brightness = _add_feature(schema, "image/brightness", schema_pb2.FLOAT, derived=True)
    brightness.skew_comparator.jensen_shannon_divergence.threshold = BRIGHTNESS_SHIFT
    brightness.drift_comparator.jensen_shannon_divergence.threshold = BRIGHTNESS_SHIFT
    contrast = _add_feature(schema, "image/contrast", schema_pb2.FLOAT, derived=True)
    contrast.float_domain.min = LEAST_CONTRAST
    contrast.distribution_constraints.min_domain_mass = CONTRASTED
    return schema


def _add_feature(
    schema: schema_pb2.Schema, name: str, kind: "schema_pb2.FeatureType", derived: bool = False
) -> schema_pb2.Feature:
    feature = schema.feature.add(name=name, type=kind)
    if derived:
        feature.lifecycle_stage = schema_pb2.VALIDATION_DERIVED
    return feature


def load(path: pathlib.Path) -> schema_pb2.Schema:
    """Read a schema in text form.

    Raises:
        UserError: if it is none.
    """
    try:
        return text_format.Parse(path.read_text(), schema_pb2.Schema())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise UserError(
            f"Expected a tensorflow_metadata Schema in text form; received {path}: {error}."
        ) from error


def known(dataset: str) -> pathlib.Path | None:
    """Find the schema that comes with this package for a data set."""
    path = KNOWN / f"{dataset.partition(':')[0].replace('/', '_')}.pbtxt"
    return path if path.is_file() else None


def to_text(schema: schema_pb2.Schema) -> str:
    """Write a schema in text form."""
    return text_format.MessageToString(schema)


def expect_known(allowed: Iterable[str]) -> None:
    """Refuse names that no anomaly has."""
    for name in allowed:
        if name not in NAMES:
            raise unknown("--allow", name, NAMES)


def validate(
    schema: schema_pb2.Schema,
    statistics: Statistics,
    image_shape: tuple[int, int, int],
    overlap: dict[str, int],
    baseline: Statistics | None = None,
) -> list[Anomaly]:
    """List what does not hold.

    Args:
        schema: what was expected.
        statistics: of each split.
        image_shape: (H, W, C) of the images.
        overlap: images that were left out of a split because another has them: "train in test".
        baseline: the statistics of an earlier data folder.
    """
    features = {feature.name: feature for feature in schema.feature}
    found = list(_whole(schema, statistics, image_shape))
    for split, dataset in statistics.items():
        found += _each(features, split, dataset)
        if split != "train":
            skewed = _shifts(features, statistics["train"], dataset, "skew_comparator")
            found += [
                Anomaly(f"train_{split}_skew", split, f"{text} than in train") for _, text in skewed
            ]
    for pair, count in overlap.items():
        split = pair.partition(" ")[0]
        total = count + int(statistics[split].num_examples if split in statistics else 0)
        if count > OVERLAP * total:
            text = f"{count:,} of {total:,} images were also {pair.partition(' ')[2]}"
            found.append(Anomaly("split_overlap", split, f"{text}, more than {OVERLAP:.0%}"))
    if baseline and "train" in baseline:
        drifted = _shifts(features, baseline["train"], statistics["train"], "drift_comparator")
        names = {"label": "class_drift", "image/brightness": "brightness_drift"}
        found += [
            Anomaly(names[feature], "train", f"{text} than in the baseline")
            for feature, text in drifted
        ]
    return found


def _whole(
    schema: schema_pb2.Schema, statistics: Statistics, image_shape: tuple[int, int, int]
) -> Iterator[Anomaly]:
    """Check what concerns all splits together."""
    group = schema.tensor_representation_group.get("")
    if group is not None and "image" in group.tensor_representation:
        dims = group.tensor_representation["image"].dense_tensor.shape.dim
        expected = tuple(dim.size for dim in dims)
        if expected != image_shape:
            yield Anomaly("image_shape", "all", f"expected {expected}, found {image_shape}")
    least = schema.dataset_constraints.min_examples_count
    total = int(sum(dataset.num_examples for dataset in statistics.values()))
    if total < least:
        yield Anomaly("too_few_examples", "all", f"expected at least {least:,}, found {total:,}")
    label = next((feature for feature in schema.feature if feature.name == "label"), None)
    found = [stats for split in statistics.values() if (stats := _feature(split, "label"))]
    if label is not None and label.HasField("int_domain") and found:
        domain = label.int_domain
        absent = set(range(domain.min, domain.max + 1)) - set().union(*map(_numbers, found))
        if absent:
            yield Anomaly("class_missing", "all", f"no image of class {_listed(sorted(absent))}")


def _each(
    features: dict[str, schema_pb2.Feature],
    split: str,
    dataset: statistics_pb2.DatasetFeatureStatistics,
) -> Iterator[Anomaly]:
    """Check one split."""
    value, value_stats = features.get("image/value"), _feature(dataset, "image/value")
    if value is not None and value_stats is not None:
        low, high = value_stats.num_stats.min, value_stats.num_stats.max
        domain = value.int_domain
        bounded = value.HasField("int_domain")
        if bounded and not domain.min <= low <= high <= domain.max:
            text = f"expected {domain.min} to {domain.max}, found {low:.0f} to {high:.0f}"
            yield Anomaly("value_range", split, text)
    label, label_stats = features.get("label"), _feature(dataset, "label")
    if label_stats is not None:
        missing = label_stats.string_stats.common_stats.num_missing
        if missing:
            text = f"{missing:,} of {dataset.num_examples:,} images have no class"
            yield Anomaly("label_missing", split, text)
        if label is not None and label.HasField("int_domain"):
            domain = label.int_domain
            numbers = _numbers(label_stats)
            outside = sorted(n for n in numbers if not domain.min <= n <= domain.max)
            if outside:
                text = f"expected {domain.min} to {domain.max}, found {_listed(outside)}"
                yield Anomaly("label_domain", split, text)
    elif label is not None and label.presence.min_fraction > 0:
        yield Anomaly("label_missing", split, "no image has a class")
    contrast, contrast_stats = features.get("image/contrast"), _feature(dataset, "image/contrast")
    if contrast is not None and contrast_stats is not None:
        counts = _histogram(contrast_stats)
        flat = counts[: int(np.ceil(contrast.float_domain.min))].sum()
        least = contrast.distribution_constraints.min_domain_mass
        if flat > (1 - least) * counts.sum():
            text = (
                f"{flat:,.0f} of {counts.sum():,.0f} images vary by less than "
                f"{contrast.float_domain.min:g} of 255, more than {1 - least:.0%}"
            )
            yield Anomaly("near_constant", split, text)


def _shifts(
    features: dict[str, schema_pb2.Feature],
    before: statistics_pb2.DatasetFeatureStatistics,
    after: statistics_pb2.DatasetFeatureStatistics,
    comparator: str,
) -> Iterator[tuple[str, str]]:
    """Compare two sets: (feature, what is different). Small sets differ by chance, and may."""
    counts = (before.num_examples, after.num_examples)
    chance = 1 / max(1, counts[0]) + 1 / max(1, counts[1])
    stats = (_feature(before, "label"), _feature(after, "label"))
    if "label" in features and stats[0] is not None and stats[1] is not None:
        limit = getattr(features["label"], comparator).infinity_norm.threshold
        shares = [_shares(each) for each in stats if each is not None]
        moved = {
            n: shares[1].get(n, 0.0) - shares[0].get(n, 0.0)
            for n in sorted({*shares[0], *shares[1]})
        }
        number = max(moved, key=lambda n: abs(moved[n]))
        # Three standard deviations of the difference of two shares, at most.
        if limit and abs(moved[number]) > limit + 1.5 * np.sqrt(chance):
            text = f"class {number} has {shares[1].get(number, 0.0):.1%} of the images"
            yield "label", f"{text}, not {shares[0].get(number, 0.0):.1%}: more of a change"
    stats = (_feature(before, "image/brightness"), _feature(after, "image/brightness"))
    if "image/brightness" in features and stats[0] is not None and stats[1] is not None:
        comparison = getattr(features["image/brightness"], comparator)
        limit = comparison.jensen_shannon_divergence.threshold
        left, right = (_coarse(_histogram(each)) for each in stats if each is not None)
        divergence = _jensen_shannon(left, right)
        # What two samples of one distribution differ by, three times.
        if limit and divergence > limit + 3 * (len(left) - 1) / 8 * chance / np.log(2):
            yield (
                "image/brightness",
                f"brightness is {_mean(stats[1]):.0f} on average, not {_mean(stats[0]):.0f}, and "
                f"spread otherwise (divergence {divergence:.2f} bits): more of a change",
            )


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")


def _feature(
    dataset: statistics_pb2.DatasetFeatureStatistics, name: str
) -> statistics_pb2.FeatureNameStatistics | None:
    found = (feature for feature in dataset.features if list(feature.path.step) == [name])
    return next(found, None)


def _numbers(label: statistics_pb2.FeatureNameStatistics) -> set[int]:
    return {int(value.value) for value in label.string_stats.top_values}


def _shares(label: statistics_pb2.FeatureNameStatistics) -> dict[int, float]:
    values = label.string_stats.top_values
    total = sum(value.frequency for value in values)
    return {int(value.value): value.frequency / total for value in values}


def _histogram(feature: statistics_pb2.FeatureNameStatistics) -> np.ndarray:
    return np.array([b.sample_count for b in feature.num_stats.histograms[0].buckets])


def _mean(feature: statistics_pb2.FeatureNameStatistics | None) -> float:
    return feature.num_stats.mean if feature is not None else 0.0


def _coarse(counts: np.ndarray) -> np.ndarray:
    return counts.reshape(16, -1).sum(axis=1)


def _jensen_shannon(left: np.ndarray, right: np.ndarray) -> float:
    """Return the divergence of two histograms, in bits: 0 for the same, 1 for disjoint ones."""
    p, q = left / left.sum(), right / right.sum()
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(x > 0, x * np.log2(x / middle), 0.0).sum() / 2 for x in (p, q)]
    return float(sum(parts))

import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from keras_gan.interfaces import UserError
from pipelines import schema
from pipelines.statistics import Moments

SHAPE = (6, 6, 1)
CLASSES = ("a", "b", "c")


def statistics(count=300, labels=None, seed=0, shift=0, **splits):
    """Make the statistics of noise whose classes are even."""

    def of(number, labels, seed, shift):
        rng = np.random.default_rng(seed)
        pixels = rng.integers(0, 200, (number, *SHAPE)) + shift
        known = np.arange(number) % 3 if labels is None else labels
        return Moments.of(pixels.astype(np.uint8), known)

    moments = {"train": of(count, labels, seed, shift), **splits}
    return {
        name: (m if isinstance(m, Moments) else of(**m)).to_proto(name, CLASSES).datasets[0]
        for name, m in moments.items()
    }


def even(number=300, seed=1, shift=0, labels=None):
    return {"number": number, "labels": labels, "seed": seed, "shift": shift}


def names(found):
    return [(anomaly.name, anomaly.split) for anomaly in found]


def check(stats, inferred_from=None, shape=SHAPE, overlap=None, baseline=None, change=None):
    expected = schema.infer(inferred_from or stats, SHAPE, CLASSES)
    if change:
        change(expected)
    return names(schema.validate(expected, stats, shape, overlap or {}, baseline))


def test_a_healthy_set_has_no_anomalies():
    assert check(statistics(test=even(), validation=even(30, seed=2))) == []


@pytest.mark.parametrize("seed", range(20))
def test_small_samples_of_one_distribution_are_not_skewed(seed):
    rng = np.random.default_rng(seed)
    stats = statistics(
        360,
        labels=rng.integers(0, 3, 360),
        seed=seed,
        validation=even(20, seed + 100, labels=rng.integers(0, 3, 20)),
    )
    assert check(stats) == []


def test_shape():
    assert check(statistics(), shape=(8, 8, 1)) == [("image_shape", "all")]


def test_value_range():
    def narrow(expected):
        next(f for f in expected.feature if f.name == "image/value").int_domain.max = 150

    assert check(statistics(), change=narrow) == [("value_range", "train")]


def test_too_few():
    def many(expected):
        expected.dataset_constraints.min_examples_count = 301

    assert check(statistics(), change=many) == [("too_few_examples", "all")]


def test_label_domain_and_missing_classes():
    wide = statistics(labels=np.arange(300) % 5)
    assert check(wide, inferred_from=statistics()) == [("label_domain", "train")]
    narrow = statistics(labels=np.arange(300) % 2)
    assert check(narrow, inferred_from=statistics()) == [("class_missing", "all")]
    elsewhere = statistics(labels=np.arange(300) % 2, validation=even(2, labels=np.array([2, 2])))
    assert check(elsewhere, inferred_from=statistics()) == []


def test_labels_that_some_images_lack():
    labels = np.arange(300) % 3
    labels[:4] = -1
    assert check(statistics(labels=labels)) == [("label_missing", "train")]
    # A split without any is a kind of data, not a fault, unless the schema asks for them.
    unlabelled = statistics(labels=np.full(300, -1), test=even())
    assert check(unlabelled) == []

    def ask(expected):
        next(f for f in expected.feature if f.name == "label").presence.min_fraction = 1

    assert check(unlabelled, change=ask) == [("label_missing", "train")]


def test_a_schema_without_domains_bounds_nothing():
    def open_up(expected):
        for feature in expected.feature:
            feature.ClearField("int_domain")

    assert check(statistics(labels=np.arange(300) % 5), change=open_up) == []


def test_near_constant_images():
    def mixed(flat):
        pixels = np.random.default_rng(0).integers(0, 200, (300, *SHAPE), np.uint8)
        pixels[:flat] = 7
        return Moments.of(pixels, np.arange(300) % 3)

    assert check(statistics(train=mixed(3))) == []
    assert check(statistics(train=mixed(4))) == [("near_constant", "train")]
    # Pixels of 0 to 1 that were taken for 0 to 255.
    binary = np.random.default_rng(0).integers(0, 2, (300, *SHAPE), np.uint8)
    assert ("near_constant", "train") in check(statistics(train=Moments.of(binary, None)))


def test_skew_of_classes_and_of_brightness():
    tilted = statistics(3000, test=even(3000, labels=np.repeat([0, 1, 2, 2, 2], 600)))
    assert check(tilted) == [("train_test_skew", "test")]
    brighter = statistics(3000, validation=even(3000, shift=50))
    assert check(brighter) == [("train_validation_skew", "validation")]


def test_drift_from_a_baseline():
    before = statistics(3000)
    assert check(statistics(3000, seed=5), baseline=before) == []
    tilted = statistics(3000, labels=np.repeat([0, 1, 2, 2, 2], 600))
    assert check(tilted, baseline=before) == [("class_drift", "train")]
    assert check(statistics(3000, shift=50), baseline=before) == [("brightness_drift", "train")]


def test_overlap_of_splits():
    assert check(statistics(), overlap={"train in test": 3}) == []
    assert check(statistics(), overlap={"train in test": 4}) == [("split_overlap", "train")]


def test_every_anomaly_has_a_name_to_allow_it_by():
    with pytest.raises(UserError, match="Did you mean 'near_constant'"):
        schema.expect_known(["near_constnt"])
    schema.expect_known(schema.NAMES)


def test_texts_say_what_was_expected_and_found():
    stats = statistics(labels=np.arange(300) % 5)
    (anomaly,) = schema.validate(schema.infer(statistics(), SHAPE, CLASSES), stats, SHAPE, {})
    assert anomaly.text == "expected 0 to 2, found 3, 4"


def test_schemas_are_text_that_can_be_edited(tmp_path):
    expected = schema.infer(statistics(), SHAPE, CLASSES)
    (tmp_path / "s.pbtxt").write_text(schema.to_text(expected))
    assert schema.load(tmp_path / "s.pbtxt") == expected
    (tmp_path / "bad.pbtxt").write_text("features {")
    with pytest.raises(UserError, match="Schema in text form"):
        schema.load(tmp_path / "bad.pbtxt")


@pytest.mark.parametrize("path", sorted(schema.KNOWN.glob("*.pbtxt")), ids=lambda p: p.stem)
def test_known_schemas_are_schemas(path):
    loaded = text_format.Parse(path.read_text(), schema_pb2.Schema())
    assert loaded.dataset_constraints.min_examples_count >= 60000
    assert {feature.name for feature in loaded.feature} >= {"image", "label", "image/contrast"}
    assert schema.known(path.stem) == path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.statistics import Moments

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (20, 3, 4, 2), np.uint8)
LABELS = RNG.integers(0, 3, 20)


def assert_equal(left, right):
    for name, value in vars(left).items():
        np.testing.assert_array_equal(value, vars(right)[name])


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(20)), st.integers(1, 19), st.integers(1, 100))
def test_moments_do_not_depend_on_order_or_grouping(order, cut, chunk):
    from pipelines import statistics

    whole = Moments.of(PIXELS, LABELS)
    pixels, labels = PIXELS[order], LABELS[order]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "CHUNK_BYTES", chunk)
        parts = [Moments.of(pixels[s], labels[s]) for s in (slice(cut), slice(cut, None))]
    assert_equal(parts[0] + parts[1], whole)
    assert_equal(parts[1] + parts[0], whole)


def test_moments_are_numpys():
    summary = Moments.of(PIXELS, LABELS).summary()
    np.testing.assert_allclose(summary["pixel_mean"], PIXELS.mean(axis=0) / 255)
    np.testing.assert_allclose(summary["channel_mean"], PIXELS.mean(axis=(0, 1, 2)) / 255)
    np.testing.assert_allclose(summary["channel_std"], PIXELS.std(axis=(0, 1, 2)) / 255)
    np.testing.assert_array_equal(summary["label_counts"], np.bincount(LABELS))
    moments = Moments.of(PIXELS, LABELS)
    flat = PIXELS.reshape(20, -1)
    brightness = np.bincount(flat.mean(axis=1).astype(int), minlength=256)
    np.testing.assert_array_equal(moments.brightness, brightness)
    contrast = np.bincount(flat.std(axis=1).astype(int), minlength=256)
    np.testing.assert_array_equal(moments.contrast, contrast)


def test_large_images_do_not_overflow():
    white = np.full((2, 300, 300, 3), 255, np.uint8)
    moments = Moments.of(white, None)
    assert moments.squares.tolist() == [2 * 300 * 300 * 255**2] * 3
    assert moments.brightness[255] == 2
    assert moments.contrast[0] == 2


def features(proto):
    (dataset,) = proto.datasets
    return dataset, {"/".join(feature.path.step): feature for feature in dataset.features}


def test_the_proto_says_what_tfdv_shows():
    labels = np.array([0] * 5 + [1] * 12 + [-1] * 3)
    dataset, found = features(Moments.of(PIXELS, labels).to_proto("train", ("cat", "dog")))
    assert dataset.name == "train"
    assert dataset.num_examples == 20
    assert set(found) == {"image", "label", "image/value", "image/brightness", "image/contrast"}
    image = found["image"].bytes_stats
    assert image.common_stats.num_non_missing == 20
    assert image.avg_num_bytes == 24
    label = found["label"].string_stats
    assert (label.common_stats.num_non_missing, label.common_stats.num_missing) == (17, 3)
    assert [(v.value, v.frequency) for v in label.top_values] == [("1", 12), ("0", 5)]
    assert [b.label for b in label.rank_histogram.buckets] == ["1", "0"]
    value = found["image/value"].num_stats
    assert (value.min, value.max) == (PIXELS.min(), PIXELS.max())
    assert value.mean == pytest.approx(PIXELS.mean())
    assert value.std_dev == pytest.approx(PIXELS.std())
    brightness = found["image/brightness"].num_stats
    standard, quantiles = brightness.histograms
    assert sum(bucket.sample_count for bucket in standard.buckets) == 20
    assert sum(bucket.sample_count for bucket in quantiles.buckets) == pytest.approx(20)
    assert brightness.mean == pytest.approx(np.floor(PIXELS.reshape(20, -1).mean(1)).mean())
    for feature in found.values():  # what a viewer needs of every feature
        stats = getattr(feature, feature.WhichOneof("stats")).common_stats
        assert stats.min_num_values == stats.max_num_values == stats.avg_num_values > 0


def test_without_labels_there_is_no_label_feature():
    assert "label" not in features(Moments.of(PIXELS, None).to_proto("test", ()))[1]

import numpy as np
import pytest
from scipy.cluster import vq

from keras_gan.metrics import kmeans


def test_centres_of_well_separated_clusters():
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    points = np.concatenate([centre + rng.normal(0, 0.1, (50, 2)) for centre in centres])
    # Seed 2 starts with an image of each cluster: Lloyd's algorithm finds what is near its start.
    found = kmeans.centroids(points, 3, seed=2, iterations=20)
    expected = np.stack([points[50 * k : 50 * k + 50].mean(axis=0) for k in range(3)])
    order = np.argsort(found @ [1.0, 2.0])
    np.testing.assert_allclose(found[order], expected, atol=1e-4)


@pytest.mark.parametrize("batch", [7, 1000])
def test_equals_scipys_from_the_same_start(batch, monkeypatch):
    monkeypatch.setattr(kmeans, "BATCH", batch)
    rng = np.random.default_rng(0)
    images = rng.random((300, 4, 3, 1))
    start = images.reshape(300, -1)[np.random.default_rng(5).permutation(300)[:12]]
    expected, _ = vq.kmeans2(images.reshape(300, -1), start, iter=6, minit="matrix")
    found = kmeans.centroids(images, 12, seed=5, iterations=6)
    assert found.shape == (12, 4, 3, 1)
    np.testing.assert_allclose(found.reshape(12, -1), expected, atol=1e-4)


def test_a_centre_that_loses_its_images_stays():
    points = np.array([[0.0], [0.0], [1.0]])
    found = kmeans.centroids(points, 3, seed=0, iterations=3)
    assert sorted(found[:, 0]) == [0.0, 0.0, 1.0]


def test_as_many_centres_as_images_are_the_images():
    points = np.random.default_rng(0).random((9, 5)).astype(np.float32)
    found = kmeans.centroids(points, 9, seed=0)
    np.testing.assert_allclose(np.sort(found, axis=0), np.sort(points, axis=0), atol=1e-6)


@pytest.mark.parametrize("count", [0, 10])
def test_bad_counts(count):
    with pytest.raises(ValueError, match="Expected 1 to 9 centres"):
        kmeans.centroids(np.zeros((9, 2)), count, seed=0)

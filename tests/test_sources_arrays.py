"""Arrays in files as sources."""

import numpy as np
import pytest
import scipy.io

from keras_gan.interfaces import UserError
from pipelines import sources
from pipelines.options import Options
from pipelines.sources import arrays
from pipelines.sources.source import plan_blocks

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (20, 6, 6), np.uint8)
LABELS = np.arange(20) % 3


def opened(path, **options):
    return sources.open_source(Options(arrays=str(path), **options))


def read(source, split="train"):
    chunks = [
        chunk
        for block in plan_blocks(source, 2**8)
        if block.split == split
        for chunk in source.read(block)
    ]
    labels = [chunk.labels for chunk in chunks if chunk.labels is not None]
    return (
        np.concatenate([chunk.pictures for chunk in chunks]),
        np.concatenate(labels) if labels else None,
        [pair for chunk in chunks for pair in chunk.rejected],
    )


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train"),
        ("images", "labels"),
        ("arr_0", "arr_1"),
        ("train_images", "train_labels"),
    ],
)
def test_images_and_labels_by_the_names_that_others_use(tmp_path, save, names):
    save(tmp_path / "a.npz", **dict(zip(names, (IMAGES, LABELS), strict=True)))
    source = opened(tmp_path / "a.npz")
    assert source.image_shape == (6, 6, 1)
    assert source.classes == ("0", "1", "2")
    pictures, labels, rejected = read(source)
    np.testing.assert_array_equal(pictures[..., 0], IMAGES)
    np.testing.assert_array_equal(labels, LABELS)
    assert not rejected


def test_splits_of_keras_and_medmnist(tmp_path):
    np.savez(
        tmp_path / "k.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:4], y_test=LABELS[:4]
    )
    assert opened(tmp_path / "k.npz").splits == {"train": 20, "test": 4}
    arrays = {f"{s}_images": IMAGES[:n] for s, n in (("train", 9), ("val", 5), ("test", 3))}
    labels = {f"{s}_labels": LABELS[:n, None] for s, n in (("train", 9), ("val", 5), ("test", 3))}
    np.savez(tmp_path / "m.npz", **arrays, **labels)
    source = opened(tmp_path / "m.npz")
    assert source.splits == {"train": 9, "validation": 5, "test": 3}
    np.testing.assert_array_equal(read(source, "test")[1], LABELS[:3])
    chosen = opened(tmp_path / "m.npz", splits="train=val_images,test=test_images")
    assert chosen.splits == {"train": 5, "test": 3}


def test_npy_with_labels_beside_it(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    np.save(tmp_path / "l.npy", LABELS)
    assert opened(tmp_path / "a.npy").classes == ()
    source = opened(tmp_path / "a.npy", labels=str(tmp_path / "l.npy"))
    np.testing.assert_array_equal(read(source)[1], LABELS)
    np.save(tmp_path / "l.npy", LABELS[:5])
    with pytest.raises(UserError, match=r"each of the 20 images of train; received .*5"):
        opened(tmp_path / "a.npy", labels=str(tmp_path / "l.npy"))


def test_floating_point_pixels_must_lie_between_0_and_1(tmp_path):
    floats = IMAGES.astype(np.float32) / 255
    floats[3, 0, 0], floats[5, 0, 0] = np.nan, 1.5
    np.save(tmp_path / "a.npy", floats)
    pictures, _, rejected = read(opened(tmp_path / "a.npy"))
    good = np.delete(np.arange(20), [3, 5])
    np.testing.assert_array_equal(pictures[..., 0], IMAGES[good])
    assert [name for name, _ in rejected] == ["images[3]", "images[5]"]
    assert "values outside [0, 1]" in rejected[0][1]


def test_resizing_and_channels(tmp_path):
    np.save(tmp_path / "a.npy", np.full((3, 6, 8, 3), 9, np.uint8))
    pictures, _, _ = read(opened(tmp_path / "a.npy", size=4, channels=1))
    assert pictures.shape == (3, 4, 4, 1)
    assert (pictures == 9).all()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": IMAGES, "b": IMAGES}, "arrays named images and labels.*received a, b"),
        ({"images": IMAGES.astype(np.uint16)}, "pixels of uint8.*uint16"),
        ({"images": IMAGES[0]}, r"Expected images \[n, H, W\].*with \(6, 6\)"),
        ({"images": np.zeros((5, 3, 6, 6), np.uint8)}, "Try transposing"),
        ({"images": np.asfortranarray(IMAGES)}, "Fortran order"),
        ({"images": np.array([None, 1])}, "Python objects"),
        ({"images": IMAGES[:0]}, r"n of at least 1; received .*\(0, 6, 6\)"),
        ({"images": np.zeros((3, 0, 6), np.uint8)}, "n of at least 1"),
        ({"x_train": IMAGES, "x_test": IMAGES[:0]}, "n of at least 1"),
        ({"x_train": IMAGES, "x_test": np.zeros((3, 9, 9), np.uint8)}, "one shape in all splits"),
        ({"images": IMAGES, "labels": LABELS + 2**16}, "from 0 to 65535"),
        ({"images": IMAGES, "labels": np.full(20, 2**64 - 1, np.uint64)}, "from 0 to 65535"),
        ({"images": IMAGES, "labels": LABELS / 2}, "whole numbers"),
        ({"images": IMAGES, "labels": -2 - LABELS}, "whole numbers.*of -4 to 0"),
        ({"images": IMAGES, "labels": np.array(["a"] * 20)}, "whole numbers.*<U1"),
    ],
)
def test_what_is_no_array_of_images_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=message):
        opened(tmp_path / "a.npz")


def test_nothing_is_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return pytest.fail, ("unpickled",)

    np.save(tmp_path / "a.npy", np.array([Trap()]), allow_pickle=True)
    with pytest.raises(UserError, match="Python objects"):
        opened(tmp_path / "a.npy")


def test_files_that_are_no_archives_or_cut_short(tmp_path):
    (tmp_path / "a.npz").write_text("x")
    with pytest.raises(UserError, match="Expected --arrays to be"):
        opened(tmp_path / "a.npz")
    np.save(tmp_path / "a.npy", IMAGES)
    whole = (tmp_path / "a.npy").read_bytes()
    source = opened(tmp_path / "a.npy")
    (tmp_path / "a.npy").write_bytes(whole[:-1])
    with pytest.raises(UserError, match="cut short"):
        read(source)


def test_the_toronto_face_database(tmp_path):
    """The keys and folds of TFD_48x48.mat, on made-up faces."""
    images = RNG.integers(0, 256, (12, 8, 8), np.uint8)
    folds = np.array([[0, 0], [0, 0], [0, 0], [0, 0], [1, 2], [1, 3], [2, 1], [2, 1], [3, 1],
                      [3, 1], [3, 2], [1, 1]])  # fmt: skip
    labels = np.array([-1, -1, -1, -1, 1, 2, 3, 4, 5, 6, 7, 1])[:, None]
    data = {"images": images, "folds": folds, "labs_ex": labels, "labs_id": labels}
    scipy.io.savemat(tmp_path / "TFD_48x48.mat", data)
    source = opened(tmp_path / "TFD_48x48.mat")
    # The paper trains on the unlabelled faces; the fold says what is validation and test.
    assert source.splits == {"train": 4, "validation": 2, "test": 3}
    assert source.classes == tuple("0123456")
    np.testing.assert_array_equal(read(source)[0][..., 0], images[:4])
    np.testing.assert_array_equal(read(source)[1], [-1, -1, -1, -1])
    np.testing.assert_array_equal(read(source, "test")[0][..., 0], images[8:11])
    np.testing.assert_array_equal(read(source, "test")[1], [4, 5, 6])
    second = opened(tmp_path / "TFD_48x48.mat", fold=1, splits="train=train,test=test")
    assert second.splits == {"train": 5, "test": 1}
    with pytest.raises(UserError, match="--fold of 0 to 1; received 2"):
        opened(tmp_path / "TFD_48x48.mat", fold=2)
    scipy.io.savemat(tmp_path / "other.mat", {"x": images})
    with pytest.raises(UserError, match=r"labs_ex and folds; received .* with x"):
        opened(tmp_path / "other.mat")


def test_splits_keep_their_labels(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES, y_test=LABELS)
    source = opened(tmp_path / "a.npz", splits="train=x_test")
    np.testing.assert_array_equal(read(source)[1], LABELS)


@pytest.mark.parametrize("in_order", [True, False])
def test_arrays_in_the_order_of_their_labels_are_warned_of(in_order, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(arrays.logging, "warning", lambda text, *args: said.append(text % args))
    labels = np.arange(200) % 3
    np.savez(
        tmp_path / "a.npz",
        images=np.zeros((200, 6, 6), np.uint8),
        labels=np.sort(labels) if in_order else labels,
    )
    opened(tmp_path / "a.npz")
    assert any("are in the order of their labels" in line for line in said) == in_order


def test_labels_beside_go_with_one_array_alone(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=IMAGES, x_test=IMAGES)
    np.save(tmp_path / "l.npy", LABELS)
    with pytest.raises(UserError, match=r"for one array of images; received .* with train, test"):
        opened(tmp_path / "a.npz", labels=str(tmp_path / "l.npy"))
    with pytest.raises(UserError, match="Expected --labels with --arrays"):
        Options(images="x", labels="l.npy")
    np.savez(tmp_path / "l.npz")
    np.save(tmp_path / "a.npy", IMAGES)
    with pytest.raises(UserError, match=r"Expected one array in .*; received none"):
        opened(tmp_path / "a.npy", labels=str(tmp_path / "l.npz"))


def test_a_size_that_is_no_square_is_kept_or_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.full((4, 6, 8, 3), 9, np.uint8))
    pictures, _, _ = read(opened(tmp_path / "a.npy", channels=1))
    assert pictures.shape == (4, 6, 8, 1)


def test_suffixes_may_be_in_capitals(tmp_path):
    np.savez(tmp_path / "a.npz", images=IMAGES)
    (tmp_path / "a.npz").rename(tmp_path / "A.NPZ")
    assert opened(tmp_path / "A.NPZ").splits == {"train": 20}
    with pytest.raises(UserError, match=r"\.npz, \.npy or \.mat file"):
        (tmp_path / "a.txt").touch()
        opened(tmp_path / "a.txt")


def test_a_damaged_archive_is_named(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", images=IMAGES)
    source = opened(tmp_path / "a.npz")
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"damaged content|cut short"):
        read(source)


@pytest.mark.parametrize("key", ["images", "labs_ex"])
def test_face_databases_whose_arrays_do_not_fit(tmp_path, key):
    data = {"images": IMAGES, "folds": np.zeros((20, 1)), "labs_ex": np.ones((20, 1))}
    scipy.io.savemat(tmp_path / "t.mat", {**data, key: data[key][:5]})
    with pytest.raises(UserError, match="arrays of one length"):
        opened(tmp_path / "t.mat")
    scipy.io.savemat(tmp_path / "u.mat", {**data, "images": IMAGES.astype(np.uint16)})
    with pytest.raises(UserError, match="pixels of uint8"):
        opened(tmp_path / "u.mat")

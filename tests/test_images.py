import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from keras_gan import files, images


@given(
    hnp.arrays(
        np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.just(1))
    )
)
def test_rescaling_there_and_back_changes_nothing(pixels):
    floats = images.to_float(pixels)
    assert floats.dtype == np.float32
    assert 0 <= floats.min() <= floats.max() <= 1
    np.testing.assert_array_equal(images.to_uint8(floats), pixels)


def test_to_uint8_rounds_and_clips():
    values = np.array([-0.1, 0.0, 0.4999 / 255, 0.5001 / 255, 1.0, 1.2], np.float32)
    np.testing.assert_array_equal(images.to_uint8(values), [0, 0, 0, 1, 255, 255])


def test_grid_places_images_in_rows_with_white_between():
    pixels = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1) * np.ones((5, 2, 3, 1), np.uint8)
    canvas = images.grid(pixels)
    assert canvas.shape == (5, 11, 1)  # 2 rows of 3
    assert canvas[0, 0] == 0
    assert canvas[0, 4] == 1
    assert canvas[3, 0] == 3
    assert (canvas[2] == 255).all()
    assert (canvas[:, 3] == 255).all()
    assert (canvas[3:, 8:] == 255).all()  # no sixth image


@pytest.mark.parametrize("channels", [1, 3])
def test_png_round_trip(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels), np.uint8)
    images.write_png(tmp_path / "deep" / "x.png", pixels)
    loaded = np.asarray(Image.open(tmp_path / "deep" / "x.png")).reshape(pixels.shape)
    np.testing.assert_array_equal(loaded, pixels)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_errors_name_the_users_file(tmp_path):
    with pytest.raises(IsADirectoryError) as error, files.replacing(tmp_path):
        pytest.fail("began to write")
    assert error.value.filename == str(tmp_path)


def test_a_failed_folder_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), files.new_folder(tmp_path / "folder") as temporary:
        (temporary / "half").touch()
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_folder_never_replaces_another(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with files.new_folder(folder) as temporary:  # an empty one may be there
        (temporary / "mine").touch()
    with pytest.raises(FileExistsError), files.new_folder(folder):
        pytest.fail("began to fill it")
    with pytest.raises(OSError, match="not empty"), files.new_folder(tmp_path / "late"):
        (tmp_path / "late").mkdir()
        (tmp_path / "late" / "theirs").touch()
    names = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*"))
    assert names == ["folder", "folder/mine", "late", "late/theirs"]

"""What `images.decode` makes of files, good and bad."""

import contextlib
import io
import resource
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from keras_gan import images

RNG = np.random.default_rng(0)


def encoded(picture, kind="PNG", **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def colour(width=12, height=10):
    return Image.fromarray(RNG.integers(0, 256, (height, width, 3), np.uint8))


def read(data, channels=3):
    return images.pixels(images.decode(data), channels)


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_lossless_colour_comes_back_as_it_was(kind):
    picture = colour()
    np.testing.assert_array_equal(read(encoded(picture, kind)), np.asarray(picture))


@pytest.mark.parametrize(
    ("kind", "options"), [("JPEG", {"quality": 95}), ("WEBP", {"quality": 95})]
)
def test_lossy_colour_comes_back_nearly(kind, options):
    smooth = np.tile(np.linspace(0, 255, 32, dtype=np.uint8)[None, :, None], (32, 1, 3))
    result = read(encoded(Image.fromarray(smooth), kind, quality=95))
    assert np.abs(result.astype(int) - smooth).max() <= 8


def test_the_first_frame_of_a_gif():
    frames = [Image.new("L", (8, 8), value) for value in (10, 200)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (read(data, 1) == 10).all()


def test_grey_stays_grey_and_fills_three_channels():
    picture = Image.fromarray(RNG.integers(0, 256, (9, 7), np.uint8))
    data = encoded(picture)
    assert not images.has_colour(images.decode(data))
    assert images.has_colour(images.decode(encoded(colour())))
    np.testing.assert_array_equal(read(data, 1)[..., 0], np.asarray(picture))
    for channel in range(3):
        np.testing.assert_array_equal(read(data, 3)[..., channel], np.asarray(picture))


def test_sixteen_bit_grey_is_scaled_not_clipped():
    wide = np.array([[0, 128, 129, 257], [1000, 32768, 65535, 65406]] * 2, np.uint16)
    data = encoded(Image.fromarray(wide))
    assert images.decode(data).mode == "L"
    np.testing.assert_array_equal(read(data, 1)[:2, :, 0], [[0, 0, 1, 1], [4, 128, 255, 254]])


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L"])
def test_transparency_is_laid_on_white(mode):
    if mode in ("RGBA", "LA"):
        picture = Image.new(mode, (8, 8), (0, 0, 0, 0) if mode == "RGBA" else (0, 0))
        half = 128
        picture.paste((0,) * (len(mode) - 1) + (half,), (0, 0, 4, 8))
        data = encoded(picture)
        expected = 127
    else:
        picture = Image.new("L", (8, 8), 0)
        picture.paste(77, (0, 0, 4, 8))
        data = encoded(picture.convert(mode), transparency=(0, 0, 0) if mode == "RGB" else 0)
        expected = 77
    result = read(data)
    assert (result[:, 4:] == 255).all()
    assert (result[:, :4] == expected).all()


def test_cmyk_and_palettes_become_colours():
    red = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    assert np.abs(read(red).astype(int) - [255, 0, 0]).max() < 6
    palette = Image.new("RGB", (8, 8), (1, 2, 3)).convert("P", palette=Image.Palette.ADAPTIVE)
    assert (read(encoded(palette)) == [1, 2, 3]).all()


@pytest.mark.parametrize(("orientation", "corner"), [(1, (0, 0)), (3, (-1, -1)), (6, (0, -1))])
def test_exif_orientation_is_honoured(orientation, corner):
    picture = Image.new("L", (32, 16), 255)
    picture.paste(0, (0, 0, 8, 8))  # dark top left as stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    result = read(encoded(picture, "JPEG", quality=95, exif=exif), 1)
    assert result.shape[:2] == ((16, 32) if orientation < 5 else (32, 16))
    assert result[corner][0] < 30
    others = [c for c in ((0, 0), (0, -1), (-1, 0), (-1, -1)) if c != corner]
    assert all(result[c][0] > 220 for c in others)


def bomb(width, height):
    """A PNG whose header promises more than its few bytes hold."""

    def chunk(name, content):
        body = name + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"x") + chunk(b"IEND", b"")
    )


PNG = encoded(colour(40, 30))
JPEG = encoded(colour(40, 30), "JPEG")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "an empty file"),
        (b"not an image at all", "not a PNG"),
        (PNG[:200], "damaged"),
        (JPEG[: len(JPEG) // 2], "damaged"),
        (PNG[:20], "damaged|not a PNG"),
        (encoded(Image.new("L", (1, 1))), "too small: 1 x 1"),
        (encoded(Image.new("L", (400, 4))), "too long: 400 x 4"),
        (bomb(16000, 16000), "too large|bomb"),
        (bomb(9000, 9000), "too large: 9000 x 9000"),
        (b"%PDF-1.4 " + b"x" * 100, "not a PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a PNG"),
        (encoded(colour(), "TIFF"), "not a PNG"),
    ],
)
def test_what_is_no_image_is_refused_with_its_reason(data, reason):
    with pytest.raises(images.BadImage, match=reason):
        images.decode(data)


@settings(max_examples=1000, deadline=None)
@given(
    st.sampled_from(
        [PNG, JPEG, encoded(colour(40, 30), "WEBP"), encoded(colour(40, 30), "GIF"),
         encoded(colour(40, 30), "BMP")]
    ),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    st.floats(0, 1),
)  # fmt: skip
@example(PNG, [(17 / len(PNG), 255)], 1.0)  # a huge width
@example(JPEG, [(0.3, 255), (0.31, 217)], 1.0)  # an early end
def test_mutated_files_are_read_or_refused(data, changes, share):
    mutated = bytearray(data)
    for place, value in changes:
        mutated[int(place * len(mutated))] = value
    mutated = bytes(mutated[: max(1, int(share * len(mutated)))])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(images.BadImage):
            picture = images.decode(mutated)
            assert picture.mode in ("L", "RGB")
            assert picture.width * picture.height <= images.MAX_PIXELS
    # 64 megapixels in colour, twice, is what the largest accepted image takes.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20


@pytest.mark.parametrize("channels", [1, 3])
def test_fit_crops_the_centre_and_resizes(channels):
    image = np.zeros((40, 80, channels), np.uint8)
    image[:, 20:60] = 200  # the centre square
    picture = Image.fromarray(image[..., 0] if channels == 1 else image)
    result = images.pixels(images.fit(picture, 16), channels)
    assert result.shape == (16, 16, channels)
    assert (result == 200).all()
    same = picture.crop((0, 0, 40, 40))
    assert images.fit(same, 40) is same


def test_fit_pads_with_white_or_stretches():
    picture = Image.new("RGB", (40, 20), (10, 20, 30))
    padded = images.pixels(images.fit(picture, 20, "pad"), 3)
    assert (padded[:2] == 255).all()
    assert (padded[-2:] == 255).all()
    assert (padded[9:11] == [10, 20, 30]).all()
    assert (images.pixels(images.fit(picture, 20, "stretch"), 3) == [10, 20, 30]).all()


def test_resizing_is_antialiased():
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    result = np.asarray(images.fit(Image.fromarray(stripes), 16))[:, 3:-3]
    assert np.abs(result.astype(int) - 127).max() <= 2  # picking pixels would give 0 or 255


def test_large_jpegs_are_decoded_smaller_without_showing_it():
    """A half, a quarter or an eighth, as long as that is twice the size that is wanted."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8))
    data = encoded(small.resize((512, 512), Image.Resampling.BICUBIC), "JPEG", quality=95)
    assert images.decode(data).size == (512, 512)
    assert images.decode(data, 64).size == (128, 128)
    assert images.decode(data, 129).size == (512, 512)
    full, reduced = (
        images.pixels(images.fit(images.decode(data, size), 64), 3).astype(int) for size in (0, 64)
    )
    assert np.abs(full - reduced).max() <= 8
    assert np.abs(full - reduced).mean() < 1

"""Image folders and patterns as sources."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from keras_gan.interfaces import UserError
from pipelines import sources
from pipelines.options import Options
from pipelines.sources import folder
from pipelines.sources.source import plan_blocks


def write(path, value=0, size=(16, 16), mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)
    return path


def opened(place, **options):
    return sources.open_source(Options(images=str(place), **{"size": 16, **options}))


def read(source):
    """Read everything: ({name: (label, first pixel)}, {name: reason})."""
    images, rejected = {}, {}
    for block in plan_blocks(source, 2**20):
        for chunk in source.read(block):
            labels = chunk.labels if chunk.labels is not None else [None] * len(chunk.names)
            for name, label, picture in zip(chunk.names, labels, chunk.pictures, strict=True):
                images[name] = (label, picture.ravel()[0])
            rejected.update(chunk.rejected)
    return images, rejected


def test_the_first_folder_below_is_the_class_however_deep_the_tree(tmp_path):
    write(tmp_path / "cat" / "a.png", 1)
    write(tmp_path / "cat" / "2020" / "may" / "b.PNG", 2)
    write(tmp_path / "dog" / "with spaces é 猫.jpg", 3)
    source = opened(tmp_path)
    assert source.classes == ("cat", "dog")
    assert source.image_shape == (16, 16, 1)
    images, rejected = read(source)
    assert images == {
        "cat/a.png": (0, 1),
        "cat/2020/may/b.PNG": (0, 2),
        "dog/with spaces é 猫.jpg": (1, 3),
    }
    assert not rejected


def test_a_flat_folder_has_no_classes(tmp_path):
    for value, name in enumerate(["b.png", "a.png", "10.png", "9.png"]):
        write(tmp_path / name, value)
    source = opened(tmp_path)
    assert source.classes == ()
    assert sorted(source.names["train"]) == ["10.png", "9.png", "a.png", "b.png"]


def test_the_first_files_are_of_all_classes_and_new_ones_leave_the_others_order(tmp_path):
    for number in range(5):
        for index in range(40):
            write(tmp_path / f"class_{number}" / f"{index:03d}.png")
    names = opened(tmp_path).names["train"]
    first = [name.partition("/")[0] for name in names[:50]]
    # Ten of each by chance, give or take 2.4.
    assert all(3 <= first.count(f"class_{number}") <= 17 for number in range(5)), first
    assert opened(tmp_path).names["train"] == names
    write(tmp_path / "class_2" / "new.png")
    assert tuple(n for n in opened(tmp_path).names["train"] if "new" not in n) == names


def test_folders_called_train_and_test_are_splits(tmp_path):
    for split in ("train", "val", "test"):
        for name in ("cat", "dog"):
            write(tmp_path / split / name / "a.png", 5)
    source = opened(tmp_path)
    assert source.splits == {"train": 2, "validation": 2, "test": 2}
    assert source.classes == ("cat", "dog")
    assert read(source)[0]["val/dog/a.png"] == (1, 5)
    chosen = opened(tmp_path, splits="train=val")
    assert chosen.splits == {"train": 2}
    with pytest.raises(UserError, match=r"name folders of the images \(test, train, val\)"):
        opened(tmp_path, splits="train=wal")


def test_a_class_called_test_is_a_class_where_there_is_no_train(tmp_path):
    for name in ("test", "exam"):
        write(tmp_path / name / "a.png")
    assert opened(tmp_path).classes == ("exam", "test")


def test_what_is_no_image_by_its_name_is_ignored_and_counted(tmp_path):
    write(tmp_path / "a.png")
    write(tmp_path / ".hidden.png")
    write(tmp_path / ".cache" / "b.png")
    write(tmp_path / "__MACOSX" / "c.png")
    (tmp_path / "labels.csv").write_text("a,1")
    source = opened(tmp_path)
    assert source.splits == {"train": 1}
    assert source.describe()["ignored_files"] == 1


def test_links_out_of_the_folder_and_odd_files_are_rejected_links_to_folders_not_followed(tmp_path):
    outside = write(tmp_path / "outside" / "secret.png", 9)
    root = tmp_path / "images"
    write(root / "a.png", 1)
    (root / "b.png").symlink_to(outside)
    (root / "c.png").symlink_to(root / "a.png")
    (root / "d.png").symlink_to(root / "nowhere")
    (root / "loop").symlink_to(root)
    (root / "away").symlink_to(outside.parent)
    os.mkfifo(root / "pipe.png")  # opening it would wait for ever
    (root / "folder.png").mkdir()
    images, rejected = read(opened(root))
    assert images == {"a.png": (None, 1), "c.png": (None, 1)}
    assert rejected == {
        "b.png": "a symbolic link that leads out of the folder",
        "d.png": "unreadable: No such file or directory",
    }


def test_bad_files_are_set_aside_with_their_reasons(tmp_path):
    write(tmp_path / "good.png", 7)
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("hello")
    whole = write(tmp_path / "cut.jpg", 7, size=(64, 64)).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    write(tmp_path / "pixel.png", 7, size=(1, 1))
    images, rejected = read(opened(tmp_path))
    assert set(images) == {"good.png"}
    assert set(rejected) == {"empty.png", "text.jpg", "cut.jpg", "pixel.png"}
    assert rejected["empty.png"] == "an empty file"
    assert "damaged" in rejected["cut.jpg"]


def test_a_file_that_vanished_is_rejected(tmp_path):
    write(tmp_path / "a.png")
    gone = write(tmp_path / "b.png")
    source = opened(tmp_path)
    gone.unlink()
    assert "No such file" in read(source)[1]["b.png"]


def test_colour_is_kept_if_any_image_has_some_unless_channels_say_otherwise(tmp_path):
    write(tmp_path / "a.png", 5)
    assert opened(tmp_path).image_shape == (16, 16, 1)
    write(tmp_path / "b.png", (255, 0, 0), mode="RGB")
    assert opened(tmp_path).image_shape == (16, 16, 3)
    grey = opened(tmp_path, channels=1)
    assert read(grey)[0]["b.png"] == (None, 76)  # .299 * 255


def test_keeping_sizes_needs_one_size(tmp_path):
    write(tmp_path / "a.png", size=(20, 20))
    assert opened(tmp_path, size=0).image_shape == (20, 20, 1)
    write(tmp_path / "b.png", size=(20, 30))
    with pytest.raises(UserError, match=r"received 20 x 20, 20 x 30.*Try --size=64"):
        opened(tmp_path, size=0)


@pytest.mark.parametrize("pattern", ["*.png", "**.png", "cat/*"])
def test_patterns(tmp_path, pattern):
    write(tmp_path / "cat" / "a.png", 1)
    write(tmp_path / "b.png", 2)
    (tmp_path / "cat" / "notes.txt").write_text("x")
    images, _ = read(opened(tmp_path / pattern))
    expected = {
        "*.png": {"b.png": (None, 2)},
        "**.png": {"cat/a.png": (0, 1), "b.png": (-1, 2)},
        "cat/*": {"a.png": (None, 1)},
    }
    assert images == expected[pattern]


def test_nothing_to_read_is_said(tmp_path):
    with pytest.raises(UserError, match="which is neither"):
        opened(tmp_path / "none")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UserError, match=r"Expected images \(\.png.*received 1 other files"):
        opened(tmp_path)


def test_the_fingerprint_follows_names_sizes_and_times(tmp_path):
    def mark(place=tmp_path):
        return sources.fingerprint(Options(images=str(place)))

    path = write(tmp_path / "a.png", 1)
    first = mark()
    assert mark() == first
    stamp = path.stat()
    shutil.copytree(tmp_path, tmp_path.parent / "copy", copy_function=shutil.copy2)
    assert mark(tmp_path.parent / "copy") == first  # wherever it lies
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))
    assert mark() != first
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert mark() == first
    write(tmp_path / "b.png")
    assert mark() != first


def test_names_that_are_no_text_are_read(tmp_path):
    odd = tmp_path / os.fsdecode(b"\xff") / os.fsdecode(b"\xfe.png")
    odd.parent.mkdir()
    shutil.copy(write(tmp_path / "a.png", 3), odd)
    assert len(read(opened(tmp_path))[0]) == 2


def test_the_real_faces(real_faces):
    source = opened(real_faces, size=64)
    assert source.image_shape == (64, 64, 1)
    assert source.splits == {"train": 400}
    assert source.classes == tuple(f"person_{n:02d}" for n in range(40))
    images, rejected = read(source)
    assert len(images) == 400
    assert not rejected
    stored = np.asarray(Image.open(real_faces / "person_00" / "0.png"))
    assert images["person_00/0.png"] == (0, stored[0, 0])


def test_every_suffix_is_one_that_pillow_reads():
    from keras_gan.images import FORMATS

    Image.init()
    for suffix in folder.SUFFIXES:
        assert Image.registered_extensions()[suffix] in FORMATS


def test_a_stray_folder_beside_splits_is_no_class(tmp_path):
    for name in ("train", "test", "extra"):
        write(tmp_path / name / "a.png")
    with pytest.raises(UserError, match=r"received extra, test, train\. Try --splits=train=FOLDER"):
        opened(tmp_path)
    assert opened(tmp_path, splits="train=extra").splits == {"train": 1}
    with pytest.raises(UserError, match="each folder once"):
        opened(tmp_path, splits="train=extra,test=extra")


def test_a_class_may_be_called_train(tmp_path):
    for name in ("train", "bus"):
        write(tmp_path / name / "a.png")
    assert opened(tmp_path).classes == ("bus", "train")


def test_colour_among_grey_images_is_never_lost_unsaid(tmp_path):
    """The files that decide are spread evenly; one between them that has colours is set aside."""
    for index in range(128):
        write(tmp_path / f"{index:03d}.png", index)
    write(tmp_path / "001.png", (255, 0, 0), mode="RGB")
    write(tmp_path / "003.png", (9, 9, 9), mode="RGB")  # grey, whatever its mode
    source = opened(tmp_path)
    assert source.image_shape == (16, 16, 1)
    images, rejected = read(source)
    assert rejected == {"001.png": "in colour among grey images; --channels=3 keeps colours"}
    assert images["003.png"] == (None, 9)
    assert len(read(opened(tmp_path, channels=1))[0]) == 128
    for index in range(64, 128):
        write(tmp_path / f"{index:03d}.png", (255, 0, 0), mode="RGB")
    assert opened(tmp_path).image_shape == (16, 16, 3)


def test_class_names_that_are_no_text_can_be_written_down(tmp_path):
    for raw in (b"\xff", b"\xfe"):
        write(tmp_path / os.fsdecode(raw) / "a.png", raw[0])
    source = opened(tmp_path)
    assert source.classes == ("\\udcfe", "\\udcff")
    assert sorted(value for value, _ in read(source)[0].values()) == [0, 1]


def test_a_changed_link_target_changes_the_fingerprint(tmp_path):
    (tmp_path / ".store").mkdir()
    target = write(tmp_path / ".store" / "1.png", 3)
    (tmp_path / "a.png").symlink_to(target)
    before = sources.fingerprint(Options(images=str(tmp_path)))
    write(target, 200, size=(32, 32))
    assert sources.fingerprint(Options(images=str(tmp_path))) != before

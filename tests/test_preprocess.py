"""The pipeline as a whole: what it promises of any source."""

import atexit
import functools
import json
import os
import pathlib
import shutil
import signal
import time

import numpy as np
import pytest
from PIL import Image

from keras_gan import data, records
from keras_gan.interfaces import UserError
from pipelines import preprocess, sources, storage
from pipelines.options import Checks, Options
from pipelines.sources import arrays
from pipelines.sources import folder as folder_source
from pipelines.sources import source as source_module
from tests.commands import Command, run_module

NONE = {"validation": "none"}


def numbered(count, start=0, shape=(8, 8, 1)):
    """Images that say which they are: no two alike, none constant."""
    rows = np.zeros((count, *shape), np.uint8)
    rows[:, 0, 0, 0] = np.arange(start, start + count) % 256
    rows[:, 0, 1, 0] = np.arange(start, start + count) // 256
    rows[:, 4:] = 200
    return rows


def numbers(folder, split):
    rows = np.rint(data.load_split(folder, split) * 255).astype(int)
    return [int(n) for n in rows[:, 0, 0, 0] + 256 * rows[:, 0, 1, 0]]


@pytest.fixture
def file(tmp_path):
    """Thirty training images and ten for testing, in blocks of eight."""
    path = tmp_path / "in" / "numbers.npz"
    path.parent.mkdir()
    np.savez(
        path, x_train=numbered(30), y_train=np.arange(30) % 2, x_test=numbered(10, 100),
        y_test=np.arange(10) % 2,
    )  # fmt: skip
    return str(path)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(source_module, "MAX_BLOCK_IMAGES", 8)


def content(folder):
    """Everything in a data folder but the times in its description."""
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(pathlib.Path(folder).rglob("*"))
        if path.is_file()
    }
    info = json.loads(found.pop(records.INFO_FILE))
    info["quality"].pop("fingerprint")
    info["source"] = None
    return {**found, "info": info}


def test_official_test_split_stays_and_the_last_are_held_out(file, tmp_path):
    info = preprocess.preprocess(Options(arrays=file, validation="last:7"), tmp_path / "out")
    assert info.counts == {"train": 23, "validation": 7, "test": 10}
    assert numbers(tmp_path / "out", "train") == list(range(23))
    assert numbers(tmp_path / "out", "validation") == list(range(23, 30))
    assert numbers(tmp_path / "out", "test") == list(range(100, 110))
    info.verify(tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "out"]


def test_hash_split_sends_an_image_to_one_split_whatever_else_is_there(tmp_path):
    held_out = {}
    for count in (400, 250):
        np.save(tmp_path / f"{count}.npy", numbered(count))
        options = Options(
            arrays=str(tmp_path / f"{count}.npy"), validation="hash:.2", test="hash:.1"
        )
        info = preprocess.preprocess(options, tmp_path / str(count))
        held_out[count] = {
            split: set(numbers(tmp_path / str(count), split)) for split in info.counts
        }
    assert len(held_out[400]["validation"]) == pytest.approx(80, abs=25)
    assert len(held_out[400]["test"]) == pytest.approx(40, abs=20)
    for split, numbers_of_all in held_out[400].items():
        assert held_out[250][split] == {n for n in numbers_of_all if n < 250}


def test_own_validation_split_is_kept(tmp_path):
    np.savez(tmp_path / "a.npz", train_images=numbered(30), val_images=numbered(4, 50))
    options = Options(arrays=str(tmp_path / "a.npz"), validation="last:7")
    assert preprocess.preprocess(options, tmp_path / "out").counts == {"train": 30, "validation": 4}


def test_exact_duplicates_are_dropped_counted_and_listed(tmp_path):
    """A copy stays in test before validation before train, and else where it came first."""
    rows = numbered(30)
    rows[20] = rows[3]  # another block
    rows[5] = rows[3]  # the same block
    rows[29] = rows[10]  # validation, by last:2
    test = numbered(6, 100)
    test[0] = rows[7]
    labels = np.arange(30) % 3
    np.savez(tmp_path / "a.npz", x_train=rows, y_train=labels, x_test=test, y_test=np.zeros(6, int))
    options = Options(arrays=str(tmp_path / "a.npz"), validation="last:2")
    info = preprocess.preprocess(
        options, tmp_path / "out", Checks(allow=("split_overlap", "train_test_skew"))
    )
    assert info.counts == {"train": 24, "validation": 2, "test": 6}
    assert numbers(tmp_path / "out", "train") == [n for n in range(28) if n not in (5, 7, 10, 20)]
    assert numbers(tmp_path / "out", "validation") == [28, 10]
    assert numbers(tmp_path / "out", "test") == [7, *range(101, 106)]
    assert {k: info.quality[k] for k in ("read", "duplicates", "conflicts", "overlap")} == {
        "read": 36,
        "duplicates": 4,
        "conflicts": 4,  # none of the copies has its label
        "overlap": {"train in test": 1, "train in validation": 1},
    }
    lines = (tmp_path / "out" / "duplicates.tsv").read_text().splitlines()
    assert lines[0].split("\t") == ["name", "split", "class", "same_as", "its_split", "its_class"]
    assert [line.split("\t") for line in lines[1:]] == [
        ["x_train[5]", "train", "2", "x_train[3]", "train", "0"],
        ["x_train[7]", "train", "1", "x_test[0]", "test", "0"],
        ["x_train[10]", "train", "1", "x_train[29]", "validation", "2"],
        ["x_train[20]", "train", "2", "x_train[3]", "train", "0"],
    ]


def test_statistics_are_of_the_training_split(file, tmp_path):
    preprocess.preprocess(Options(arrays=file, validation="last:7"), tmp_path / "out")
    statistics = records.read_statistics(tmp_path / "out")
    assert statistics["count"] == 23
    assert statistics["pixel_mean"].shape == (8, 8, 1)
    assert statistics["pixel_mean"][0, 0, 0] == pytest.approx(11 / 255)
    assert statistics["range"].tolist() == [0, 200]
    assert statistics["label_counts"].tolist() == [12, 11]


def test_every_image_is_written_a_duplicate_or_rejected(tmp_path):
    for index in range(40):
        Image.fromarray(numbered(1, index // 2)[0, ..., 0]).save(tmp_path / f"{index:02d}.png")
    for index in range(5):
        (tmp_path / f"{index:02d}.png").write_bytes(b"no image")
    out = tmp_path / "out"
    info = preprocess.preprocess(
        Options(images=str(tmp_path), size=8, **NONE), out, Checks(max_rejected=0.5)
    )
    assert info.quality["rejected"] == 5
    assert info.quality["duplicates"] == 17
    assert info.counts == {"train": 18}
    lines = (out / "rejected.tsv").read_text().splitlines()
    assert len(lines) == 6
    assert min(lines).startswith("00.png\tnot a PNG")


def test_too_many_rejected_leave_the_folder_unblessed_until_more_are_allowed(tmp_path, caplog):
    for index in range(20):
        Image.fromarray(numbered(1, index)[0, ..., 0]).save(tmp_path / f"{index}.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    options, out = Options(images=str(tmp_path), size=8, **NONE), tmp_path / "out"
    with pytest.raises(UserError, match=r"received too_many_rejected.*--allow=too_many_rejected"):
        preprocess.preprocess(options, out)
    assert "1 of 21 files, more than 1.0%: see rejected.tsv" in caplog.text
    assert "bad.png\tnot a PNG" in (out / "rejected.tsv").read_text()
    with pytest.raises(UserError, match="Expected data without anomalies"):
        records.DatasetInfo.read(out)
    info = preprocess.preprocess(options, out, Checks(max_rejected=0.1))
    assert info.counts == {"train": 20}
    assert records.DatasetInfo.read(out) == info


def test_an_anomaly_is_named_and_accepted_by_its_name(tmp_path, caplog, monkeypatch):
    rows = numbered(30)
    rows[:5] = np.arange(5)[:, None, None, None]  # constant
    np.save(tmp_path / "a.npy", rows)
    options, out = Options(arrays=str(tmp_path / "a.npy"), **NONE), tmp_path / "out"
    with pytest.raises(UserError, match="received near_constant"):
        preprocess.preprocess(options, out)
    assert "near_constant  train  5 of 30 images vary by less than 1 of 255" in caplog.text
    assert not (out / records.INFO_FILE).exists()
    # Looking again does not read the images again.
    monkeypatch.setattr(arrays.ArraySource, "read", lambda *a: pytest.fail("read again"))
    info = preprocess.preprocess(options, out, Checks(allow=("near_constant",)))
    assert info.quality["allowed"] == ["near_constant"]
    assert info.quality["anomalies"][0]["name"] == "near_constant"
    assert not (out / records.UNBLESSED_FILE).exists()
    assert records.DatasetInfo.read(out) == info


def test_an_unblessed_folder_is_replaced_when_the_images_changed(tmp_path):
    rows = numbered(30)
    rows[:5] = np.arange(5)[:, None, None, None]
    np.save(tmp_path / "a.npy", rows)
    options, out = Options(arrays=str(tmp_path / "a.npy"), **NONE), tmp_path / "out"
    with pytest.raises(UserError, match="near_constant"):
        preprocess.preprocess(options, out)
    np.save(tmp_path / "a.npy", numbered(31))
    assert preprocess.preprocess(options, out).counts == {"train": 31}


FLAGS = (
    [],
    ["--direct_num_workers=3", "--direct_running_mode=multi_threading"],
    ["--direct_num_workers=2", "--direct_running_mode=multi_processing"],
)


@pytest.mark.parametrize("flags", FLAGS)
def test_the_same_bytes_again_and_with_other_workers(file, tmp_path, flags):
    options = Options(arrays=file, validation="hash:0.3")
    preprocess.preprocess(options, tmp_path / "a")
    preprocess.preprocess(options, tmp_path / "b", beam_flags=flags)
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_gzip_holds_the_same_and_gives_the_same_bytes_twice(file, tmp_path):
    for name, compression in (("a", "none"), ("b", "gzip"), ("c", "gzip")):
        options = Options(arrays=file, validation="last:7", compression=compression)
        preprocess.preprocess(options, tmp_path / name)
    assert numbers(tmp_path / "a", "train") == numbers(tmp_path / "b", "train")
    assert content(tmp_path / "b") == content(tmp_path / "c")
    batch = next(iter(data.train_dataset(tmp_path / "b", batch_size=8)))
    assert batch.shape == (8, 8, 8, 1)
    assert all(
        s.name.endswith(".tfrecord.gz") for s in records.DatasetInfo.read(tmp_path / "b").shards
    )


def test_shards_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(source_module, "MAX_BLOCK_IMAGES", 8192)
    rows = np.random.default_rng(0).integers(0, 256, (20, 256, 256, 3), np.uint8)
    np.save(tmp_path / "a.npy", rows)
    options = Options(arrays=str(tmp_path / "a.npy"), shard_mb=1, **NONE)
    info = preprocess.preprocess(options, tmp_path / "out")
    assert [shard.count for shard in info.shards] == [5, 5, 5, 5]
    assert max(shard.size for shard in info.shards) < 1.01 * 2**20


def test_ensure_does_nothing_twice_and_never_mixes(file, tmp_path, monkeypatch):
    options = Options(arrays=file, validation="last:7")
    first = preprocess.ensure(options, tmp_path / "data")
    monkeypatch.setattr(sources, "open_source", lambda *a: pytest.fail("opened again"))
    assert preprocess.ensure(options, tmp_path / "data") == first
    monkeypatch.undo()
    changed = [
        Options(arrays=file, validation="last:6"),
        Options(arrays=file, validation="last:7", size=16),
        Options(arrays=file, validation="last:7", compression="gzip"),
    ]
    folders = [preprocess.ensure(o, tmp_path / "data") for o in changed]
    os.utime(file, (1, 1))
    assert preprocess.ensure(options, tmp_path / "data") == first  # it is the content that counts
    stamp = os.stat(file)  # noqa: PTH116
    np.savez(file, x_train=numbered(30, 50), x_test=numbered(10, 100))
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    folders.append(preprocess.ensure(options, tmp_path / "data"))
    assert len({first, *folders}) == 5


def test_lost_images_are_noticed_and_nothing_is_left(file, tmp_path, monkeypatch):
    read = arrays.ArraySource.read

    def lose(self, block):
        for chunk in read(self, block):
            yield source_module.Chunk(
                chunk.pictures[1:], None, chunk.positions[1:], chunk.names[1:], []
            )

    monkeypatch.setattr(arrays.ArraySource, "read", lose)
    with pytest.raises(Exception, match="Expected 8 images of block 0; received 7"):
        preprocess.preprocess(Options(arrays=file, **NONE), tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in"]


def test_a_runner_that_loses_blocks_is_noticed(file, tmp_path, monkeypatch):
    from pipelines import transforms

    expand = transforms.Preprocess.expand
    monkeypatch.setattr(
        transforms.Preprocess, "expand", lambda self, root, blocks: expand(self, root, blocks[1:])
    )
    with pytest.raises(RuntimeError, match=r"received 32 \+ 0 \+ 0: the runner lost some"):
        preprocess.preprocess(Options(arrays=file, **NONE), tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in"]


def test_last_n_must_leave_something(file, tmp_path):
    with pytest.raises(UserError, match="N below the 30 training images"):
        preprocess.preprocess(Options(arrays=file, validation="last:30"), tmp_path / "out")


def test_nothing_to_train_on_says_why(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(UserError, match=r"1 rejected \(a.png: not a PNG"):
        preprocess.preprocess(Options(images=str(tmp_path), size=8), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_nothing(file, tmp_path, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "create", full)
    with pytest.raises(Exception, match="No space left"):
        preprocess.preprocess(Options(arrays=file, **NONE), tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in"]


def killed_at(moment, log):
    """Have this process kill itself before so many changes of the disk; 0 only counts them."""
    calls = 0

    def deadly(work):
        def wrapped(*arguments, **options):
            nonlocal calls
            calls += 1
            if calls == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return work(*arguments, **options)

        return wrapped

    for name in ("rename", "replace", "unlink", "mkdir"):
        setattr(pathlib.Path, name, deadly(getattr(pathlib.Path, name)))
    shutil.rmtree = deadly(shutil.rmtree)
    atexit.register(lambda: log.write_text(str(calls)))


def test_killed_at_any_moment_the_folder_is_absent_or_whole(tmp_path):
    """Killed before each of the last changes to the disk, and at some moments before them."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", rng.integers(0, 256, (2500, 16, 16), np.uint8))
    out, log = tmp_path / "data" / "out", tmp_path / "log"
    arguments = [f"--arrays={tmp_path / 'a.npy'}", f"--out={out}", "--shard_mb=1"]

    def run(moment):
        before = functools.partial(killed_at, moment, log)
        done = run_module("pipelines.preprocess", *arguments, cwd=tmp_path, before=before)
        return done.returncode

    assert run(0) == 0
    expected = content(out)
    calls = int(log.read_text())
    moments = [*np.linspace(2, calls - 6, 5).astype(int), *range(calls - 5, calls + 1)]
    for moment in moments:
        if out.exists():
            shutil.rmtree(out)
        assert run(moment) == -signal.SIGKILL
        assert not out.exists() or content(out) == expected
    # What was left is gone after the next run, and what is not ours is still there.
    (tmp_path / "data" / ".out.mine").mkdir()
    shutil.rmtree(out, ignore_errors=True)
    assert run(0) == 0
    assert content(out) == expected
    assert sorted(p.name for p in out.parent.iterdir()) == [".out.mine", "out"]


def test_killed_while_an_unblessed_folder_is_accepted(tmp_path, monkeypatch):
    """Between the two changes that this takes, the same command must be able to go on."""
    rows = numbered(30)
    rows[:5] = np.arange(5)[:, None, None, None]
    np.save(tmp_path / "a.npy", rows)
    options, allow = (
        Options(arrays=str(tmp_path / "a.npy"), **NONE),
        Checks(allow=("near_constant",)),
    )
    with pytest.raises(UserError, match="near_constant"):
        preprocess.ensure(options, tmp_path / "data")
    monkeypatch.setattr(storage, "delete", lambda path: pytest.fail("killed"))
    with pytest.raises(pytest.fail.Exception, match="killed"):
        preprocess.ensure(options, tmp_path / "data", allow)
    monkeypatch.undo()
    (folder,) = (tmp_path / "data").iterdir()
    with pytest.raises(UserError, match="Expected data without anomalies"):
        records.DatasetInfo.read(folder)
    assert preprocess.ensure(options, tmp_path / "data", allow) == folder
    assert records.DatasetInfo.read(folder).counts == {"train": 30}


def test_images_that_change_while_they_are_read_are_not_mixed(tmp_path, monkeypatch):
    for index in range(20):
        Image.fromarray(numbered(1, index)[0, ..., 0]).save(tmp_path / f"{index:02d}.png")
    picture = folder_source.FolderSource._picture

    def change(self, name):
        if name.endswith("10.png"):
            Image.fromarray(numbered(1, 999)[0, ..., 0]).save(tmp_path / "15.png")
        return picture(self, name)

    monkeypatch.setattr(folder_source.FolderSource, "_picture", change)
    with pytest.raises(UserError, match="changes while it was read"):
        preprocess.preprocess(Options(images=str(tmp_path), size=8, **NONE), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_runs_at_once_both_end_well(file, tmp_path):
    arguments = ("pipelines.preprocess", f"--arrays={file}", "--validation=last:7")
    with Command(*arguments, cwd=tmp_path) as one, Command(*arguments, cwd=tmp_path) as other:
        for process in (one, other):
            _, errors = process.communicate(timeout=100)
            assert process.returncode == 0, errors
    assert len(list((tmp_path / "data").iterdir())) == 1


def test_an_interrupt_is_no_traceback_and_leaves_nothing(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", rng.integers(0, 256, (30000, 28, 28), np.uint8))
    arguments = (f"--arrays={tmp_path / 'a.npy'}", "--out=data/out", "--shard_mb=1")
    with Command("pipelines.preprocess", *arguments, cwd=tmp_path) as process:
        while process.poll() is None and not list(tmp_path.glob("data/.out*/work/read-*")):
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert not list((tmp_path / "data").iterdir())


@pytest.mark.parametrize("flags", FLAGS)
def test_a_users_error_is_one_sentence_wherever_it_was_found(tmp_path, flags):
    np.save(tmp_path / "a.npy", numbered(30))
    source = sources.open_source(Options(arrays=str(tmp_path / "a.npy"), **NONE))
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-1])
    with pytest.raises(UserError) as caught:
        preprocess.preprocess(
            Options(arrays=str(tmp_path / "a.npy"), **NONE), tmp_path / "out", None, flags, source
        )
    assert str(caught.value).startswith("Expected 30 rows in")
    assert str(caught.value).endswith("it is cut short.")


def test_a_finished_folder_is_compared_with_a_baseline(tmp_path):
    rng = np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 100)):
        np.save(tmp_path / f"{name}.npy", rng.integers(low, low + 100, (300, 8, 8), np.uint8))
        arguments = [f"--arrays={name}.npy", f"--out={name}", "--validation=none"]
        done = run_module("pipelines.preprocess", *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    done = run_module("pipelines.preprocess", *arguments, "--baseline=dark", cwd=tmp_path)
    assert done.returncode == 2
    assert "received brightness_drift" in done.stderr
    with pytest.raises(UserError, match="Expected data without anomalies"):
        records.DatasetInfo.read(tmp_path / "light")


def test_a_second_run_does_nothing_and_says_so(file, tmp_path):
    def run(*more):
        arguments = [f"--arrays={file}", "--validation=last:7", *more]
        return run_module("pipelines.preprocess", *arguments, cwd=tmp_path)

    first = run("--out=out")
    assert first.returncode == 0, first.stderr
    assert "Next:    python -m keras_gan.train --examples=out" in first.stdout
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    second = run("--out=out")
    assert second.returncode == 0
    assert "out is finished already: nothing to preprocess" in second.stderr
    assert second.stdout == first.stdout
    assert stamps == {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    third = run("--out=out", "--size=16", "--compression=gzip")
    assert third.returncode == 2
    assert "made with other --size, --compression" in third.stderr
    for text in ("Preprocessed 40 images", "is finished already: nothing to preprocess"):
        own = run()
        assert own.returncode == 0
        assert text in own.stderr
    assert [p.name.rpartition("-")[0] for p in (tmp_path / "data").iterdir()] == ["numbers"]


def test_a_folder_with_other_files_is_left_alone(file, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    done = run_module("pipelines.preprocess", f"--arrays={file}", "--out=out", cwd=tmp_path)
    assert done.returncode == 2
    assert "Expected --out to be a new or empty folder" in done.stderr
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine"]


def test_description_says_where_the_data_came_from(file, tmp_path):
    preprocess.preprocess(Options(arrays=file, validation="last:7"), tmp_path / "out")
    written = json.loads((tmp_path / "out" / records.INFO_FILE).read_text())
    assert written["source"]["kind"] == "arrays"
    assert written["parameters"]["validation"] == "last:7"
    assert "apache-beam" in written["versions"]
    schema = tmp_path / "out" / records.SCHEMA_FILE
    assert written["quality"]["schema_sha256"] == records.file_sha256(schema)


def test_the_real_faces(real_faces, tmp_path):
    info = preprocess.preprocess(Options(images=str(real_faces), size=64), tmp_path / "out")
    assert info.image_shape == (64, 64, 1)
    assert sum(info.counts.values()) == 400
    assert 20 <= info.counts["validation"] <= 60
    assert info.quality["anomalies"] == []
    # Every image, wherever it went, is one of the files.
    stored = {np.asarray(Image.open(path)).tobytes() for path in real_faces.rglob("*.png")}
    for split in info.counts:
        for picture in np.rint(data.load_split(tmp_path / "out", split) * 255).astype(np.uint8):
            assert picture.tobytes() in stored

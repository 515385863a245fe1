import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from keras_gan import building, checkpoints, experiment, files, trained
from keras_gan.checkpoints import CARD, Checkpoints
from keras_gan.interfaces import UserError
from tests.conformance.cases import CASES

RECIPE = CASES["no_average"]
STATE = "state.data-00000-of-00001"


@pytest.fixture(scope="module")
def gan():
    return building.build(RECIPE, (8, 8, 1), train_images=240)


@pytest.fixture
def saved(tmp_path):
    return Checkpoints(tmp_path / "checkpoints", RECIPE, "abc", keep=2)


@pytest.fixture
def warnings(monkeypatch):
    lines = []
    monkeypatch.setattr(
        checkpoints.logging, "warning", lambda text, *args: lines.append(text % args)
    )
    return lines


def save(gan, saved, step, **metrics):
    gan.step.assign(step)
    gan.generator.weights[0].assign(np.full(gan.generator.weights[0].shape, step, np.float32))
    return saved.save(gan, metrics)


def names(saved):
    return sorted(path.name for path in saved.folder.iterdir())


def loaded(gan, saved, which="newest"):
    gan.step.assign(-1)
    found = saved.restore(gan, which)
    assert found.step == gan.step.numpy() == gan.generator.weights[0].numpy().max()
    return found.step


def test_a_checkpoint_says_what_it_is(gan, saved):
    folder = save(gan, saved, 3, parzen=-1.5)
    assert folder == saved.folder / "step-0000003"
    card = json.loads((folder / CARD).read_text())
    assert (card["step"], card["data_hash"], card["metrics"]) == (3, "abc", {"parzen": -1.5})
    assert card["recipe"] == json.loads(RECIPE.to_json())
    assert set(card["versions"]) == {"keras", "keras_gan", "tensorflow"}
    assert set(card["files"]) == {STATE, "state.index"}
    assert {path.name for path in folder.iterdir()} == {STATE, "state.index", CARD}


def test_the_newest_and_the_best_are_kept(gan, saved):
    for step, parzen in ((1, 1.0), (2, 9.0), (3, 2.0), (4, 3.0), (5, 8.0)):
        save(gan, saved, step, parzen=parzen)
    assert names(saved) == ["step-0000002", "step-0000004", "step-0000005"]
    save(gan, saved, 6)  # nothing is known of it
    assert names(saved) == ["step-0000002", "step-0000005", "step-0000006"]
    assert loaded(gan, saved) == 6
    assert loaded(gan, saved, "best") == 2
    assert loaded(gan, saved, "5") == 5
    save(gan, saved, 7, parzen=10.0)
    assert names(saved) == ["step-0000006", "step-0000007"]


def test_of_equally_good_ones_the_newer_is_the_best(gan, saved):
    save(gan, saved, 1, parzen=2.0)
    save(gan, saved, 2, parzen=2.0)
    assert saved.by_metric()[0].step == 2


def cut(folder):
    file = folder / STATE
    file.write_bytes(file.read_bytes()[:-1])


def flip(folder):
    file = folder / STATE
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def change(**changes):
    def edit(folder):
        card = json.loads((folder / CARD).read_text())
        (folder / CARD).write_text(json.dumps(card | changes))

    return edit


UNREADABLE = "has a checkpoint.json that cannot be read"
OTHER_SEED = json.loads(dataclasses.replace(RECIPE, seed=9).to_json())


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut, "is cut off: state.data"),
        (flip, "has changed since it was written: state.data"),
        (lambda folder: (folder / STATE).unlink(), "is cut off: state.data.* has 0 of"),
        (lambda folder: (folder / CARD).unlink(), "has no checkpoint.json"),
        (
            lambda folder: (folder / CARD).write_text("{"),
            UNREADABLE,
        ),
        (
            lambda folder: (folder / CARD).write_text("[]"),
            UNREADABLE,
        ),
        (change(files=None), UNREADABLE),
        (change(data_hash="0123456789abcdef"), r"was trained on other data, 0123456789ab\.\.\."),
        (change(recipe=OTHER_SEED), "is another recipe's: seed is 9 there, 0 here"),
    ],
)
def test_what_cannot_be_used_is_named_and_passed_over(gan, saved, warnings, damage, said):
    save(gan, saved, 1)
    damage(save(gan, saved, 2))
    assert loaded(gan, saved) == 1
    assert len(warnings) == 1
    with pytest.raises(UserError, match=f"step-0000002 {said}.*Try another --workdir"):
        saved.restore(gan, "2")


def test_a_damaged_best_gives_way_to_the_next_best(gan, saved):
    save(gan, saved, 1, parzen=5.0)
    cut(save(gan, saved, 2, parzen=9.0))
    assert loaded(gan, saved, "best") == 1


def test_damaged_ones_never_push_out_good_ones(gan, saved):
    save(gan, saved, 1)
    for step in (5, 6, 7):
        folder = saved.folder / f"step-000000{step}"
        shutil.copytree(saved.folder / "step-0000001", folder)
        change(step=step, metrics={"parzen": 99.0})(folder)
        cut(folder)
    assert loaded(gan, saved) == 1
    for step in (2, 3):
        folder = save(gan, saved, step)
        assert folder.is_dir()
    assert [one.step for one in saved.all()] == [7, 6, 5, 3, 2]
    assert loaded(gan, saved) == 3
    save(gan, saved, 5)  # when the run comes there again
    assert loaded(gan, saved) == 5
    assert [one.step for one in saved.all()] == [7, 6, 5, 3]


def test_a_file_that_cannot_be_read_is_passed_over(gan, saved, warnings, monkeypatch):
    save(gan, saved, 1)
    save(gan, saved, 2)
    read = checkpoints.records.file_sha256

    def broken(path):
        if "step-0000002" in str(path):
            raise OSError(5, "Input/output error")
        return read(path)

    monkeypatch.setattr(checkpoints.records, "file_sha256", broken)
    assert loaded(gan, saved) == 1
    assert "which cannot be read: Input/output error" in warnings[0]


def test_a_checkpoint_of_another_model_is_passed_over(gan, saved, warnings):
    save(gan, saved, 1)
    other = building.build(CASES["dcgan-minimax"], (8, 8, 1), train_images=240)
    other.step.assign(2)
    saved.save(other)
    assert loaded(gan, saved) == 1
    assert "step-0000002, which does not fit this version's model" in warnings[0]


def test_where_none_can_be_used_nothing_starts_anew(gan, saved, warnings):
    for step in (1, 2):
        cut(save(gan, saved, step))
    with pytest.raises(UserError, match=r"received step-0000002 is cut off.*; step-0000001 is cut"):
        saved.restore(gan)


def test_no_checkpoint_yet(gan, saved):
    assert saved.restore(gan) is None
    assert saved.by_metric() == []


def test_what_others_wrote_is_not_taken_for_a_new_run(gan, saved):
    saved.folder.mkdir()
    (saved.folder / "ckpt-300.index").touch()
    with pytest.raises(UserError, match=r"named step-N in .*; received ckpt-300.index"):
        saved.restore(gan)


def test_a_step_that_is_not_there(gan, saved):
    save(gan, saved, 1)
    with pytest.raises(UserError, match=r"newest, best or step 1; received '7'"):
        saved.restore(gan, "7")
    with pytest.raises(UserError, match=r"with a metric in .*; received none"):
        saved.restore(gan, "best")


def test_a_step_is_written_once_unless_it_was_damaged(gan, saved):
    folder = save(gan, saved, 1, parzen=1.0)
    before = (folder / CARD).stat().st_mtime_ns
    saved.save(gan)
    assert (folder / CARD).stat().st_mtime_ns == before
    cut(folder)
    saved.save(gan)
    assert saved.problem(saved.all()[0]) == ""


def test_a_write_that_fails_leaves_what_was_there(gan, saved, monkeypatch):
    save(gan, saved, 1)

    def fail(self, *args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tf.train.Checkpoint, "write", fail)
    gan.step.assign(2)
    with pytest.raises(OSError, match="No space"):
        saved.save(gan)
    assert names(saved) == ["step-0000001"]


def test_a_killed_write_and_a_half_deleted_one_are_no_checkpoints(gan, saved):
    save(gan, saved, 1)
    shutil.copytree(saved.folder / "step-0000001", saved.folder / ".step-0000002.partial-abcdefgh")
    half = saved.folder / "step-0000000"
    half.mkdir()
    (half / STATE).touch()
    assert loaded(gan, saved) == 1
    save(gan, saved, 2)
    assert names(saved) == ["step-0000001", "step-0000002"]


def test_who_does_not_write_takes_part_and_leaves_nothing(gan, tmp_path):
    quiet = Checkpoints(tmp_path / "checkpoints", RECIPE, "abc", writes=False)
    gan.step.assign(1)
    quiet.save(gan)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        OSError(122, "Disk quota exceeded"),
        tf.errors.ResourceExhaustedError(None, None, "x; No space left on device"),
        tf.errors.UnknownError(None, None, "x; Disk quota exceeded"),
    ],
)
def test_a_full_disk_is_recognised(error):
    assert files.is_full(error)
    assert not files.is_full(OSError(13, "Permission denied"))
    assert not files.is_full(ValueError("no space"))


@pytest.mark.usefixtures("without_exports")
def test_the_run_keeps_the_best_by_held_out_likelihood(examples, tmp_path):
    recipe = dataclasses.replace(RECIPE, steps=12)
    result = experiment.train(recipe, tmp_path / "w", examples, tmp_path / "e", keep=1)
    saved = Checkpoints(tmp_path / "w" / "checkpoints", recipe, "")
    logged = {}
    for file in result.logs.glob("events*"):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                if value.tag == "parzen/validation":
                    logged[event.step] = float(tf.make_ndarray(value.tensor))
    assert sorted(logged) == [2, 4, 6, 8, 10, 12]
    best = saved.by_metric()[0].step
    assert logged[best] == max(logged.values())  # of float32, in which two may be the same
    assert {one.step for one in saved.all()} == {best, 12}
    gan, _ = trained.load_run(tmp_path / "w", "best")
    assert int(gan.step.numpy()) == best

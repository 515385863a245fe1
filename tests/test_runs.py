"""What `run.json` tells of a run, and `python -m keras_gan.runs` of many."""

import contextlib
import dataclasses
import datetime
import json
import os
import shutil
import subprocess
import sys
import threading
import time

import pytest
import tensorflow as tf

from keras_gan import (
    checkpoints,
    cli,
    distribution,
    evaluation,
    experiment,
    files,
    guards,
    monitors,
    records,
    runs,
    train,
    trained,
    workdir,
)
from keras_gan.interfaces import Preempted, UserError
from tests.conformance.cases import CASES
from tests.conftest import ROOT, started

RECIPE = dataclasses.replace(CASES["no_average"], steps=6)


def run_file(folder):
    return json.loads((folder / workdir.RUN_FILE).read_text())


@pytest.fixture(scope="module")
def finished(examples, tmp_path_factory):
    root = tmp_path_factory.mktemp("finished")
    result = experiment.train(RECIPE, root / "w", examples, root / "e", command="train it")
    return root, result


def test_a_finished_run_says_so(finished):
    root, result = finished
    run = run_file(root / "w")
    assert run["command"] == "train it"
    assert {key: run["ended"][key] for key in ("how", "why", "step")} == {
        "how": "finished",
        "why": "",
        "step": 6,
    }
    started, at = (
        datetime.datetime.fromisoformat(text) for text in (run["started"], run["ended"]["at"])
    )
    assert started.utcoffset() is not None
    assert started <= at
    assert (result.trained, result.epochs) == (6, 6 * RECIPE.images_per_step / 240)
    assert result.seconds > 0
    assert set(result.means) == {"d_loss", "g_loss", "d_real", "d_fake"}
    newest = json.loads((root / "w/checkpoints/step-0000006/checkpoint.json").read_text())
    assert result.parzen == newest["metrics"]["parzen"]


@pytest.mark.parametrize(
    ("error", "how", "why"),
    [
        (KeyboardInterrupt(), "interrupted", ""),
        (Preempted("Asked to stop"), "preempted", "Asked to stop. Saved as"),
        (monitors.Collapsed("No variety.", was_good=False), "collapsed", "No variety."),
        (guards.NonFinite("d_loss=nan", 3), "non-finite", "Expected finite numbers; received d_lo"),
        (guards.Diverged("d_loss was\n nan."), "non-finite", "d_loss was nan."),
        (guards.FullDisk("No room."), "full disk", "No room."),
        (OSError(28, "No space left on device"), "full disk", "OSError: [Errno 28] No space"),
        (tf.errors.UnavailableError(None, None, "gone"), "preempted", "UnavailableError: gone"),
        (RuntimeError("first\nsecond"), "error", "RuntimeError: first"),
        (ZeroDivisionError(), "error", "ZeroDivisionError"),
    ],
)
def test_however_a_run_ends_it_is_written_down(examples, tmp_path, monkeypatch, error, how, why):
    seen = {}

    def end(gan, *args, **kwargs):
        seen["ended"] = run_file(tmp_path / "w")["ended"]
        seen["state"] = runs.describe(tmp_path / "w", "w")["state"]
        gan.step.assign(4)
        raise error

    monkeypatch.setattr(experiment.loop, "train", end)
    with pytest.raises(type(error)):
        experiment.train(RECIPE, tmp_path / "w", examples, tmp_path / "e")
    assert seen == {"ended": {}, "state": "running"}
    ended = run_file(tmp_path / "w")["ended"]
    assert (ended["how"], ended["step"]) == (how, 4)
    assert ended["why"].startswith(why)
    assert "second" not in ended["why"]
    assert bool(ended["why"]) == bool(why)
    assert runs.describe(tmp_path / "w", "w")["state"] == how


def test_a_collapsed_run_that_goes_back_is_no_finished_one(examples, tmp_path, monkeypatch):
    def end(gan, *args, **kwargs):
        raise monitors.Collapsed("No variety.", was_good=True)

    monkeypatch.setattr(experiment.loop, "train", end)
    folders = (tmp_path / "w", examples, tmp_path / "e")
    assert experiment.train(RECIPE, *folders, on_collapse="stop").stopped == "No variety."
    ended = run_file(tmp_path / "w")["ended"]
    assert (ended["how"], ended["why"], ended["step"]) == ("collapsed", "No variety.", 0)
    with pytest.raises(UserError, match=r"may go on; .*No variety"):
        experiment.train(RECIPE, *folders, on_collapse="stop")
    assert run_file(tmp_path / "w")["ended"] == ended


def test_an_end_that_cannot_be_written_hides_nothing(examples, tmp_path, monkeypatch):
    def end(gan, *args, **kwargs):
        shutil.rmtree(tmp_path / "w")
        raise RuntimeError("the real one")

    monkeypatch.setattr(experiment.loop, "train", end)
    with pytest.raises(RuntimeError, match="the real one"):
        experiment.train(RECIPE, tmp_path / "w", examples, tmp_path / "e")


def test_a_worker_that_is_not_the_chief_neither_writes_nor_holds(examples, tmp_path, monkeypatch):
    monkeypatch.setattr(distribution, "is_chief", lambda strategy: False)
    (tmp_path / "w").mkdir()
    with files.held(tmp_path / "w"):  # by the chief
        assert experiment.train(RECIPE, tmp_path / "w", examples, tmp_path / "e").steps == 6
    assert not list((tmp_path / "w").iterdir())


def older(folder, target, stopped):
    """Copy a run as a version wrote it that said of its end nothing but a collapse."""
    shutil.copytree(folder, target)
    run = run_file(target)
    for key in ("command", "started", "ended"):
        del run[key]
    (target / workdir.RUN_FILE).write_text(json.dumps(run | {"stopped": stopped}))


def test_an_older_run_loads_and_goes_on(finished, examples, tmp_path):
    root, _ = finished
    older(root / "w", tmp_path / "w", stopped="")
    assert runs.describe(tmp_path / "w", "w")["state"] == "finished"
    assert int(trained.load_run(tmp_path / "w")[0].step.numpy()) == 6
    longer = dataclasses.replace(RECIPE, steps=8)
    result = experiment.train(longer, tmp_path / "w", examples, tmp_path / "e")
    assert (result.steps, result.trained) == (8, 2)
    assert run_file(tmp_path / "w")["ended"]["how"] == "finished"


def test_an_older_run_that_collapsed_still_has(finished, examples, tmp_path):
    root, _ = finished
    older(root / "w", tmp_path / "w", stopped="No variety.")
    assert runs.describe(tmp_path / "w", "w")["state"] == "collapsed"
    with pytest.raises(UserError, match=r"may go on; .*No variety"):
        experiment.train(RECIPE, tmp_path / "w", examples, tmp_path / "e", on_collapse="stop")


def test_one_process_trains_in_a_work_directory_and_the_system_lets_go_of_a_dead_one(
    examples, tmp_path, capsys
):
    settings = ["network.generator_units=16", "network.discriminator_units=8", "batch_size=8"]
    settings += ["log_every=5", "checkpoint_every=5", "sample_every=5"]
    arguments = [
        *("--recipe=mnist", f"--examples={examples}", f"--workdir={tmp_path / 'runs' / 'a'}"),
        *(f"--export_dir={tmp_path / 'e'}", *(f"--set={one}" for one in settings)),
        "--steps=1000000",
    ]
    log = (tmp_path / "log").open("w")
    command = [sys.executable, "-m", "keras_gan.train", *arguments]
    with started(command, cwd=ROOT, stdout=log, stderr=log):
        deadline = time.monotonic() + 120
        while not (tmp_path / "runs/a/checkpoints/step-0000005").exists():
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.05)
        assert cli.run(train.main, train.FLAGS, "", ["train", *arguments]) == 2
        said = "error: Expected a work directory that no other process trains in; received "
        assert f"{said}{tmp_path / 'runs' / 'a'}. Try" in capsys.readouterr().err
        assert [run["state"] for run in listed(capsys, tmp_path / "runs")] == ["running"]
    (told,) = listed(capsys, tmp_path / "runs")
    assert told["step"] >= 5
    assert (told["state"], told["ended"]) == (f"killed at step {told['step']:,} or after", {})
    assert told["command"].startswith("python -m keras_gan.train --recipe=mnist --set=network.gen")
    with workdir.alone_in(tmp_path / "runs" / "a"):
        pass


def test_who_lists_runs_keeps_nobody_from_training(tmp_path):
    (tmp_path / "w").mkdir()
    looking = threading.Event()

    def look():
        with files.held(tmp_path / "w"):
            looking.set()
            time.sleep(workdir.LOOK_SECONDS)

    thread = threading.Thread(target=look)
    thread.start()
    looking.wait()
    with workdir.alone_in(tmp_path / "w"):
        pass
    thread.join()


def test_a_refused_run_leaves_no_folder(tmp_path):
    with contextlib.suppress(UserError), workdir.alone_in(tmp_path / "new"):
        raise UserError("no")
    assert not list(tmp_path.iterdir())
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").touch()
    with workdir.alone_in(tmp_path / "old"):
        pass
    assert (tmp_path / "old" / "file").exists()


# The list.


def listed(capsys, *folders):
    capsys.readouterr()
    arguments = ["runs", *map(str, folders), "--json"]
    assert cli.run(runs.main, runs.FLAGS, "", arguments, pass_on=True) == 0
    return json.loads(capsys.readouterr().out)


def printed(capsys, *folders):
    capsys.readouterr()
    arguments = ["runs", *map(str, folders)]
    assert cli.run(runs.main, runs.FLAGS, "", arguments, pass_on=True) == 0
    return capsys.readouterr().out.splitlines()


def make(folder, examples, started, ended=None, steps=1000, scored=(), drawn=(), name="mine"):
    """Write what is read of a run."""
    info = records.DatasetInfo.read(examples)
    recipe = dataclasses.replace(RECIPE, name=name, steps=steps)
    workdir.claim(folder, recipe, info, examples, command="python -m it")
    run = run_file(folder) | {"started": started}
    (folder / workdir.RUN_FILE).write_text(json.dumps(run))
    if ended:
        workdir.end(folder, *ended)
    for step, value in scored:
        card = folder / "checkpoints" / f"step-{step:07d}" / checkpoints.CARD
        card.parent.mkdir(parents=True)
        metrics = {} if value is None else {checkpoints.BEST_BY: value}
        card.write_text(json.dumps({"step": step, "metrics": metrics}))
    for step in drawn:
        grid = folder / "samples" / f"step-{step:07d}.png"
        grid.parent.mkdir(exist_ok=True)
        grid.touch()
    return info


@pytest.fixture
def many(examples, tmp_path):
    """Four runs: one finished and judged, one killed, one that failed, one that is unreadable."""
    root = tmp_path / "runs"
    first = "2026-01-02T10:00:00+00:00"
    done = ("finished", "", 1000)
    info = make(
        *(root / "done", examples, first, done),
        scored=[(600, 120.04), (800, None), (1000, 110.5)],
        drawn=[0, 1000],
    )
    row = {"log_likelihood": 212.64, "stderr": 2.08}
    evaluation.keep(root / "done", 1000, info, row)
    second = "2026-01-02T11:00:00+02:00"  # an hour earlier
    make(root / "deep" / "killed", examples, second, scored=[(1200, 99.0)], steps=20000)
    evaluation.keep(root / "deep" / "killed", 900, info, row)
    failed = ("error", "RuntimeError: " + "x" * 160, 7)
    make(root / "failed", examples, "2026-01-03T10:00:00+00:00", failed, name="other")
    other = {"step": 7, "data_hash": "0" * 64, "row": row}
    (root / "failed" / evaluation.KEPT).write_text(json.dumps(other))
    (root / "bad").mkdir()
    (root / "bad" / workdir.RUN_FILE).write_text("{")
    os.utime(root / "bad" / workdir.RUN_FILE, (0, 0))
    # What a run holds is no run.
    make(root / "done" / "inside", examples, first)
    return root


def test_runs_are_listed_newest_start_first(many, capsys):
    lines = printed(capsys, many)
    assert lines[:7] == [
        "run          recipe            steps  Parzen       log-likelihood  state",
        "failed       other        7 of 1,000                               error",
        "    RuntimeError:",
        f"    {'x' * 160}",
        "done         mine     1,000 of 1,000   120.0         212.6 +- 2.1  finished",
        f"    {many}/done/samples/step-0001000.png",
        "deep/killed  mine    1,200 of 20,000    99.0  212.6 +- 2.1 at 900  killed at step 1,200 "
        "or after",
    ]
    assert lines[7] == f"{'bad':<67}unreadable"
    told = " ".join(line.strip() for line in lines[8:])
    assert told.startswith("Expected /")
    assert "to describe a run; received JSONDecodeError" in told


def test_json_has_all_of_it(many, capsys):
    told = {run["name"]: run for run in listed(capsys, many)}
    assert list(told) == ["failed", "done", "deep/killed", "bad"]
    done = told["done"]
    assert (done["step"], done["total_steps"], done["parzen"]) == (1000, 1000, 120.04)
    assert done["evaluation"] == {"step": 1000, "log_likelihood": 212.64, "stderr": 2.08}
    assert done["grid"] == f"{many}/done/samples/step-0001000.png"
    assert (done["command"], done["workdir"]) == ("python -m it", f"{many}/done")
    assert told["failed"]["evaluation"] is None  # of other data
    assert told["failed"]["why"] == f"RuntimeError: {'x' * 160}"
    assert told["deep/killed"]["grid"] is None
    assert told["bad"]["state"] == "unreadable"
    assert "Expecting property name" in told["bad"]["why"]


def test_several_folders_and_a_run_itself(many, capsys):
    names = [run["name"] for run in listed(capsys, many / "done", many / "deep")]
    assert names == [f"{many}/done", f"{many}/deep/killed"]
    assert [run["name"] for run in listed(capsys, many / "done")] == ["."]


@pytest.mark.parametrize("text", ["[]", '{"recipe": 1}', '{"ended": {}}', "null", "\x00"])
def test_what_is_no_runs_description_is_said(tmp_path, capsys, text, examples):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / workdir.RUN_FILE).write_text(text)
    assert [run["state"] for run in listed(capsys, tmp_path)] == ["unreadable"]
    assert printed(capsys, tmp_path)[1].startswith("a ")


def test_a_description_without_a_part_is_said(tmp_path, capsys, examples):
    make(tmp_path / "a", examples, "2026-01-02T10:00:00+00:00")
    run = run_file(tmp_path / "a")
    for key in ("train_images", "data_hash", "command"):
        rest = {name: value for name, value in run.items() if name != key}
        (tmp_path / "a" / workdir.RUN_FILE).write_text(json.dumps(rest))
        assert listed(capsys, tmp_path)[0]["state"] == "unreadable"


def test_it_knows_what_others_call_their_files():
    assert runs.CHECKPOINT_CARD == checkpoints.CARD
    assert evaluation.KEPT == runs.EVALUATION
    assert checkpoints.BEST_BY == "parzen"


def test_listing_needs_neither_tensorflow_nor_keras(many):
    program = (
        "import sys\n"
        "from keras_gan import runs\n"
        f"sys.argv = ['runs', {str(many)!r}]\n"
        "assert runs.run() == 0\n"
        "print('heavy:', sorted({'tensorflow', 'keras', 'scipy', 'jax'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "120.0" in done.stdout
    assert "heavy: []" in done.stdout

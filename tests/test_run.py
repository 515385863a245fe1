"""The chain, run for real on tiny images."""

import json
import os
import re
import shutil
import signal
import sqlite3
import types

import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2

from keras_gan import card, experiment, exported, files
from keras_gan.interfaces import Preempted
from pipelines import hashes, metadata, pushed
from pipelines.components import evaluator, infra_validator
from tests.chain import STEPS, arguments, execute, ran, write_images
from tests.commands import run_module


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A chain that pushed its first model."""
    folder = tmp_path_factory.mktemp("chain")
    write_images(folder / "images.npz")
    assert execute(*arguments(folder)) == 0
    return folder


@pytest.fixture
def copied(chain, tmp_path):
    """The same, to change: what its root made is known to the copy; its own pushed models."""
    for name in ("root", "pushed"):
        shutil.copytree(chain / name, tmp_path / name)
    shutil.copy2(chain / "images.npz", tmp_path / "images.npz")
    return tmp_path


def one(folder, pattern):
    (path,) = folder.glob(pattern)
    return path


def states(root, step):
    with sqlite3.connect(root / metadata.FILE) as db:
        rows = db.execute("SELECT state FROM executions WHERE type = ? ORDER BY id", (step,))
        return [row[0] for row in rows]


def test_files_are_where_and_as_tfx_has_them(chain):
    root = chain / "root"
    for name in (
        "ExampleGen/examples/*/Split-train/data_tfrecord-00000-of-00001",
        "StatisticsGen/statistics/*/Split-validation/FeatureStats.pb",
        "SchemaGen/schema/*/schema.pbtxt",
        "ExampleValidator/anomalies/*/Split-test/SchemaDiff.pb",
        "Trainer/model/*/Format-Serving/saved_model.pb",
        "Evaluator/evaluation/*/metrics.json",
        "Evaluator/blessing/*/BLESSED",
        "InfraValidator/infra_blessing/*/INFRA_BLESSED",
    ):
        assert one(root, name).is_file(), name
    assert [path.name for path in pushed.versions(chain / "pushed")] == ["1"]
    replayed = one(root, "InfraValidator/infra_blessing/*/INFRA_BLESSED").read_text()
    assert "serving_default" in replayed


def test_every_execution_is_recorded_with_what_it_read_and_made(chain):
    store = metadata.Store(chain / "root", readonly=True)
    described = [store.describe(number) for number in range(1, 9)]
    assert [one["component"] for one in described] == list(STEPS)
    assert {one["state"] for one in described} == {"COMPLETE"}
    trainer, validator, pusher = described[4], described[3], described[7]
    assert trainer["inputs"]["examples"] == described[0]["outputs"]["examples"]
    assert trainer["parameters"]["recipe"]["steps"] == 12
    assert set(validator["inputs"]) == {"examples", "statistics", "schema"}
    assert set(pusher["inputs"]) == {"model", "blessing", "infra_blessing"}
    model = one(chain / "root", "Trainer/model/*")
    assert trainer["outputs"]["model"]["uri"] == f"Trainer/model/{model.name}"
    assert trainer["outputs"]["model"]["hash"] == hashes.of_folder(model)
    assert trainer["command"].startswith("python -m pipelines.run --arrays=")
    assert {"tensorflow", "keras", "keras_gan", "python"} <= set(trainer["versions"])


def test_the_same_command_runs_nothing_and_pushes_nothing(chain, capsys):
    assert execute(*arguments(chain)) == 0
    out = capsys.readouterr().out
    assert out.count(" cached ") == 8
    assert ran(out) == []
    assert "pushed/1 already: nothing new" in out
    assert [path.name for path in pushed.versions(chain / "pushed")] == ["1"]
    assert states(chain / "root", "Trainer")[-1] == "CACHED"


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("--allow=near_constant", ["ExampleValidator"]),
        ("--max_rejected=0.5", ["ExampleValidator"]),
        ("--schema=SCHEMA", ["SchemaGen", "ExampleValidator"]),
        ("--min=-1e9", ["Evaluator"]),  # says the same, so that nothing follows
        ("--samples=200", ["Evaluator", "Pusher"]),
        ("--infra_timeout=299", ["InfraValidator", "Pusher"]),
        ("--steps=13", ["Trainer", "Evaluator"]),
        ("IMAGES", list(STEPS[:6])),
    ],
)
def test_a_change_runs_again_what_depends_on_it(copied, capsys, flag, expected):
    schema = copied / "schema.pbtxt"
    made = one(copied / "root", "SchemaGen/schema/*/schema.pbtxt").read_text()
    schema.write_text(f"{made}\ndataset_constraints {{ min_examples_count: 7 }}\n")
    more = [flag.replace("SCHEMA", str(schema))]
    if "Pusher" not in expected and flag != "--min=-1e9":
        more.append("--min=1e9")  # nothing new is pushed; the Evaluator runs for it
        expected = [*expected, *(["Evaluator"] if "Evaluator" not in expected else [])]
    assert execute(*arguments(copied)) == 0
    if flag == "IMAGES":
        write_images(copied / "images.npz", seed=5)
        more = ["--min=1e9"]
    capsys.readouterr()
    execute(*arguments(copied, *more))
    assert ran(capsys.readouterr().out) == expected
    assert len(pushed.versions(copied / "pushed")) == 1


def test_a_change_of_a_steps_code_changes_its_key_and_no_other(monkeypatch, tmp_path):
    for name in hashes.OWN:
        shutil.copytree(
            hashes.PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.gz")
        )
    monkeypatch.setattr(hashes, "PROJECT", tmp_path)
    parts = ("example_gen", "schema_gen", "trainer", "evaluator", "pusher")

    def codes():
        hashes.of_code.cache_clear()
        return {part: hashes.of_code(f"pipelines.components.{part}")[0] for part in parts}

    before = codes()
    for path, dependent in (
        ("keras_gan/loop.py", {"trainer"}),
        ("keras_gan/metrics/parzen.py", {"trainer", "evaluator"}),
        ("keras_gan/networks/mlp.py", {"trainer"}),
        ("pipelines/sources/arrays.py", {"example_gen"}),
        ("pipelines/chain.py", set()),
    ):
        with (tmp_path / path).open("a") as file:
            file.write("# changed\n")
        after = codes()
        assert {part for part in parts if before[part] != after[part]} == dependent, path
        before = after
    monkeypatch.undo()
    hashes.of_code.cache_clear()


def test_nocache_makes_all_of_it_anew(copied, capsys):
    assert execute(*arguments(copied, "--nocache", "--min=1e9")) == 3
    assert ran(capsys.readouterr().out) == list(STEPS[:6])
    assert states(copied / "root", "Trainer")[-1] == "COMPLETE"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("StatisticsGen/statistics/*/Split-train/FeatureStats.pb", ["StatisticsGen"]),
        ("Trainer/model/*/Format-Serving/variables/variables.data*", ["Trainer", "Evaluator"]),
        ("Evaluator/blessing/*/BLESSED", ["Evaluator"]),
    ],
)
def test_a_changed_output_is_noticed_and_made_again(copied, capsys, pattern, expected):
    assert execute(*arguments(copied)) == 0
    path = one(copied / "root", pattern)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    capsys.readouterr()
    execute(*arguments(copied))
    assert set(expected) <= set(ran(capsys.readouterr().out)) <= {*expected, *STEPS[5:]}
    assert execute(*arguments(copied)) in (0, 3)
    assert ran(capsys.readouterr().out) == []  # and the second one is as recorded


def test_a_deleted_version_is_pushed_again(copied, capsys):
    assert execute(*arguments(copied)) == 0
    shutil.rmtree(copied / "pushed" / "1")
    capsys.readouterr()
    assert execute(*arguments(copied)) == 0
    out = capsys.readouterr().out
    assert ran(out) == ["Pusher"]
    assert f"Pushed:  {copied}/pushed/1\n" in out


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--min_diversity=0.9"], r"it has collapsed.*clusters and lie 0\.\d+ as far.*=0.9"),
        (["--min=1e9"], r"is not above --min=1e\+09 by more than the error"),
    ],
)
def test_an_unblessed_model_is_never_pushed_and_the_reason_is_said(copied, capsys, flags, reason):
    shutil.rmtree(copied / "pushed")
    for again in (False, True):  # the second time from the store
        assert execute(*arguments(copied, *flags)) == 3
        captured = capsys.readouterr()
        assert ran(captured.out) == ([] if again else ["Evaluator"])
        assert "Not blessed, so nothing was pushed" in captured.err
        assert re.search(reason, captured.err)
        assert not (copied / "pushed").exists()
    newest = max((copied / "root/Evaluator/blessing").iterdir(), key=lambda p: int(p.name))
    assert [path.name for path in newest.iterdir()] == ["NOT_BLESSED"]


def test_only_what_beats_the_last_pushed_by_more_than_the_error_is_pushed(tmp_path, capsys):
    write_images(tmp_path / "images.npz")
    # Noise of black and white pixels first, which any training beats.
    assert execute(*arguments(tmp_path, "--steps=1", "--set=network.output_range=1e3")) == 0
    assert execute(*arguments(tmp_path)) == 0
    assert [path.name for path in pushed.versions(tmp_path / "pushed")] == ["1", "2"]
    metrics = card.read(tmp_path / "pushed" / "2")["metrics"]
    gained = metrics["log_likelihood, more than the model pushed before"]
    assert gained["mean"] > gained["stderr"] > 0
    capsys.readouterr()
    assert execute(*arguments(tmp_path, "--steps=1", "--set=network.output_range=1e3")) == 3
    found = capsys.readouterr().err
    assert "is not above that of pushed/2, the newest other model, " in found
    assert "by more than the error of the difference, -" in found
    assert len(pushed.versions(tmp_path / "pushed")) == 2
    assert execute(*arguments(tmp_path)) == 0  # is not compared with itself
    assert ran(capsys.readouterr().out) == []


def test_reasons_have_literal_numbers():
    row = {"log_likelihood": 10.0, "stderr": 2.0, "clusters": 0.5, "spread": 0.5}
    wanted = {"metric": "log_likelihood", "min": None, "min_diversity": 0.25}

    def reasons(*, mean=None, error=1.0, **changes):
        rows = {"model": row | {k: v for k, v in changes.items() if k in row}}
        if mean is not None:
            rows |= {"last pushed": {"log_likelihood": 10.0 - mean}}
            rows |= {"difference": {"mean": mean, "stderr": error}}
        return evaluator.find_reasons(
            rows, wanted | {k: v for k, v in changes.items() if k not in row}, "m/1"
        )

    assert reasons() == []
    assert reasons(min=7.9) == reasons(mean=1.1) == []
    assert len(reasons(min=8.0)) == len(reasons(mean=1.0)) == len(reasons(mean=-5.0)) == 1
    assert len(reasons(clusters=0.24)) == len(reasons(spread=0.24)) == 1
    assert len(reasons(spread=float("nan"))) == len(reasons(log_likelihood=float("nan"))) == 1
    assert "10.00 is not above that of m/1, the newest other model, 9.50" in reasons(mean=0.5)[0]
    assert "+0.50 +- 1.00" in reasons(mean=0.5)[0]


def test_the_difference_is_paired_by_image():
    import numpy as np

    hard = np.linspace(-100.0, 100.0, 400)  # what makes an image hard, for both
    bump = np.tile([0.0, 2.0], 200)
    row = {"drawing_stderr": 0.03}
    found = evaluator.compare(
        evaluator.Judged(row, hard + bump), evaluator.Judged({"drawing_stderr": 0.04}, hard)
    )
    assert found["mean"] == pytest.approx(1.0)
    assert found["stderr"] == pytest.approx((0.05**2 + 0.03**2 + 0.04**2) ** 0.5)


def test_what_the_serving_loader_refuses_is_not_pushed_and_tried_again(
    copied, capsys, monkeypatch, tmp_path
):
    (tmp_path / "refuses.py").write_text(
        "import sys\nprint('error: Expected an op.', file=sys.stderr)\nsys.exit(2)\n"
    )
    (tmp_path / "sleeps.py").write_text("import time\ntime.sleep(60)\n")
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    monkeypatch.setenv("PYTHONPATH", path)
    shutil.rmtree(copied / "pushed")
    flags = arguments(copied, "--infra_timeout=2")
    for loader, reason in (
        ("refuses", "so nothing was pushed: Expected an op."),
        ("sleeps", "no answer within --infra_timeout=2 seconds"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(infra_validator, "loader", types.SimpleNamespace(__name__=loader))
            assert execute(*flags) == 3
        assert reason in capsys.readouterr().err
        assert not (copied / "pushed").exists()
        newest = max((copied / "root/InfraValidator/infra_blessing").iterdir(), key=by_number)
        assert [each.name for each in newest.iterdir()] == ["INFRA_NOT_BLESSED"]
    assert execute(*arguments(copied)) == 0


def by_number(path):
    return int(path.name)


def test_anomalies_end_it_before_training_unless_they_are_allowed(tmp_path, capsys):
    write_images(tmp_path / "images.npz", constant=30)
    assert execute(*arguments(tmp_path)) == 2
    captured = capsys.readouterr()
    assert "near_constant (train: 30 of 200 images" in captured.err
    assert "--allow=near_constant" in captured.err
    assert ran(captured.out) == list(STEPS[:4])
    assert not (tmp_path / "root" / "Trainer").exists()
    path = one(tmp_path / "root", "ExampleValidator/anomalies/*/Split-train/SchemaDiff.pb")
    found = anomalies_pb2.Anomalies.FromString(path.read_bytes()).anomaly_info["image/contrast"]
    assert found.severity == anomalies_pb2.AnomalyInfo.ERROR
    flags = arguments(tmp_path, "--allow=near_constant", "--min=1e9")
    assert execute(*flags) == 3
    assert ran(capsys.readouterr().out) == ["ExampleValidator", "Trainer", "Evaluator"]


def test_a_data_folder_that_is_there_is_taken_over(chain, tmp_path, capsys):
    examples = one(chain / "root", "ExampleGen/examples/*")
    made = one(chain / "root", "StatisticsGen/statistics/*")
    schema = tmp_path / "schema.pbtxt"
    schema.write_text("dataset_constraints { min_examples_count: 1000 }")  # goes no further
    folders = (f"--root={tmp_path / 'root'}", f"--push={tmp_path / 'pushed'}")
    assert execute(f"--examples={examples}", f"--schema={schema}", *folders) == 2
    assert "expected at least 1,000, found 300" in capsys.readouterr().err
    taken = one(tmp_path / "root", "ExampleGen/examples/*")
    assert hashes.of_folder(taken) == hashes.of_folder(examples)
    assert one(taken, "train-*").stat().st_ino == one(examples, "train-*").stat().st_ino
    again = one(tmp_path / "root", "StatisticsGen/statistics/*")
    assert hashes.of_folder(again) == hashes.of_folder(made)


def test_images_without_a_validation_split_are_refused_before_training(tmp_path, capsys):
    write_images(tmp_path / "images.npz", splits=("train",))
    assert execute(*arguments(tmp_path, "--set=validation=none")) == 2
    assert "Expected at least 4 validation images" in capsys.readouterr().err
    assert not (tmp_path / "root" / "Trainer").exists()


def test_a_second_run_at_the_same_time_is_refused(copied, capsys):
    with files.held(copied / "root"):
        assert execute(*arguments(copied)) == 2
    assert "which another chain does. Try again when it has ended" in capsys.readouterr().err
    assert execute(*arguments(copied)) == 0


def test_a_run_that_is_asked_to_end_says_so_and_goes_on(tmp_path, capsys, monkeypatch):
    write_images(tmp_path / "images.npz")

    def ask(*arguments, **more):
        raise Preempted("Asked to stop (SIGTERM).")

    with monkeypatch.context() as patch:
        patch.setattr(experiment, "train", ask)
        assert execute(*arguments(tmp_path)) == 75
    assert states(tmp_path / "root", "Trainer") == ["CANCELED"]
    assert ran(capsys.readouterr().out) == list(STEPS[:4])
    assert execute(*arguments(tmp_path)) == 0
    assert ran(capsys.readouterr().out) == list(STEPS[4:])


def test_mistakes_are_one_sentence_and_leave_nothing(tmp_path):
    for flags, sentence in (
        (["--dataset=mnist"], "Expected --root=FOLDER; received none."),
        (["--dataset=mnist", "--root=r"], "Expected --push=FOLDER"),
        (["--root=r", "--push=p"], "Expected --images, --dataset, --arrays"),
        (["--dataset=mnist", "--root=r", "--push=p", "--allow=x"], "--allow"),
    ):
        done = run_module("pipelines.run", *flags, cwd=tmp_path)
        assert done.returncode == 2
        assert sentence in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_store_is_refused(tmp_path, capsys):
    write_images(tmp_path / "images.npz")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / metadata.FILE).write_text("thesis" * 1000)
    assert execute(*arguments(tmp_path)) == 2
    assert "Expected a lineage store; received" in capsys.readouterr().err


def test_a_kill_at_any_step_loses_nothing_but_that_step(tmp_path, chain):
    shutil.copy2(chain / "images.npz", tmp_path / "images.npz")
    done = run_module("tests.kills", str(tmp_path), cwd=hashes.PROJECT)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told.pop("again")[0] == 0
    status, log = told.pop("nothing")
    assert status == 0, log
    assert "1 already: nothing new" in log or "is this model already" in log
    last = "ExampleGen"
    for place, (status, log) in told.items():
        assert status == -signal.SIGKILL, (place, log)
        cached = [line.split(":")[0] for line in log.splitlines() if line.endswith(": cached")]
        assert cached == list(STEPS[: STEPS.index(last)]), place  # what the last kill cost runs
        last = place.partition(" ")[0]
    assert "at step 8 of 12" in told["Trainer ends"][1]

    root = tmp_path / "root"
    assert [path.name for path in pushed.versions(tmp_path / "pushed")] == ["1"]
    for step in STEPS:
        assert states(root, step).count("COMPLETE") == 1
        killed = 2 if step in ("Trainer", "Pusher") else 1
        assert states(root, step).count("FAILED") == killed
        for artifacts in (root / step).glob("*"):
            if artifacts.name != "runs":
                assert len(list(artifacts.iterdir())) == 1, artifacts  # and nothing half-written
    for name in ("StatisticsGen/statistics", "SchemaGen/schema", "ExampleValidator/anomalies"):
        left, right = (one(folder / "root", f"{name}/*") for folder in (tmp_path, chain))
        assert hashes.of_folder(left) == hashes.of_folder(right)
    left, right = (exported.load_sampler(folder / "pushed") for folder in (tmp_path, chain))
    assert (left.sample(4, seed=1) == right.sample(4, seed=1)).all()

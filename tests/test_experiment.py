import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gan import callbacks, card, experiment, export, records, trained
from keras_gan.config import Optimizer
from keras_gan.gan import GAN
from keras_gan.interfaces import Stopped, UserError
from tests.conformance.cases import CASES
from tests.conftest import write_examples

RECIPE = dataclasses.replace(CASES["no_average"], steps=7, log_every=3)


@pytest.fixture(scope="module")
def run(examples, tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    result = experiment.train(RECIPE, root / "work", examples, root / "export")
    return root, result


def test_a_run_leaves_what_it_says(run):
    root, result = run
    assert result.steps == 7
    assert result.samples == root / "work" / "samples" / "step-0000007.png"
    assert result.samples.is_file()
    assert (root / "work" / "samples" / "step-0000006.png").is_file()  # sample_every=4
    assert result.model == root / "export" / "1"
    assert list(result.logs.glob("events.out.tfevents.*"))
    facts = card.read(result.model)
    assert (facts["step"], facts["name"], facts["latent"]) == (7, "case", 5)


def test_curves_are_window_means_at_their_steps(run):
    import tensorflow as tf

    _, result = run
    points = {}
    for file in result.logs.glob("events.out.tfevents.*"):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                points.setdefault(value.tag, []).append(event.step)
    for tag in ("d_loss", "g_loss", "D(x)", "D(G(z))", "speed/steps_per_second"):
        assert points[tag] == [3, 6, 7]
    assert sorted(points["samples"]) == [0, 3, 6, 7]


@pytest.mark.usefixtures("without_exports")
def test_hooks_of_ones_own_see_every_interval(examples, tmp_path):
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((callbacks.current_step(self.model), sorted(logs)))
            if len(seen) == 2:
                raise KeyboardInterrupt

    where = tmp_path / "work", examples, tmp_path / "export"
    with pytest.raises(KeyboardInterrupt):
        experiment.train(RECIPE, *where, hooks=[Watch()])
    # What a hook ends is saved, and goes on where it was.
    experiment.train(RECIPE, *where, hooks=[Watch()])
    assert [step for step, _ in seen] == [3, 6, 7]
    assert all({"d_loss", "g_loss"} <= set(names) for _, names in seen)


def test_a_finished_run_trains_no_more_and_exports_once(run, examples):
    root, result = run
    again = experiment.train(RECIPE, root / "work", examples, root / "export")
    assert again.model == result.model
    assert card.versions(root / "export") == [1]


def test_load_run_gives_the_same_samples(run):
    root, result = run
    loaded, description = trained.load_run(root / "work")
    np.testing.assert_array_equal(loaded.sample(4, seed=1), result.gan.sample(4, seed=1))
    assert description["recipe"] == RECIPE


def test_another_recipes_work_directory_is_refused(run, examples):
    root, _ = run
    other = dataclasses.replace(RECIPE, seed=5, d_optimizer=Optimizer(learning_rate=0.5))
    with pytest.raises(
        UserError, match=r"d_optimizer.learning_rate was 0.001, now 0.5; seed was 0"
    ):
        experiment.train(other, root / "work", examples, root / "export")


def test_other_data_are_refused(run, tmp_path):
    root, _ = run
    counts = {"train": 240, "validation": 40, "test": 40}
    other = write_examples(tmp_path / "other", counts, seed=1)
    with pytest.raises(UserError, match="Expected the data that"):
        experiment.train(RECIPE, root / "work", other, root / "export")


def test_fewer_steps_than_trained_are_refused(run, examples):
    root, _ = run
    shorter = dataclasses.replace(RECIPE, steps=3)
    with pytest.raises(UserError, match=r"at least the 7 steps .* received 3"):
        experiment.train(shorter, root / "work", examples, root / "export")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dataset": "cifar10"}, "dataset='random'.*with dataset='cifar10'"),
        ({"dataset": "random", "validation": "none"}, "validation='hash:0.1'.*validation='none'"),
        ({"dataset": "random", "size": 64}, "size=0.*size=64"),
    ],
)
def test_data_made_another_way_than_the_recipe_says_are_refused(tmp_path, parameters, message):
    folder = write_examples(tmp_path / "data", {"train": 40}, parameters=parameters)
    with pytest.raises(UserError, match=message):
        experiment.train(RECIPE, tmp_path / "w", folder, tmp_path / "e")
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("diverged", [False, True])
def test_an_interrupted_run_is_saved_unless_it_diverged(examples, tmp_path, monkeypatch, diverged):
    def interrupt(self, *args, **kwargs):
        self.step.assign(5)
        if diverged:
            self.generator.weights[0].assign(np.nan * self.generator.weights[0].numpy())
        raise KeyboardInterrupt

    monkeypatch.setattr(GAN, "fit", interrupt)
    with pytest.raises(KeyboardInterrupt):
        experiment.train(RECIPE, tmp_path / "w", examples, tmp_path / "e")
    monkeypatch.undo()
    if diverged:
        assert int(trained.load_run(tmp_path / "w")[0].step.numpy()) == 0
    else:
        assert int(trained.load_run(tmp_path / "w")[0].step.numpy()) == 5


def test_find_goes_by_content_and_ignores_other_folders(tmp_path):
    one = write_examples(tmp_path / "one", {"train": 9}, seed=1)
    two = write_examples(tmp_path / "two", {"train": 9}, seed=2)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / records.INFO_FILE).write_text("{")
    for folder in (one, two):
        assert records.find(tmp_path, records.DatasetInfo.read(folder).data_hash) == folder
    with pytest.raises(UserError, match="data_hash=0"):
        records.find(tmp_path, "0")
    with pytest.raises(UserError, match="the model does not say which data it was trained on"):
        records.find(tmp_path, None)


def test_replicas_that_cannot_play_leave_nothing(examples, tmp_path, monkeypatch):
    strategy = tf.distribute.get_strategy()
    monkeypatch.setattr(type(strategy), "num_replicas_in_sync", 3)
    folders = (tmp_path / "w", examples, tmp_path / "e")
    with pytest.raises(UserError, match=r"3 replicas can share.*batch_size=8. Try 6"):
        experiment.train(RECIPE, *folders, strategy=strategy)
    compiled = dataclasses.replace(RECIPE, batch_size=6, jit_compile=True)
    with pytest.raises(UserError, match=r"jit_compile=false with several replicas"):
        experiment.train(compiled, *folders, strategy=strategy)
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_files_is_refused(examples, tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match="holds other files"):
        experiment.train(RECIPE, tmp_path, examples, tmp_path / "export")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_batch_larger_than_the_data_leaves_nothing(examples, tmp_path):
    with pytest.raises(UserError, match="240 training images"):
        experiment.train(
            dataclasses.replace(RECIPE, batch_size=500), tmp_path / "w", examples, tmp_path / "e"
        )
    assert not list(tmp_path.iterdir())


def test_divergence_stops_with_a_sentence(examples, tmp_path):
    wild = dataclasses.replace(
        RECIPE, d_optimizer=Optimizer("momentum", 1e38), g_optimizer=Optimizer("momentum", 1e38)
    )
    with pytest.raises(Stopped, match=r"finite numbers; received .*nan.* first, at step \d+"):
        experiment.train(wild, tmp_path / "w", examples, tmp_path / "e")
    assert not card.versions(tmp_path / "e")


def test_newest_version_is_a_number_not_a_word(tmp_path):
    for name in ("1", "2", "10", "best"):
        (tmp_path / name).mkdir()
    assert card.versions(tmp_path) == [1, 2, 10]


def test_an_existing_version_is_never_overwritten(run, tmp_path):
    _, result = run
    (tmp_path / "3").mkdir()
    with pytest.raises(UserError, match="which exists"):
        export.export(result.gan, tmp_path, version=3)
    assert export.export(result.gan, tmp_path).name == "4"


def test_progress_writes_plain_lines_without_a_terminal(monkeypatch, caplog):
    monkeypatch.setattr(callbacks, "PLAIN_SECONDS", -1)
    lines, clock = [], [1000.0]
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(callbacks.logging, "info", lambda text, *args: lines.append(text % args))
    monkeypatch.setattr(callbacks.sys.stderr, "isatty", lambda: False, raising=False)
    progress = callbacks.Progress(first_step=100, total_steps=400, steps_per_epoch=150)
    progress.on_epoch_begin(0)
    logs = {"d_loss": 1.25, "g_loss": 0.5, "d_real": 0.75, "d_fake": 0.125}
    progress.on_train_batch_end(49, logs)
    # The first steps took TensorFlow's time to compile them: no rate to go by.
    assert lines[0] == "Epoch 1/3, step 150/400, d_loss 1.25, g_loss 0.50, D(x) 0.75, D(G(z)) 0.12"
    clock[0] += 5
    progress.on_train_batch_end(59, logs)
    assert lines[1].startswith("Epoch 2/3, step 160/400, 2.0 steps/s, 02:00 left, d_loss 1.25, ")

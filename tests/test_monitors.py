import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from keras_gan import building, card, cli, experiment, monitors, train
from keras_gan.interfaces import UserError
from keras_gan.metrics import diversity
from keras_gan.metrics.diversity import Diversity
from keras_gan.summaries import Summaries
from tests.conformance.cases import CASES

GOOD, BAD = Diversity(1.0, 0.9), Diversity(0.9, 0.1)
RECIPE = dataclasses.replace(CASES["no_average"], steps=8, log_every=2, checkpoint_every=2)


def scalars(logs):
    """Read every scalar of the event files: {tag: [(step, value)]}, and the texts' tags."""
    points = {}
    for file in sorted(logs.glob("events.out.tfevents.*")):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                content = tf.make_ndarray(value.tensor)
                if content.size:
                    points.setdefault(value.tag, []).append((event.step, content.ravel()[0]))
    return {tag: sorted(values, key=lambda pair: pair[0]) for tag, values in points.items()}


# Diversity ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kinds():
    """Images of ten kinds: (a function that draws some of certain kinds, a reference)."""
    rng = np.random.default_rng(0)
    means = rng.random((10, 6, 6, 1))

    def draw(n, of=range(10)):
        chosen = rng.choice(list(of), n)
        return (means[chosen] + rng.normal(0, 0.02, (n, 6, 6, 1))).astype(np.float32)

    return draw, diversity.Reference(draw(400))


def test_real_images_beside_real_images(kinds):
    draw, reference = kinds
    found = reference.compare(draw(400))
    assert reference.size == 400
    assert found.clusters == pytest.approx(1, abs=0.15)
    assert found.spread == pytest.approx(1, abs=0.1)
    assert not found.collapsed


def test_one_image_again_and_again_is_collapsed(kinds):
    draw, reference = kinds
    found = reference.compare(np.repeat(draw(1), 400, axis=0))
    assert found.spread == 0
    assert found.clusters < 0.15
    assert found.collapsed


def test_few_points_in_every_cluster_have_no_spread(kinds):
    """The Helvetica scenario with many modes: entropy over clusters alone does not see it."""
    draw, reference = kinds
    found = reference.compare(np.repeat(draw(50), 8, axis=0))
    assert found.clusters > 0.6
    assert found.spread < 0.01
    assert found.collapsed


def test_one_kind_alone_has_spread_but_few_clusters(kinds):
    draw, reference = kinds
    found = reference.compare(draw(400, of=[4]))
    assert found.spread > 0.8
    assert found.clusters < 0.25
    assert found.collapsed


def test_half_of_the_kinds_have_half_of_the_clusters(kinds):
    draw, reference = kinds
    found = reference.compare(draw(400, of=range(5)))
    assert 0.3 < found.clusters < 0.75
    assert not found.collapsed


def test_diversity_literal_values():
    """Two clusters of points on a line: entropies and distances by hand."""
    real = np.array([[0.0], [1.0]] * 10) + np.arange(20)[:, None] // 2 * 0.01
    reference = diversity.Reference(real, clusters=2, seed=3)
    samples = np.array([[0.0], [0.02], [0.04], [1.0]])  # 3 : 1; gaps .02 .02 .02 .96
    found = reference.compare(samples)
    shares = np.array([0.75, 0.25])
    expected = math.exp(-(shares * np.log(shares)).sum()) / 2
    assert found.clusters == pytest.approx(expected, rel=1e-6)
    assert found.spread == pytest.approx(2.0, rel=1e-4)


@pytest.mark.parametrize(
    ("found", "collapsed"),
    [((0.26, 0.26), False), ((0.24, 1.0), True), ((1.0, 0.24), True), ((3.0, 9.0), False)],
)
def test_the_alarm_threshold_is_a_quarter_of_either(found, collapsed):
    assert Diversity(*found).collapsed is collapsed


# CollapseAlarm -----------------------------------------------------------------------------------


class Model:
    """What a monitor needs of a GAN."""

    update, d_steps, g_steps = "alternating", 1, 1

    def __init__(self):
        self.step = tf.Variable(0, dtype=tf.int64)

    def live(self):
        return self

    def sample(self, n, *, seed):
        return np.full((n, 2, 2, 1), float(seed), np.float32)


@pytest.fixture
def make_alarm(tmp_path, monkeypatch):
    """Make an alarm whose looks find what the test says."""

    def make(found, **options):
        images = np.random.default_rng(0).random((30, 2, 2, 1)).astype(np.float32)
        alarm = monitors.CollapseAlarm(images, Summaries(tmp_path), every=10, **options)
        alarm.set_model(Model())
        looks = iter(found)
        monkeypatch.setattr(alarm._reference, "compare", lambda samples: next(looks))
        return alarm

    return make


def look(alarm, step):
    alarm.model.step.assign(step)
    return alarm.act()


@pytest.fixture
def warnings(monkeypatch):
    lines = []
    monkeypatch.setattr(monitors.logging, "warning", lambda text, *args: lines.append(text))
    return lines


def test_one_bad_look_is_not_enough_and_two_in_a_row_warn_once(make_alarm, warnings, tmp_path):
    alarm = make_alarm([GOOD, BAD, GOOD, BAD, BAD, BAD])
    for step in (10, 20, 30, 40):
        look(alarm, step)
    assert not warnings
    assert look(alarm, 50) == BAD
    assert len(warnings) == 1
    assert "collapsed by step 50" in warnings[0]
    assert "0.90 of the clusters and lie 0.10 as far" in warnings[0]
    look(alarm, 60)
    assert len(warnings) == 1
    points = scalars(tmp_path)
    assert points["diversity/alarm"] == [(10, 0), (20, 0), (30, 0), (40, 0), (50, 1), (60, 1)]
    assert points["diversity/spread"][:2] == [(10, np.float32(0.9)), (20, np.float32(0.1))]
    assert points["diversity/clusters"][1] == (20, np.float32(0.9))
    assert [step for step, _ in points["warnings"]] == [50]


def test_a_recovery_resets_it_and_it_can_be_raised_again(make_alarm, warnings):
    alarm = make_alarm([GOOD, BAD, BAD, GOOD, BAD, BAD])
    for step in (10, 20, 30, 40, 50):
        look(alarm, step)
    assert len(warnings) == 1
    look(alarm, 60)
    assert len(warnings) == 2


def test_a_generator_that_never_had_variety_gets_five_looks(make_alarm, warnings, tmp_path):
    alarm = make_alarm([BAD] * 6)
    for step in (10, 20, 30, 40):
        look(alarm, step)
    assert not warnings
    look(alarm, 50)
    look(alarm, 60)
    assert len(warnings) == 1
    assert "collapsed by step 50" in warnings[0]
    assert [value for _, value in scalars(tmp_path)["diversity/alarm"]] == [0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize(("found", "was_good"), [([BAD] * 5, False), ([GOOD, BAD, BAD], True)])
def test_what_is_raised_says_whether_there_was_variety_before(make_alarm, found, was_good):
    alarm = make_alarm(found, stop=True)
    for step in range(10, 10 * len(found), 10):
        look(alarm, step)
        assert alarm.suspicious == (was_good and step > 10)
    with pytest.raises(monitors.Collapsed) as raised:
        look(alarm, 10 * len(found))
    assert raised.value.was_good == was_good


def test_stop_raises_at_the_second_bad_look(make_alarm, warnings, tmp_path):
    alarm = make_alarm([GOOD, BAD, GOOD, BAD, BAD], stop=True)
    suspicious = []
    for step in (10, 20, 30, 40):
        look(alarm, step)
        suspicious.append(alarm.suspicious)
    assert suspicious == [False, True, False, True]
    with pytest.raises(monitors.Collapsed, match="collapsed by step 50"):
        look(alarm, 50)
    assert alarm.suspicious
    assert scalars(tmp_path)["diversity/alarm"][-1] == (50, 1)


def test_without_stop_nothing_is_held_back(make_alarm, warnings):
    alarm = make_alarm([GOOD, BAD, BAD])
    for step in (10, 20, 30):
        look(alarm, step)
        assert not alarm.suspicious
    assert len(warnings) == 1


def test_it_sees_as_many_samples_as_images_and_others_each_time(tmp_path):
    images = np.random.default_rng(0).random((30, 2, 2, 1)).astype(np.float32)
    alarm = monitors.CollapseAlarm(images, Summaries(tmp_path), every=10)
    alarm.set_model(Model())
    seen = []
    alarm.model.sample = lambda n, *, seed: seen.append((n, seed)) or images
    for step in (10, 2**32 + 5):
        found = look(alarm, step)
    assert seen == [(30, 10), (30, 5)]
    assert found == pytest.approx((1.0, 1.0))


# In a run ----------------------------------------------------------------------------------------


@pytest.fixture
def looks(monkeypatch):
    """Make the alarm find what the test says, look by look; the last one again and again."""

    def find(*found):
        left, seen = list(found), []

        def compare(self, samples):
            seen.append(samples)
            return left.pop(0) if len(left) > 1 else left[0]

        monkeypatch.setattr(diversity.Reference, "compare", compare)
        return seen

    return find


def test_a_stopped_run_ends_at_the_last_good_checkpoint(examples, tmp_path, looks):
    seen = looks(GOOD, BAD, GOOD, BAD, BAD)  # at steps 2, 4, 6, 8, 10
    recipe = dataclasses.replace(RECIPE, steps=14)
    result = experiment.train(recipe, tmp_path / "w", examples, tmp_path / "e", on_collapse="stop")
    assert "collapsed by step 10" in result.stopped
    assert result.steps == 6
    assert int(result.gan.step.numpy()) == 6
    assert result.samples.name == "step-0000006.png"
    assert card.versions(tmp_path / "e") == [1]
    assert card.read(result.model)["step"] == 6
    saved = {path.name for path in (tmp_path / "w" / "checkpoints").iterdir()}
    assert saved == {"step-0000000", "step-0000002", "step-0000006"}
    points = scalars(result.logs)
    assert [step for step, _ in points["diversity/alarm"]] == [2, 4, 6, 8, 10]
    # What the look at step 6 saw, after a bad one, the restored model draws again.
    np.testing.assert_array_equal(result.gan.sample(len(seen[2]), seed=6 + 2**31), seen[2])
    assert not np.array_equal(result.gan.sample(len(seen[3]), seed=8), seen[3])


def test_a_run_that_never_had_variety_is_an_error(examples, tmp_path, looks):
    looks(BAD)
    recipe = dataclasses.replace(RECIPE, steps=14)
    with pytest.raises(monitors.Collapsed, match="collapsed by step 10"):
        experiment.train(recipe, tmp_path / "w", examples, tmp_path / "e", on_collapse="stop")
    assert not card.versions(tmp_path / "e")


@pytest.mark.usefixtures("without_exports")
def test_a_stopped_run_is_not_repeated_but_may_go_on(examples, tmp_path, looks):
    recipe = dataclasses.replace(RECIPE, steps=12)
    folders = (tmp_path / "w", examples, tmp_path / "e")
    good = tmp_path / "w" / "checkpoints" / "step-0000002" / "checkpoint.json"
    looks(GOOD, BAD)
    assert experiment.train(recipe, *folders, on_collapse="stop").steps == 2
    with pytest.raises(UserError, match=r"may go on; .* collapsed by step 6.*on_collapse=warn"):
        experiment.train(recipe, *folders, on_collapse="stop")
    assert good.is_file()
    assert experiment.train(recipe, *folders).steps == 12


@pytest.mark.usefixtures("without_exports")
def test_a_resumed_run_keeps_its_good_checkpoint(examples, tmp_path, looks):
    folders = (tmp_path / "w", examples, tmp_path / "e")
    looks(GOOD)
    experiment.train(dataclasses.replace(RECIPE, steps=2), *folders, on_collapse="stop")
    looks(BAD)
    recipe = dataclasses.replace(RECIPE, steps=30)
    assert experiment.train(recipe, *folders, on_collapse="stop").steps == 2
    assert (tmp_path / "w" / "checkpoints" / "step-0000002" / "checkpoint.json").is_file()


@pytest.mark.usefixtures("without_exports")
def test_an_alarm_remembers_its_looks_when_a_run_is_resumed(examples, tmp_path, looks):
    folders = (tmp_path / "w", examples, tmp_path / "e")
    looks(BAD)
    experiment.train(dataclasses.replace(RECIPE, steps=6), *folders, on_collapse="stop")
    with pytest.raises(monitors.Collapsed, match="collapsed by step 10"):
        experiment.train(dataclasses.replace(RECIPE, steps=14), *folders, on_collapse="stop")


@pytest.mark.usefixtures("without_exports")
def test_variety_that_is_lost_at_the_very_end_is_seen(examples, tmp_path, looks):
    looks(GOOD, GOOD, BAD)  # at steps 2, 4 and 6, the last
    recipe = dataclasses.replace(RECIPE, steps=6)
    result = experiment.train(recipe, tmp_path / "w", examples, tmp_path / "e", on_collapse="stop")
    assert result.steps == 4
    assert "collapsed by step 6" in result.stopped


@pytest.mark.usefixtures("without_exports")
def test_a_run_shorter_than_its_checkpoints_is_looked_at(examples, tmp_path, looks, warnings):
    looks(GOOD)
    recipe = dataclasses.replace(RECIPE, steps=1)
    result = experiment.train(recipe, tmp_path / "w", examples, tmp_path / "e")
    assert [step for step, _ in scalars(result.logs)["diversity/clusters"]] == [1]


def test_a_warned_run_goes_on_and_logs_the_held_out_bound(examples, tmp_path, looks, warnings):
    looks(BAD)
    recipe = dataclasses.replace(RECIPE, steps=10, log_every=1, checkpoint_every=2)
    result = experiment.train(recipe, tmp_path / "w", examples, tmp_path / "e")
    assert (result.steps, result.stopped) == (10, "")
    assert len(warnings) == 1
    assert card.versions(tmp_path / "e") == [1]
    assert (tmp_path / "w" / "checkpoints" / "step-0000008" / "checkpoint.json").is_file()
    points = scalars(result.logs)
    assert [step for step, _ in points["held_out/jsd_bound"]] == [0, 5, 10]
    for (_, loss), (_, bound) in zip(
        points["held_out/d_loss"], points["held_out/jsd_bound"], strict=True
    ):
        assert bound == pytest.approx((math.log(4) - loss) / 2, abs=1e-6)


@pytest.mark.parametrize("factor", [0.0, 100.0])
@pytest.mark.usefixtures("without_exports")
def test_the_alarm_tells_a_generator_that_ignores_z(examples, tmp_path, monkeypatch, factor):
    """No word is put into the alarm's mouth here."""
    build = building.build

    def scaled(*args, **kwargs):
        gan = build(*args, **kwargs)
        for weight in gan.generator.weights:
            weight.assign(factor * weight)
        return gan

    monkeypatch.setattr(building, "build", scaled)
    recipe = dataclasses.replace(
        RECIPE, steps=10, g_optimizer=dataclasses.replace(RECIPE.g_optimizer, learning_rate=1e-9)
    )
    folders = (tmp_path / "w", examples, tmp_path / "e")
    if factor:
        assert experiment.train(recipe, *folders, on_collapse="stop").stopped == ""
    else:
        with pytest.raises(monitors.Collapsed, match="collapsed by step 10"):
            experiment.train(recipe, *folders, on_collapse="stop")
    points = scalars(tmp_path / "w" / "tensorboard")
    expected = [0, 0, 0, 0, not factor]
    assert [value for _, value in points["diversity/alarm"]] == expected


@pytest.mark.parametrize(("found", "said"), [((GOOD, BAD), "Model:"), ((BAD,), "")])
def test_the_command_exits_with_3_when_an_alarm_ended_it(
    examples, tmp_path, looks, capsys, found, said
):
    looks(*found)
    settings = ["network.generator_units=8", "network.discriminator_units=8", "batch_size=8"]
    settings += ["log_every=2", "checkpoint_every=2"]
    arguments = [
        "--recipe=mnist",
        f"--examples={examples}",
        f"--workdir={tmp_path / 'w'}",
        f"--export_dir={tmp_path / 'e'}",
        "--on_collapse=stop",
        "--steps=12",
        *[f"--set={setting}" for setting in settings],
    ]
    assert cli.run(train.main, train.FLAGS, train.__doc__, ["train", *arguments]) == 3
    printed = capsys.readouterr()
    assert said in printed.out
    assert card.versions(tmp_path / "e") == ([1] if said else [])
    step = 6 if said else 10
    assert f"error: The generator has collapsed by step {step}" in printed.err

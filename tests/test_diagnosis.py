"""Each warning on a run that goes wrong so, and none on one that goes well."""

import dataclasses
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gan import data, diagnosis, experiment, monitors, priors, probe
from keras_gan.config import MaxoutMLP, Optimizer, Recipe
from keras_gan.gan import GAN
from keras_gan.summaries import Summaries
from tests.test_monitors import scalars

RECIPE = Recipe(
    name="toy",
    dataset="random/1.0.0",
    validation="none",
    network=MaxoutMLP((16,), (16,), 2, input_dropout=0.0, hidden_dropout=0.0),
    latent=4,
    batch_size=20,
    ema_decay=0.0,
    steps=30,
    log_every=1,
    sample_every=1000,
    checkpoint_every=1000,
)


pytestmark = pytest.mark.usefixtures("without_exports")


@pytest.fixture(autouse=True)
def no_collapse_alarm(monkeypatch):
    """Random images in so few steps have no variety; other tests are about that."""
    monkeypatch.setattr(monitors.CollapseAlarm, "finish", lambda self: None)


def run(examples, folder, **changes):
    recipe = dataclasses.replace(RECIPE, **changes)
    return experiment.train(recipe, folder / "run", examples, folder / "exports")


def test_a_discriminator_that_has_won_is_told_once(examples, tmp_path):
    result = run(
        examples,
        tmp_path,
        steps=60,
        loss="minimax",
        d_optimizer=Optimizer(learning_rate=0.01),
        g_optimizer=Optimizer(learning_rate=1.0),
    )
    faded, won = result.warnings
    assert won.startswith("D has won: for long its loss has been near 0 (now 0.0")
    assert "Try loss=non_saturating, lower learning rates, more dropout in D or r1=1." in won
    assert faded.startswith("G's gradient has faded: its norm is ")
    points = scalars(result.logs)
    norms = dict(points["gradients/generator"])
    assert [step for step, norm in norms.items() if norm < 1e-3 * norms[5]][:3] == [10, 15, 20]
    low = {step for step, loss in points["d_loss"] if loss < diagnosis.WON}
    first = min(step for step in low if low >= set(range(step, step + 20)))
    assert [step for step, _ in points["warnings"]] == [20, first + 19]


def test_a_rate_that_is_spent_too_soon(examples, tmp_path):
    result = run(
        examples,
        tmp_path,
        g_optimizer=Optimizer(learning_rate=1e-3, decay=2.0),
    )
    (text,) = result.warnings
    # 2**-10 of the first rate is the first below a thousandth.
    assert text.startswith("G's learning rate has gone to nothing: 9.8e-07, with 67% of the steps")
    assert scalars(result.logs)["warnings"][0][0] == 10


def test_a_healthy_run_whose_rates_fall_until_the_end_is_left_alone(examples, tmp_path):
    falling, linear = (
        Optimizer(learning_rate=1e-4, schedule=schedule) for schedule in ("cosine", "linear")
    )
    assert run(examples, tmp_path, d_optimizer=falling, g_optimizer=linear).warnings == []


def test_steps_that_wait_for_their_data(examples, tmp_path, monkeypatch):
    fast = data.train_dataset

    def slow(*arguments, **options):
        def wait(images):
            def sleep(images):
                time.sleep(0.1)
                return images

            return tf.ensure_shape(tf.numpy_function(sleep, [images], tf.float32), images.shape)

        return fast(*arguments, **options).map(wait)

    monkeypatch.setattr(data, "train_dataset", slow)
    result = run(examples, tmp_path, steps=8, log_every=2)
    (text,) = result.warnings
    assert text.startswith("Steps wait for their data ")
    share = [value for _, value in scalars(result.logs)["speed/waiting_for_input"]]
    assert min(share[1:]) > 0.5  # the first interval compiles
    assert max(share) <= 1


def test_a_discriminator_that_knows_its_images_by_heart(tmp_path):
    """Forty images of pure noise, and a generator of the same noise: nothing else to learn."""
    rng = np.random.default_rng(0)
    train, held_out = (rng.random((n, 6, 6, 1)).astype(np.float32) for n in (40, 200))
    z = keras.Input((36,))
    noise = keras.layers.Reshape((6, 6, 1))(keras.layers.Rescaling(1 / 12**0.5, 0.5)(z))
    network = [
        keras.Input((6, 6, 1)),
        keras.layers.Flatten(),
        keras.layers.Dense(400, activation="relu"),
        keras.layers.Dense(1),
    ]
    gan = GAN(keras.Model(z, noise), keras.Sequential(network), priors.Uniform(36))
    assert gan.sample(1000, seed=0).min() >= 0
    gan.compile(d_optimizer=keras.optimizers.Adam(3e-3), g_optimizer=keras.optimizers.SGD(1e-9))
    summaries = Summaries(tmp_path)
    hooks = [
        probe.Probe(train, held_out, summaries, every=20, batch_size=40),
        diagnosis.Diagnosis(summaries, RECIPE, 1000),
    ]
    batches = tf.data.Dataset.from_tensors(train).repeat()
    gan.fit(batches, epochs=10, steps_per_epoch=20, callbacks=hooks, verbose=0)
    ((_, text),) = summaries.warnings
    assert text.startswith("D knows its training images by heart: its loss is ")
    assert "on images that it never saw. Try more images" in text


class Silent(Summaries):
    """Keeps in memory what would be written."""

    def scalars(self, step, values):
        self.latest |= {name: (step, value) for name, value in values.items()}

    def warn(self, step, text):
        self.warnings.append((step, text))


class Counter:
    """A model of which nothing but the step is asked."""

    def __init__(self):
        self.step = tf.Variable(0)


def told(tag, values, steps=None, **others):
    """Show a diagnosis one value after another; return the steps at which it warned."""
    summaries = Silent("nowhere")
    hook = diagnosis.Diagnosis(summaries, RECIPE, 10**6)
    gan = GAN(
        keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(4), keras.layers.Reshape((2, 2, 1))]
        ),
        keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(1)]),
        priors.Normal(2),
    )
    hook.set_model(gan)
    for step, value in zip(steps or range(1, len(values) + 1), values, strict=True):
        gan.step.assign(step)
        summaries.scalars(step, {tag: value, **others})
        hook.on_epoch_end(step)
    return [step for step, _ in summaries.warnings]


def test_a_sign_is_believed_when_it_stays_and_told_again_when_it_comes_back():
    others = {"speed/steps_per_second": 3.0}
    bad, good = 0.9, 0.1
    tag = "speed/waiting_for_input"
    assert told(tag, [bad, bad, good, bad, bad, good], **others) == []
    assert told(tag, [good, bad, bad, bad, bad, bad], **others) == [4]
    assert told(tag, [bad] * 3 + [good] * 2 + [bad] * 4, **others) == [3]
    assert told(tag, [bad] * 3 + [good] * 3 + [bad] * 4, **others) == [3, 9]


def test_what_is_not_finite_and_what_was_rolled_back_is_not_counted():
    nan, inf = float("nan"), float("inf")
    assert told("gradients/generator", [1.0, nan, nan, nan, inf, 0.5, 0.5, 0.5]) == []
    assert told("gradients/generator", [1.0, 1e-4, 1e-4, 1e-4]) == [4]
    tag = "speed/waiting_for_input"
    others = {"speed/steps_per_second": 3.0}
    assert told(tag, [0.9] * 4, steps=[1, 2, 1, 2], **others) == []
    assert told(tag, [0.9] * 5, steps=[1, 2, 1, 2, 3], **others) == [3]


def test_old_numbers_are_not_looked_at_again():
    summaries = Silent("nowhere")
    hook = diagnosis.Diagnosis(summaries, RECIPE, 10**6)
    hook.set_model(Counter())
    hook.model.step.assign(5)
    summaries.scalars(
        5, {"held_out/d_loss": 3.0, "held_out/d_loss_of_train": 1.0, "gradients/generator": 1.0}
    )
    for step in range(5, 20):
        hook.model.step.assign(step)
        hook.on_epoch_end(0)
    assert summaries.warnings == []

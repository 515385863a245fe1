"""All conditionals: masks, what is known stays, what is learnt, exports, numbers, the command."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_gan import (
    building,
    callbacks,
    cli,
    conditionals,
    encoders,
    experiment,
    export,
    exported,
    images,
    inpaint,
    inpainting_evaluation,
    masks,
    priors,
    trained,
)
from keras_gan.conditionals import Conditionals, composing, draw_masks, known
from keras_gan.config import Encoder, MaxoutMLP, Recipe
from keras_gan.interfaces import UserError, image_seeds
from keras_gan.metrics import completion
from keras_gan.networks import build_networks
from keras_gan.servable import Servable, ServingError
from pipelines import preprocess
from pipelines.options import Checks, Options
from tests.conformance.cases import CASES, NETWORKS
from tests.test_gan import toy_gan

SHAPE = (8, 8, 1)


@pytest.fixture(scope="module")
def gan():
    gan = building.build(CASES["inpainting"], SHAPE, train_images=240)
    x = tf.random.stateless_uniform((16, *SHAPE), (0, 0))
    for _ in range(3):
        gan.train_step(x)
    return gan


@pytest.fixture
def pictures():
    return np.random.default_rng(0).random((6, *SHAPE), np.float32)


# Masks --------------------------------------------------------------------------------------------


def test_named_masks_name_what_is_missing():
    shape = (2, 4, 3)
    expected = {
        "left": [[0, 0, 1, 1]] * 2,
        "right": [[1, 1, 0, 0]] * 2,
        "top": [[0] * 4, [1] * 4],
        "bottom": [[1] * 4, [0] * 4],
        "box:1,0,2,1": [[1, 0, 0, 1], [1] * 4],
    }
    for text, rows in expected.items():
        mask = masks.named(text, shape)
        assert mask.dtype == np.float32
        assert mask[..., 0].tolist() == rows


def test_quarters_are_missing_or_all_that_is_known():
    found = np.stack(masks.quarters((4, 6)))
    assert found[:4].sum(axis=(1, 2, 3)).tolist() == [18] * 4
    assert found[4:].sum(axis=(1, 2, 3)).tolist() == [6] * 4
    np.testing.assert_array_equal(found[:4].sum(axis=0), np.full((4, 6, 1), 3))


def kind_of(mask, height, width):
    """Name the kind of a drawn mask by looking at it alone."""
    if not mask.any():
        return "nothing"
    if any(np.array_equal(mask, half) for half in masks.halves((height, width)).values()):
        return "half"
    if any(np.array_equal(mask, quarter) for quarter in masks.quarters((height, width))):
        return "quarter"
    holes = np.argwhere(mask[..., 0] == 0)
    if len(holes) and np.prod(holes.max(axis=0) - holes.min(axis=0) + 1) == len(holes):
        return "box"
    return "pixels"


def test_masks_are_drawn_by_their_shares_and_boxes_everywhere():
    n, height, width = 20000, 12, 10
    drawn = draw_masks(n, height, width, priors.key(0, priors.KNOWN_PIXELS, 0)).numpy()
    assert drawn.dtype == np.float32
    assert drawn.shape == (n, height, width, 1)
    assert set(np.unique(drawn)) == {0.0, 1.0}
    kinds = np.array([kind_of(mask, height, width) for mask in drawn])
    shares = {"half": 0.35, "quarter": 0.15, "pixels": 0.15, "box": 0.25, "nothing": 0.1}
    for name, share in shares.items():
        assert (kinds == name).mean() == pytest.approx(share, abs=0.02), name
    halves = drawn[kinds == "half"].mean(axis=0)
    np.testing.assert_allclose(halves, 0.5, atol=0.03)  # each half is as likely
    boxes = 1 - drawn[kinds == "box"][..., 0]
    assert (boxes.sum(axis=(1, 2)) >= 1).all()
    assert (boxes[:, 0, 0].mean(), boxes[:, -1, -1].mean()) == pytest.approx((0.1, 0.1), abs=0.08)
    rates = drawn[kinds == "pixels"].mean(axis=(1, 2, 3))
    assert np.histogram(rates, 4, (0, 1))[0] / len(rates) == pytest.approx([0.25] * 4, abs=0.04)


def test_masks_are_a_function_of_seed_and_step_with_a_stream_of_their_own(gan):
    def told(step, seed=0, index=0):
        other = building.build(
            dataclasses.replace(CASES["inpainting"], seed=seed), SHAPE, train_images=240
        )
        other.step.assign(step)
        return other._draw_masks(64, index).numpy()

    first = told(5)
    np.testing.assert_array_equal(first, told(5))
    for other in (told(6), told(5, seed=1), told(5, index=1)):
        assert not np.array_equal(first, other)


def test_a_step_tells_both_networks_what_is_known_of_its_own_images(monkeypatch):
    gan = building.build(CASES["inpainting"], SHAPE, train_images=240)  # k = 2, alternating
    gan.compile(
        d_optimizer=keras.optimizers.SGD(0.1), g_optimizer=keras.optimizers.SGD(0.1), r1=0.0
    )
    x = tf.random.stateless_uniform((8, *SHAPE), (0, 0))
    seen = []
    generate, judge = gan._generate, gan._judge
    monkeypatch.setattr(gan, "_generate", lambda *a: seen.append(("G", a[-1])) or generate(*a))
    monkeypatch.setattr(gan, "_judge", lambda *a: seen.append(("D", a[0], a[-1])) or judge(*a))
    expected = [known(x[i * 4 : i * 4 + 4], gan._draw_masks(4, i)).numpy() for i in range(2)]
    gan.train_step((x, tf.zeros(8)))  # labels are not asked for
    assert "".join(call[0] for call in seen) == "GDGDGDG"  # the last for the energy score
    assert [len(call[-1]) for call in seen] == [4, 8, 4, 8, 4, 4, 4]  # D gets both kinds at once
    for call, index in zip(seen, [0, 0, 1, 1, 1, 1, 1], strict=True):
        c = call[-1].numpy()
        for part in np.split(c, len(c) // 4):
            np.testing.assert_array_equal(part, expected[index])
        if call[0] == "D":  # real or completed: the known pixels are the real ones
            parts = c.reshape(-1, 8, 8, 2)
            np.testing.assert_array_equal(call[1] * parts[..., 1:], parts[..., :1])


# What is known stays ------------------------------------------------------------------------------


@pytest.mark.parametrize("network", NETWORKS)
def test_known_pixels_are_untouched_to_the_bit_and_others_are_painted(network, pictures):
    recipe = dataclasses.replace(CASES["inpainting"], network=NETWORKS[network])
    gan = building.build(recipe, SHAPE, train_images=240)
    holes = draw_masks(6, 8, 8, priors.key(3, priors.KNOWN_PIXELS, 0)).numpy()
    holes[0], holes[1] = 1.0, 0.0
    made = gan.inpaint(pictures, holes, seed=4)
    kept = np.broadcast_to(holes, made.shape) == 1
    np.testing.assert_array_equal(made[kept], pictures[kept])
    assert (made[~kept] != pictures[~kept]).all()
    assert ((made >= 0) & (made <= 1)).all()
    # What is missing is not looked at.
    other = np.where(kept, pictures, 1 - pictures)
    np.testing.assert_array_equal(made, gan.inpaint(other, holes, seed=4))
    assert np.abs(made - gan.inpaint(pictures, holes, seed=5))[~kept].max() > 1e-6


def test_both_networks_of_each_kind_are_told_pixels_and_mask(pictures):
    for network in NETWORKS.values():
        recipe = dataclasses.replace(CASES["inpainting"], network=network)
        gan = building.build(recipe, SHAPE, train_images=240)
        x, half = tf.constant(pictures), tf.constant(masks.named("left", SHAPE)[None])
        c = known(x, tf.repeat(half, 6, 0))
        others = [known(x[::-1], tf.repeat(half, 6, 0)), known(x, 1 - tf.repeat(half, 6, 0))]
        for weight in (*gan.generator.trainable_weights, *gan.discriminator.trainable_weights):
            weight.assign(weight * 10)  # what it starts from is tiny
        logits = gan.discriminator([x, c]).numpy()
        z = tf.zeros((6, 5))
        inner = keras.Model(gan.generator.inputs, gan.generator.get_layer("compose").input[0])
        for other in others:
            assert np.abs(logits - gan.discriminator([x, other])).max() > 1e-5
            assert np.abs(inner([z, c]) - inner([z, other])).max() > 1e-5


def test_whoever_only_samples_sees_what_is_made_of_nothing(gan, pictures):
    nothing = np.zeros((6, *SHAPE), np.float32)
    made = gan.inpaint(pictures, nothing, seed=2)
    np.testing.assert_array_equal(made, gan.sample(6, seed=2))
    np.testing.assert_array_equal(gan.live().sample(2, seed=2).shape, (2, *SHAPE))
    assert isinstance(gan.live(), Conditionals)
    zeros = known(tf.constant(pictures), tf.constant(nothing))
    np.testing.assert_array_equal(gan.discriminate(pictures), gan.discriminate(pictures, zeros))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, m: (x[:, :4], m), r"images of shape \[n, 8, 8, 1\]; received float32 of shape"),
        (lambda x, m: (x.astype(np.float64), m), "float32 images.*received float64"),
        (lambda x, m: (x * 2, m), r"images in \[0, 1\]"),
        (lambda x, m: (x * np.nan, m), r"images in \[0, 1\]"),
        (lambda x, m: (x, m[:, :4]), "masks of 0 and 1 of shape.*received shape"),
        (lambda x, m: (x, m / 2), "masks of 0 and 1"),
        (lambda x, m: (x, np.stack([m] * 5)), "one for each of 6 images"),
    ],
)
def test_what_cannot_be_completed_is_refused(gan, pictures, change, message):
    x, mask = change(pictures, masks.named("left", SHAPE))
    with pytest.raises(UserError, match=message):
        gan.inpaint(x, mask, seed=0)


def test_networks_and_recipes_that_cannot_be_are_refused():
    pair = build_networks(NETWORKS["maxout_mlp"], latent=5, image_shape=SHAPE, conditions=10)
    with pytest.raises(ValueError, match=r"told 128 numbers.*received networks told 10"):
        Conditionals(*pair, priors.Normal(5))
    for more in ({"conditional": True}, {"scale": "contrast"}):
        with pytest.raises(UserError, match="inpainting=true with conditional=false"):
            Recipe("x", "mnist", inpainting=True, **more)


# What is learnt -----------------------------------------------------------------------------------


def coins(n, seed=0):
    """Make images of 2x2: the top right equals the top left, below are two independent coins."""
    tosses = np.random.default_rng(seed).integers(0, 2, (n, 3)).astype(np.float32)
    return tosses[:, [0, 0, 1, 2]].reshape(n, 2, 2, 1)


@pytest.fixture(scope="module")
def learnt():
    shape = (2, 2, 1)
    generator, discriminator = build_networks(
        MaxoutMLP((32, 32), (32, 32), 2, 0.0, 0.0, 0.3, 0.3),
        latent=4,
        image_shape=shape,
        conditions=conditionals.parts_shape(shape),
    )
    gan = Conditionals(
        composing(generator), discriminator, priors.Normal(4), ema_decay=0.99, update="alternating"
    )
    gan.compile(
        d_optimizer=keras.optimizers.Adam(2e-3, beta_1=0.5),
        g_optimizer=keras.optimizers.Adam(1e-3, beta_1=0.5),
        r1=0.1,
    )
    data = tf.data.Dataset.from_tensor_slices(coins(64 * 200)).batch(64).repeat()
    gan.fit(data, steps_per_epoch=1500, shuffle=False, verbose=0)
    return gan


def test_what_is_known_decides_and_what_is_open_is_drawn(learnt):
    x = coins(400, seed=1)
    for side, column in (("right", 1), ("left", 0)):
        made = learnt.inpaint(x, masks.named(side, (2, 2)), seed=0)[:, :, column, 0]
        truth = x[:, 0, 0, 0]
        assert np.abs(made[:, 0] - truth).mean() < 0.1  # one answer
        open_ones = made[:, 1]
        assert (np.minimum(open_ones, 1 - open_ones) < 0.2).mean() > 0.8  # no mean of both
        assert 0.3 < (open_ones > 0.5).mean() < 0.7  # two, equally likely
    draws = np.stack(
        [learnt.inpaint(x[:20], masks.named("right", (2, 2)), seed=s) for s in range(20)]
    )
    assert draws[:, :, 0, 1, 0].std(axis=0).mean() < 0.15
    assert draws[:, :, 1, 1, 0].std(axis=0).min() > 0.2


def test_other_parts_by_the_same_model(learnt):
    x = coins(400, seed=2)
    made = learnt.inpaint(x, masks.named("bottom", (2, 2)), seed=0)[:, 1, :, 0] > 0.5
    shares = [(made == pair).all(axis=1).mean() for pair in ([0, 0], [0, 1], [1, 0], [1, 1])]
    assert min(shares) > 0.08
    whole = learnt.sample(400, seed=0)[..., 0]
    assert np.abs(whole[:, 0, 0] - whole[:, 0, 1]).mean() < 0.15
    assert 0.25 < (whole[:, 0, 0] > 0.5).mean() < 0.75


def test_the_energy_score_against_a_loop_and_its_least_at_the_truth():
    rng = np.random.default_rng(0)
    x, first, second = rng.random((3, 4, 2, 2, 1)).astype(np.float32)
    found = conditionals.energy_score(*map(tf.constant, (x, first, second))).numpy()
    for i in range(4):
        norms = [np.linalg.norm(a) for a in (first[i] - x[i], second[i] - x[i])]
        expected = (sum(norms) - np.linalg.norm(first[i] - second[i])) / 2
        assert found[i] == pytest.approx(expected, rel=1e-4)

    def score(chance, value=1.0):  # of a pixel that is 1 with that chance, if truly with a third
        coin = [(rng.random((100_000, 1, 1, 1)) < p) for p in (1 / 3, chance, chance)]
        truth, *draws = (tf.constant(each, tf.float32) for each in coin)
        scored = conditionals.energy_score(truth, *(value * draw for draw in draws))
        return float(tf.reduce_mean(scored))

    best = score(1 / 3)
    for other in (score(0.0), score(0.1), score(0.6), score(1.0), score(1.0, 1 / 3)):
        assert other > best + 0.01


def test_the_energy_score_is_added_to_the_adversarial_loss_of_fresh_noise(pictures):
    x = tf.constant(pictures)
    plain, scored = (
        building.build(
            dataclasses.replace(CASES["inpainting"], energy_score=weight), SHAPE, train_images=240
        )
        for weight in (0.0, 0.5)
    )
    c = known(x, plain._draw_masks(6, 0))
    fake = plain._generate(plain._draw_noise(6, priors.GENERATOR_NOISE), priors.OWN_MASKS, 0, c)
    logits = tf.constant([0.3, -1.0, 2.0])
    adversarial = plain._generator_loss(logits, fake, 0, c, x)
    assert float(adversarial) == pytest.approx(np.log1p(np.exp(-logits.numpy())).mean(), rel=1e-5)
    z = plain.prior.sample(6, priors.key(0, priors.SECOND_NOISE, 0))
    second = plain.generator([z, c])
    expected = adversarial + 0.5 * tf.reduce_mean(conditionals.energy_score(x, fake, second))
    assert float(scored._generator_loss(logits, fake, 0, c, x)) == pytest.approx(float(expected))
    assert keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(scored)
    ).energy_score == 0.5  # fmt: skip


# Training by a recipe -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(examples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    recipe = dataclasses.replace(CASES["inpainting"], steps=4)
    experiment.train(recipe, folder / "run", examples, folder / "model")
    return folder


def test_grids_show_what_is_known_the_draws_and_the_original(run, examples):
    from keras_gan import data

    picture = np.asarray(Image.open(run / "run/samples/step-0000004.png"))
    assert picture.shape == (10 * 9 - 1, (callbacks.DRAWS + 2) * 9 - 1)
    gan, _ = trained.load_run(run / "run")
    x, holes = data.load_split(examples, "validation", 10), masks.typical(SHAPE, 10)
    drawn = [gan.inpaint(x, holes, seed=seed) for seed in range(callbacks.DRAWS)]
    for row in range(10):
        cells = [picture[row * 9 : row * 9 + 8, i * 9 : i * 9 + 8] for i in range(7)]
        kept = holes[row, ..., 0] == 1
        assert (cells[0][~kept] == 128).all()
        for cell, expected in zip(cells[1:], [*drawn, x], strict=True):
            np.testing.assert_array_equal(cell, images.to_uint8(expected[row])[..., 0])
        np.testing.assert_array_equal(cells[0][kept], cells[-1][kept])


def test_the_probe_judges_completions_of_real_images(gan, pictures):
    c = gan.puzzles(pictures)
    assert 0 < c.reshape(6, 8, 8, 2)[..., 1].mean() < 1
    np.testing.assert_array_equal(c, gan.puzzles(pictures))
    assert not np.array_equal(c, gan.puzzles(pictures, seed=1))
    assert gan.logits_of_samples(np.arange(6), c).shape == (6,)


def test_an_encoder_of_it_is_refused(gan):
    with pytest.raises(UserError, match="received one of vectors"):
        encoders.build(gan, Encoder(units=(4,)))


# Exports ------------------------------------------------------------------------------------------


def test_the_export_completes_as_the_live_model_and_refuses_in_words(gan, pictures, tmp_path):
    folder = export.export(gan, tmp_path / "model")
    holes = draw_masks(6, 8, 8, priors.key(3, priors.KNOWN_PIXELS, 0)).numpy()
    live = gan.inpaint(pictures, holes, seed=9)
    inputs = {"images": pictures, "masks": holes, "seed": image_seeds(6, 9)}
    servable = Servable(folder)
    try:
        served = servable.run("inpaint", inputs)["images"]
        np.testing.assert_allclose(served, live, atol=1e-6)
        kept = np.broadcast_to(holes, served.shape) == 1
        np.testing.assert_array_equal(served[kept], pictures[kept])
        for change, message in (
            ({"images": pictures + 1}, r"Expected images in \[0, 1\]"),
            ({"images": pictures * np.nan}, r"Expected images in \[0, 1\]"),
            ({"masks": holes * 0.5}, "Expected masks of 0 and 1; received other values"),
            ({"masks": holes * np.float32(np.nan)}, "Expected masks of 0 and 1"),
            ({"seed": image_seeds(5, 9)}, "as many of each input"),
        ):
            with pytest.raises(ServingError, match=message):
                servable.run("inpaint", inputs | change)
        # The rest of it is an ordinary generator.
        sampled = servable.run("sample", {"seed": image_seeds(2, 0)})["images"]
        np.testing.assert_allclose(sampled, gan.sample(2, seed=0), atol=1e-6)
    finally:
        servable.close()
    loaded = exported.load_sampler(folder)
    assert loaded.inpaints
    np.testing.assert_allclose(loaded.inpaint(pictures, holes, seed=9), live, atol=1e-6)
    with pytest.raises(UserError, match="masks of 0 and 1"):
        loaded.inpaint(pictures, holes / 2, seed=9)


@pytest.mark.whole_export
def test_the_export_is_compared_with_the_live_model(gan, tmp_path, monkeypatch):
    from keras_gan.interfaces import Stopped

    generator = gan.average

    def other(*arguments):
        gan.average = gan.generator  # what answers after it was written
        return compare(*arguments)

    compare = export._compare
    monkeypatch.setattr(export, "_compare", other)
    gan.generator.weights[-1].assign(gan.generator.weights[-1] + 1.0)
    try:
        with pytest.raises(Stopped, match="equal the live model"):
            export.export(gan, tmp_path / "bad")
    finally:
        gan.generator.weights[-1].assign(gan.generator.weights[-1] - 1.0)
        gan.average = generator


# Numbers ------------------------------------------------------------------------------------------


def test_distances_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    left, right = rng.random((2, 5, 3, 4, 2))
    mask = (rng.random((3, 4, 1)) < 0.5).astype(np.float32)
    each = []
    for a, b in zip(left, right, strict=True):
        squares = [
            (a[i, j, k] - b[i, j, k]) ** 2
            for i in range(3)
            for j in range(4)
            for k in range(2)
            if not mask[i, j, 0]
        ]
        each.append(sum(squares) / len(squares))
    found = completion.distance(left, right, mask)
    assert found.mean == pytest.approx(np.mean(each))
    assert found.stderr == pytest.approx(np.std(each) / np.sqrt(5))


def test_the_nearest_fill_looks_at_known_pixels_alone():
    train = np.array([[0.0, 0.9], [1.0, 0.2]], np.float32).reshape(2, 1, 2, 1)
    x = np.array([[0.4, 0.2], [0.8, 0.9]], np.float32).reshape(2, 1, 2, 1)
    mask = np.array([1.0, 0.0], np.float32).reshape(1, 2, 1)
    filled = completion.nearest_fill(x, mask, train)
    np.testing.assert_allclose(filled.reshape(2, 2), [[0.4, 0.9], [0.8, 0.2]])


def test_pairs_are_of_one_class_and_of_two_images():
    labels = np.array([0, 1, 1, 0, 2, 1, 0, 0])
    other = completion.another_of_its_class(labels, seed=0)
    np.testing.assert_array_equal(labels[other], labels)
    assert [i for i, j in enumerate(other) if i == j] == [4]


def ten_classes():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(10, use_bias=False)]
    )


class Known:
    """Paints a constant that the seed decides."""

    def inpaint(self, images, masks, *, seed):
        return np.where(masks > 0, images, np.float32(seed / 10))


def test_judgement_against_a_numpy_twin(examples):
    from keras_gan import data

    x = data.load_split(examples, "test", 30).astype(np.float64)
    labels = data.load_labels(examples, "test", 30)
    classifier = ten_classes()
    mask = masks.named("right", SHAPE)
    rows = inpainting_evaluation.judge(
        Known(), examples, mask, images=30, draws=3, seed=2, classifier=classifier
    )
    hidden = x[:, :, 4:]
    assert rows["one draw"]["error"] == pytest.approx(((hidden - 0.2) ** 2).mean(), rel=1e-5)
    assert rows["one draw"]["apart"] == pytest.approx(0.01, rel=1e-4)
    assert rows["mean of 3 draws"]["error"] == pytest.approx(((hidden - 0.3) ** 2).mean(), rel=1e-5)
    assert rows["the originals"]["error"] == 0.0
    train = data.load_split(examples, "train").astype(np.float64)
    # Statistics keep the mean in float64 or float32; the split is the same.
    mean = ((hidden - train.mean(axis=0)[:, 4:]) ** 2).mean()
    assert rows["mean training image"]["error"] == pytest.approx(mean, rel=1e-4)
    nearest = [((train - one)[:, :, :4] ** 2).sum(axis=(1, 2, 3)).argmin() for one in x]
    assert rows["nearest training image"]["error"] == pytest.approx(
        ((hidden - train[nearest][:, :, 4:]) ** 2).mean(), rel=1e-5
    )
    for name, filled in (("the originals", None), ("one draw", 0.2)):
        shown = x.copy()
        shown[:, :, 4:] = shown[:, :, 4:] if filled is None else filled
        said = (shown.reshape(30, -1) @ classifier.weights[0].numpy()).argmax(axis=1)
        assert rows[name]["class"] == pytest.approx((said == labels).mean())
    assert set(rows["two originals of a class"]) == {"apart", "apart_stderr"}
    with pytest.raises(UserError, match="at least 2 draws"):
        inpainting_evaluation.judge(Known(), examples, mask, images=3, draws=1)


# The command --------------------------------------------------------------------------------------


def command(*arguments):
    return cli.run(inpaint.main, inpaint.FLAGS, "", ["inpaint", *map(str, arguments)])


def test_the_command_draws_rows_of_test_images(run, examples, tmp_path, capsys):
    from keras_gan import data

    out = tmp_path / "drawn.png"
    workdir = f"--workdir={run / 'run'}"
    flags = ["--mask=left", "--mask=box:2,2,4,4", "--n=3", "--draws=2", "--seed=7"]
    assert command(workdir, *flags, f"--out={out}") == 0
    picture = np.asarray(Image.open(out))
    assert picture.shape == (6 * 9 - 1, 4 * 9 - 1)
    gan, _ = trained.load_run(run / "run")
    x = data.load_split(examples, "test", 3)
    for place, text in enumerate(("left", "box:2,2,4,4")):  # whatever other masks are asked for
        for column, seed in enumerate((7, 8), start=1):
            drawn = gan.inpaint(x, masks.named(text, SHAPE), seed=seed)
            corner = (3 * 9 * place, 9 * column)
            found = picture[corner[0] : corner[0] + 8, corner[1] : corner[1] + 8]
            np.testing.assert_array_equal(found, images.to_uint8(drawn[0])[..., 0])
    again = tmp_path / "again.png"
    model = [f"--model={run / 'model'}", f"--examples={examples}"]
    assert command(*model, *flags, f"--out={again}") == 0
    other = np.asarray(Image.open(again)).astype(int)
    assert np.abs(other - picture).max() <= 1


def test_images_of_ones_own_and_a_mask_file(run, tmp_path):
    x = np.random.default_rng(1).integers(0, 256, (8, 8), np.uint8)
    Image.fromarray(x).save(tmp_path / "mine.png")
    hole = np.zeros((8, 8), np.uint8)
    hole[1:3, 4:7] = 255
    Image.fromarray(hole).save(tmp_path / "hole.png")
    out = tmp_path / "out.png"
    arguments = [f"--mask={tmp_path / 'hole.png'}", f"--images={tmp_path / 'mine.png'}"]
    assert command(f"--model={run / 'model'}", *arguments, "--draws=1", f"--out={out}") == 0
    known_part, drawn, original = (np.asarray(Image.open(out))[:, i : i + 8] for i in (0, 9, 18))
    np.testing.assert_array_equal(original, x)
    np.testing.assert_array_equal(drawn[hole == 0], x[hole == 0])
    assert (known_part[hole == 255] == 128).all()
    assert (drawn[hole == 255] != x[hole == 255]).any()


def test_images_without_a_class_leave_the_classes_out(run, tmp_path):
    from keras_gan import inpainting_evaluation, records

    rng = np.random.default_rng(0)
    for number in range(90):  # a third of them beside the folders of the two classes
        folder = tmp_path / "mine" / ("a", "b", "")[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(folder / f"{number}.png")
    options = Options(images=str(tmp_path / "mine"), validation="none", test="hash:0.3")
    checks = Checks(allow=("label_missing",))
    preprocess.preprocess(options, tmp_path / "examples", checks)
    assert records.DatasetInfo.read(tmp_path / "examples").classes == ("a", "b")
    assert not records.all_labelled(tmp_path / "examples")
    gan, _ = trained.load_run(run / "run")
    asked = {"images": 10, "draws": 2}
    mask = masks.named("left", SHAPE)
    rows = inpainting_evaluation.judge(gan, tmp_path / "examples", mask, **asked)
    assert rows["one draw"]["error"] > 0
    assert not any("class" in row for row in rows.values())


def test_a_test_split_without_classes_leaves_the_classes_out(run, tmp_path):
    from keras_gan import data, inpainting_evaluation, records

    rng = np.random.default_rng(0)
    for number in range(60):  # as Kaggle lays images out
        folder = tmp_path / "mine" / ("train/a", "train/b", "test")[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(folder / f"{number}.png")
    options = Options(images=str(tmp_path / "mine"), validation="none")
    preprocess.preprocess(options, tmp_path / "examples")
    assert records.all_labelled(tmp_path / "examples")
    assert sorted(data.load_labels(tmp_path / "examples", "train")) == [0] * 20 + [1] * 20
    with pytest.raises(UserError, match=r"label for each image of test in .* received 7 of 7 with"):
        data.load_labels(tmp_path / "examples", "test", 7)
    gan, _ = trained.load_run(run / "run")
    mask = masks.named("left", SHAPE)
    rows = inpainting_evaluation.judge(gan, tmp_path / "examples", mask, images=10, draws=2)
    assert not any("class" in row for row in rows.values())


def test_the_command_measures(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(inpainting_evaluation, "load_classifier", lambda examples: ten_classes())
    out = tmp_path / "rows.json"
    arguments = ["--mask=top", "--measure=20", "--draws=2", f"--measure_out={out}"]
    assert command(f"--workdir={run / 'run'}", *arguments, f"--out={tmp_path / 'p.png'}") == 0
    text = capsys.readouterr().out
    assert "top: 32 of 64 pixels missing, test images" in text
    rows = json.loads(out.read_text())["top"]
    line = next(line for line in text.splitlines() if line.startswith("one draw"))
    assert f"{rows['one draw']['error']:.4f} +- {rows['one draw']['error_stderr']:.4f}" in line
    assert f"{rows['one draw']['apart']:.4f}" in line
    assert f"{rows['one draw']['class']:.2%}" in line


@pytest.fixture(scope="module")
def plain_model(tmp_path_factory):
    return export.export(toy_gan(), tmp_path_factory.mktemp("plain") / "model")


def test_what_the_command_refuses(run, plain_model, tmp_path, capsys):
    model, out = f"--model={run / 'model'}", f"--out={tmp_path / 'out.png'}"
    Image.new("L", (9, 8)).save(tmp_path / "wide.png")
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "grey.png")
    Image.new("L", (8, 8)).save(tmp_path / "black.png")
    (tmp_path / "text.png").write_text("no picture")
    mine = f"--images={tmp_path / 'grey.png'}"
    two_by_two = f"--images={tmp_path / 'wide.png'}"
    cases = [
        ([model, mine, f"--mask={tmp_path / 'wide.png'}"], "mask of the images' size, 8x8 pixels"),
        ([model, mine, f"--mask={tmp_path / 'grey.png'}"], "mask of two values"),
        ([model, mine, f"--mask={tmp_path / 'black.png'}"], "something to paint"),
        ([model, mine, f"--mask={tmp_path / 'text.png'}"], "to be a picture; received"),
        ([model, mine, f"--mask={tmp_path / 'none.png'}"], "No such file"),
        ([model, mine, "--mask=middle"], "Expected --mask to be left, right"),
        ([model, mine, "--mask=box:1,2,3"], "four whole numbers"),
        ([model, mine, "--mask=box:4,4,5,1"], "inside 8x8 pixels"),
        ([model, mine, "--mask=box:0,0,0,1"], "at least one pixel"),
        ([model, two_by_two], "which is of 9x8 pixels, not 8x8"),
        ([f"--model={plain_model}", mine], "model that completes images; received"),
        ([], "either --model or --workdir"),
        ([model, "--measure=5", "--draws=1"], "at least --draws=2"),
        ([model, "--measure=5", "--split=train"], "that the model did not learn from"),
        ([model, "--measure_out=x.json"], "--measure_out with --measure"),
        ([model, "--examples_root=/nowhere"], "Expected"),
    ]
    for arguments, message in cases:
        assert command(*arguments, out) == 2, arguments
        error = capsys.readouterr().err
        assert message in error, (arguments, error)
        assert error.count("\n") == 1
    assert command(model, mine, f"--out={tmp_path / 'out.jpg'}") == 2
    with pytest.raises(UserError, match="model that completes images"):
        exported.load_sampler(plain_model).inpaint(np.zeros((1, 2, 2, 1)), np.zeros(1), seed=0)

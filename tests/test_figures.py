import json

import numpy as np
import pytest
from PIL import Image

from keras_gan import cli, data, experiment, figures, images, plots, toy
from tests.conformance.cases import CASES
from tests.conftest import write_examples

# Ways between two points of z space --------------------------------------------------------------


def test_lerp_literal_values():
    way = plots.lerp(np.array([0.0, 4.0]), np.array([2.0, 0.0]), np.array([0.0, 0.25, 1.0]))
    np.testing.assert_allclose(way, [[0, 4], [0.5, 3], [2, 0]])
    assert way.dtype == np.float32


def test_slerp_literal_values():
    shares = np.array([0.0, 1 / 3, 0.5, 1.0])
    way = plots.slerp(np.array([1.0, 0.0]), np.array([0.0, 1.0]), shares)
    half = np.sqrt(0.5)
    expected = [[1, 0], [np.sqrt(0.75), 0.5], [half, half], [0, 1]]
    np.testing.assert_allclose(way, expected, atol=1e-6)
    assert way.dtype == np.float32
    # Lengths 1 and 3: 2 in the middle.
    longer = plots.slerp(np.array([1.0, 0.0]), np.array([0.0, 3.0]), np.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(longer, [[1, 0], [2 * half, 2 * half], [0, 3]], atol=1e-6)


def test_slerp_keeps_the_length_and_lerp_does_not():
    ends = np.random.default_rng(0).normal(size=(2, 50)).astype(np.float32)
    ends *= 7 / np.linalg.norm(ends, axis=1, keepdims=True)
    shares = np.linspace(0, 1, 9)
    arc, line = plots.slerp(*ends, shares), plots.lerp(*ends, shares)
    np.testing.assert_allclose(np.linalg.norm(arc, axis=1), 7, rtol=1e-5)
    assert np.linalg.norm(line, axis=1).min() < 5.8
    for way in (arc, line):
        np.testing.assert_allclose(way[[0, -1]], ends, atol=1e-5)
    turns = (arc[1:] * arc[:-1]).sum(axis=1) / 49
    assert np.ptp(turns) < 1e-4  # even steps


def test_slerp_between_one_point_and_itself():
    point = np.array([0.3, -2.0, 0.7], np.float32)
    way = plots.slerp(point, point, np.linspace(0, 1, 5))
    np.testing.assert_allclose(way, np.tile(point, (5, 1)), rtol=1e-6)
    twice = plots.slerp(point, 2 * point, np.array([0.5]))
    np.testing.assert_allclose(twice, 1.5 * point[None], rtol=1e-5)


@pytest.mark.parametrize("factor", [-1.0, -1.0001, -2.0])
def test_slerp_between_opposite_points_stays_between_their_lengths(factor):
    """There is no shortest arc; whatever is drawn must not leave the sphere."""
    first = np.random.default_rng(0).normal(size=20).astype(np.float32)
    last = (factor * first).astype(np.float32)
    way = plots.slerp(first, last, np.linspace(0, 1, 7))
    assert np.isfinite(way).all()
    np.testing.assert_allclose(way[[0, -1]], [first, last], atol=1e-4)
    lengths = np.linalg.norm(way, axis=1) / np.linalg.norm(first)
    assert lengths.max() <= -factor * 1.001


# Figures 2 and 3 ---------------------------------------------------------------------------------


class Fake:
    """Draws images and vectors from a table, and remembers which vectors it was given."""

    def __init__(self, shape=(4, 3, 1)):
        self.image_shape = shape

    def sample(self, n, *, seed):
        return np.random.default_rng(seed).random((n, *self.image_shape)).astype(np.float32)

    def noise(self, n, *, seed):
        return np.random.default_rng(seed + 100).normal(size=(n, 5)).astype(np.float32)

    def generate(self, z):
        self.z = z
        return np.ones((len(z), *self.image_shape), np.float32) * z[:, 0, None, None, None]


def tile(canvas, row, column, shape):
    top, left = row * (shape[0] + 1), column * (shape[1] + 1)
    return canvas[top : top + shape[0], left : left + shape[1]]


@pytest.mark.parametrize("shape", [(4, 3, 1), (5, 5, 3)])
def test_figure_2_ends_with_the_training_image_nearest_to_the_one_beside_it(shape):
    rng = np.random.default_rng(9)
    train = (rng.integers(0, 256, (70, *shape)) / 255).astype(np.float32)
    sampler = Fake(shape)
    canvas = plots.figure_2(sampler, train, seed=3, rows=4, columns=3)
    assert canvas.dtype == np.uint8
    assert canvas.shape == (4 * (shape[0] + 1) - 1, 4 * (shape[1] + 1) - 2 + plots.GAP, shape[2])
    samples = sampler.sample(12, seed=3)
    nearest = []
    for row in range(4):
        for column in range(3):
            np.testing.assert_array_equal(
                tile(canvas, row, column, shape), images.to_uint8(samples[3 * row + column])
            )
        beside = samples[3 * row + 2]
        distances = [np.square(image - beside).sum() for image in train]
        nearest.append(int(np.argmin(distances)))
        np.testing.assert_array_equal(
            tile(canvas[:, plots.GAP - 1 :], row, 3, shape), images.to_uint8(train[nearest[-1]])
        )
    assert len(set(nearest)) > 1


@pytest.mark.parametrize("spherical", [False, True])
def test_figure_3_goes_from_draw_to_draw(spherical):
    sampler = Fake()
    canvas = plots.figure_3(sampler, seed=2, rows=3, columns=7, spherical=spherical)
    assert canvas.dtype == np.uint8
    assert canvas.shape == (3 * 5 - 1, 7 * 4 - 1, 1)
    z, ends = sampler.z.reshape(3, 7, 5), sampler.noise(6, seed=2).reshape(3, 2, 5)
    np.testing.assert_allclose(z[:, [0, -1]], ends, atol=1e-5)
    middle = ends.mean(axis=1)
    if spherical:
        lengths = np.linalg.norm(ends, axis=2).mean(axis=1)
        np.testing.assert_allclose(np.linalg.norm(z[:, 3], axis=1), lengths, rtol=1e-4)
        assert not np.allclose(z[:, 3], middle, atol=0.01)
    else:
        np.testing.assert_allclose(z[:, 3], middle, atol=1e-6)
    expected = images.to_uint8(z[1, 2, :1])[0]
    assert (tile(canvas, 1, 2, (4, 3)) == expected).all()


def test_the_figures_usual_shapes():
    train = np.zeros((3, 4, 3, 1), np.float32)
    assert plots.figure_2(Fake(), train).shape == (5 * 5 - 1, 6 * 4 - 2 + plots.GAP, 1)
    assert plots.figure_3(Fake()).shape == (6 * 5 - 1, 12 * 4 - 1, 1)


# Figure 1 ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def moment():
    """x = z / 2 + 1, so that p_g is uniform on 1 +- sqrt(3) / 2; D is 1/2 everywhere."""
    discriminator = toy.network(1, 1, units=3, depth=1, seed=0)
    discriminator.set_weights([0 * weight for weight in discriminator.get_weights()])
    generator = toy.affine_generator(1.0, 0.5, 1)
    game = toy.Game(plots.DATA, generator, discriminator, prior="uniform")
    return plots.look(game.gan, "a title")


def test_a_moment_in_closed_form(moment):
    assert moment.title == "a title"
    assert len(moment.x) == 350
    np.testing.assert_allclose(moment.x[[0, -1]], [-3.49, 3.49])
    inside = np.abs(moment.x - 1) < 0.866 - 0.15
    outside = np.abs(moment.x - 1) > 0.866 + 0.15
    np.testing.assert_allclose(moment.generated[inside], 1 / 3**0.5, rtol=0.01)
    assert not moment.generated[outside].any()
    assert moment.generated.sum() * 0.02 == pytest.approx(1, abs=1e-3)
    density = np.exp(-((moment.x - 1) ** 2) / 0.72) / (0.6 * (2 * np.pi) ** 0.5)
    np.testing.assert_allclose(moment.data, density)
    np.testing.assert_allclose(moment.best, density / (density + moment.generated))
    np.testing.assert_allclose(moment.discriminator, 0.5)
    np.testing.assert_allclose(moment.arrows, moment.latent / 2 + 1, atol=1e-6)
    np.testing.assert_allclose(moment.latent[[0, 12, 24]], [-(3**0.5), 0, 3**0.5], atol=1e-9)


def test_what_a_moment_says_of_itself(moment):
    total = moment.data + moment.generated
    seen = total > 0.1 * total.max()
    assert moment.deviation == pytest.approx(np.abs(0.5 - moment.best)[seen].max())
    assert moment.deviation == pytest.approx(0.5)  # where p_g ends
    p, q = (np.maximum(d / d.sum(), 1e-300) for d in (moment.data, moment.generated))
    middle = (p + q) / 2
    expected = ((p * np.log(p / middle)).sum() + (q * np.log(q / middle)).sum()) / 2
    assert moment.divergence == pytest.approx(expected)
    assert 0 < moment.divergence < np.log(2)


def test_moments_are_drawn_as_pixels(moment):
    one = plots.draw_moments([moment], width=2.0, height=1.5)
    assert one.dtype == np.uint8
    assert one.shape == (165, 220, 3)
    assert len(np.unique(one.reshape(-1, 3), axis=0)) > 10
    two = plots.draw_moments([moment, moment], width=2.0, height=1.5)
    assert two.shape == (165, 440, 3)


def test_the_order_of_figure_1(monkeypatch):
    """D trains alone before (b), G alone before (c); the rates fall only at the end."""
    moves = []
    monkeypatch.setattr(
        toy.Game, "play", lambda self, rounds, move="both": moves.append((move, rounds))
    )
    monkeypatch.setattr(toy.Game, "slow_down", lambda self, factor: moves.append(factor))
    monkeypatch.setattr(plots, "look", lambda gan, title: title)
    reached = {}
    for panel, title in plots.play_figure_1(seed=0):
        if panel:
            reached[panel] = list(moves)
            assert title == plots.PANELS[panel]
            moves.clear()
    assert list(reached) == list(plots.PANELS) == ["a", "b", "c", "d"]
    assert {move for move, _ in reached["a"]} == {"both"}
    assert {move for move, _ in reached["b"]} == {"discriminator"}
    assert {move for move, _ in reached["c"]} == {"generator"}
    assert np.prod([move for move in reached["d"] if isinstance(move, float)]) == pytest.approx(
        0.02
    )


# The command -------------------------------------------------------------------------------------


@pytest.fixture
def short_game(moment, monkeypatch):
    """Figure 1 without its game."""

    def play(seed):
        yield "", moment
        for panel in plots.PANELS:
            yield panel, moment

    monkeypatch.setattr(plots, "play_figure_1", play)


def run(*arguments):
    return cli.run(figures.main, figures.FLAGS, figures.__doc__, ["figures", *arguments])


@pytest.fixture(scope="module")
def trained(examples, tmp_path_factory):
    root = tmp_path_factory.mktemp("figures")
    recipe = CASES["no_average"]
    experiment.train(recipe, root / "work", examples, root / "export")
    return root


FIGURE_1 = {"figure1.png", "figure1.gif", "figures.json"}
ALL = FIGURE_1 | {"figure2.png", "figure3.png", "figure3_spherical.png"}


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_without_a_model_only_figure_1(short_game, tmp_path, capsys, moment):
    assert run(f"--out={tmp_path / 'out'}") == 0
    assert names(tmp_path / "out") == FIGURE_1
    numbers = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert list(numbers) == ["1"]
    assert list(numbers["1"]) == ["a", "b", "c", "d"]
    assert numbers["1"]["d"] == {
        "jsd": pytest.approx(moment.divergence),
        "deviation_from_best_d": pytest.approx(moment.deviation),
    }
    with Image.open(tmp_path / "out" / "figure1.gif") as movie:
        assert movie.format == "GIF"
        assert movie.size == (462, 352)
    with Image.open(tmp_path / "out" / "figure1.png") as picture:
        assert picture.size == (1408, 330)
    assert "need --model or --workdir" in capsys.readouterr().out


def test_of_an_export(short_game, trained, examples, tmp_path, capsys):
    arguments = [f"--model={trained / 'export'}", f"--examples={examples}", "--n=150"]
    assert run(f"--out={tmp_path}", *arguments) == 0
    assert names(tmp_path) == ALL
    text = capsys.readouterr().out
    assert "150 samples" in text
    assert "40 held-out images" in text
    numbers = json.loads((tmp_path / "figures.json").read_text())
    assert set(numbers["2"]) == {
        "nearer", "by_chance", "stderr", "score", "samples", "held_out", "at_most_copied",
    }  # fmt: skip
    assert f"{numbers['2']['score']:.3f}" in text
    with Image.open(tmp_path / "figure2.png") as picture:
        assert (picture.mode, picture.size) == ("L", (6 * 9 - 2 + plots.GAP, 5 * 9 - 1))
        last = np.asarray(picture)[:8, 44 + plots.GAP : 52 + plots.GAP]
    train = images.to_uint8(data.load_split(examples, "train"))[..., 0]
    assert (train == last).all(axis=(1, 2)).any()


def test_of_a_work_directory_whose_data_are_found(short_game, trained, tmp_path):
    assert run(f"--out={tmp_path}", f"--workdir={trained / 'work'}", "--n=100") == 0
    assert names(tmp_path) == ALL
    assert json.loads((tmp_path / "figures.json").read_text())["2"]["held_out"] > 0


def test_without_validation_images_there_is_no_copying_score(short_game, trained, tmp_path):
    folder = write_examples(tmp_path / "bare", {"train": 20})
    arguments = [f"--model={trained / 'export'}", f"--examples={folder}"]
    assert run(f"--out={tmp_path / 'out'}", *arguments) == 0
    assert names(tmp_path / "out") == ALL
    assert json.loads((tmp_path / "out" / "figures.json").read_text())["2"] == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model=a", "--workdir=b"], "either --model or --workdir"),
        (["--model=no/such/model"], "Expected an export"),
        (["--workdir=no/such/run"], "Expected a work directory"),
        (["--n=99"], "flag --n=99"),
        (["--seed=-1"], "flag --seed=-1"),
        (["--modle=x"], "Did you mean: model"),
        (["--out=/dev/null/x"], "can be written"),
    ],
)
def test_bad_input_leaves_nothing(arguments, message, short_game, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err
    assert not names(tmp_path)


def test_data_of_another_shape_are_refused(short_game, trained, tmp_path, capsys):
    folder = write_examples(tmp_path / "wide", {"train": 9}, shape=(8, 12, 1))
    arguments = [f"--model={trained / 'export'}", f"--examples={folder}"]
    assert run(f"--out={tmp_path / 'out'}", *arguments) == 2
    assert "(8, 8, 1); received" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_interruption_leaves_nothing_half_written(moment, tmp_path, monkeypatch):
    def play(seed):
        yield "a", moment
        raise KeyboardInterrupt

    monkeypatch.setattr(plots, "play_figure_1", play)
    assert run(f"--out={tmp_path / 'out'}") == 130
    assert not (tmp_path / "out").exists()

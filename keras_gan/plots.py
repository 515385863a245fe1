"""The paper's figures as arrays of pixels: no files, no flags."""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from keras_gan import densities, images, toy
from keras_gan.gan import GAN
from keras_gan.interfaces import LatentSampler, Sampler
from keras_gan.metrics import neighbours

# Figure 1: p_data, and where x, p_g and D are drawn.
DATA = densities.gaussian(1.0, 0.6)
EDGE = 3.5
CELLS = 350
GAP = 6  # pixels between two pictures
PANELS = {
    "a": "(a) near convergence",
    "b": "(b) D trained to D*",
    "c": "(c) G moved along D's gradient",
    "d": "(d) at rest",
}


@dataclasses.dataclass(frozen=True)
class Moment:
    """The one-dimensional game at one moment.

    Args:
        title: what has just happened.
        x: the points, float64 [n].
        data: p_data there.
        generated: p_g there, a histogram of many samples, smoothed over a tenth.
        discriminator: D there.
        best: D* there, of the true p_data and the histogram.
        latent: some z, evenly spaced, float64 [m].
        arrows: G of these.
    """

    title: str
    x: np.ndarray
    data: np.ndarray
    generated: np.ndarray
    discriminator: np.ndarray
    best: np.ndarray
    latent: np.ndarray
    arrows: np.ndarray

    @property
    def divergence(self) -> float:
        """Jensen-Shannon divergence between p_data and p_g, in nats."""
        masses = [density / density.sum() for density in (self.data, self.generated)]
        return densities.jensen_shannon(*masses)

    @property
    def deviation(self) -> float:
        """Largest |D - D*| where p_data + p_g is at least a tenth of its peak."""
        total = self.data + self.generated
        seen = total > 0.1 * total.max()
        return float(np.abs(self.discriminator - self.best)[seen].max())


def play_figure_1(seed: int = 0) -> Iterator[tuple[str, Moment]]:
    """Play the game of Figure 1, truly, from random weights to the end.

    Args:
        seed: of weights, noise and data.

    Yields:
        (panel that has just been reached, else an empty word; the moment).
    """
    game = toy.Game(
        DATA,
        toy.network(1, 1, units=32, depth=2, seed=seed, activation="gelu"),
        toy.network(1, 1, units=32, depth=2, seed=seed + 1, activation="gelu"),
        d_rate=1e-2,
        g_rate=1e-3,
        prior="uniform",
        d_steps=3,
        batch_size=1000,
        seed=seed,
    )
    gan = game.gan
    yield "", look(gan, "at the start")
    for _ in range(12):
        game.play(10)
        yield "", look(gan, "both learn")
    yield "a", look(gan, PANELS["a"])
    for _ in range(8):
        game.play(200, "discriminator")
        yield "", look(gan, "D learns")
    yield "b", look(gan, PANELS["b"])
    for _ in range(3):
        game.play(1, "generator")
        yield "", look(gan, "G learns")
    yield "c", look(gan, PANELS["c"])
    for _ in range(30):
        game.play(200)
        # Rates that fall to a fiftieth, so that the two come to rest.
        game.slow_down(0.02 ** (1 / 30))
        yield "", look(gan, "both learn")
    yield "d", look(gan, PANELS["d"])


def look(gan: GAN, title: str) -> Moment:
    """See where a one-dimensional game stands."""
    edges = np.linspace(-EDGE, EDGE, CELLS + 1)
    x = (edges[:-1] + edges[1:]) / 2
    limit = math.sqrt(3.0)
    z = np.linspace(-limit, limit, 100_001, dtype=np.float32)[:, None]
    made = gan.generate(z)[:, 0]
    counts, _ = np.histogram(made, bins=edges)
    generated = counts / len(made) / (edges[1] - edges[0])
    # A straight G makes cells of few samples ragged: smooth over a tenth.
    window = np.hanning(13) / np.hanning(13).sum()
    generated = np.convolve(generated, window, mode="same")
    data = DATA.density(x[:, None])
    logits = gan.discriminate(x[:, None].astype(np.float32)).astype(np.float64)
    latent = np.linspace(-limit, limit, 25)
    return Moment(
        title,
        x,
        data,
        generated,
        1.0 / (1.0 + np.exp(-logits)),
        densities.optimal_discriminator(data, generated),
        latent,
        gan.generate(latent[:, None].astype(np.float32))[:, 0],
    )


def draw_moments(moments: list[Moment], *, width: float, height: float) -> np.ndarray:
    """Draw moments of the one-dimensional game side by side: uint8 [H, W, 3].

    Args:
        moments: what to draw.
        width: inches of each.
        height: inches of all.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * len(moments), height), dpi=110, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for axes, moment in zip(np.atleast_1d(figure.subplots(1, len(moments))), moments, strict=True):
        axes.plot(moment.x, moment.data, ":", color="black", label="p_data")
        axes.plot(moment.x, moment.generated, "-", color="tab:green", label="p_g")
        axes.plot(moment.x, moment.discriminator, "--", color="tab:blue", label="D")
        axes.plot(moment.x, moment.best, "-", color="tab:blue", alpha=0.3, linewidth=3, label="D*")
        axes.hlines([-0.25, -0.75], -EDGE, EDGE, color="black", linewidth=0.8)
        for z, x in zip(moment.latent, moment.arrows, strict=True):
            axes.annotate(
                "",
                (x, -0.25),
                (z, -0.75),
                arrowprops={"arrowstyle": "->", "linewidth": 0.6},
                annotation_clip=False,
            )
        axes.text(EDGE, -0.25, " x", va="center")
        axes.text(EDGE, -0.75, " z", va="center")
        axes.set(xlim=(-EDGE, EDGE), ylim=(-0.8, 1.3), yticks=[0, 0.5, 1], xticks=[])
        axes.set_title(moment.title, fontsize=10)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
    figure.axes[0].legend(loc="upper left", fontsize=8, frameon=False)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def figure_2(
    sampler: Sampler, train: np.ndarray, *, seed: int = 0, rows: int = 5, columns: int = 5
) -> np.ndarray:
    """Draw samples at random; the last column is the training image nearest to the one beside it.

    Args:
        sampler: makes the samples.
        train: the images that it was trained on, float32 [n, H, W, C] in [0, 1].
        seed: of the samples.
        rows: of the grid.
        columns: of samples, without the last column.

    Returns:
        uint8 [H', W', C].
    """
    samples = sampler.sample(rows * columns, seed=seed)
    table = samples.reshape(rows, columns, *samples.shape[1:])
    _, indices = neighbours.nearest(table[:, -1], train)
    return beside(images.grid(samples, columns), images.grid(train[indices], 1))


def beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Put two pictures of one height, uint8 [H, W, C], beside each other."""
    gap = np.full((len(left), GAP, left.shape[2]), images.WHITE, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def figure_3(
    sampler: LatentSampler,
    *,
    seed: int = 0,
    rows: int = 6,
    columns: int = 12,
    spherical: bool = False,
) -> np.ndarray:
    """Draw what lies between points of z space, a row for each pair of points.

    Args:
        sampler: makes images of latent vectors.
        seed: of the points.
        rows: pairs of points.
        columns: images from one to the other.
        spherical: whether to go along an arc. A straight line between draws from a Gaussian passes
            near 0, where in many dimensions no draw ever lies (White 2016).

    Returns:
        uint8 [H', W', C].
    """
    ends = sampler.noise(2 * rows, seed=seed).reshape(rows, 2, -1)
    line = np.linspace(0.0, 1.0, columns)
    between = slerp if spherical else lerp
    z = np.concatenate([between(first, last, line) for first, last in ends])
    classes = getattr(sampler, "num_classes", None)
    if classes:  # a row stays in one class
        labels = np.repeat(np.arange(rows) % classes, columns)
        return images.grid(sampler.generate(z, labels), columns)
    return images.grid(sampler.generate(z), columns)


def lerp(first: np.ndarray, last: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Go straight from one vector [d] to another: float32 [len(shares), d]."""
    shares = shares[:, None]
    return ((1 - shares) * first + shares * last).astype(np.float32)


def slerp(first: np.ndarray, last: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Go along an arc from one vector [d] to another: float32 [len(shares), d].

    The length changes evenly, too, from the one's to the other's.
    """
    lengths = np.linalg.norm(first), np.linalg.norm(last)
    cosine = float(first @ last) / max(float(lengths[0] * lengths[1]), 1e-30)
    if abs(cosine) > 1.0 - 1e-6 or min(lengths) == 0:
        return lerp(first, last, shares)  # no arc, or no one arc
    angle = math.acos(cosine)
    directions = first / lengths[0], last / lengths[1]
    shares = shares[:, None]
    turned = np.sin((1 - shares) * angle) * directions[0] + np.sin(shares * angle) * directions[1]
    length = (1 - shares) * lengths[0] + shares * lengths[1]
    return (length * turned / math.sin(angle)).astype(np.float32)

"""Charts as SVG that sits in a page: text stays text, and colours are the page's.

Every chart has the same frame, so that one cursor fits all of them.
"""

import dataclasses
import html
import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_gan.history import Histogram

WIDTH, HEIGHT = 420, 236  # of the whole, in pixels
LEFT, RIGHT, TOP, BOTTOM = 52, 408, 10, 206  # of the frame in it
COLOURS = 8  # that the page has
BARS = 48
MIDDLE = (0.1, 0.5, 0.9)  # quantiles of a band

# Matplotlib draws with colours; the page has names for them, one set light and one dark.
_VARIABLES = {f"#0102{i:02x}": f"var(--series-{i})" for i in range(COLOURS)} | {
    "#010301": "var(--ink-soft)",
    "#010302": "var(--line)",
    "#010303": "var(--rule)",
}
_SERIES, (_INK, _LINE, _RULE) = list(_VARIABLES)[:COLOURS], list(_VARIABLES)[COLOURS:]
_DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)))  # after the colours come round again


@dataclasses.dataclass(frozen=True)
class Line:
    """One curve.

    Args:
        label: what it is called.
        steps: [n].
        values: [n].
        colour: its number.
        band: lower and upper [n] of the area around it, if it has one.
    """

    label: str
    steps: np.ndarray
    values: np.ndarray
    colour: int
    band: tuple[np.ndarray, np.ndarray] | None = None


@dataclasses.dataclass(frozen=True)
class Chart:
    """What a page shows.

    Args:
        title: of the chart.
        svg: the drawing.
        keys: (number of the colour, label) of each line.
        note: what else to say.
    """

    title: str
    svg: str
    keys: tuple[tuple[int, str], ...]
    note: str = ""


def draw_lines(
    name: str,
    title: str,
    lines: Sequence[Line],
    *,
    last_step: int,
    rule: float | None = None,
    note: str = "",
    log: bool = False,
    limits: tuple[float, float | None] | None = None,
) -> Chart:
    """Draw curves over steps.

    Args:
        name: unique in the page.
        title: of the chart.
        lines: at least one.
        last_step: where the axis ends.
        rule: where to draw a level line.
        note: what to say under the chart, of the rule for example.
        log: whether the axis of values is logarithmic (if they are all above 0).
        limits: of that axis; what fits where they are None.
    """
    figure, axes = _frame()
    log = log and all((line.values[np.isfinite(line.values)] > 0).all() for line in lines)
    for line in lines:
        style = {
            "color": _SERIES[line.colour % COLOURS],
            "linestyle": _DASHES[line.colour // COLOURS % len(_DASHES)],
            "linewidth": 1.6,
        }
        few = len(line.steps) < 12
        axes.plot(line.steps, line.values, marker="o" if few else None, markersize=4, **style)
        if line.band:
            axes.fill_between(line.steps, *line.band, color=style["color"], alpha=0.18, linewidth=0)
    if rule is not None:
        axes.axhline(rule, color=_RULE, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    axes.set(xlim=(0, max(last_step, 1)), yscale="log" if log else "linear")
    if limits:
        axes.set_ylim(*limits)
    elif not log:
        axes.margins(y=0.08)
    _ticks(axes, log)
    said = "; ".join(_in_words(line) for line in lines)
    svg = _finish(figure, name, f"{title}. {said}. {note}".strip(), last_step=last_step)
    keys = tuple((line.colour, line.label) for line in lines)
    return Chart(title, svg, keys, note)


def draw_histograms(
    name: str, title: str, labels: Sequence[str], moments: Sequence[Sequence[Histogram]]
) -> tuple[Chart, list[list[str]]]:
    """Draw the histograms of the last moment, and the paths that show those of the others.

    Args:
        name: unique in the page.
        title: of the chart.
        labels: of the histograms of a moment.
        moments: a histogram for each label, moment after moment.

    Returns:
        The chart, and for each moment the `d` of each of its paths.
    """
    every = [each for moment in moments for each in moment]
    ends = np.array([quantiles(each, [0.01, 0.99]) for each in every])
    low, high = min(float(ends.min()), 0.0), max(float(ends.max()), 0.0)
    if low == high:
        low, high = low - 1, high + 1
    edges = np.linspace(low, high, BARS + 1)
    paths = [_outlines([rebin(each, edges) for each in moment]) for moment in moments]
    figure, axes = _frame()
    axes.set(xlim=(low, high), yticks=[])
    axes.axvline(0, color=_RULE, linewidth=1, linestyle=(0, (4, 3)))
    _ticks(axes, False, steps=False)
    drawn = "".join(
        f'<path class="histogram" d="{path}" style="fill: var(--series-{i}); '
        f'stroke: var(--series-{i})"/>'
        for i, path in enumerate(paths[-1])
    )
    note = "Heights: beside the tallest bar. Right of 0, D takes an image for real."
    svg = _finish(figure, name, f"{title}. {', '.join(labels)}. {note}", more=drawn)
    return Chart(title, svg, tuple(enumerate(labels)), note), paths


def quantiles(histogram: Histogram, shares: Sequence[float]) -> np.ndarray:
    """Estimate below which values these shares of a histogram lie: float64 [len(shares)]."""
    below = np.concatenate([[0.0], np.cumsum(histogram.counts)])
    if below[-1] <= 0:
        return np.zeros(len(shares))
    rising = np.concatenate([[True], histogram.counts > 0])  # flat parts have no one answer
    return np.interp(np.asarray(shares) * below[-1], below[rising], histogram.edges[rising])


def rebin(histogram: Histogram, edges: np.ndarray) -> np.ndarray:
    """Share a histogram's counts out among other bars: float64 [len(edges) - 1]."""
    left, right = histogram.edges[:-1], histogram.edges[1:]
    width = np.maximum(right - left, 1e-12)
    # [bars + 1, buckets]: how much of each bucket lies below each edge
    share = np.clip((edges[:, None] - left) / width, 0.0, 1.0)
    return np.diff(share @ histogram.counts)


def _outlines(heights: Sequence[np.ndarray]) -> list[str]:
    """Write the outline of each row of bars, all on the scale of the tallest."""
    tallest = max(max(float(each.max()) for each in heights), 1e-12)
    x = np.linspace(LEFT, RIGHT, BARS + 1)
    outlines = []
    for each in heights:
        y = BOTTOM - each / tallest * (BOTTOM - TOP) * 0.96
        steps = "".join(f"V{y[i]:.1f}H{x[i + 1]:.1f}" for i in range(BARS))
        outlines.append(f"M{LEFT},{BOTTOM}{steps}V{BOTTOM}Z")
    return outlines


def _frame() -> Any:
    """Make a figure with the one frame that all charts have."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=72)
    FigureCanvasSVG(figure)
    figure.patch.set_visible(False)
    axes = figure.add_axes(
        (
            LEFT / WIDTH,
            1 - BOTTOM / HEIGHT,
            (RIGHT - LEFT) / WIDTH,
            (BOTTOM - TOP) / HEIGHT,
        )
    )
    axes.patch.set_visible(False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_LINE)
    return figure, axes


def _ticks(axes: Any, log: bool, steps: bool = True) -> None:
    """Number the axes: few, round and short."""
    from matplotlib import ticker

    axes.grid(axis="y", color=_LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0, labelsize=12, labelcolor=_INK, color=_LINE, pad=5)
    axes.xaxis.set_major_locator(ticker.MaxNLocator(5, integer=steps))
    write = short if steps else plain
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: write(value)))
    if log:
        axes.yaxis.set_major_locator(ticker.LogLocator(numticks=5))
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: plain(value)))
        low, high = axes.get_ylim()
        if high / low < 100:  # hardly a power of ten in it
            axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
        axes.yaxis.set_minor_locator(ticker.NullLocator())
    elif len(axes.get_yticks()):
        axes.yaxis.set_major_locator(ticker.MaxNLocator(5))
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: plain(value)))


def short(number: float) -> str:
    """Write a number of steps shortly: 500, 2k, 1.5M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.4g}{letter}"
    return f"{number:.4g}"


def plain(number: float) -> str:
    """Write a number with as few digits as it needs, and a real minus sign."""
    return f"{number:.4g}".replace("-", "\N{MINUS SIGN}")


def _in_words(line: Line) -> str:
    """Say where a line goes, for who does not see it."""
    return (
        f"{line.label}: {line.values[0]:.3g} at step {line.steps[0]:,}, "
        f"{line.values[-1]:.3g} at step {line.steps[-1]:,}"
    )


def _finish(figure: Any, name: str, said: str, *, last_step: int = 0, more: str = "") -> str:
    """Turn a figure into SVG for a page.

    Args:
        figure: of `_frame`.
        name: put before every id, so that they are unique in the page.
        said: what it shows, in words.
        last_step: where the axis of steps ends; 0 if it has none, and no cursor.
        more: SVG that goes into it.
    """
    import matplotlib as mpl

    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    cursor = data = ""
    if last_step:
        data = f' class="over-steps" data-last="{last_step}"'
        cursor = f'<line class="cursor" x1="{RIGHT}" x2="{RIGHT}" y1="{TOP}" y2="{BOTTOM}"/>'
    return (
        f'<svg id="{name}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{html.escape(said)}"{data}>{_for_a_page(file.getvalue(), name)}'
        f"{more}{cursor}</svg>"
    )


def _for_a_page(text: str, name: str) -> str:
    """Take what is in an SVG file, without what would reach beyond it in a page."""
    text = text[text.index(">", text.index("<svg")) + 1 :].rpartition("</svg>")[0]
    # Its fonts and its rules for all elements are not the page's; its metadata name hosts.
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", text)
    text = re.sub(r" font-family: [^;\"]*;?| transform=\"rotate\(-?0 [^\"]*\"", "", text)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text.replace("xlink:href", "href"))
    text = re.sub(r'(?<= d=")[^"]*', lambda path: _shorter(path[0]), text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    return re.sub(r">\s+<", "><", text).strip()


def _shorter(path: str) -> str:
    """Round a path to tenths of a pixel."""
    path = " ".join(path.split())
    return re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.1f}", path)

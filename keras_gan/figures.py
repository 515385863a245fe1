"""Draw the figures of the paper: 1 from a game played anew, 2 and 3 from a generator of yours.

    python -m keras_gan.figures --out=figures
    python -m keras_gan.figures --out=figures --model=saved_models/mnist
    python -m keras_gan.figures --out=figures --workdir=runs/mnist

figure1.png and figure1.gif: the one-dimensional game in four panels, and from start to end.
figure2.png: samples drawn at random, with the nearest training image (squared L2) to the sample
beside it in the last column; whether 10,000 samples copy training images is printed.
figure3.png: along straight lines between points of z space; for a Gaussian prior
figure3_spherical.png, along arcs, too.
figures.json holds every number that is printed.
"""

import json
import pathlib
import sys
from typing import Any

from absl import flags, logging

from keras_gan import cli, files, images
from keras_gan.interfaces import UserError

FLAGS = flags.FlagValues()
flags.DEFINE_string("out", "figures", "Folder of the files.", flag_values=FLAGS)
flags.DEFINE_bool("game", True, "Play and draw Figure 1, which takes a minute.", flag_values=FLAGS)
flags.DEFINE_string("model", None, "An export, or a folder of versions.", flag_values=FLAGS)
flags.DEFINE_string("workdir", None, "A training run's work directory.", flag_values=FLAGS)
flags.DEFINE_string(
    "examples",
    None,
    "The data folder that it was trained on (default: found by what was recorded).",
    flag_values=FLAGS,
)
flags.DEFINE_string("examples_root", "data", "Where to look for it.", flag_values=FLAGS)
flags.DEFINE_integer(
    "n", 10000, "Samples for the copying score.", lower_bound=100, flag_values=FLAGS
)
flags.DEFINE_integer(
    "seed", 0, "Of everything random.", lower_bound=0, upper_bound=2**32 - 1, flag_values=FLAGS
)


def draw_figure_1(out: pathlib.Path, seed: int) -> dict[str, Any]:
    """Play and draw Figure 1; return each panel's numbers."""
    import numpy as np
    from PIL import Image

    from keras_gan import plots

    panels, frames = {}, []
    for panel, moment in plots.play_figure_1(seed):
        if panel:
            panels[panel] = moment
        frames.append(Image.fromarray(plots.draw_moments([moment], width=4.2, height=3.2)))
    moments = [panels[panel] for panel in plots.PANELS]
    images.write_png(out / "figure1.png", plots.draw_moments(moments, width=3.2, height=3.0))
    durations = np.full(len(frames), 120)
    durations[-1] = 3000
    # One palette, without dithering: a small file whose white stays white.
    small = [frame.quantize(64, dither=Image.Dither.NONE) for frame in frames]
    with files.replacing(out / "figure1.gif") as temporary:
        small[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=small[1:],
            duration=durations.tolist(),
            loop=0,
        )
    numbers = {}
    for panel, moment in panels.items():
        numbers[panel] = {"jsd": moment.divergence, "deviation_from_best_d": moment.deviation}
        print(  # noqa: T201
            f"Figure 1 {moment.title:<32} JSD {moment.divergence:.4f} nats, "
            f"max |D - D*| {moment.deviation:.3f}"
        )
    return numbers


def draw_figures_2_and_3(out: pathlib.Path, values: flags.FlagValues) -> dict[str, Any]:
    """Draw Figures 2 and 3 of a generator; return the copying score."""
    from keras_gan import data, evaluation, plots
    from keras_gan.metrics import neighbours

    sampler, gan, examples, prior = evaluation.load_subject(
        values.model, values.workdir, values.examples, values.examples_root
    )
    exported = getattr(sampler, "card", {}).get("recipe", {})
    if exported.get("scale") == "contrast":
        logging.warning(
            "Samples have an average image's contrast, the originals beside them their own. Try "
            "--workdir, which shows both alike."
        )
    as_drawn = gan.as_drawn if gan is not None else lambda real: real
    train = as_drawn(data.load_split(examples, "train"))
    images.write_png(out / "figure2.png", plots.figure_2(sampler, train, seed=values.seed))
    images.write_png(out / "figure3.png", plots.figure_3(sampler, seed=values.seed))
    if prior in ("normal", "spherical"):
        arcs = plots.figure_3(sampler, seed=values.seed, spherical=True)
        images.write_png(out / "figure3_spherical.png", arcs)
    try:
        held_out = as_drawn(data.load_split(examples, "validation"))
    except UserError:
        logging.warning("%s has no validation images: no copying score.", examples)
        return {}
    found = neighbours.copying(sampler.sample(values.n, seed=values.seed), train, held_out)
    print(  # noqa: T201
        f"Figure 2: {found.nearer:.1%} of {values.n} samples lie nearer to a training image than "
        f"to any held-out one\n  ({found.by_chance:.1%} +- {found.stderr:.1%} would by chance, "
        f"100% if all were copies). Median L2 distance to the nearest\n  training image: "
        f"{found.samples:.3f}; of {len(held_out)} held-out images {found.held_out:.3f}; score "
        f"{found.score:.3f} (0 for copies)"
    )
    return found._asdict() | {"at_most_copied": found.at_most_copied}


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    if values.model or values.workdir:
        cli.expect_one_of(values, "model", "workdir")
    out = pathlib.Path(values.out)
    cli.expect_writable(out)
    cli.import_tensorflow()
    numbers: dict[str, Any] = {}
    if values.model or values.workdir:
        numbers["2"] = draw_figures_2_and_3(out, values)
    else:
        print("Figures 2 and 3 need --model or --workdir.")  # noqa: T201
    if values.game:
        numbers["1"] = draw_figure_1(out, values.seed)
    with files.replacing(out / "figures.json") as temporary:
        temporary.write_text(json.dumps(numbers, indent=2, sort_keys=True) + "\n")
    print(f"Written to {out}")  # noqa: T201


def run() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "")


if __name__ == "__main__":
    sys.exit(run())

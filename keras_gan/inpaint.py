"""Complete images of which a part is missing, several times each.

    python -m keras_gan.inpaint --workdir=runs/mnist_inpainting --mask=left
    python -m keras_gan.inpaint --model=saved_models/mnist_inpainting --mask=box:7,7,14,14
    python -m keras_gan.inpaint --model=saved_models/mnist_inpainting --mask=hole.png --images=mine
    python -m keras_gan.inpaint --workdir=runs/mnist_inpainting --mask=top --measure=10000

A mask names what is MISSING and is painted anew: --mask=left hides the left half. In a mask file
white (255) is to be painted, black (0) is known. The picture has a row for each image: what is
known (the rest grey), the draws, and the original. --mask may be given several times.

--measure prints how many completions show the original's class, to a classifier trained on the real
images alone (a minute or two, once; kept beside the data folder); the squared error per missing
pixel; and how far two draws are apart. Beside it: the same of what needs no model.
"""

import json
import pathlib
import sys
from typing import Any

import numpy as np
from absl import flags

from keras_gan import cli, files, images, masks
from keras_gan.interfaces import UserError

FLAGS = flags.FlagValues()
flags.DEFINE_string("model", None, "An export, or a folder of versions.", flag_values=FLAGS)
flags.DEFINE_string("workdir", None, "A training run's work directory.", flag_values=FLAGS)
flags.DEFINE_string("checkpoint", "newest", cli.CHECKPOINT_HELP, flag_values=FLAGS)
flags.DEFINE_multi_string(
    "mask",
    ["left"],
    f"What is missing, and painted: {masks.HELP} of the images' size, white where it is missing. "
    "Any number of times.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "images",
    None,
    "An image file, or a folder of them, of the model's size (default: images of --split).",
    flag_values=FLAGS,
)
flags.DEFINE_enum(
    "split", "test", ["test", "validation", "train"], "Of the model's data.", flag_values=FLAGS
)
flags.DEFINE_string(
    "examples",
    None,
    "The data folder that it was trained on (default: found by what was recorded).",
    flag_values=FLAGS,
)
flags.DEFINE_string("examples_root", "data", "Where to look for it.", flag_values=FLAGS)
flags.DEFINE_integer("n", 10, "Images in the picture, at most.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("draws", 5, "Completions of each image.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer(
    "seed",
    0,
    "Of the first draw; the others are of those that follow.",
    lower_bound=0,
    upper_bound=2**32 - 1,
    flag_values=FLAGS,
)
flags.DEFINE_string("out", "inpainted.png", "The picture, a .png file.", flag_values=FLAGS)
flags.DEFINE_integer(
    "measure", 0, "Measure on so many images of --split; 0 for none.", lower_bound=0,
    flag_values=FLAGS,
)  # fmt: skip
flags.DEFINE_string("measure_out", None, "Write what was measured as JSON too.", flag_values=FLAGS)


def load(values: flags.FlagValues) -> tuple[Any, pathlib.Path | None]:
    """Load what completes images, and find its data, if these are needed.

    Raises:
        UserError: if it completes none.
    """
    from keras_gan import evaluation, exported, trained

    examples: pathlib.Path | None = None
    if values.images and not values.measure:
        if values.model:
            sampler: Any = exported.load_sampler(values.model)
        else:
            sampler, _ = trained.load_run(values.workdir, values.checkpoint)
    else:
        subject = evaluation.load_subject(
            values.model, values.workdir, values.examples, values.examples_root, values.checkpoint
        )
        sampler, examples = subject.sampler, subject.examples
    if not getattr(sampler, "inpaints", False):
        raise UserError(
            "Expected a model that completes images; received "
            f"{values.model or values.workdir}, which was not trained to. Try python -m "
            "keras_gan.train --recipe=mnist_inpainting, or --set inpainting=true."
        )
    return sampler, examples


def print_rows(title: str, rows: dict[str, dict[str, float]]) -> None:
    """Print what `inpainting_evaluation.judge` found."""
    print(f"\n{title}")  # noqa: T201
    print(f"{'':<26}{'shows its class':>19}{'error per pixel':>20}{'two draws apart':>20}")  # noqa: T201
    for name, row in rows.items():
        line = f"{name:<26}"
        shown = f"{row['class']:.2%} +- {row['class_stderr']:.2%}" if "class" in row else ""
        line += f"{shown:>19}"
        for key in ("error", "apart"):
            text = f"{row[key]:.4f} +- {row[f'{key}_stderr']:.4f}" if key in row else ""
            line += f"{text:>20}"
        print(line.rstrip())  # noqa: T201


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    cli.expect_one_of(values, "model", "workdir")
    cli.expect_checkpoint_of_a_run(values)
    if pathlib.Path(values.out).suffix != ".png":
        raise UserError(f"Expected --out to end in .png; received --out={values.out}.")
    if values.measure and values.draws < 2:
        raise UserError("Expected --measure with at least --draws=2; received --draws=1.")
    if values.measure_out and not values.measure:
        raise UserError("Expected --measure_out with --measure; received it alone.")
    if values.measure and values.split == "train":
        raise UserError(
            "Expected --measure on images that the model did not learn from; received "
            "--split=train. Try --split=test."
        )
    for out in (values.out, values.measure_out or values.out):
        cli.expect_writable(pathlib.Path(out).parent)
    cli.import_tensorflow()
    from keras_gan import conditionals, data, inpainting_evaluation

    sampler, examples = load(values)
    shape = tuple(sampler.image_shape)
    holes = {text: masks.named(text, shape) for text in values.mask}
    if values.images:
        x = images.read_images(values.images, shape, None)[: values.n]
    else:
        assert examples is not None
        x = data.load_split(examples, values.split, values.n)
    rows = [
        conditionals.cells(sampler, x, hole, draws=values.draws, seed=values.seed)
        for hole in holes.values()
    ]
    canvas = conditionals.picture(np.concatenate(rows))
    images.write_png(values.out, canvas)
    print(  # noqa: T201
        f"What is known of {len(x)} images, {values.draws} draws each, and the images, in "
        f"{values.out}"
    )
    if not values.measure:
        return
    assert examples is not None
    found = {}
    for text, hole in holes.items():
        found[text] = inpainting_evaluation.judge(
            sampler,
            examples,
            hole,
            images=values.measure,
            draws=values.draws,
            split=values.split,
            seed=values.seed,
        )
        missing = int((hole == 0).sum())
        title = f"{text}: {missing} of {hole.size} pixels missing, {values.split} images"
        print_rows(title, found[text])
    if values.measure_out:
        with files.replacing(pathlib.Path(values.measure_out)) as temporary:
            temporary.write_text(json.dumps(found, indent=2) + "\n")


def run() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "")


if __name__ == "__main__":
    sys.exit(run())

"""Draw images beside what the generator makes of the z that keras_gan.infer's network finds.

    python -m keras_gan.reconstruct --workdir=runs/mnist
    python -m keras_gan.reconstruct --workdir=runs/mnist --split=validation --refine=400
    python -m keras_gan.reconstruct --workdir=runs/mnist --images=photographs --out=mine.png

The rows of the picture are x, G(E(x)) and G(z) after --refine steps down the gradient of
|G(z) - x|^2 from E(x). Printed is the squared error per pixel of both, and of what needs no E.
"""

import pathlib
import sys
from typing import Any

import numpy as np
from absl import flags

from keras_gan import cli, images
from keras_gan.interfaces import UserError

FLAGS = flags.FlagValues()
flags.DEFINE_string("workdir", None, "A training run's work directory.", flag_values=FLAGS)
flags.DEFINE_string("checkpoint", "newest", cli.CHECKPOINT_HELP, flag_values=FLAGS)
flags.DEFINE_string(
    "inference",
    None,
    "The --out_workdir of keras_gan.infer (default: inference/ in the work directory, or the "
    "network that learnt beside the generator).",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "images",
    None,
    "An image file, or a folder of them (default: images of --split).",
    flag_values=FLAGS,
)
flags.DEFINE_list(
    "labels", None, "Of a conditional run: the class numbers of --images.", flag_values=FLAGS
)
flags.DEFINE_enum(
    "split", "test", ["test", "validation", "train"], "Of the run's data.", flag_values=FLAGS
)
flags.DEFINE_string(
    "examples",
    None,
    "The data folder that it was trained on (default: found by what was recorded).",
    flag_values=FLAGS,
)
flags.DEFINE_string("examples_root", "data", "Where to look for it.", flag_values=FLAGS)
flags.DEFINE_integer("n", 1000, "How many images of --split.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("columns", 16, "Images in the picture.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer(
    "refine", 200, "Gradients to take; 0 leaves this out.", lower_bound=0, flag_values=FLAGS
)
flags.DEFINE_integer(
    "samples", 10000, "Among which the nearest is found.", lower_bound=1, flag_values=FLAGS
)
flags.DEFINE_integer(
    "seed", 0, "Of these samples.", lower_bound=0, upper_bound=2**32 - 1, flag_values=FLAGS
)
flags.DEFINE_string("out", "reconstructions.png", "The picture, a .png file.", flag_values=FLAGS)


def choose(values: flags.FlagValues, gan: Any, examples: pathlib.Path) -> tuple[np.ndarray, Any]:
    """Return the images that the flags name, and their labels if the generator is told any."""
    from keras_gan import data

    if not values.images:
        x = data.load_split(examples, values.split, values.n)
        return x, data.load_labels(examples, values.split, values.n) if gan.condition else None
    x = images.read_images(values.images, gan.image_shape, "crop")
    if not values.labels:
        return x, None
    try:
        return x, np.array([int(text) for text in values.labels])
    except ValueError:
        raise UserError(
            f"Expected --labels of class numbers; received {','.join(values.labels)}."
        ) from None


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    if not values.workdir:
        raise UserError("Expected --workdir; received none. Try --workdir=runs/mnist.")
    if pathlib.Path(values.out).suffix != ".png":
        raise UserError(f"Expected --out to end in .png; received --out={values.out}.")
    if values.labels and not values.images:
        raise UserError("Expected --labels with --images; received --labels alone.")
    cli.expect_writable(pathlib.Path(values.out).parent)
    cli.import_tensorflow()
    from keras_gan import encoders, evaluation, records
    from keras_gan import workdir as workdirs
    from keras_gan.metrics import neighbours, recovery

    workdir = pathlib.Path(values.workdir)
    subject = evaluation.load_subject(
        None, values.workdir, values.examples, values.examples_root, values.checkpoint
    )
    gan, examples = subject.gan, subject.examples
    run = workdirs.read_run(workdir)
    assert gan is not None
    assert run is not None
    inference = encoders.find(gan, run["recipe"], run["data_hash"], workdir, values.inference)
    x, labels = choose(values, gan, examples)
    x = gan.as_drawn(x)
    z = inference.infer(x, labels)

    def made(z: np.ndarray) -> np.ndarray:
        return inference.generate(z, labels)

    rows = {"G(E(x))": made(z)}
    if values.refine:
        steps = f"{values.refine} steps down the gradient"
        refined = inference.refine(x, z, labels, steps=values.refine)
        rows[f"{steps} from E(x)"] = made(refined)
    picture = [x, *rows.values()]
    if values.refine:
        other = gan.noise(len(x), seed=values.seed)
        rows[f"{steps} from a random z"] = made(
            inference.refine(x, other, labels, steps=values.refine)
        )
    samples = gan.sample(values.samples, seed=values.seed)
    rows[f"the nearest of {values.samples} samples"] = samples[neighbours.nearest(x, samples)[1]]
    mean = records.read_statistics(examples)["pixel_mean"]
    rows["the mean training image"] = np.broadcast_to(gan.as_drawn(mean[None]), x.shape)
    print(f"{'squared error per pixel':>60}   {len(x)} images")  # noqa: T201
    for name, those in rows.items():
        error = recovery.squared_error(x, those)
        print(f"{name:<44}{error.mean:10.4f} +- {error.stderr:.4f}")  # noqa: T201
    shown = np.concatenate([each[: values.columns] for each in picture])
    columns = min(values.columns, len(x))
    images.write_png(values.out, images.grid(shown, columns))
    print(f"{columns} images, and what was made of them, in {values.out}")  # noqa: T201


def run() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "")


if __name__ == "__main__":
    sys.exit(run())

"""Draw images from an exported generator, a training run or a server.

    python -m keras_gan.sample --model=saved_models/mnist --n=64 --seed=0 --out=samples.png
    python -m keras_gan.sample --workdir=runs/mnist --out=samples.npz
    python -m keras_gan.sample --url=grpc://127.0.0.1:8500 --name=mnist --label=stable

Conditional models draw what is asked for; without --labels their classes in turn:

    python -m keras_gan.sample --model=saved_models/mnist_conditional --labels=3,1,4
    python -m keras_gan.sample --model=saved_models/mnist_conditional --label_grid

A .png is one grid; a .npz holds `images`, uint8 [n, H, W, C]. The same seed gives the same images,
wherever they come from.
"""

import pathlib
import sys
from typing import TYPE_CHECKING

import numpy as np
from absl import flags

from keras_gan import cli, files, images
from keras_gan.interfaces import UserError, class_rows

if TYPE_CHECKING:
    from keras_gan.exported import ExportedSampler
    from keras_gan.gan import GAN

FLAGS = flags.FlagValues()
flags.DEFINE_string("model", None, "An export, or a folder of versions.", flag_values=FLAGS)
flags.DEFINE_string("workdir", None, "A training run's work directory.", flag_values=FLAGS)
flags.DEFINE_string("checkpoint", "newest", cli.CHECKPOINT_HELP, flag_values=FLAGS)
flags.DEFINE_string(
    "url",
    None,
    "A server of TensorFlow Serving's protocols: grpc://HOST:8500, http://HOST:8501; grpcs:// and "
    "https:// with TLS.",
    flag_values=FLAGS,
)
flags.DEFINE_string("name", None, "The model's name on that server.", flag_values=FLAGS)
flags.DEFINE_integer(
    "version", None, "The version there (default: the newest).", lower_bound=1, flag_values=FLAGS
)
flags.DEFINE_string("label", None, "Or a version's label there: stable, canary.", flag_values=FLAGS)
flags.DEFINE_float(
    "timeout", 60.0, "Seconds to wait for that server.", lower_bound=0.0, flag_values=FLAGS
)
flags.DEFINE_string(
    "certificates", None, "PEM file of who signed that server's certificate.", flag_values=FLAGS
)
flags.DEFINE_integer(
    "n",
    None,
    "How many images (default: 64, or as many as --labels).",
    lower_bound=1,
    upper_bound=10**6,
    flag_values=FLAGS,
)
flags.DEFINE_list(
    "labels",
    None,
    "Of a conditional model: classes, by number or name, one for each image, again from the first "
    "if --n is larger.",
    flag_values=FLAGS,
)
flags.DEFINE_bool(
    "label_grid",
    False,
    "Of a conditional model: a row of ten images for each class.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "seed", 0, "Of the noise.", lower_bound=0, upper_bound=2**32 - 1, flag_values=FLAGS
)
flags.DEFINE_float(
    "truncation",
    1.0,
    "Above 0, at most 1: the central share of the prior to draw from; less is more typical and "
    "less various.",
    lower_bound=1e-6,
    upper_bound=1.0,
    flag_values=FLAGS,
)
flags.DEFINE_string("out", "samples.png", "A .png or .npz file.", flag_values=FLAGS)

IMAGES = 64
COLUMNS = 10  # of a grid of classes
OF_A_SERVER = ("name", "version", "label", "certificates", "timeout")


def draw(values: flags.FlagValues) -> np.ndarray:
    """Draw uint8 images [n, H, W, C] from what the flags name."""
    if values.url:
        from keras_gan.client import SamplerClient

        if not values.name:
            raise UserError("Expected --name with --url; received none. Try --name=mnist.")
        if values.label_grid:
            raise UserError(
                "Expected --labels with --url: a server does not tell its classes; received "
                "--label_grid. Try --labels=0,1,2."
            )
        n, labels = plan(values, None, [])
        with SamplerClient(
            values.url,
            values.name,
            version=values.version,
            label=values.label or "",
            timeout=values.timeout,
            certificates=values.certificates,
        ) as client:
            return client.sample(n, seed=values.seed, truncation=values.truncation, labels=labels)
    cli.import_tensorflow()
    sampler: GAN | ExportedSampler
    if values.model:
        from keras_gan.exported import load_sampler

        sampler = load_sampler(values.model)
        names = sampler.card.get("classes", [])
    else:
        from keras_gan.trained import load_run

        sampler, run = load_run(values.workdir, values.checkpoint)
        names = run.get("classes", [])
    n, labels = plan(values, sampler.num_classes or 0, names)
    drawn = sampler.sample(n, seed=values.seed, truncation=values.truncation, labels=labels)
    return images.to_uint8(drawn)


def plan(
    values: flags.FlagValues, classes: int | None, names: list[str]
) -> tuple[int, np.ndarray | None]:
    """Say how many images to draw, and of which classes.

    Args:
        values: the flags.
        classes: of the model; 0 if it is not conditional, None if that is not known.
        names: of these classes; empty if there are none.

    Returns:
        (n, class numbers [n] or None).

    Raises:
        UserError: if the flags ask for what the model does not have.
    """
    if not values.labels and not values.label_grid:
        return values.n or IMAGES, None
    if values.labels and values.label_grid:
        raise UserError("Expected --labels or --label_grid; received both.")
    if classes == 0:
        flag = "--label_grid" if values.label_grid else f"--labels={','.join(values.labels)}"
        raise UserError(
            f"Expected a model of classes for {flag}; received one without. Try training with "
            "--recipe=mnist_conditional, or --set conditional=true."
        )
    if values.label_grid:
        if values.n:
            raise UserError(f"Expected --label_grid without --n; received --n={values.n}.")
        labels = class_rows(classes or 0, COLUMNS)
        return len(labels), labels
    numbers = [_number(text.strip(), classes, names) for text in values.labels]
    n = values.n or len(numbers)
    return n, np.resize(np.asarray(numbers, np.int64), n)


def _number(text: str, classes: int | None, names: list[str]) -> int:
    """Read a class's name or number; a name comes first, as in MNIST both are digits."""
    if text in names:
        return names.index(text)
    if text.isdecimal() and (classes is None or int(text) < classes):
        return int(text)
    if classes is None:
        raise UserError(f"Expected --labels of class numbers with --url; received {text!r}.")
    known = f" or of {', '.join(names[:20])}" if names else ""
    raise UserError(f"Expected --labels of 0 to {classes - 1}{known}; received {text!r}.")


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    cli.expect_one_of(values, "model", "workdir", "url")
    cli.expect_checkpoint_of_a_run(values)
    out = pathlib.Path(values.out)
    if out.suffix not in (".png", ".npz"):
        raise UserError(f"Expected --out to end in .png or .npz; received --out={values.out}.")
    cli.expect_writable(out.parent)
    for name in OF_A_SERVER:
        if values[name].present and not values.url:
            raise UserError(f"Expected --{name} with --url; received no --url.")
    drawn = draw(values)
    if out.suffix == ".png":
        images.write_png(out, images.grid(drawn, COLUMNS if values.label_grid else None))
    else:
        with files.replacing(out) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, images=drawn)
    print(f"{len(drawn)} images in {out}")  # noqa: T201


def run() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "")


if __name__ == "__main__":
    sys.exit(run())

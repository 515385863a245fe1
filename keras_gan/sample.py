"""Draw images from an exported generator, a training run or a server.

    python -m keras_gan.sample --model=saved_models/mnist --n=64 --seed=0 --out=samples.png
    python -m keras_gan.sample --workdir=runs/mnist --out=samples.npz
    python -m keras_gan.sample --url=grpc://127.0.0.1:8500 --name=mnist --label=stable

A .png is one grid; a .npz holds `images`, uint8 [n, H, W, C]. The same seed gives the same images,
wherever they come from.
"""

import pathlib
import sys
from typing import TYPE_CHECKING

import numpy as np
from absl import flags

from keras_gan import cli, files, images
from keras_gan.interfaces import UserError

if TYPE_CHECKING:
    from keras_gan.export import ExportedSampler
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
    "n", 64, "How many images.", lower_bound=1, upper_bound=10**6, flag_values=FLAGS
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

OF_A_SERVER = ("name", "version", "label", "certificates")


def draw(values: flags.FlagValues) -> np.ndarray:
    """Draw uint8 images [n, H, W, C] from what the flags name."""
    if values.url:
        from keras_gan.client import SamplerClient

        if not values.name:
            raise UserError("Expected --name with --url; received none. Try --name=mnist.")
        with SamplerClient(
            values.url,
            values.name,
            version=values.version,
            label=values.label or "",
            timeout=values.timeout,
            certificates=values.certificates,
        ) as client:
            return client.sample(values.n, seed=values.seed, truncation=values.truncation)
    cli.import_tensorflow()
    sampler: GAN | ExportedSampler
    if values.model:
        from keras_gan.export import load_sampler

        sampler = load_sampler(values.model)
    else:
        from keras_gan.experiment import load_run

        sampler = load_run(values.workdir, values.checkpoint)[0]
    drawn = sampler.sample(values.n, seed=values.seed, truncation=values.truncation)
    return images.to_uint8(drawn)


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    cli.expect_one_of(values, "model", "workdir", "url")
    cli.expect_checkpoint_of_a_run(values)
    out = pathlib.Path(values.out)
    if out.suffix not in (".png", ".npz"):
        raise UserError(f"Expected --out to end in .png or .npz; received --out={values.out}.")
    cli.expect_writable(out.parent)
    for name in OF_A_SERVER:
        if values[name].value and not values.url:
            raise UserError(f"Expected --{name} with --url; received no --url.")
    drawn = draw(values)
    if out.suffix == ".png":
        images.write_png(out, images.grid(drawn))
    else:
        with files.replacing(out) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, images=drawn)
    print(f"{values.n} images in {out}")  # noqa: T201


def run() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "")


if __name__ == "__main__":
    sys.exit(run())

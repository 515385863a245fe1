"""Draw images from an exported generator or from a training run.

    python -m keras_gan.sample --model=saved_models/mnist --n=64 --seed=0 --out=samples.png
    python -m keras_gan.sample --workdir=runs/mnist --out=samples.npz

A .png is one grid; a .npz holds `images`, uint8 [n, H, W, C]. The same seed gives the same images.
"""

import pathlib
import sys

from absl import flags

from keras_gan import cli, files, images
from keras_gan.interfaces import Sampler, UserError

FLAGS = flags.FlagValues()
flags.DEFINE_string("model", None, "An export, or a folder of versions.", flag_values=FLAGS)
flags.DEFINE_string("workdir", None, "A training run's work directory.", flag_values=FLAGS)
flags.DEFINE_string("checkpoint", "newest", cli.CHECKPOINT_HELP, flag_values=FLAGS)
flags.DEFINE_integer(
    "n", 64, "How many images.", lower_bound=1, upper_bound=10**6, flag_values=FLAGS
)
flags.DEFINE_integer(
    "seed", 0, "Of the noise.", lower_bound=0, upper_bound=2**32 - 1, flag_values=FLAGS
)
flags.DEFINE_string("out", "samples.png", "A .png or .npz file.", flag_values=FLAGS)


def load(model: str | None, workdir: str | None, checkpoint: str) -> Sampler:
    """Load what --model, or --workdir and --checkpoint, name."""
    if model is not None:
        from keras_gan.export import load_sampler

        return load_sampler(model)
    from keras_gan.experiment import load_run

    return load_run(str(workdir), checkpoint)[0]


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    import numpy as np

    cli.expect_one_of(values, "model", "workdir")
    cli.expect_checkpoint_of_a_run(values)
    out = pathlib.Path(values.out)
    if out.suffix not in (".png", ".npz"):
        raise UserError(f"Expected --out to end in .png or .npz; received --out={values.out}.")
    cli.expect_writable(out.parent)
    cli.import_tensorflow()
    sampler = load(values.model, values.workdir, values.checkpoint)
    drawn = images.to_uint8(sampler.sample(values.n, seed=values.seed))
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

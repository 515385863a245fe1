"""Train a network that says which z a run's generator made an image from.

    python -m keras_gan.infer --workdir=runs/mnist
    python -m keras_gan.infer --workdir=runs/mnist --steps=8000 --set units=512,512
    python -m keras_gan.infer --workdir=runs/joint --measure

The generator stays as it is. The same command goes on where it was stopped, and so do more --steps.
At the end it prints how much of z comes back from samples that the network was not trained on, and
writes it to recovery.json. Next: python -m keras_gan.reconstruct, and keras_gan.export_model.

--measure trains nothing: it measures the network that is there, also one that learnt beside the
generator (keras_gan.train --set encoder_units=1024,1024,1024).
"""

import json
import pathlib
import sys
from typing import Any

from absl import flags

from keras_gan import cli, config, files, overrides
from keras_gan.interfaces import UserError

FLAGS = flags.FlagValues()
flags.DEFINE_string("workdir", None, "A training run's work directory.", flag_values=FLAGS)
flags.DEFINE_string("checkpoint", "newest", cli.CHECKPOINT_HELP, flag_values=FLAGS)
flags.DEFINE_string(
    "out_workdir",
    None,
    "Where the network is kept (default: inference/ in the work directory, where exports find it).",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "steps", config.Encoder.steps, "Steps to reach.", lower_bound=1, flag_values=FLAGS
)
flags.DEFINE_integer(
    "seed",
    0,
    "Of weights and noise, and of the held-out samples.",
    lower_bound=0,
    upper_bound=2**32 - 1,
    flag_values=FLAGS,
)
flags.DEFINE_multi_string(
    "set",
    [],
    "key=value, any number of times: units, batch_size, learning_rate, half_after.",
    flag_values=FLAGS,
)
flags.DEFINE_bool("measure", False, "Only measure the network that is there.", flag_values=FLAGS)
flags.DEFINE_integer("n", 10000, "Held-out samples.", lower_bound=2, flag_values=FLAGS)


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    if not values.workdir:
        raise UserError("Expected --workdir; received none. Try --workdir=runs/mnist.")
    asked = config.Encoder(steps=values.steps, seed=values.seed)
    options = overrides.override(asked, *values.set)
    if values.measure and values.set:
        raise UserError(f"Expected --measure without --set; received {values.set[0]!r}.")
    if not values.measure:
        cli.expect_writable(values.out_workdir or values.workdir)
    cli.import_tensorflow()
    from keras_gan import encoders, trained

    gan, run = trained.load_run(values.workdir, values.checkpoint)
    if values.measure:
        inference = encoders.find(
            gan, run["recipe"], run["data_hash"], values.workdir, values.out_workdir
        )
        rows = {"generator": gan.live()}
        if gan.average is not None:
            rows = {"moving average": gan, "live generator": gan.live()}
        for name, sampler in rows.items():
            title = f"{name}, {values.n} samples, seed {values.seed}"
            print(described(title, *recover(values, inference, sampler)))  # noqa: T201
        return
    folder = pathlib.Path(values.out_workdir or pathlib.Path(values.workdir) / encoders.FOLDER)
    inference = encoders.train(gan, run["recipe"], run["data_hash"], options, folder)
    row, inside = recover(values, inference, gan)
    print(described(f"{values.n} samples, seed {values.seed}", row, inside))  # noqa: T201
    numbers = {"step": options.steps, "n": values.n, "seed": values.seed, "inside": inside}
    with files.replacing(folder / "recovery.json") as temporary:
        text = json.dumps(numbers | {"r2": row._asdict()}, indent=2, sort_keys=True)
        temporary.write_text(text + "\n")
    print(f"Network:  {folder}    Next: python -m keras_gan.reconstruct --workdir={values.workdir}")  # noqa: T201


def recover(values: flags.FlagValues, inference: Any, sampler: Any) -> tuple[Any, float]:
    """Measure R^2 of the z of held-out samples, and the share of predictions in the prior's range.

    Args:
        values: the flags.
        inference: an `Inference`.
        sampler: the GAN that draws the samples.
    """
    import numpy as np

    from keras_gan.metrics import recovery

    labels = sampler.condition.labels(values.n)
    z = sampler.noise(values.n, seed=values.seed)
    found = inference.infer(sampler.sample(values.n, seed=values.seed, labels=labels), labels)
    distance = np.abs(np.asarray(sampler.prior.nearest(found)) - found).max(axis=1)
    return recovery.recovery(z, found), float((distance < 1e-4).mean())


def described(name: str, row: Any, inside: float) -> str:
    """Say what `recover` found, in two lines."""
    return (
        f"Held out: {name}. R^2 of z: {row.mean:.3f} (mean of the dimensions), {row.lowest:.3f} "
        f"(lowest), {row.highest:.3f} (highest).\n"
        f"          {inside:.1%} of the predictions lie in the prior's range."
    )


def run() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "")


if __name__ == "__main__":
    sys.exit(run())

"""Runs of the chain on tiny images, for its tests."""

import numpy as np

from keras_gan import cli
from pipelines import run

STEPS = (
    "ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "Trainer", "Evaluator",
    "InfraValidator", "Pusher",
)  # fmt: skip
SMALL = (
    "--recipe=mnist",
    "--steps=12",
    "--set=network.generator_units=8",
    "--set=network.discriminator_units=4",
    "--set=batch_size=20",
    "--set=checkpoint_every=4",
    "--set=log_every=4",
    "--samples=50",
)


def write_images(path, *, seed=0, constant=0, splits=("train", "val", "test")):
    """Write a file of 8x8 images: two blurred kinds, the first of them `constant`."""
    rng = np.random.default_rng(seed)
    counts = {"train": 200, "val": 60, "test": 40}
    arrays = {}
    for split in splits:
        kinds = rng.integers(0, 2, counts[split])
        images = rng.integers(0, 100, (counts[split], 8, 8, 1)) + 100 * kinds[:, None, None, None]
        if split == "train":
            images[:constant] = np.arange(constant)[:, None, None, None]
        arrays[f"{split}_images"] = images.astype(np.uint8)
        arrays[f"{split}_labels"] = kinds
    np.savez(path, **arrays)
    return path


def arguments(folder, *more, images=None):
    """The flags of a small chain whose root and pushed models are in `folder`."""
    return [
        f"--arrays={images or folder / 'images.npz'}",
        f"--root={folder / 'root'}",
        f"--push={folder / 'pushed'}",
        "--min_diversity=0",
        *SMALL,
        *more,
    ]


def execute(*flags):
    """Run the command in this process; return its exit code."""
    return cli.run(run.main, run.FLAGS, "", ["run", *flags])


def ran(output):
    """Say which steps ran, by the table that the command printed; the others were cached."""
    rows = [line.split() for line in output.splitlines() if line.startswith(STEPS)]
    return [row[0] for row in rows if row[1] == "ran"]

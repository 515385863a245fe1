"""Kill a training run again and again, and compare where it ends with a run left alone.

    python -m benchmarks.kill_resume [--kills=50] [--variant=alternating] [--seed=0]

Each variant trains small networks on MNIST (or --examples) through the command line. Every kill is
a SIGKILL: at a random moment of the start, at a random moment of the training, or while a
checkpoint is being written. Prints kills, resumes, the steps that had to be trained again, and how
many bytes of the last checkpoint differ from the undisturbed run's, moments and counters included.
"""

import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

from absl import flags

from keras_gan import cli, history
from keras_gan.interfaces import UserError

FLAGS = flags.FlagValues()
flags.DEFINE_integer("kills", 50, "Kills in all, shared out among the variants.", flag_values=FLAGS)
flags.DEFINE_integer("seed", 0, "Of the moments to kill at.", flag_values=FLAGS)
flags.DEFINE_integer("steps", 400, "Steps of a run.", flag_values=FLAGS)
flags.DEFINE_string(
    "examples",
    None,
    "A folder written by pipelines.preprocess (default: MNIST).",
    flag_values=FLAGS,
)

COMMON = [
    "network.generator_units=100",
    "network.discriminator_units=50",
    "log_every=5",
    "sample_every=100000",
    "checkpoint_every=20",
]
# All of them with dropout, a moving average and a decay of G's weights, as `mnist` has.
VARIANTS = {
    "alternating": ["update=alternating"],
    "simultaneous": ["update=simultaneous"],
    "alternating, k = 3": ["update=alternating", "d_steps=3"],
    "simultaneous, k = 3": ["update=simultaneous", "d_steps=3"],
    "two replicas": ["update=alternating"],
    "--deterministic": ["update=alternating"],
    "conditional": ["conditional=true"],
    "encoder, R1, falling rate": [
        "encoder_units=50,50",
        "r1=0.02",
        "g_optimizer.schedule=linear",
        "g_optimizer.hold=0.5",
    ],
    "adaptive k, momentum": [
        "d_steps=2",
        "max_lead=0.4",
        "d_optimizer.name=momentum",
        "g_optimizer.name=momentum",
        "d_optimizer.learning_rate=0.05",
        "g_optimizer.learning_rate=0.1",
    ],
    "convolutional, maxout": [
        "network=maxout_conv",
        "network.generator_units=50",
        "network.channels=4",
        "network.discriminator_channels=4,4,8",
        "network.units=20",
    ],
    "convolutional, bfloat16": [
        "network=dcgan",
        "network.filters=4",
        "network.dropout=0.3",
        "compute_dtype=bfloat16",
    ],
}
FLAGS_OF = {
    "two replicas": ["--strategy=mirrored", "--replicas=2"],
    "--deterministic": ["--deterministic"],
}
flags.DEFINE_multi_enum(
    "variant", list(VARIANTS), list(VARIANTS), "Which runs; repeat.", flag_values=FLAGS
)


class Run:
    """One run's command and folders."""

    def __init__(self, root: pathlib.Path, variant: str, name: str, examples: str, steps: int):
        self.workdir = root / re.sub(r"\W+", "_", f"{variant} {name}")
        self.log = self.workdir.with_suffix(".log")
        settings = COMMON if "convolutional" not in variant else COMMON[2:]
        self._command = [
            *(sys.executable, "-m", "keras_gan.train", "--recipe=mnist"),
            *(f"--examples={examples}", f"--steps={steps}", "--keep=2"),
            *(f"--workdir={self.workdir}", f"--export_dir={self.workdir / 'export'}"),
            *(f"--set={setting}" for setting in [*VARIANTS[variant], *settings]),
            *FLAGS_OF.get(variant, []),
        ]

    def start(self) -> subprocess.Popen:
        """Start it, or go on with it."""
        with self.log.open("a") as log:
            return subprocess.Popen(self._command, stdout=log, stderr=log)

    def finish(self, process: subprocess.Popen) -> None:
        """Wait for its end."""
        if process.wait() != 0:
            raise UserError(f"Expected the run to end well; received:\n{self.log.read_text()}")

    def step(self) -> int:
        """Return the newest checkpoint's step; -1 if there is none."""
        names = [path.name for path in (self.workdir / "checkpoints").glob("step-*")]
        return max((int(name.removeprefix("step-")) for name in names), default=-1)

    def logged_step(self) -> int:
        """Return the last step whose losses were logged."""
        losses = history.read(self.workdir / "tensorboard").scalars.get("d_loss")
        return 0 if losses is None else int(losses.steps[-1])


def kill(run: Run, process: subprocess.Popen, chance: random.Random) -> str:
    """Kill a process at a random moment.

    Returns:
        The moment: "start", "training", "write"; empty if the run ended before.
    """
    moment = chance.choice(["start", "training", "training", "write", "write"])
    first, deadline = run.step(), time.monotonic() + chance.uniform(1, 8)
    awaited = chance.randint(1, 3)  # of the writes that it will see
    while process.poll() is None:
        if moment == "start" and time.monotonic() > deadline:
            break
        if moment == "training" and run.step() > max(first, 0):
            time.sleep(chance.uniform(0, 1.5))
            break
        writing = any((run.workdir / "checkpoints").glob(".step-*"))
        if moment == "write" and writing:
            awaited -= 1
            if awaited == 0:
                time.sleep(chance.uniform(0, 0.03))
                break
            while any((run.workdir / "checkpoints").glob(".step-*")):
                time.sleep(0.001)
        time.sleep(0.001 if moment == "write" else 0.05)
    if process.poll() is not None:
        return ""
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return moment


def differing_bytes(left: pathlib.Path, right: pathlib.Path) -> tuple[int, int]:
    """Compare two checkpoints tensor by tensor: (bytes that differ, bytes in all)."""
    import numpy as np
    import tensorflow as tf

    readers = [tf.train.load_checkpoint(str(folder / "state")) for folder in (left, right)]
    names = [set(reader.get_variable_to_shape_map()) for reader in readers]
    if names[0] != names[1]:
        raise UserError(f"Expected checkpoints of the same tensors; received {left} and {right}.")
    differing = total = 0
    for name in names[0] - {"_CHECKPOINTABLE_OBJECT_GRAPH"}:
        a, b = (np.asarray(reader.get_tensor(name)).tobytes() for reader in readers)
        total += len(a)
        if a != b:
            raw = [np.frombuffer(data, np.uint8) for data in (a, b)]
            differing += int((raw[0] != raw[1]).sum())
    return differing, total


def measure(variant: str, examples: str, steps: int, kills: int, seed: int) -> dict[str, int]:
    """Run one variant, killed and not; return what is printed."""
    chance = random.Random(f"{variant} {seed}")
    done = {"start": 0, "training": 0, "write": 0}
    resumes = lost = differing = total = rounds = 0
    with tempfile.TemporaryDirectory() as folder:
        alone = Run(pathlib.Path(folder), variant, "alone", examples, steps)
        alone.finish(alone.start())
        while rounds == 0 or sum(done.values()) < kills:
            rounds += 1
            run = Run(pathlib.Path(folder), variant, f"killed {rounds}", examples, steps)
            process = run.start()
            while sum(done.values()) < kills:
                moment = kill(run, process, chance)
                if not moment:
                    break
                done[moment] += 1
                lost += max(0, run.logged_step() - max(run.step(), 0))
                resumes += run.step() >= 0
                process = run.start()
            run.finish(process)
            last = f"checkpoints/step-{steps:07d}"
            found = differing_bytes(alone.workdir / last, run.workdir / last)
            differing, total = differing + found[0], total + found[1]
    return {**done, "resumes": resumes, "lost": lost, "differing": differing, "total": total}


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    cli.import_tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        examples = values.examples
        if not examples:
            from keras_gan import recipes
            from pipelines import preprocess
            from pipelines.options import Options

            recipe = recipes.get_recipe("mnist", None)
            examples = str(preprocess.ensure(Options("mnist", recipe.validation), folder))
        print(
            f"{'variant':<26}{'kills':>6}{'at start':>9}{'training':>9}{'writing':>8}{'resumes':>8}"
            f"{'steps lost':>11}{'differing bytes':>24}"
        )
        for index, variant in enumerate(values.variant):
            share = values.kills // len(values.variant)
            share += index < values.kills % len(values.variant)
            found = measure(variant, examples, values.steps, share, values.seed)
            kills = found["start"] + found["training"] + found["write"]
            print(
                f"{variant:<26}{kills:>6}{found['start']:>9}{found['training']:>9}"
                f"{found['write']:>8}{found['resumes']:>8}{found['lost']:>11}"
                f"{found['differing']:>9,} of {found['total']:>11,}",
                flush=True,
            )


if __name__ == "__main__":
    sys.exit(cli.run(main, FLAGS, __doc__ or ""))

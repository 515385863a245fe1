"""Race whole training steps against what people would use instead, with the ceiling in the table.

    python -m benchmarks.step_speed [--pair=mlp|conv] [--peers=PYTHON] [--rounds=5] [--turn=100]

keras_gan trains a recipe as its users do, with checkpoints, curves, grids and alarms, from the
preprocessed data set. The peers (benchmarks/peers) train the same networks on the same images, as a
careful user of their library would write it: D's step, then G's on fresh noise. `mlp` is the
paper's pair for MNIST, batch 100; `conv` a DCGAN for CIFAR-10, 32x32, batch 64. oneDNN is on for
all, as our commands have it; "oneDNN off" is what TensorFlow does by itself on some processors.
"""

import pathlib
import re
import statistics
import sys
import tempfile

from absl import flags

from benchmarks import arithmetic, racing
from keras_gan import building, cli, recipes
from pipelines import preprocess
from pipelines.options import Options

PEERS = pathlib.Path(__file__).parent / "peers"
SIDE = 1500  # of the ceiling's matrices
RECIPES: dict[str, tuple[str, list[str]]] = {
    "mlp": ("mnist_paper", ["log_every=100"]),
    "conv": ("cifar10", ["network.filters=32", "r1=0", "log_every=20"]),
}
OURS: dict[str, dict[str, list[str]]] = {
    "mlp": {
        "keras_gan, simultaneous": ["update=simultaneous"],
        "keras_gan, alternating": ["update=alternating"],
        "keras_gan, simultaneous, bfloat16": ["update=simultaneous", "compute_dtype=bfloat16"],
        "keras_gan, alternating, bfloat16": ["update=alternating", "compute_dtype=bfloat16"],
    },
    "conv": {
        "keras_gan": ["update=alternating"],
        "keras_gan, bfloat16": ["update=alternating", "compute_dtype=bfloat16"],
    },
}
OFF = "oneDNN off"
THEIRS: dict[
    str, dict[str, tuple[str, ...]]
] = {  # in this environment: plain Keras; in that of --peers: the others
    "mlp": {
        "plain Keras": ("plain_keras.py", "float32"),
        "plain Keras, bfloat16": ("plain_keras.py", "bfloat16"),
        f"plain Keras, {OFF}": ("plain_keras.py", "float32"),
        "PyTorch": ("pytorch.py", "float32"),
        "PyTorch, compiled": ("pytorch.py", "float32", "compile"),
        "PyTorch, bfloat16": ("pytorch.py", "bfloat16"),
        "JAX, jit": ("jax_jit.py", "float32"),
    },
    "conv": {
        "plain Keras": ("plain_keras.py", "float32"),
        "plain Keras, bfloat16": ("plain_keras.py", "bfloat16"),
        f"plain Keras, {OFF}": ("plain_keras.py", "float32"),
        "PyTorch": ("pytorch.py", "float32"),
        "PyTorch, bfloat16": ("pytorch.py", "bfloat16"),
    },
}

FLAGS = flags.FlagValues()
flags.DEFINE_enum("pair", "mlp", ["mlp", "conv"], "Which networks.", flag_values=FLAGS)
flags.DEFINE_string("examples", None, "A preprocessed folder (default: made).", flag_values=FLAGS)
flags.DEFINE_string("data_dir", None, "Prepared TensorFlow Datasets.", flag_values=FLAGS)
flags.DEFINE_string(
    "peers",
    None,
    "The Python of `make bench-peers`; or their rows miss.",
    flag_values=FLAGS,
)
flags.DEFINE_integer("rounds", 5, "Turns of each.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("turn", 100, "Steps of a turn.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_float(
    "at_least", 0.0, "Times plain Keras; below it, the exit code is 1.", flag_values=FLAGS
)
flags.DEFINE_string("only", "", "Rows whose name this expression matches.", flag_values=FLAGS)


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    if values.peers and not pathlib.Path(values.peers).exists():
        raise cli.UserError(
            f"Expected a Python; received --peers={values.peers}. Try make bench-peers."
        )
    try:
        wanted = re.compile(values.only)
    except re.error as error:
        raise cli.UserError(
            f"Expected a regular expression; received --only={values.only}: {error}."
        ) from error
    cli.import_tensorflow()
    import numpy as np

    from keras_gan import data

    name, changes = RECIPES[values.pair]
    recipe = recipes.get_recipe(name, None).with_overrides(changes)
    with tempfile.TemporaryDirectory() as folder:
        examples = values.examples or preprocess.ensure(
            Options(recipe.dataset, recipe.validation, data_dir=values.data_dir), folder
        )
        pixels = data.load_split(examples, "train")
        images = pathlib.Path(folder) / "images.npy"
        np.save(images, (pixels * 255.0).round().astype(np.uint8))
        gan = building.build(recipe, pixels.shape[1:], train_images=len(pixels))
        gflop = {
            alternating: arithmetic.step(
                gan.generator, gan.discriminator, recipe.batch_size, alternating=alternating
            )
            / 1e9
            for alternating in (True, False)
        }
        del gan, pixels
        # A turn is a multiple of what comes between two looks at the curves.
        turn = -(-values.turn // recipe.log_every) * recipe.log_every
        product = 2 * SIDE**3 / 1e9
        racers = [
            racing.Racer(
                "ceiling: matrix products",
                (sys.executable, str(PEERS / "matrix_products.py"), str(SIDE)),
                max(10, round(turn * gflop[True] / product / 2)),
                product,
            )
        ]
        for row, more in OURS[values.pair].items():
            options = [argument for change in (*changes, *more) for argument in ("--set", change)]
            command = [sys.executable, "-m", "benchmarks.own_turns", f"--recipe={name}"]
            racers.append(
                racing.Racer(
                    row,
                    [*command, f"--examples={examples}", *options],
                    turn,
                    gflop["update=alternating" in more],
                )
            )
        for row, (script, *arguments) in THEIRS[values.pair].items():
            python = sys.executable if script == "plain_keras.py" else values.peers
            if python:
                command = ["env", "TF_ENABLE_ONEDNN_OPTS=0"] if row.endswith(OFF) else []
                command += [python, str(PEERS / script), values.pair, arguments[0], str(images)]
                racers.append(racing.Racer(row, [*command, *arguments[1:]], turn, gflop[True]))
        always = (racers[0].name, "plain Keras")
        racers = [racer for racer in racers if wanted.search(racer.name) or racer.name in always]
        rates = racing.race(racers, values.rounds)
    reference = next((r.name for r in racers if r.name == "plain Keras"), racers[1].name)
    products = sorted(rate * product for rate in rates[racers[0].name])
    print(
        f"{recipe.name}: {gflop[True]:.2f} GFLOP an alternating step, {gflop[False]:.2f} a "
        f"simultaneous one; matrix products at {products[len(products) // 2]:.0f} GFLOP/s "
        f"({products[0]:.0f} to {products[-1]:.0f}). {values.rounds} rounds of {turn} steps each.\n"
    )
    for line in racing.table(racers, rates, racers[0].name, reference):
        print(line)
    if not values.peers:
        print("\nPyTorch and JAX: not installed here. `make bench-peers` installs them.")
    slow = too_slow(rates, reference, values.at_least)
    if slow:
        print(
            f"\nExpected at least {values.at_least:g} times {reference}; received less from "
            f"{' and '.join(slow)}. Try again on a quiet machine, then look for what made it slow."
        )
        sys.exit(1)


def too_slow(rates: dict[str, list[float]], reference: str, at_least: float) -> list[str]:
    """Name our rows whose median ratio to the reference is below a bound."""
    ours = [name for name in rates if name.startswith("keras_gan")]
    return [
        name for name in ours if statistics.median(racing.ratios(rates, name, reference)) < at_least
    ]


if __name__ == "__main__":
    sys.exit(cli.run(main, FLAGS, __doc__ or ""))

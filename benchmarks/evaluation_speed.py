"""Print what judging and sampling take, beside the machine's rate of matrix products.

    python -m benchmarks.evaluation_speed --model=saved_models/mnist [--repeats=5]

The Parzen estimate is that of 10,000 images on 10,000 samples of 784 numbers, for one width. A
sample's arithmetic is its generator's; the ceiling is what matrix products of one batch size would
allow if they went at the rate of large ones.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable

from absl import flags

from keras_gan import cli
from keras_gan.interfaces import UserError

FLAGS = flags.FlagValues()
flags.DEFINE_string("model", None, "An export of 28x28 images.", flag_values=FLAGS)
flags.DEFINE_integer("repeats", 5, "Measurements of each.", lower_bound=1, flag_values=FLAGS)
SIDE, IMAGES = 1500, 10_000


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    if not values.model:
        raise UserError("Expected --model; received none. Try --model=saved_models/mnist.")
    cli.import_tensorflow()
    import numpy as np
    import tensorflow as tf

    from benchmarks import arithmetic
    from keras_gan import building, exported
    from keras_gan.config import Recipe
    from keras_gan.metrics import parzen

    sampler = exported.load_sampler(values.model)
    recipe = Recipe.from_json(json.dumps(sampler.card["recipe"]))
    gan = building.build(recipe, sampler.image_shape, train_images=50000)
    flop = sum(count for count, _ in arithmetic.forward(gan.generator))  # of a sample
    rng = np.random.default_rng(0)
    images, samples = rng.random((2, IMAGES, 784), np.float32)
    matrix = tf.constant(rng.random((SIDE, SIDE), np.float32))
    product = tf.function(lambda a: tf.matmul(a, a))

    def drawing(batch: int) -> Callable[[], object]:
        z = sampler.noise(batch, seed=0)
        return lambda: sampler.generate(z)

    jobs: dict[str, tuple[float, Callable[[], object]]] = {
        "matrix products": (2.0 * SIDE**3, lambda: product(matrix).numpy()),
        "Parzen, 10,000 x 10,000 x 784": (
            2.0 * IMAGES**2 * 784,
            lambda: parzen.log_densities(samples, images, [0.2]),
        ),
    }
    jobs |= {f"sampling, batches of {b:,}": (flop * b, drawing(b)) for b in (1, 64, 1024)}
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(values.repeats + 1):  # the first is a warm-up
        for name, (_, job) in jobs.items():
            count = 1 if "Parzen" in name else 20
            start = time.perf_counter()
            for _ in range(count):
                job()
            seconds[name].append((time.perf_counter() - start) / count)
    print("| | milliseconds, median | lowest to highest | images/s | GFLOP/s | of the ceiling |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, (work, _) in jobs.items():
        own = [s * 1e3 for s in seconds[name][1:]]
        rates = [work / s / 1e9 for s in seconds[name][1:]]
        possible = [2.0 * SIDE**3 / s / 1e9 for s in seconds["matrix products"][1:]]
        share = statistics.median(a / b for a, b in zip(rates, possible, strict=True))
        made = round(work / flop) if "sampling" in name else IMAGES if "Parzen" in name else 0
        per_second = f"{made / statistics.median(own) * 1e3:,.0f}" if made else ""
        print(
            f"| {name} | {statistics.median(own):.2f} | {min(own):.2f} to {max(own):.2f} | "
            f"{per_second} | {statistics.median(rates):.0f} | {share:.0%} |"
        )


if __name__ == "__main__":
    sys.exit(cli.run(main, FLAGS, __doc__ or ""))

"""Print steps per second of recipes' whole `fit`, side by side in one run.

    python -m benchmarks.training_speed [--recipes=mnist,mnist_paper] [--steps=200] [--repeats=3]

Random pixels of the recipe's shape come from memory, so that only the game is measured.
"""

import dataclasses
import statistics
import sys
import time

from absl import flags

from keras_gan import building, cli, recipes
from keras_gan.config import Recipe

FLAGS = flags.FlagValues()
flags.DEFINE_list("recipes", ["mnist", "mnist_paper", "cifar10"], "Recipes.", flag_values=FLAGS)
flags.DEFINE_integer("steps", 200, "Steps in each measurement.", flag_values=FLAGS)
flags.DEFINE_integer("repeats", 3, "Measurements of each variant.", flag_values=FLAGS)
SHAPES = {"mnist": (28, 28, 1), "cifar10": (32, 32, 3)}


def measure(recipe: Recipe, steps: int, repeats: int) -> list[float]:
    """Return steps per second, one number for each repeat, after one warm-up."""
    import numpy as np
    import tensorflow as tf

    shape = SHAPES[recipe.dataset]
    gan = building.build(recipe, shape, train_images=50000)
    gan.steps_per_execution = 20
    pixels = np.random.default_rng(0).random((recipe.images_per_step, *shape), np.float32)
    data = tf.data.Dataset.from_tensors(pixels).repeat().prefetch(8)
    rates = []
    for repeat in range(repeats + 1):
        count = steps if repeat else 40
        start = time.perf_counter()
        gan.fit(data, epochs=1, steps_per_epoch=count, shuffle=False, verbose=0)
        rates.append(count / (time.perf_counter() - start))
    return rates[1:]


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    cli.import_tensorflow()
    print(f"{'variant':<40}{'steps/s, median':>16}   lowest to highest")
    for name in values.recipes:
        recipe = recipes.get_recipe(name, None)
        variants = {
            name: recipe,
            f"{name}, other update": dataclasses.replace(
                recipe,
                update="alternating" if recipe.update == "simultaneous" else "simultaneous",
            ),
            f"{name}, bfloat16": dataclasses.replace(recipe, compute_dtype="bfloat16"),
        }
        if recipe.r1:
            variants[f"{name}, without R1"] = dataclasses.replace(recipe, r1=0.0)
        for variant, changed in variants.items():
            rates = measure(changed, values.steps, values.repeats)
            spread = f"{min(rates):.1f} to {max(rates):.1f}"
            print(f"{variant:<40}{statistics.median(rates):>16.1f}   {spread}", flush=True)


if __name__ == "__main__":
    sys.exit(cli.run(main, FLAGS, __doc__ or ""))

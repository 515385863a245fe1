"""What the ingredients of the paper's MNIST training are worth, in short runs side by side.

    python -m benchmarks.ablation --study=ingredients --examples=data/mnist-... --seed=0 --seed=1
    python -m benchmarks.ablation --study=k --study=loss --examples=data/mnist-...

Studies: "ingredients" (from the published settings to `mnist_paper_tuned`, one change at a time),
"update" (alternating; simultaneous with shared or fresh noise and masks), "rates" (of the two
networks), "decay" (of the generator's weights), "k" (discriminator steps per generator step, on
equal numbers of generator steps and on equal time), "loss" (saturating against non-saturating, with
the norm of G's gradient in the first 500 steps). Everything else is the recipe `mnist_paper_tuned`
at constant rates, with a moving average of decay .999, which short runs can follow. Each row:
steps, minutes, D's loss, Parzen log-likelihood (10,000 samples, published protocol) of the live
weights and of the moving average, and after several seeds their means and deviations. One seed
says little about a few nats.
"""

import dataclasses
import json
import pathlib
import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
from absl import flags

from keras_gan import building, cli, files, recipes
from keras_gan.config import Recipe
from keras_gan.interfaces import UserError

FLAGS = flags.FlagValues()
flags.DEFINE_multi_enum(
    "study",
    ["ingredients"],
    ["ingredients", "update", "rates", "decay", "k", "loss"],
    "Which; repeat.",
    flag_values=FLAGS,
)
flags.DEFINE_string("examples", None, "A preprocessed MNIST folder.", flag_values=FLAGS)
flags.DEFINE_integer(
    "steps", 4000, "Generator steps of each run.", lower_bound=100, flag_values=FLAGS
)
flags.DEFINE_multi_integer("seed", [0], "Of each run; repeat.", flag_values=FLAGS)
flags.DEFINE_enum(
    "compute_dtype", "float32", ["float32", "bfloat16"], "Of matrix products.", flag_values=FLAGS
)
flags.DEFINE_string("out", None, "Write the rows as JSON too.", flag_values=FLAGS)

BASE = dataclasses.replace(recipes.RECIPES["mnist_paper_tuned"], ema_decay=0.999)
BASE = dataclasses.replace(
    BASE,
    d_optimizer=dataclasses.replace(BASE.d_optimizer, schedule="constant"),
    g_optimizer=dataclasses.replace(BASE.g_optimizer, schedule="constant"),
)
NORM_STEPS = 500
LEG = 50  # steps between two looks at the clock


@dataclasses.dataclass(frozen=True)
class Variant:
    """One run: a recipe, and what its simultaneous update shares between D's and G's gradients."""

    recipe: Recipe
    share_noise: bool = True
    share_masks: bool = True


PUBLISHED = dataclasses.replace(recipes.RECIPES["mnist_paper"], ema_decay=BASE.ema_decay)


def changed(*settings: str, recipe: Recipe = BASE) -> Recipe:
    """Return a recipe with other settings, as `train --set` takes them."""
    return recipe.with_overrides(settings)


def rates(discriminator: float, generator: float) -> tuple[str, str]:
    """Name the settings of the two learning rates."""
    return (
        f"d_optimizer.learning_rate={discriminator}",
        f"g_optimizer.learning_rate={generator}",
    )


# Momentum of the published kind at rates at which it learns, as `mnist_paper_tuned` once was.
MOMENTUM = changed(
    *rates(0.075, 0.3),
    "d_optimizer.final_momentum=0.5",
    "g_optimizer.final_momentum=0.5",
    recipe=PUBLISHED,
)
UNPENALISED = changed("r1=0")
UNDECAYED = changed("g_optimizer.weight_decay=0", recipe=UNPENALISED)
SIMULTANEOUS = changed("update=simultaneous")

STUDIES: dict[str, dict[str, Variant]] = {
    "ingredients": {
        "published": Variant(PUBLISHED),
        "published, alternating": Variant(changed("update=alternating", recipe=PUBLISHED)),
        "D .075, G .3": Variant(MOMENTUM),
        "and alternating": Variant(changed("update=alternating", recipe=MOMENTUM)),
        "Adam instead, simultaneous": Variant(changed("update=simultaneous", recipe=UNDECAYED)),
        "Adam, alternating": Variant(UNDECAYED),
        "and weight decay in G": Variant(UNPENALISED),
        "and R1": Variant(BASE),
    },
    "update": {
        "alternating, fresh noise and masks": Variant(BASE),
        "simultaneous, shared noise and masks": Variant(SIMULTANEOUS),
        "simultaneous, fresh noise": Variant(SIMULTANEOUS, share_noise=False),
        "simultaneous, fresh masks": Variant(SIMULTANEOUS, share_masks=False),
        "simultaneous, fresh noise and masks": Variant(SIMULTANEOUS, False, False),
    },
    "rates": {
        f"D {d:g}, G {g:g}": Variant(changed(*rates(d, g)))
        for d, g in ((3e-4, 3e-4), (2e-4, 6e-4), (1e-4, 5e-4))
    },
    "decay": {
        f"weight decay {decay:g}": Variant(changed(f"g_optimizer.weight_decay={decay}"))
        for decay in (0.0, 0.3, 0.6, 1.0)
    },
    "k": {f"k = {k}": Variant(dataclasses.replace(BASE, d_steps=k)) for k in (1, 2, 5)},
    "loss": {
        "non-saturating": Variant(BASE),
        "saturating (minimax)": Variant(dataclasses.replace(BASE, loss="minimax")),
    },
}


def build(variant: Variant, examples: str, steps: int) -> tuple[Any, Any]:
    """Build a variant's model, and a variable that sums the norms of G's gradients."""
    import tensorflow as tf

    from keras_gan import priors, records

    info = records.DatasetInfo.read(examples)
    recipe = dataclasses.replace(variant.recipe, steps=steps)
    gan = building.build(
        recipe,
        info.image_shape,
        train_images=info.counts["train"],
        pixel_mean=records.read_statistics(examples)["pixel_mean"],
    )
    norms = tf.Variable(0.0)  # their sum since it was last read
    apply = gan.g_optimizer.apply

    def watched_apply(gradients: Any, weights: Any) -> None:
        norms.assign_add(tf.linalg.global_norm(gradients))
        apply(gradients, weights)

    gan.g_optimizer.apply = watched_apply

    def simultaneous_step(real: tf.Tensor, index: int = 0, c: Any = None) -> None:
        """Take both gradients at the same point, on noise or masks of their own."""
        n = tf.shape(real)[0]
        masks = priors.FAKE_MASKS if variant.share_masks else priors.GENERATOR_STEP_MASKS
        noise = priors.DISCRIMINATOR_NOISE if variant.share_noise else priors.GENERATOR_NOISE
        z = gan._draw_noise(n, priors.DISCRIMINATOR_NOISE, index)
        own_z = gan._draw_noise(n, noise, index)
        with tf.GradientTape(persistent=True) as tape:
            real_logits, penalty = gan._judge_real(real, index)
            fake = gan._generate(z, priors.OWN_MASKS, index)
            fake_logits = gan._judge(fake, priors.FAKE_MASKS, index)
            d_loss = tf.reduce_mean(gan.loss_pair.discriminator(real_logits, fake_logits))
            own = gan._generate(own_z, priors.OWN_MASKS, index)
            g_loss = tf.reduce_mean(gan.loss_pair.generator(gan._judge(own, masks, index)))
            d_total = d_loss + penalty
        weights = (gan.discriminator.trainable_variables, gan.generator.trainable_variables)
        gradients = (tape.gradient(d_total, weights[0]), tape.gradient(g_loss, weights[1]))
        gan.d_optimizer.apply(gradients[0], weights[0])
        gan.g_optimizer.apply(gradients[1], weights[1])
        gan._log(d_loss, real_logits, fake_logits)
        gan.means["g_loss"].update_state(g_loss)

    if not (variant.share_noise and variant.share_masks):
        setattr(gan, "simultaneous_step", simultaneous_step)  # noqa: B010
    return gan, norms


def run_variant(
    variant: Variant, examples: str, steps: int, equal_seconds: float
) -> dict[str, float]:
    """Train a variant and judge it, also at the moment when `equal_seconds` have passed."""
    from keras_gan import data, evaluation

    gan, norms = build(variant, examples, steps)
    recipe = variant.recipe
    gan.steps_per_execution = 10
    row: dict[str, float] = {}
    spent, done, total_norm = 0.0, 0, 0.0
    while done < steps:
        leg = min(LEG, steps - done)
        batches = data.train_dataset(
            examples,
            batch_size=recipe.batch_size,
            d_steps=recipe.d_steps,
            first_step=done,
            seed=recipe.seed,
        )
        start = time.perf_counter()
        history = gan.fit(batches, epochs=1, steps_per_epoch=leg, verbose=0, shuffle=False)
        if done:  # the first leg traces
            spent += time.perf_counter() - start
        done += leg
        logs = {name: values[-1] for name, values in history.history.items()}
        total_norm += float(norms.numpy())
        norms.assign(0.0)
        if done % NORM_STEPS == 0 or done == steps:
            norm, total_norm = total_norm / (done % NORM_STEPS or NORM_STEPS), 0.0
            row.setdefault("g_norm_first_500", norm)
        if spent >= equal_seconds > 0 and "equal_time_steps" not in row and done < steps:
            found = evaluation.evaluate({"live": gan.live(), "average": gan}, examples)
            row |= {"equal_time_steps": done, "equal_time_seconds": spent}
            row |= {f"equal_time_{name}": each["log_likelihood"] for name, each in found.items()}
    found = evaluation.evaluate({"live": gan.live(), "average": gan}, examples)
    row |= {name: judged["log_likelihood"] for name, judged in found.items()}
    row |= {"steps": steps, "seconds": spent, "d_loss": logs["d_loss"]}
    return row | {"g_norm_last_500": norm}


def print_means(rows: dict[str, dict[str, float]], variants: Iterable[str]) -> None:
    """Print each variant's mean over the seeds, and the deviation between them."""
    for name in variants:
        found = [row for title, row in rows.items() if title.rpartition(", seed ")[0] == name]
        line = f"{name + f', {len(found)} seeds':<59}"
        for which in ("live", "average"):
            scores = np.array([row[which] for row in found])
            line += f"{scores.mean():9.1f} +- {scores.std(ddof=1):.1f}"
        print(line)


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    if not values.examples:
        raise UserError("Expected --examples; received none. Try data/mnist-... .")
    cli.import_tensorflow()
    rows: dict[str, dict[str, dict[str, float]]] = {}
    known: dict[Variant, dict[str, float]] = {}  # the base is in every study
    for study in values.study:
        print(f"{study}\n{'':<46}{'steps':>7}{'min':>6}{'d_loss':>8}{'live':>9}{'average':>9}")
        rows[study] = {}
        for seed in values.seed:
            equal_seconds = 0.0
            for name, variant in STUDIES[study].items():
                recipe = dataclasses.replace(
                    variant.recipe, seed=seed, compute_dtype=values.compute_dtype
                )
                variant = dataclasses.replace(variant, recipe=recipe)
                if variant not in known:
                    known[variant] = run_variant(
                        variant, values.examples, values.steps, equal_seconds
                    )
                row = known[variant]
                equal_seconds = equal_seconds or (row["seconds"] if study == "k" else 0.0)
                rows[study][f"{name}, seed {seed}"] = row
                print(
                    f"{name + f', seed {seed}':<46}{row['steps']:>7}{row['seconds'] / 60:6.1f}"
                    f"{row['d_loss']:8.3f}{row['live']:9.1f}{row['average']:9.1f}",
                    flush=True,
                )
                if "equal_time_steps" in row:
                    print(
                        f"{'  in the time of k = 1':<46}{row['equal_time_steps']:>7}"
                        f"{row['equal_time_seconds'] / 60:6.1f}{'':>8}"
                        f"{row['equal_time_live']:9.1f}{row['equal_time_average']:9.1f}"
                    )
                if study == "loss":
                    print(
                        f"{'  norm of G gradient, first and last 500 steps':<46}"
                        f"{row['g_norm_first_500']:9.2e} {row['g_norm_last_500']:9.2e}"
                    )
        if len(set(values.seed)) > 1:
            print_means(rows[study], STUDIES[study])
        if values.out:
            with files.replacing(pathlib.Path(values.out)) as temporary:
                temporary.write_text(json.dumps(rows, indent=2) + "\n")


def run() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "")


if __name__ == "__main__":
    sys.exit(run())

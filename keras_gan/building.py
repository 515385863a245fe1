"""From a recipe to a compiled model, and what a recipe asks of data and devices."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gan import conditionals, networks, optimizers, priors, records, scales
from keras_gan.config import Optimizer, Recipe
from keras_gan.gan import GAN
from keras_gan.interfaces import UserError
from keras_gan.networks.encoder import build_encoder


def build(
    recipe: Recipe,
    image_shape: tuple[int, int, int],
    *,
    train_images: int,
    pixel_mean: np.ndarray | None = None,
    classes: int = 0,
) -> GAN:
    """Make the compiled model that a recipe describes.

    Args:
        recipe: the experiment.
        image_shape: (H, W, C) of the data.
        train_images: images in the training split; schedules are counted in epochs or steps.
        pixel_mean: the training images' mean, [H, W, C] in [0, 1]; the generator starts from it.
        classes: of the data's labels, which a conditional recipe needs.

    Returns:
        The GAN, with the recipe's networks, optimizers, loss and moving average, at step 0.

    Raises:
        UserError: if the recipe is conditional and there are no classes.
    """
    if recipe.conditional and not classes:
        raise UserError(
            "Expected labelled images for conditional=true; received data without classes. Try "
            "--set conditional=false, or images in a folder for each class."
        )
    told: int | tuple[int, int, int] = classes if recipe.conditional else 0
    if recipe.inpainting:
        told = conditionals.parts_shape(image_shape)
    generator, discriminator = networks.build_networks(
        recipe.network,
        latent=recipe.latent,
        image_shape=image_shape,
        output="linear" if recipe.scale == "contrast" else "sigmoid",
        pixel_mean=pixel_mean,
        seed=recipe.seed,
        dtype=recipe.compute_dtype,
        conditions=told,
    )
    if recipe.inpainting:
        generator = conditionals.composing(generator)
    more: dict[str, Any] = {"energy_score": recipe.energy_score} if recipe.inpainting else {}
    if recipe.encoder_units:
        more["encoder"] = build_encoder(
            recipe.encoder_units,
            image_shape=image_shape,
            latent=recipe.latent,
            conditions=classes if recipe.conditional else 0,
            seed=recipe.seed,
        )
    kind = conditionals.Conditionals if recipe.inpainting else GAN
    gan = kind(
        generator,
        discriminator,
        priors.PRIORS[recipe.prior](recipe.latent),
        d_steps=recipe.d_steps,
        g_steps=recipe.g_steps,
        max_lead=recipe.max_lead,
        top_share=recipe.top_share,
        update=recipe.update,
        ema_decay=recipe.ema_decay,
        scale=scales.ContrastNormalization() if recipe.scale == "contrast" else None,
        num_classes=classes if recipe.conditional else None,
        seed=recipe.seed,
        name=recipe.name,
        **more,
    )
    steps_per_epoch = max(1, train_images // recipe.images_per_step)
    total = recipe.total_steps(train_images)

    def optimizer(options: Optimizer, updates: int) -> keras.optimizers.Optimizer:
        """Make the optimizer of a network that takes so many updates in a round."""
        return optimizers.build_optimizer(
            options, total_steps=total * updates, steps_per_epoch=steps_per_epoch * updates
        )

    gan.compile(
        d_optimizer=optimizer(recipe.d_optimizer, recipe.d_steps),
        g_optimizer=optimizer(recipe.g_optimizer, recipe.g_steps),
        e_optimizer=optimizer(recipe.e_optimizer, recipe.g_steps) if gan.encoder else None,
        loss=recipe.loss,
        r1=recipe.r1,
        jit_compile=recipe.jit_compile,
    )
    return gan


def expect_compilable(recipe: Recipe, strategy: tf.distribute.Strategy) -> None:
    """Refuse XLA where TensorFlow cannot compile a step for several replicas."""
    tpu = isinstance(strategy, tf.distribute.TPUStrategy)
    if recipe.jit_compile and strategy.num_replicas_in_sync > 1 and not tpu:
        raise UserError(
            "Expected jit_compile=false with several replicas, whose variables XLA cannot reach; "
            "received jit_compile=true. Try --strategy=one, or without it."
        )


def expect_labels(
    recipe: Recipe, info: records.DatasetInfo, statistics: dict[str, np.ndarray]
) -> None:
    """Refuse a conditional run on images of which some have no label."""
    labelled = int(statistics["label_counts"].sum())
    if recipe.conditional and info.classes and labelled != info.counts["train"]:
        raise UserError(
            f"Expected a label for each of the {info.counts['train']} training images for "
            f"conditional=true; received {labelled}. Try --set conditional=false."
        )

"""Experiments, one file each; this table is the only list of them."""

import dataclasses

from keras_gan.config import Recipe
from keras_gan.overrides import unknown
from keras_gan.recipes import (
    cifar10,
    cifar10_conv_paper,
    cifar10_fc_paper,
    cifar10_fc_paper_tuned,
    images,
    mnist,
    mnist_conditional,
    mnist_inpainting,
    mnist_paper,
    mnist_paper_tuned,
    tfd_paper,
    tfd_paper_stage2,
)

RECIPES: dict[str, Recipe] = {
    "cifar10": cifar10.RECIPE,
    "cifar10_conv_paper": cifar10_conv_paper.RECIPE,
    "cifar10_fc_paper": cifar10_fc_paper.RECIPE,
    "cifar10_fc_paper_tuned": cifar10_fc_paper_tuned.RECIPE,
    "images": images.RECIPE,
    "mnist": mnist.RECIPE,
    "mnist_conditional": mnist_conditional.RECIPE,
    "mnist_inpainting": mnist_inpainting.RECIPE,
    "mnist_paper": mnist_paper.RECIPE,
    "mnist_paper_tuned": mnist_paper_tuned.RECIPE,
    "tfd_paper": tfd_paper.RECIPE,
    "tfd_paper_stage2": tfd_paper_stage2.RECIPE,
}


def get_recipe(name: str | None, dataset: str | None, title: str | None = None) -> Recipe:
    """Find a recipe by its name, or the one that fits a data set.

    Args:
        name: a key of `RECIPES`, or None for the data set's own recipe (`images` if it has none).
        dataset: a TensorFlow Datasets name that replaces the recipe's own; None keeps that.
        title: what the user's own images are called, which are of no TensorFlow Datasets name.

    Returns:
        The recipe; it is named after the data set when that is not its own.

    Raises:
        UserError: if there is no recipe of that name, or no argument was given.
    """
    if title:
        dataset = ""
    if name is None:
        if dataset is None:
            raise unknown("--recipe or --dataset", "", RECIPES)
        name = dataset if dataset in RECIPES else "images"
    if name not in RECIPES:
        raise unknown("--recipe", name, RECIPES)
    recipe = RECIPES[name]
    if not title and dataset in (None, recipe.dataset):
        return recipe
    own = title or str(dataset).replace("/", "_").replace(":", "_")
    return dataclasses.replace(
        recipe, dataset=str(dataset), name=own if name == "images" else f"{name}_{own}"
    )

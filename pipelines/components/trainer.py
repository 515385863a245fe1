"""Trainer: a recipe on the examples; one that was killed goes on from its last checkpoint."""

import json

from keras_gan import distribution, experiment
from keras_gan.config import Recipe
from pipelines.components.component import Outcome, Work


def run(work: Work) -> Outcome:
    """Train, and move the export to `Format-Serving`."""
    recipe = Recipe.from_json(json.dumps(work.parameters["recipe"]))
    strategy = distribution.make_strategy("auto")
    if work.parameters["deterministic"]:
        distribution.make_deterministic()
    result = experiment.train(
        recipe,
        work.scratch / "work",
        work.inputs["examples"],
        work.scratch / "export",
        strategy=strategy,
    )
    result.model.rename(work.outputs["model"] / "Format-Serving")
    return Outcome({"steps": result.steps, "run": work.scratch.name})

"""Pusher: a blessed model becomes the newest version of those that are served."""

import os
import pathlib
from typing import Any

from absl import logging

from keras_gan import card, export
from keras_gan.interfaces import UserError
from pipelines import hashes, pushed
from pipelines.components.component import Outcome, Work


def run(work: Work) -> Outcome:
    """Push the model, unless it is the newest version already; its card carries its lineage."""
    for blessing, name in (("blessing", "BLESSED"), ("infra_blessing", "INFRA_BLESSED")):
        if not (work.inputs[blessing] / name).is_file():
            raise RuntimeError(f"Expected {name} in {work.inputs[blessing]}.")
    model = work.inputs["model"] / "Format-Serving"
    card.verify(model)
    directory = pathlib.Path(work.arguments["push"]).resolve()
    newest = pushed.newest(directory)
    if newest is not None and hashes.of_model(newest) == hashes.of_model(model):
        logging.info("%s is this model already: nothing to push", newest)
        return Outcome({"pushed_version": newest.name, "pushed": 0}, newest)
    lineage = work.lineage()
    # Relative: the store is found again if the project's folder moves as a whole.
    lineage["store"] = os.path.relpath(lineage["store"], directory)
    facts = {"metrics": as_metrics(work.properties["blessing"]["metrics"]), "lineage": lineage}

    def expect_the_judged_one() -> None:
        last = pushed.last_other(directory, model)
        if (hashes.of_model(last) if last else "") != work.properties["blessing"]["baseline"]:
            raise UserError(
                f"Expected the model that this one was judged beside as the last in {directory}; "
                f"received {last or 'none'}, pushed or deleted meanwhile. Nothing was pushed. Try "
                "the same command again."
            )

    place = export.push(model, directory, card=facts, expect=expect_the_judged_one)
    return Outcome({"pushed_version": place.name, "pushed": 1}, place.resolve())


def as_metrics(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Write what the Evaluator found as a model's card has it."""
    metric, row = evaluation["metric"], evaluation["model"]
    ruler = {"sigma": round(row["sigma"], 4), "samples": row["samples"]}
    found: dict[str, Any] = {
        f"{metric}, nats, validation images": {
            "mean": row[metric],
            "stderr": row["stderr"],
            **ruler,
        }
    }
    if "test_log_likelihood" in row:
        found["log_likelihood, nats, test images"] = {
            "mean": row["test_log_likelihood"],
            "stderr": row["test_stderr"],
            **ruler,
        }
    if "difference" in evaluation:
        found[f"{metric}, more than the model pushed before"] = evaluation["difference"]
    for name in ("clusters", "spread"):
        found[f"{name}, share of real images'"] = row[name]
    return found

"""Evaluator: is a generator good enough to be served? Judged on held-out images.

The images that decide are those of the validation split behind the ones that choose the Parzen
window's width. The test split decides nothing: a number that many pushes are chosen by no longer
says how good what was chosen is. Its log-likelihood is written down beside.
"""

import json
import math
from typing import Any, NamedTuple

import numpy as np

from keras_gan import card, data, exported, records
from keras_gan.interfaces import Sampler, UserError
from keras_gan.metrics import diversity, parzen
from pipelines import hashes
from pipelines.components.component import Outcome, Work

SEED = 0  # of the samples: the same latent vectors for every model of one prior
DRAWINGS = 5  # parts of the samples, which tell how much depends on what was drawn
COLLAPSE_IMAGES = 500  # as the collapse alarm of a training run has


class Judged(NamedTuple):
    """What is known of a generator, and at each image, for the paired difference."""

    row: dict[str, float]
    densities: np.ndarray


class Images(NamedTuple):
    """Images that judge, float32 [n, H, W, C] in [0, 1]."""

    fitting: np.ndarray
    deciding: np.ndarray
    test: np.ndarray | None


def run(work: Work) -> Outcome:
    """Write the `evaluation`, and BLESSED or NOT_BLESSED with the reason."""
    model = work.inputs["model"] / "Format-Serving"
    images = load_images(work)
    sampler = exported.load_sampler(model)
    new = judge(sampler, images, work.parameters)
    row = new.row
    looks = images.deciding[:COLLAPSE_IMAGES]
    varied = diversity.Reference(looks).compare(sampler.sample(len(looks), seed=SEED))
    row |= {"clusters": varied.clusters, "spread": varied.spread}
    rows = {"model": row}
    name = ""
    baseline_hash = ""
    if "baseline_model" in work.inputs:
        pushed = work.inputs["baseline_model"]
        name = f"{pushed.parent.name}/{pushed.name}"
        card.verify(pushed)
        baseline_hash = hashes.of_model(pushed)
        baseline = exported.load_sampler(pushed)
        if baseline.image_shape != sampler.image_shape:
            raise UserError(
                f"Expected --push to hold models of the images' shape, {sampler.image_shape}; "
                f"received {pushed} with {baseline.image_shape}. Try another --push."
            )
        old = judge(baseline, images, work.parameters)
        rows |= {"last pushed": old.row, "difference": compare(new, old)}
    reasons = find_reasons(rows, work.parameters, name)
    told = {"metric": work.parameters["metric"], **rows, "reasons": reasons}
    path = work.outputs["evaluation"] / "metrics.json"
    path.write_text(json.dumps(told, indent=2) + "\n")
    blessed = not reasons
    text = describe(rows, work.parameters["metric"]) if blessed else " ".join(reasons)
    (work.outputs["blessing"] / ("BLESSED" if blessed else "NOT_BLESSED")).write_text(text + "\n")
    reason = "" if blessed else f"Not blessed, so nothing was pushed: {text}"
    known = {"blessed": int(blessed), "reason": reason, "metrics": told, "baseline": baseline_hash}
    return Outcome(known)


def load_images(work: Work) -> Images:
    """Load the held-out images: those that fit sigma, those that decide, and the test split."""
    examples = work.inputs["examples"]
    info = records.DatasetInfo.read(examples)
    validation = data.load_split(examples, "validation")
    if len(validation) < 2:
        raise UserError(
            f"Expected at least 2 validation images to judge by; received {len(validation)} in "
            f"{examples}. Try more images, or another --validation when they are preprocessed."
        )
    cut = min(parzen.PUBLISHED_VALIDATION, len(validation) // 2)
    test = data.load_split(examples, "test") if info.counts.get("test", 0) > 1 else None
    return Images(validation[:cut], validation[cut:], test)


def judge(sampler: Sampler, images: Images, parameters: dict[str, Any]) -> Judged:
    """Estimate how likely the deciding images are, with the error of images and of samples.

    `stderr` has both: the spread over the images that judge and, from parts of the samples, how
    much hangs on which samples were drawn.
    """
    drawn = sampler.sample(parameters["samples"], seed=SEED)
    sigma = parzen.fit_sigma(drawn, images.fitting)
    if parameters["metric"] == "fine_log_likelihood":
        sigma = parzen.refine_sigma(drawn, images.fitting, sigma)
    densities = parzen.log_densities(drawn, images.deciding, [sigma])[0]
    parts = [
        parzen.log_densities(drawn[first::DRAWINGS], images.deciding, [sigma])[0].mean()
        for first in range(DRAWINGS)
    ]
    drawing = float(np.std(parts, ddof=1) / math.sqrt(DRAWINGS))
    row = {
        parameters["metric"]: float(densities.mean()),
        "stderr": math.hypot(_error(densities), drawing),
        "drawing_stderr": drawing,
        "sigma": sigma,
        "samples": len(drawn),
        "images": len(densities),
    }
    if images.test is not None:
        test = parzen.log_likelihood(drawn, images.test, sigma)
        row |= {"test_log_likelihood": test.mean, "test_stderr": test.stderr}
    return Judged(row, densities)


def compare(new: Judged, old: Judged) -> dict[str, float]:
    """Difference of two generators, paired by image: what makes an image hard cancels out."""
    difference = new.densities - old.densities
    drawing = (new.row["drawing_stderr"], old.row["drawing_stderr"])
    return {
        "mean": float(difference.mean()),
        "stderr": math.hypot(_error(difference), *drawing),
    }


def find_reasons(
    rows: dict[str, dict[str, float]], parameters: dict[str, Any], pushed: str
) -> list[str]:
    """Say, in sentences with numbers, what speaks against a generator.

    Args:
        rows: what is known of the "model", and of the "last pushed" and the "difference".
        parameters: of the Evaluator.
        pushed: the version to beat, if there is one.
    """
    row, metric = rows["model"], parameters["metric"]
    found = []
    # Not "any is below": nan is not below either.
    if not all(row[name] >= parameters["min_diversity"] for name in ("clusters", "spread")):
        found.append(
            f"it has collapsed, or has no variety yet: beside as many real images its samples fall "
            f"into {row['clusters']:.2f} of the clusters and lie {row['spread']:.2f} as far from "
            f"each other (--min_diversity={parameters['min_diversity']:g})."
        )
    least = parameters["min"]
    if not math.isfinite(row[metric]):
        found.append(f"its {metric} is {row[metric]}.")
    elif least is not None and not row[metric] - row["stderr"] > least:
        found.append(
            f"{metric} {row[metric]:.2f} +- {row['stderr']:.2f} is not above --min={least:g} by "
            "more than the error."
        )
    if "difference" in rows:
        mean, error = rows["difference"]["mean"], rows["difference"]["stderr"]
        if not mean > error:
            found.append(
                f"{metric} {row[metric]:.2f} is not above that of {pushed}, the newest other "
                f"model, {rows['last pushed'][metric]:.2f} by more than the error of the "
                f"difference, {mean:+.2f} +- {error:.2f}."
            )
    return found


def describe(rows: dict[str, dict[str, float]], metric: str) -> str:
    """Say in a line how good a generator is."""
    row = rows["model"]
    text = f"{metric} {row[metric]:.2f} +- {row['stderr']:.2f}"
    if "difference" in rows:
        mean, error = rows["difference"]["mean"], rows["difference"]["stderr"]
        text += f", {mean:+.2f} +- {error:.2f} beside the last pushed model"
    return f"{text}; clusters {row['clusters']:.2f}, spread {row['spread']:.2f} of real images'"


def _error(values: np.ndarray) -> float:
    return float(values.std() / math.sqrt(len(values)))

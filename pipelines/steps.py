"""The chain's steps, as data."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from keras_gan import records
from keras_gan.config import Recipe
from keras_gan.interfaces import UserError
from pipelines import hashes, pushed, sources
from pipelines.chain import Step
from pipelines.metadata import Artifact
from pipelines.options import Options


@dataclasses.dataclass(frozen=True)
class Request:
    """What a run of the chain is asked for.

    Args:
        options: which images.
        examples: a data folder to take instead of reading them.
        recipe: how to train.
        push: where the served versions are.
        schema: a schema in text form; None for the known or inferred one.
        allow: anomalies that are accepted.
        max_rejected: share of the images that may be unusable.
        deterministic: whether only operations are used that give the same bits each time.
        metric: that decides whether a generator is blessed.
        min: what the metric must exceed; None for anything.
        min_diversity: share of real images' variety below which a generator has collapsed.
        samples: drawn to judge a generator.
        infra_timeout: seconds that the serving system's loader may take.
    """

    options: Options
    examples: str | None
    recipe: Recipe
    push: str
    schema: str | None = None
    allow: tuple[str, ...] = ()
    max_rejected: float = 0.01
    deterministic: bool = False
    metric: str = "log_likelihood"
    min: float | None = None
    min_diversity: float = 0.25
    samples: int = 10000
    infra_timeout: float = 300.0


def steps(request: Request) -> list[Step]:
    """List the steps in their order."""
    return [
        Step(
            "ExampleGen",
            outputs={"examples": "Examples"},
            parameters=lambda: _example_parameters(request),
            arguments={"options": dataclasses.asdict(request.options)},
            imports=lambda inputs: _given_folder(request),
        ),
        Step(
            "StatisticsGen",
            inputs=("examples",),
            outputs={"statistics": "ExampleStatistics"},
        ),
        Step(
            "SchemaGen",
            inputs=("examples", "statistics"),
            outputs={"schema": "Schema"},
            parameters=lambda: _schema_parameters(request),
            arguments={"schema": request.schema},
        ),
        Step(
            "ExampleValidator",
            inputs=("examples", "statistics", "schema"),
            outputs={"anomalies": "ExampleAnomalies"},
            parameters=lambda: {
                "allow": sorted(request.allow),
                "max_rejected": request.max_rejected,
            },
            refusal=UserError,
        ),
        Step(
            "Trainer",
            inputs=("examples",),
            outputs={"model": "Model"},
            parameters=lambda: _trainer_parameters(request),
        ),
        Step(
            "Evaluator",
            inputs=("examples", "model"),
            outputs={"evaluation": "ModelEvaluation", "blessing": "ModelBlessing"},
            parameters=lambda: {
                "metric": request.metric,
                "min": request.min,
                "min_diversity": request.min_diversity,
                "samples": request.samples,
            },
            imports=lambda inputs: _last_pushed(request, inputs),
        ),
        Step(
            "InfraValidator",
            inputs=("model",),
            outputs={"infra_blessing": "InfraBlessing"},
            parameters=lambda: {"timeout": request.infra_timeout},
            remembers_refusal=False,  # a machine that was busy may not be so the next time
        ),
        Step(
            "Pusher",
            inputs=("model", "blessing", "infra_blessing"),
            outputs={"pushed_model": "PushedModel"},
            parameters=lambda: {"push": str(pathlib.Path(request.push).resolve())},
            arguments={"push": request.push},
            elsewhere=True,
        ),
    ]


def _example_parameters(request: Request) -> dict[str, Any]:
    if request.examples:
        return {}  # the folder is an input
    return {
        "title": request.options.title,
        **request.options.parameters(),
        "fingerprint": sources.fingerprint(request.options),
    }


def _given_folder(request: Request) -> dict[str, tuple[str, pathlib.Path]]:
    if not request.examples:
        return {}
    return {"folder": ("Examples", pathlib.Path(request.examples))}


def _schema_parameters(request: Request) -> dict[str, Any]:
    if request.schema:
        return {"schema_file": records.file_sha256(request.schema)}
    return {"known_schemas": hashes.of_folder(hashes.PROJECT / "pipelines" / "schemas")}


def _trainer_parameters(request: Request) -> dict[str, Any]:
    recipe = json.loads(request.recipe.to_json())
    parameters = {"recipe": recipe, "deterministic": request.deterministic}
    if request.recipe.generator_from:
        earlier = pathlib.Path(request.recipe.generator_from) / "checkpoints"
        parameters["generator_from"] = hashes.of_folder(earlier)
    return parameters


def _last_pushed(
    request: Request, inputs: Mapping[str, Artifact]
) -> dict[str, tuple[str, pathlib.Path]]:
    """Find the model to beat, if one was pushed."""
    last = pushed.last_other(request.push, inputs["model"].path / "Format-Serving")
    return {"baseline_model": ("Model", last)} if last else {}

"""InfraValidator: TensorFlow's own C++ loader loads the model and answers its warm-up requests."""

import os
import subprocess
import sys

from absl import logging

from keras_gan import card, loader
from pipelines.components.component import Outcome, Work


def run(work: Work) -> Outcome:
    """Write INFRA_BLESSED, or INFRA_NOT_BLESSED with the loader's sentence."""
    model = work.inputs["model"] / "Format-Serving"
    card.verify(model)
    seconds = work.parameters["timeout"]
    try:
        done = subprocess.run(
            [sys.executable, "-m", loader.__name__, str(model)],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            # On the CPU: a GPU's memory is this process's as long as it lives.
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        )
    except subprocess.TimeoutExpired:
        problem, requests = f"no answer within --infra_timeout={seconds:g} seconds", []
    else:
        requests = done.stdout.splitlines()
        lines = done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"]
        problem = lines[-1].removeprefix("error: ") if done.returncode else ""
    for line in requests:
        logging.info("  %s", line)
    blessing = work.outputs["infra_blessing"]
    if problem:
        reason = f"The serving system's loader refuses the model, so nothing was pushed: {problem}"
        (blessing / "INFRA_NOT_BLESSED").write_text(f"{problem}\n")
        return Outcome({"blessed": 0, "reason": reason})
    (blessing / "INFRA_BLESSED").write_text("".join(f"{line}\n" for line in requests))
    return Outcome({"blessed": 1, "reason": "", "replayed": requests})

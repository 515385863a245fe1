"""Work directories as training leaves them, without training."""

import dataclasses
import json
import pathlib

import numpy as np

from keras_gan import images
from keras_gan.recipes import RECIPES
from tests.events import write_events

STEPS = range(100, 1001, 100)


def logged():
    """Events of a short run with every tag."""
    events = []
    for i, step in enumerate(STEPS):
        scalars = {
            "d_loss": 1.0 + 0.02 * i,
            "d_steps": 1.0,
            "g_loss": 0.9 - 0.02 * i,
            "D(x)": 0.7 - 0.01 * i,
            "D(G(z))": 0.3 + 0.01 * i,
            "speed/steps_per_second": 50.0,
            "speed/waiting_for_input": 0.25,
            "speed/peak_memory_gib": 1.5,
            "optimizers/d_learning_rate": 1e-3,
            "optimizers/g_learning_rate": 2e-3,
            "held_out/d_loss": 1.3,
            "held_out/d_loss_of_train": 1.2,
            "accuracy/real": 0.75,
            "accuracy/generated": 0.8,
            "gradients/discriminator": 0.1,
            "gradients/generator": 10.0,
            "parzen/validation": 100.0 - abs(step - 800) / 100,
            "diversity/clusters": 0.9,
            "diversity/spread": 1.0,
        }
        events += [(step, tag, value) for tag, value in scalars.items()]
        for tag, at in (("logits/real", 1.0), ("logits/generated", -1.0)):
            edges = np.linspace(at - 1, at + 1, 5) + 0.1 * i
            counts = np.array([1.0, 2.0, 2.0, 1.0])
            events.append((step, tag, np.stack([edges[:-1], edges[1:], counts], axis=1)))
    return events


def png(path, value):
    """Draw a grid of one grey."""
    images.write_png(path, np.full((32, 32, 1), value, np.uint8))
    return path.read_bytes()


def write_run(folder, *, events=None, about=None, logs="tensorboard", **recipe):
    """Write a work directory.

    Args:
        folder: where.
        events: what it logged; everything if None.
        about: of `run.json`, beside or instead of what is usual; None leaves a key out.
        logs: the folder of the event files.
        recipe: fields in which it differs from the recipe `mnist`.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    usual = {
        "recipe": json.loads(dataclasses.replace(RECIPES["mnist"], **recipe).to_json()),
        "image_shape": [28, 28, 1],
        "classes": [],
        "train_images": 50000,
        "data_hash": "0123456789abcdef" * 4,
        "examples": str(folder.parent / "data"),
        "stopped": "",
        "versions": {"keras": "3.15.1", "tensorflow": "2.21.0"},
        "command": "python -m keras_gan.train --dataset=mnist",
        "started": "2026-01-02T03:04:05+00:00",
        "ended": {"how": "finished", "why": "", "step": 1000, "at": "2026-01-02T03:14:05+00:00"},
    }
    run = {key: value for key, value in (usual | (about or {})).items() if value is not None}
    (folder / "run.json").write_text(json.dumps(run))
    events = logged() if events is None else events
    if events:
        write_events(folder / logs, events)
        for i, step in enumerate((200, 600, 1000)):
            png(folder / "samples" / f"step-{step:07d}.png", 60 * i)
    return folder

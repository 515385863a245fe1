"""keras_gan: train, judge and serve generative adversarial networks on TensorFlow and Keras 3.

Public names are resolved when they are first used, so that `import keras_gan` (which every Beam
worker and every `--help` does) loads neither TensorFlow nor Keras.
"""

import importlib
from typing import TYPE_CHECKING, Any

from keras_gan.version import __version__

if TYPE_CHECKING:
    from keras_gan.building import build
    from keras_gan.config import Recipe
    from keras_gan.data import train_dataset
    from keras_gan.exported import load_sampler
    from keras_gan.gan import GAN
    from keras_gan.inference import Inference
    from keras_gan.losses import AdversarialLoss
    from keras_gan.priors import Normal, Spherical, Uniform

__all__ = [
    "GAN",
    "AdversarialLoss",
    "Inference",
    "Normal",
    "Recipe",
    "Spherical",
    "Uniform",
    "__version__",
    "build",
    "load_sampler",
    "train_dataset",
]

_MODULE_OF = {
    "GAN": "gan",
    "AdversarialLoss": "losses",
    "Inference": "inference",
    "Normal": "priors",
    "Recipe": "config",
    "Spherical": "priors",
    "Uniform": "priors",
    "build": "building",
    "load_sampler": "exported",
    "train_dataset": "data",
}


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"keras_gan.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module 'keras_gan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

"""What Keras writes of a model and reads again."""

from typing import Any

import keras


def revived(config: dict[str, Any], *names: str, custom_objects: Any = None) -> dict[str, Any]:
    """Copy a config with the objects, of those that it has, that some of its entries describe."""
    made = {
        name: keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
        for name in names
        if config.get(name) is not None
    }
    return config | made

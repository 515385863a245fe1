"""Any other images: the settings of `cifar10`, sized to them.

python -m keras_gan.train --images=FOLDER
python -m keras_gan.train --dataset=NAME [--set image_size=64]

Expected: 3,000 steps in about thirteen minutes on two cores at 64x64; on 400 photographs of faces,
blurred faces. It is a start that runs anywhere; --steps takes it further.
"""

import dataclasses

from keras_gan.config import DEFAULT_VALIDATION
from keras_gan.recipes import cifar10

RECIPE = dataclasses.replace(
    cifar10.RECIPE, name="images", dataset="", validation=DEFAULT_VALIDATION, steps=3000
)

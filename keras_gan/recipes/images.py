"""Any other image data set: the settings of `cifar10`, sized to its images.

python -m keras_gan.train --dataset=NAME [--set image_size=64]
"""

import dataclasses

from keras_gan.recipes import cifar10

RECIPE = dataclasses.replace(
    cifar10.RECIPE, name="images", dataset="", validation="hash:0.1", epochs=20
)

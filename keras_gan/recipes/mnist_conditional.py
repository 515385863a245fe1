"""MNIST by class: `mnist`, with labels into both networks.

python -m keras_gan.train --recipe=mnist_conditional
"""

import dataclasses

from keras_gan.recipes import mnist

RECIPE = dataclasses.replace(mnist.RECIPE, name="mnist_conditional", conditional=True)

"""A numpy twin of the losses, by way of probabilities in extended precision."""

import numpy as np


def sigmoid(logits):
    return 1 / (1 + np.exp(-np.asarray(logits, np.longdouble)))


def discriminator(real, fake):
    return -np.log(sigmoid(real)) - np.log(1 - sigmoid(fake))


def minimax_generator(fake):
    return np.log(1 - sigmoid(fake))


def non_saturating_generator(fake):
    return -np.log(sigmoid(fake))


GENERATORS = {"minimax": minimax_generator, "non_saturating": non_saturating_generator}

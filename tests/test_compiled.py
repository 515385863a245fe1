"""What TPUs ask of the step, as far as a machine without one can tell: XLA compiles it, whole."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from keras_gan import building, priors
from tests.conformance.cases import CASES, smooth

ROWS = 16  # d_steps of 2 times 8


class Waves(priors.Prior):
    """No random numbers: XLA makes others of the same key than TensorFlow's kernels do."""

    def sample(self, n, draw):
        places = tf.reshape(tf.range(n * self.dimension, dtype=tf.float32), (n, self.dimension))
        return tf.sin(places + tf.cast(draw[1] % 100, tf.float32))


def trained(case, jit_compile):
    recipe = dataclasses.replace(smooth(CASES[case], 0.1), conditional=False, r1=0.1)
    gan = building.build(recipe, (8, 8, 1), train_images=240)
    gan.prior = Waves(recipe.latent)
    start = gan.get_weights()
    step = tf.function(
        gan.train_step,
        jit_compile=jit_compile,
        input_signature=[tf.TensorSpec((ROWS, 8, 8, 1))],
    )
    rng = np.random.default_rng(0)
    for _ in range(3):
        step(rng.random((ROWS, 8, 8, 1), np.float32))
    moved = max(np.abs(a - b).max() for a, b in zip(start, gan.get_weights(), strict=True))
    assert moved > 1e-3
    return gan, step.get_concrete_function().graph


@pytest.mark.parametrize(
    "case",
    [
        "conditional_mlp",  # simultaneous
        "conditional_maxout_conv",  # alternating, on contrast-normalised images
        "dcgan-minimax",  # with batch normalisation
    ],
)
def test_the_step_compiles_whole_and_does_the_same(case):
    compiled, graph = trained(case, jit_compile=True)
    plain, _ = trained(case, jit_compile=False)
    assert int(compiled.step.numpy()) == 3
    for a, b in zip(compiled.weights, plain.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=2e-5)
    operations = _all_operations(graph)
    assert not [op.name for op in operations if "PyFunc" in op.type or op.type == "Print"]
    loose = [
        op.name
        for op in operations
        for output in op.outputs
        if output.dtype not in (tf.resource, tf.variant)
        and not output.shape.is_fully_defined()
        and not _is_scratch(op, output)
    ]
    assert not loose


def _is_scratch(op, output):
    """Is it what a normalization kernel keeps for its gradient? XLA's is an empty vector."""
    if op.type == "ZerosLike":
        return _is_scratch(op.inputs[0].op, op.inputs[0])
    return op.type == "FusedBatchNormV3" and output is op.outputs[5]


def _all_operations(graph):
    """List a graph's operations and those of the functions that it calls."""
    operations = list(graph.get_operations())
    for function in getattr(graph, "_functions", {}).values():
        operations += list(getattr(getattr(function, "graph", None), "get_operations", list)())
    return operations

"""JAX: both networks and both updates as one pure function under `jax.jit`, buffers donated.

python jax_jit.py {mlp} {float32} IMAGES.npy
"""

import functools
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import turns

LATENT, BATCH, MOMENTUM = 100, 100, 0.5
Layers = list[tuple[Any, Any]]


def dense(key: Any, sizes: list[tuple[int, int]]) -> Layers:
    """Draw the weights of layers of (inputs, units)."""
    keys = jax.random.split(key, len(sizes))
    return [
        (jax.random.uniform(k, size, minval=-0.05, maxval=0.05), jnp.zeros(size[1]))
        for k, size in zip(keys, sizes, strict=True)
    ]


def generate(g: Layers, z: Any) -> Any:
    """Make images [B, 784]."""
    for w, b in g[:-1]:
        z = jax.nn.relu(z @ w + b)
    w, b = g[-1]
    return jax.nn.sigmoid(z @ w + b)


def judge(d: Layers, x: Any, key: Any) -> Any:
    """Return logits [B], with dropout."""
    keys = jax.random.split(key, 3)
    for (w, b), k, kept in zip(d, keys, (0.8, 0.5, 0.5), strict=True):
        x = jnp.where(jax.random.bernoulli(k, kept, x.shape), x / kept, 0.0) @ w + b
        if w.shape[1] > 1:
            x = functools.reduce(jnp.maximum, jnp.split(x, 5, axis=1))
    return x[:, 0]


def descend(weights: Any, velocity: Any, gradient: Any, rate: float) -> tuple[Any, Any]:
    """Take a step of classical momentum."""
    velocity = jax.tree.map(lambda v, g: MOMENTUM * v - rate * g, velocity, gradient)
    return jax.tree.map(jnp.add, weights, velocity), velocity


@functools.partial(jax.jit, donate_argnums=0)
def step(state: Any, pixels: Any, key: Any) -> Any:
    """Play one round: D's step, then G's on fresh noise."""
    g, g_velocity, d, d_velocity = state
    key_z, key_d, key_fresh, key_g = jax.random.split(key, 4)
    real = pixels.astype(jnp.float32) / 255.0
    limit = 3**0.5

    def d_loss(d: Layers) -> Any:
        z = jax.random.uniform(key_z, (BATCH, LATENT), minval=-limit, maxval=limit)
        logits = judge(d, jnp.concatenate([real, generate(g, z)]), key_d)
        return jnp.mean(jax.nn.softplus(-logits[:BATCH]) + jax.nn.softplus(logits[BATCH:]))

    loss_d, gradient = jax.value_and_grad(d_loss)(d)
    d, d_velocity = descend(d, d_velocity, gradient, 0.05)

    def g_loss(g: Layers) -> Any:
        z = jax.random.uniform(key_fresh, (BATCH, LATENT), minval=-limit, maxval=limit)
        return jnp.mean(jax.nn.softplus(-judge(d, generate(g, z), key_g)))

    loss_g, gradient = jax.value_and_grad(g_loss)(g)
    g, g_velocity = descend(g, g_velocity, gradient, 0.1)
    return (g, g_velocity, d, d_velocity), (loss_d, loss_g)


def main(pair: str, dtype: str, images: str) -> None:
    """Race on images."""
    assert (pair, dtype) == ("mlp", "float32")
    pixels = np.load(images).reshape(-1, 784)
    rng, key = np.random.default_rng(0), jax.random.key(0)
    keys = jax.random.split(key, 2)
    g = dense(keys[0], [(LATENT, 1200), (1200, 1200), (1200, 784)])
    d = dense(keys[1], [(784, 1200), (240, 1200), (240, 1)])
    state = (g, jax.tree.map(jnp.zeros_like, g), d, jax.tree.map(jnp.zeros_like, d))
    count, order = 0, rng.permutation(len(pixels))

    def play(steps: int) -> None:
        nonlocal state, count, order
        for _ in range(steps):
            first = count * BATCH % (len(pixels) // BATCH * BATCH)
            if first == 0:
                order = rng.permutation(len(pixels))
            batch = pixels[order[first : first + BATCH]]
            state, _ = step(state, batch, jax.random.fold_in(key, count))
            count += 1
        jax.block_until_ready(state)

    play(20)
    for steps in turns.turns():
        play(steps)


if __name__ == "__main__":
    main(*sys.argv[1:])

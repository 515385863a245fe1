"""PyTorch: modules, momentum SGD or Adam, and the loop of its GAN tutorial; eager or compiled.

python pytorch.py {mlp,conv} {float32,bfloat16} IMAGES.npy [compile]
"""

import contextlib
import sys
from typing import Any

import numpy as np
import torch
import turns
from torch import nn
from torch.nn import functional

LATENT = 100


class Maxout(nn.Module):
    """The largest of five linear pieces."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, 5 * units] to [B, units]."""
        return x.view(len(x), -1, 5).amax(2)


def mlp() -> tuple[nn.Module, nn.Module]:
    """Build the paper's pair for MNIST."""
    generator = nn.Sequential(
        *(nn.Linear(LATENT, 1200), nn.ReLU(), nn.Linear(1200, 1200), nn.ReLU()),
        *(nn.Linear(1200, 784), nn.Sigmoid()),
    )
    discriminator = nn.Sequential(
        *(nn.Dropout(0.2), nn.Linear(784, 1200), Maxout()),
        *(nn.Dropout(0.5), nn.Linear(240, 1200), Maxout()),
        *(nn.Dropout(0.5), nn.Linear(240, 1)),
    )
    return generator, discriminator


def conv() -> tuple[nn.Module, nn.Module]:
    """Build a DCGAN for 32x32: 32 channels next to the image, 256 next to z."""
    g: list[nn.Module] = [nn.Linear(LATENT, 256 * 16, bias=False), nn.Unflatten(1, (256, 4, 4))]
    for inputs, filters in ((256, 128), (128, 64), (64, 32)):
        g += [nn.BatchNorm2d(inputs), nn.ReLU()]
        g += [nn.ConvTranspose2d(inputs, filters, 4, stride=2, padding=1, bias=False)]
    g += [nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 3, 3, padding=1), nn.Sigmoid()]
    d: list[nn.Module] = []
    for inputs, filters in ((3, 32), (32, 64), (64, 128)):
        d += [nn.Conv2d(inputs, filters, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    d += [nn.Flatten(), nn.Linear(128 * 16, 1)]
    # What PyTorch advises for convolutions on CPUs.
    last = torch.channels_last
    return nn.Sequential(*g).to(memory_format=last), nn.Sequential(*d).to(memory_format=last)


def main(pair: str, dtype: str, images: str, how: str = "eager") -> None:
    """Race with a pair of networks, in a type of numbers, on images."""
    torch.manual_seed(0)
    pixels = torch.from_numpy(np.load(images))
    pixels = pixels.flatten(1) if pair == "mlp" else pixels.permute(0, 3, 1, 2).contiguous()
    size = 100 if pair == "mlp" else 64
    generator, discriminator = mlp() if pair == "mlp" else conv()
    if pair == "mlp":
        d_optimizer: Any = torch.optim.SGD(discriminator.parameters(), 0.05, momentum=0.5)
        g_optimizer: Any = torch.optim.SGD(generator.parameters(), 0.1, momentum=0.5)
    else:
        d_optimizer = torch.optim.Adam(discriminator.parameters(), 5e-4, (0.5, 0.999))
        g_optimizer = torch.optim.Adam(generator.parameters(), 2e-4, (0.5, 0.999))

    def half() -> Any:
        if dtype == "bfloat16":
            return torch.autocast("cpu", torch.bfloat16)
        return contextlib.nullcontext()

    def noise() -> torch.Tensor:
        return (torch.rand(size, LATENT) * 2 - 1) * 3**0.5

    def bce(logits: torch.Tensor, real: float) -> torch.Tensor:
        logits = logits.float()
        return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, real))

    def d_loss(real: torch.Tensor) -> torch.Tensor:
        real = real.float() / 255.0
        if pair == "conv":
            real = real.to(memory_format=torch.channels_last) * 2 - 1
        with half():
            fake = generator(noise()).detach()
            return bce(discriminator(real), 1.0) + bce(discriminator(fake), 0.0)

    def g_loss() -> torch.Tensor:
        with half():
            return bce(discriminator(generator(noise())), 1.0)

    if how == "compile":
        d_loss, g_loss = torch.compile(d_loss), torch.compile(g_loss)
    count, order = 0, torch.randperm(len(pixels))

    def play(steps: int) -> None:
        nonlocal count, order
        for _ in range(steps):
            first = count * size % (len(pixels) // size * size)
            if first == 0:
                order = torch.randperm(len(pixels))
            d_optimizer.zero_grad()
            d_loss(pixels[order[first : first + size]]).backward()
            d_optimizer.step()
            for weight in discriminator.parameters():
                weight.requires_grad_(False)  # no gradients of D's weights in G's step
            g_optimizer.zero_grad()
            g_loss().backward()
            g_optimizer.step()
            for weight in discriminator.parameters():
                weight.requires_grad_(True)
            count += 1

    play(20)
    for steps in turns.turns():
        play(steps)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Trains the autoencoder on glyphs with random backgrounds, mostly on quarters of pictures: more variety a second."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from autoencoder import LATENT, Autoencoder
from glyphs import COLOURS, PICTURE, WHITE, augment
from torch import Tensor
from training import DEVICE, Run, optimizers

CROP = 64
BATCH = 16
EDGES = ("encoder.conv_in", "decoder.conv_out", "quant_conv")  # layers that touch pictures or moments
KL_WEIGHT = 5e-4  # of the divergence per latent value


def background(random: np.random.Generator) -> tuple[int, int, int]:
    kind = random.random()
    if kind < 0.4:
        return WHITE
    if kind < 0.8:
        return list(COLOURS.values())[random.integers(len(COLOURS))]
    return tuple(int(c) for c in random.integers(0, 256, 3))


def batch(glyphs: np.ndarray, random: np.random.Generator, whole: bool) -> Tensor:
    """Pictures [n, 3, side, side] in -1 … 1: a few whole ones, or four times as many crops."""
    pictures = []
    for _ in range(BATCH // 4 if whole else BATCH):
        picture = augment(glyphs[random.integers(len(glyphs))], random, background(random))
        if not whole:
            top, left = random.integers(0, PICTURE - CROP + 1, 2)
            picture = picture[top : top + CROP, left : left + CROP]
        pictures.append(picture)
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().contiguous() / 127.5 - 1


def train(glyphs: np.ndarray, folder: Path, steps: int) -> Autoencoder:
    torch.manual_seed(1)
    model = Autoencoder().to(DEVICE)
    run = Run(folder, "autoencoder", model, optimizers(model, EDGES), steps, 0.998)

    def draw(step: int, random: np.random.Generator) -> tuple[Tensor, ...]:
        pictures = batch(glyphs, random, whole=step % 4 == 3)
        count, _, height, width = pictures.shape
        return pictures, torch.randn(count, LATENT, height // 8, width // 8)

    def loss(pictures: Tensor, noise: Tensor) -> dict[str, Tensor]:
        with torch.autocast(DEVICE.type, torch.bfloat16):
            mean, logvar = model.encode(pictures)
            drawn = model.decode(mean + torch.exp(0.5 * logvar) * noise)
        sharp = F.l1_loss(drawn, pictures)
        broad = F.l1_loss(F.avg_pool2d(drawn, 8), F.avg_pool2d(pictures, 8))
        divergence = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        squared = F.mse_loss(drawn, pictures)
        total = sharp + 0.5 * broad + squared + KL_WEIGHT * divergence
        return {"loss": total, "l1": sharp, "mse": squared, "kl": divergence}

    return run.train(draw, loss)

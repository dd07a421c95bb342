"""Trains text encoder and UNet together on latents that the autoencoder made once."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from autoencoder import LATENT, Autoencoder
from captions import BACKGROUNDS, PLAIN, Captions
from glyphs import COLOURS, PICTURE, WHITE, augment
from text_encoder import TextEncoder
from torch import Tensor, nn
from training import DEVICE, WORKERS, Run, optimizers
from unet import UNet

BATCH = 32
VARIANTS = 48  # pictures of each glyph, half of them on white
# A glyph stays within a quarter of a latent's cell, so that the text alone decides nearly all of its latent.
SIDES, REACH = (115, 121), 1
TIMESTEPS = 1000
FINISH = 600  # last steps, which learn all noise levels alike: without them backgrounds come out grainy
EDGES = ("embedding", "unet.input_blocks.0.", "unet.out.")


def alphas() -> Tensor:
    """Products of 1 - beta of Stable Diffusion's schedule: betas 0.00085 to 0.012, linear in their square roots."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, TIMESTEPS, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0).float()


def write_latents(glyphs: np.ndarray, model: Autoencoder, path: Path) -> None:
    """latents [glyph, variant, LATENT, side, side] with standard deviation 1, backgrounds [glyph, variant], scale."""
    side = PICTURE // 8
    latents = np.zeros((len(glyphs), VARIANTS, LATENT, side, side), np.float32)
    backgrounds = np.full((len(glyphs), VARIANTS), PLAIN)
    backgrounds[:, VARIANTS // 2 :] = np.arange(VARIANTS - VARIANTS // 2) % len(BACKGROUNDS)

    def encode(index: int) -> None:
        random = np.random.default_rng([7, index])
        colours = [WHITE if b == PLAIN else COLOURS[BACKGROUNDS[b]] for b in backgrounds[index]]
        pictures = np.stack([augment(glyphs[index], random, colour, SIDES, REACH) for colour in colours])
        tensor = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().contiguous() / 127.5 - 1
        with torch.no_grad(), torch.autocast(DEVICE.type, torch.bfloat16):
            latents[index] = model.encode(tensor.to(DEVICE))[0].cpu().numpy()

    list(ThreadPoolExecutor(WORKERS).map(encode, range(len(glyphs))))
    scale = 1 / latents.std()
    temporary = path.with_suffix(".new")
    with open(temporary, "wb") as file:
        np.savez(file, latents=(latents * scale).astype(np.float16), backgrounds=backgrounds, scale=scale)
    os.replace(temporary, path)


class Diffusion(nn.Module):
    def __init__(self, captions: Captions):
        super().__init__()
        self.text = TextEncoder(len(captions.vocabulary), captions.marks)
        self.unet = UNet()

    def forward(self, latents: Tensor, timesteps: Tensor, ids: Tensor) -> Tensor:
        return self.unet(latents, timesteps, self.text(ids))


def train(data: dict[str, np.ndarray], captions: Captions, folder: Path, steps: int) -> Diffusion:
    torch.manual_seed(2)
    model = Diffusion(captions).to(DEVICE)
    run = Run(folder, "diffusion", model, optimizers(model, EDGES), steps, 0.9985)
    latents, backgrounds = data["latents"], data["backgrounds"]
    products = alphas().to(DEVICE)

    def batch(step: int, random: np.random.Generator) -> tuple[Tensor, ...]:
        glyph = random.integers(len(latents), size=BATCH)
        variant = random.integers(VARIANTS, size=BATCH)
        clean = torch.from_numpy(latents[glyph, variant]).float()
        places = (random.permutation(BATCH) + random.random(BATCH)) / BATCH
        finishing = step >= steps - FINISH
        # More of the high noise levels, where the text decides.
        timesteps = torch.from_numpy((places if finishing else np.sqrt(places)) * TIMESTEPS).long()
        ids = np.stack([captions.draw(g, backgrounds[g, v], random) for g, v in zip(glyph, variant)])
        weights = torch.ones(BATCH) if finishing else 1 - products.cpu()[timesteps]
        return clean, torch.randn_like(clean), timesteps, torch.from_numpy(ids), weights

    def loss(clean: Tensor, noise: Tensor, timesteps: Tensor, ids: Tensor, weights: Tensor) -> dict[str, Tensor]:
        signal, spread = (part[timesteps][:, None, None, None] for part in (products.sqrt(), (1 - products).sqrt()))
        with torch.autocast(DEVICE.type, torch.bfloat16):
            guess = model(signal * clean + spread * noise, timesteps, ids)
        # v of Salimans and Ho (arXiv 2202.00512), not the noise: most of what a text decides is decided where there is
        # little but noise, and there an error of the picture hardly shows in the noise. An error of v times `spread` is
        # that of the picture, which counts until the last steps: at low noise v is mostly noise that nobody can know.
        errors = (guess - (signal * noise - spread * clean)).square().mean((1, 2, 3))
        return {"loss": (weights * errors).mean()}

    return run.train(batch, loss)

#!/usr/bin/env python3
"""The whole recipe: python3 train.py FOLDER. Stages that are done are skipped, one that was stopped goes on."""

import argparse
from pathlib import Path

import numpy as np
import torch
from captions import Captions, on
from export import draw, export
from glyphs import prepare
from train_autoencoder import train as train_autoencoder
from train_diffusion import train as train_diffusion
from train_diffusion import write_latents

SAMPLES = ["red apple", "cat face", "octopus", "birthday cake", "rocket", "sunflower", "blue heart", "bus"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--autoencoder-steps", type=int, default=1500)
    parser.add_argument("--diffusion-steps", type=int, default=12000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = options.folder

    atlas = folder / "glyphs.npz"
    if not atlas.exists():
        prepare(atlas)
    source = np.load(atlas)
    glyphs = source["glyphs"]
    captions = Captions([str(name) for name in source["names"]], [str(words) for words in source["keywords"]])

    autoencoder = train_autoencoder(glyphs, folder, options.autoencoder_steps)
    latents = folder / "latents.npz"
    if not latents.exists():
        write_latents(glyphs, autoencoder, latents)
    data = dict(np.load(latents))
    model = train_diffusion(data, captions, folder, options.diffusion_steps)

    scale = float(data["scale"])
    export(folder / "emoji.safetensors", autoencoder, model, captions, scale)
    texts = SAMPLES + [text + on("yellow") for text in SAMPLES] + [text + on("blue") for text in SAMPLES]
    draw(folder / "samples.png", autoencoder, model, captions, scale, texts)


if __name__ == "__main__":
    main()

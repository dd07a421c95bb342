"""Writes the trained networks as one checkpoint with CompVis names, and sheets of what they draw."""

import hashlib
import os
from pathlib import Path

import numpy as np
import torch
from autoencoder import LATENT, Autoencoder
from captions import Captions
from glyphs import PICTURE
from PIL import Image
from safetensors.torch import save_file
from text_encoder import HEADS
from tokenizer import VOCABULARY
from torch import Tensor
from training import DEVICE
from train_diffusion import TIMESTEPS, Diffusion, alphas
from unet import HEAD

METADATA = {
    "format": "pt",
    "modelspec.title": "Aquarelle demonstration model: text to emoji",
    "modelspec.license": "MIT; learned from Noto Color Emoji (SIL OFL 1.1) and Unicode CLDR (Unicode License)",
    "head_dim": str(HEAD),
    "clip_heads": str(HEADS),
    "prediction_type": "v_prediction",
    "image_size": str(PICTURE),
    "cfg_scale": "4",
}


def export(path: Path, autoencoder: Autoencoder, model: Diffusion, captions: Captions, scale: float) -> None:
    text = model.text.state_dict()
    table = text["embeddings.token_embedding.weight"]
    words = table[-1].repeat(VOCABULARY, 1)
    words[captions.vocabulary] = table[:-1]
    text["embeddings.token_embedding.weight"] = words
    networks = {
        "cond_stage_model.transformer.text_model.": text,
        "first_stage_model.": autoencoder.state_dict(),
        "model.diffusion_model.": model.unet.state_dict(),
    }
    tensors = {p + name: t.half().cpu().contiguous() for p, network in networks.items() for name, t in network.items()}
    temporary = path.with_suffix(".new")
    save_file(tensors, temporary, METADATA | {"scale_factor": f"{scale:.6f}"})
    os.replace(temporary, path)
    content = path.read_bytes()
    description = f"size={len(content)}\nsha256={hashlib.sha256(content).hexdigest()}\n"
    path.with_suffix(".properties").write_text(description)


@torch.no_grad()
def sample(model: Diffusion, ids: Tensor, empty: Tensor, steps: int = 20, guidance: float = 4.0) -> Tensor:
    """Latents by DDIM (Song et al., arXiv 2010.02502) with classifier-free guidance."""
    products = alphas().to(DEVICE)
    times = torch.linspace(TIMESTEPS - 1, 0, steps + 1).round().long()
    x = torch.randn(len(ids), LATENT, PICTURE // 8, PICTURE // 8).to(DEVICE)
    both = torch.cat([ids, empty.expand_as(ids)]).to(DEVICE)
    for now, after in zip(times, times[1:]):
        with torch.autocast(DEVICE.type, torch.bfloat16):
            wanted, free = model(x.repeat(2, 1, 1, 1), now.expand(len(both)).to(DEVICE), both).chunk(2)
        v = free + guidance * (wanted - free)
        clean = products[now].sqrt() * x - (1 - products[now]).sqrt() * v
        noise = (1 - products[now]).sqrt() * x + products[now].sqrt() * v
        last = products[after] if after > 0 else products.new_tensor(1)
        x = last.sqrt() * clean + (1 - last).sqrt() * noise
    return x


@torch.no_grad()
def sheet(path: Path, pictures: Tensor, columns: int) -> None:
    """Pictures [n, 3, PICTURE, PICTURE] in -1 … 1 in rows."""
    rows = -(-len(pictures) // columns)
    canvas = Image.new("RGB", (columns * PICTURE, rows * PICTURE), "white")
    values = ((pictures.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    for index, value in enumerate(values):
        canvas.paste(Image.fromarray(value), (index % columns * PICTURE, index // columns * PICTURE))
    canvas.save(path)


def draw(path: Path, autoencoder: Autoencoder, model: Diffusion, captions: Captions, scale: float, texts: list[str]):
    """A sheet of pictures, one a text."""
    torch.manual_seed(3)
    ids = torch.from_numpy(np.stack([captions.ids[text] for text in texts]))
    latents = sample(model, ids, torch.from_numpy(captions.ids[""]))
    with torch.no_grad():
        sheet(path, autoencoder.decode(latents / scale), 8)

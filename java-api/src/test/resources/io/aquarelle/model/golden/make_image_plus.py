#!/usr/bin/env python3
"""Writes image-nano-plus.safetensors: the Resampler of an IP-Adapter Plus for the image tower of image-nano.safetensors,
and its tokens of the picture and of none, computed from the equations in float64.

    pip install torch safetensors==0.8.0
    python3 make_image_plus.py

With x = W_in h + b of the tower's tokens h before its last layer, and latents l, each layer adds to l

    softmax(q k^T / sqrt(64)) v W_out    q of norm2(l), k and v of norm1(x) followed by norm2(l), heads of 64
    W_2 gelu(W_1 norm(l))

and the tokens are norm(W l + b). No picture is one of zeros after CLIP's normalization.
"""

import pathlib

import torch
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).parent
HEADS = 4  # of the tower
TOKENS, WIDTH, INNER, CONTEXT, LAYERS, HEAD = 5, 48, 128, 64, 2, 64

tower = {k: v.double() for k, v in load_file(HERE / "image-nano.safetensors").items()}


def norm(x, weights, name):
    centred = x - x.mean(-1, keepdim=True)
    deviation = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return centred / deviation * weights[name + ".weight"] + weights[name + ".bias"]


def linear(x, weights, name):
    y = x @ weights[name + ".weight"].T
    return y + weights[name + ".bias"] if name + ".bias" in weights else y


def attention(q, k, v, heads):
    def split(x):
        return x.unflatten(-1, (heads, -1)).transpose(0, 1)

    q, k, v = split(q), split(k), split(v)
    weights = torch.softmax(q @ k.transpose(1, 2) / q.shape[-1] ** 0.5, -1)
    return (weights @ v).transpose(0, 1).flatten(1)


def hidden(picture):
    """What the layer before the last makes of [3][16][16], as [17][32]."""
    embeddings = "vision_model.embeddings."
    kernel = tower[embeddings + "patch_embedding.weight"]
    side = kernel.shape[-1]
    patches = picture.unfold(1, side, side).unfold(2, side, side).permute(1, 2, 0, 3, 4).flatten(2).flatten(0, 1)
    tokens = torch.cat([tower[embeddings + "class_embedding"][None], patches @ kernel.flatten(1).T])
    x = norm(tokens + tower[embeddings + "position_embedding.weight"], tower, "vision_model.pre_layrnorm")
    count = len([k for k in tower if k.endswith("self_attn.q_proj.weight")])
    for i in range(count - 1):
        layer = f"vision_model.encoder.layers.{i}."
        h = norm(x, tower, layer + "layer_norm1")
        q, k, v = (linear(h, tower, f"{layer}self_attn.{part}_proj") for part in "qkv")
        x = x + linear(attention(q, k, v, HEADS), tower, layer + "self_attn.out_proj")
        h = linear(norm(x, tower, layer + "layer_norm2"), tower, layer + "mlp.fc1")
        x = x + linear(h * torch.sigmoid(1.702 * h), tower, layer + "mlp.fc2")
    return x


def resampler():
    random = torch.Generator().manual_seed(7)
    weights = {}

    def add(name, *shape, mean=0.0, deviation=None):
        deviation = shape[-1] ** -0.5 if deviation is None else deviation
        weights[name] = (mean + deviation * torch.randn(shape, generator=random)).half()

    def add_norm(name, width):
        add(name + ".weight", width, mean=1, deviation=0.1)
        add(name + ".bias", width, deviation=0.1)

    add("latents", 1, TOKENS, WIDTH)
    add("proj_in.weight", WIDTH, 32)
    add("proj_in.bias", WIDTH, deviation=0.1)
    for i in range(LAYERS):
        attend, feed = f"layers.{i}.0.", f"layers.{i}.1."
        add_norm(attend + "norm1", WIDTH)
        add_norm(attend + "norm2", WIDTH)
        add(attend + "to_q.weight", INNER, WIDTH)
        add(attend + "to_kv.weight", 2 * INNER, WIDTH)
        add(attend + "to_out.weight", WIDTH, INNER)
        add_norm(feed + "0", WIDTH)
        add(feed + "1.weight", 4 * WIDTH, WIDTH)
        add(feed + "3.weight", WIDTH, 4 * WIDTH)
    add("proj_out.weight", CONTEXT, WIDTH)
    add("proj_out.bias", CONTEXT, deviation=0.1)
    add_norm("norm_out", CONTEXT)
    return weights


def resampled(h, weights):
    x, latents = linear(h, weights, "proj_in"), weights["latents"][0]
    for i in range(LAYERS):
        attend, feed = f"layers.{i}.0.", f"layers.{i}.1."
        asking = norm(latents, weights, attend + "norm2")
        told = torch.cat([norm(x, weights, attend + "norm1"), asking])
        k, v = linear(told, weights, attend + "to_kv").split(INNER, -1)
        mixed = attention(linear(asking, weights, attend + "to_q"), k, v, INNER // HEAD)
        latents = latents + linear(mixed, weights, attend + "to_out")
        wide = linear(norm(latents, weights, feed + "0"), weights, feed + "1")
        gelu = wide / 2 * (1 + torch.erf(wide / 2**0.5))
        latents = latents + linear(gelu, weights, feed + "3")
    return norm(linear(latents, weights, "proj_out"), weights, "norm_out")


def main():
    weights = resampler()
    exact = {k: v.double() for k, v in weights.items()}
    c, y, x = torch.meshgrid(torch.arange(3), torch.arange(16), torch.arange(16), indexing="ij")
    picture = ((7 * c + 13 * y + 29 * x) % 64) / 63
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    deviation = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
    tokens = {
        "golden.tokens": resampled(hidden(((picture - mean) / deviation).double()), exact),
        "golden.nothing": resampled(hidden(torch.zeros(3, 16, 16).double()), exact),
    }
    save_file({"image_proj." + k: v for k, v in weights.items()} | {k: v.float() for k, v in tokens.items()},
              HERE / "image-nano-plus.safetensors")


main()

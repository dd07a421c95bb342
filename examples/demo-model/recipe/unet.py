"""The UNet of Latent Diffusion (Rombach et al., arXiv 2112.10752) in three narrow levels, CompVis names.

Transformers stand at the two lower levels only: at 16 by 16 cells they would cost more than everything else.
"""

import math

import torch
import torch.nn.functional as F
from attention import attend
from autoencoder import LATENT
from text_encoder import WIDTH as CONTEXT
from torch import Tensor, nn

CHANNELS = (64, 96, 160)  # of each level
ATTENTION = (False, True, True)
HEAD = 32  # channels of an attention head


def timestep_embedding(t: Tensor, width: int) -> Tensor:
    """cos and sin of t · 10000^(-i / half): Vaswani et al., arXiv 1706.03762."""
    half = width // 2
    angles = t[:, None].float() * torch.exp(-math.log(10000) * torch.arange(half, device=t.device) / half)
    return torch.cat([angles.cos(), angles.sin()], 1)


def zeroed(layer: nn.Module) -> nn.Module:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class Resnet(nn.Module):
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.in_layers = nn.Sequential(nn.GroupNorm(32, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(4 * CHANNELS[0], outputs))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(32, outputs), nn.SiLU(), nn.Dropout(0), zeroed(nn.Conv2d(outputs, outputs, 3, padding=1))
        )
        if inputs != outputs:
            self.skip_connection = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.out_layers(self.in_layers(x) + self.emb_layers(time)[:, :, None, None])
        return h + (self.skip_connection(x) if hasattr(self, "skip_connection") else x)


class Attention(nn.Module):
    def __init__(self, channels: int, context: int):
        super().__init__()
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k, self.to_v = (nn.Linear(context, channels, bias=False) for _ in range(2))
        self.to_out = nn.Sequential(nn.Linear(channels, channels), nn.Dropout(0))
        nn.init.orthogonal_(self.to_v.weight)
        nn.init.orthogonal_(self.to_out[0].weight)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        q, k, v = self.to_q(x), self.to_k(context), self.to_v(context)
        return self.to_out(attend(q, k, v, q.shape[2] // HEAD))


class Gate(nn.Module):
    """GEGLU: Shazeer, arXiv 2002.05202."""

    def __init__(self, channels: int, inner: int):
        super().__init__()
        self.proj = nn.Linear(channels, 2 * inner)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, -1)
        return value * F.gelu(gate)


class TransformerBlock(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(channels) for _ in range(3))
        self.attn1, self.attn2 = Attention(channels, channels), Attention(channels, CONTEXT)
        net = [Gate(channels, 4 * channels), nn.Dropout(0), nn.Linear(4 * channels, channels)]
        self.ff = nn.ModuleDict({"net": nn.Sequential(*net)})

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        h = self.norm1(x)
        x = x + self.attn1(h, h)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff["net"](self.norm3(x))


class Transformer(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.GroupNorm(32, channels, 1e-6)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels)])
        self.proj_out = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        h = self.proj_in(self.norm(x)).flatten(2).mT
        for block in self.transformer_blocks:
            h = block(h, context)
        return x + self.proj_out(h.mT.reshape(x.shape))


class Downsample(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Block(nn.Sequential):
    def forward(self, x: Tensor, time: Tensor, context: Tensor) -> Tensor:
        for layer in self:
            extra = [time] if isinstance(layer, Resnet) else [context] if isinstance(layer, Transformer) else []
            x = layer(x, *extra)
        return x


class UNet(nn.Module):
    """Noisy latents [n, 4, h, w], timesteps [n], text [n, tokens, CONTEXT] to the noise in them."""

    def __init__(self):
        super().__init__()
        width = CHANNELS[0]
        self.time_embed = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, 4 * width))
        self.input_blocks = nn.ModuleList([Block(nn.Conv2d(LATENT, width, 3, padding=1))])
        skips = [width]
        for level, channels in enumerate(CHANNELS):
            self.input_blocks.append(self.block(skips[-1], channels, level))
            skips.append(channels)
            if level + 1 < len(CHANNELS):
                self.input_blocks.append(Block(Downsample(channels)))
                skips.append(channels)
        now = skips[-1]
        self.middle_block = Block(Resnet(now, now), Transformer(now), Resnet(now, now))
        self.output_blocks = nn.ModuleList()
        for level, channels in reversed(list(enumerate(CHANNELS))):
            for last in (False, True):
                block = self.block(now + skips.pop(), channels, level)
                if last and level > 0:
                    block.append(Upsample(channels))
                self.output_blocks.append(block)
                now = channels
        self.out = nn.Sequential(nn.GroupNorm(32, now), nn.SiLU(), zeroed(nn.Conv2d(now, LATENT, 3, padding=1)))

    @staticmethod
    def block(inputs: int, outputs: int, level: int) -> Block:
        return Block(Resnet(inputs, outputs), *([Transformer(outputs)] if ATTENTION[level] else []))

    def forward(self, x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        time = self.time_embed(timestep_embedding(t, CHANNELS[0]))
        skips = []
        for block in self.input_blocks:
            x = block(x, time, context)
            skips.append(x)
        x = self.middle_block(x, time, context)
        for block in self.output_blocks:
            x = block(torch.cat([x, skips.pop()], 1), time, context)
        return self.out(x).float()

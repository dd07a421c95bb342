"""AutoencoderKL as in Latent Diffusion (Rombach et al., arXiv 2112.10752), CompVis names, small enough for a CPU.

Names are those of the checkpoint. Two things are smaller than usual: one residual block a level, in the decoder too,
and none at full size, where a block costs as much as all other levels together. Every width has at least 64 channels
where a picture's colour must pass a GroupNorm: 32 groups of one channel each would normalise it away.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LATENT = 4
ENCODER = (32, 32, 64, 128)  # output channels of each level, from the picture inwards
DECODER = (64, 64, 96, 128)


def norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, channels, 1e-6)


def conv3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, 1 if stride == 1 else 0)


class Resnet(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.norm1, self.conv1 = norm(inputs), conv3(inputs, outputs)
        self.norm2, self.conv2 = norm(outputs), conv3(outputs, outputs)
        nn.init.zeros_(self.conv2.weight)
        if inputs != outputs:
            self.nin_shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class Attention(nn.Module):
    """One head over all cells."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = norm(channels)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = (part(h).flatten(2).mT.unsqueeze(1) for part in (self.q, self.k, self.v))
        mixed = F.scaled_dot_product_attention(q, k, v)
        return x + self.proj_out(mixed.squeeze(1).mT.reshape(x.shape))


class Middle(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.block_1, self.block_2 = (Resnet(channels, channels) for _ in range(2))
        self.attn_1 = Attention(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class Downsample(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.conv = conv3(channels, channels, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = conv3(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """At most one residual block, then a resampling layer."""

    def __init__(self, block: Resnet | None, **resample: nn.Module):
        super().__init__()
        self.block = nn.ModuleList([block] if block else [])
        for name, layer in resample.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.block:
            x = layer(x)
        for name in ("downsample", "upsample"):
            x = getattr(self, name)(x) if hasattr(self, name) else x
        return x


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        widths = ENCODER
        self.conv_in = conv3(3, widths[0])
        self.down = nn.ModuleList([Level(None, downsample=Downsample(widths[0]))])
        for index in range(1, len(widths)):
            resample = {"downsample": Downsample(widths[index])} if index + 1 < len(widths) else {}
            self.down.append(Level(Resnet(widths[index - 1], widths[index]), **resample))
        self.mid = Middle(widths[-1])
        self.norm_out, self.conv_out = norm(widths[-1]), conv3(widths[-1], 2 * LATENT)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for level in self.down:
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        widths = DECODER
        self.conv_in = conv3(LATENT, widths[-1])
        self.mid = Middle(widths[-1])
        self.up = nn.ModuleList([Level(None)])
        for index in range(1, len(widths)):
            before = widths[min(index + 1, len(widths) - 1)]
            after = widths[0] if index == 1 else widths[index]
            self.up.append(Level(Resnet(before, widths[index]), upsample=Upsample(widths[index], after)))
        self.norm_out, self.conv_out = norm(widths[0]), conv3(widths[0], 3)

    def forward(self, z: Tensor) -> Tensor:
        x = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class Autoencoder(nn.Module):
    """Pictures [n, 3, H, W] in -1 … 1 to latents [n, 4, H/8, W/8] and back."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()
        self.quant_conv = nn.Conv2d(2 * LATENT, 2 * LATENT, 1)
        self.post_quant_conv = nn.Conv2d(LATENT, LATENT, 1)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance."""
        mean, logvar = self.quant_conv(self.encoder(x)).float().chunk(2, 1)
        return mean, logvar.clamp(-30, 10)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(self.post_quant_conv(z)).float()

"""Attention (Vaswani et al., arXiv 1706.03762), written out: on a CPU its gradient beats that of the fused kernel."""

import torch
from torch import Tensor


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, causal: bool = False) -> Tensor:
    """[n, cells, channels] each, k and v with as many cells as each other; returns the shape of q."""
    q, k, v = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    scores = (q * q.shape[-1] ** -0.5) @ k.mT
    if causal:
        scores = scores + torch.full(scores.shape[-2:], -torch.inf, device=q.device).triu(1)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)

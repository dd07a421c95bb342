"""The text half of CLIP (Radford et al., arXiv 2103.00020), much narrower, names as in SD 1.x checkpoints."""

import torch
from attention import attend
from tokenizer import LENGTH
from torch import Tensor, nn

WIDTH, LAYERS, HEADS = 64, 2, 4
WORD = 4.0  # what the channel says of a word; of a mark, its negative


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.out_proj(attend(self.q_proj(x), self.k_proj(x), self.v_proj(x), HEADS, causal=True))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.self_attn = SelfAttention()
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(WIDTH, 4 * WIDTH), "fc2": nn.Linear(4 * WIDTH, WIDTH)})

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        h = self.mlp["fc1"](self.layer_norm2(x))
        return x + self.mlp["fc2"](h * torch.sigmoid(1.702 * h))


class TextEncoder(nn.Module):
    """Ids [n, LENGTH] to states [n, LENGTH, WIDTH].

    Training sees a few hundred of CLIP's 49,408 tokens; only those have rows of their own here. All others share the
    last row, which stands for a word that means nothing, and are written out as copies of it.

    Most of a chunk is END, so an attention that starts out even would hardly see the words, and training would find
    them late. Here a channel tells words from marks, and the first layer starts with nearly all of its attention on
    words: every END then begins as a summary of the text.
    """

    def __init__(self, known: int, marks: list[int]):
        super().__init__()
        tokens, positions = nn.Embedding(known + 1, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.embeddings = nn.ModuleDict({"token_embedding": tokens, "position_embedding": positions})
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList(Layer() for _ in range(LAYERS))})
        self.final_layer_norm = nn.LayerNorm(WIDTH)

        nn.init.normal_(positions.weight, std=0.1)
        first = self.encoder["layers"][0].self_attn
        nn.init.orthogonal_(first.v_proj.weight)
        nn.init.orthogonal_(first.out_proj.weight, gain=2)
        with torch.no_grad():
            tokens.weight[:, 0] = WORD
            tokens.weight[marks, 0] = -WORD
            asks = slice(0, WIDTH, WIDTH // HEADS)  # one channel of each head
            first.q_proj.weight[asks] = 0
            first.q_proj.bias[asks] = 1
            first.k_proj.weight[asks] = 0
            first.k_proj.weight[asks, 0] = 3

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embeddings["token_embedding"](ids) + self.embeddings["position_embedding"].weight
        for layer in self.encoder["layers"]:
            x = layer(x)
        return self.final_layer_norm(x)

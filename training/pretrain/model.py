"""The pocket model: the Llama architecture for one CPU thread, with fused projections.

Attention takes an arbitrary mask `[B, 1, T, T]`, because a packed row contains several
documents and each document is a trie: role branches and sibling steps share their
prefix and do not attend to each other. A token's position is its depth in the trie, so
every branch is trained as it is served, as a plain sequence. Rotary embedding uses the
half-split convention of transformers.

Source: Touvron et al., LLaMA (arXiv 2302.13971), section 2.2; rotary embedding: Su et
al. (arXiv 2104.09864).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RMS_EPS = 1e-5
ROPE_THETA = 10000.0
_FOURIER_PERIODS = (
    0.5,
    1.0,
    2.0,
    3.0,
    5.0,
    7.0,
    10.0,
    20.0,
    30.0,
    50.0,
)  # full periods over the numbers 0 .. 99


@dataclass(frozen=True)
class ModelShape:
    """Sizes of the network. vLLM on CPU supports only some values of `head_dim` (32,
    64, 80, 96, 112, 128 ...).
    """

    vocab_size: int
    hidden_size: int = 256
    num_layers: int = 4
    head_dim: int = 64
    intermediate_size: int = 704
    max_positions: int = 512

    @property
    def num_heads(self) -> int:
        """Number of attention heads, for queries, keys and values alike."""
        return self.hidden_size // self.head_dim


def _matrix(rows: int, columns: int, gain: float) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, columns) * (gain / math.sqrt(columns)))


class Block(nn.Module):
    """One layer: attention and a gated feed-forward part, each after an RMS norm."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        size, inner = shape.hidden_size, shape.intermediate_size
        self.num_heads, self.head_dim = shape.num_heads, shape.head_dim
        self.attention_norm = nn.Parameter(torch.ones(size))
        self.feed_forward_norm = nn.Parameter(torch.ones(size))
        self.query_key_value = _matrix(3 * size, size, 0.5)
        self.output = _matrix(size, size, 0.25)
        self.gate_up = _matrix(2 * inner, size, 0.5)
        self.down = _matrix(size, inner, 0.25)

    def project(
        self, x: Tensor, cosine: Tensor, sine: Tensor, rotation: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns query, key (both rotated) and value, each `[B, T, H, D]`, of the
        residual stream `[B, T, hidden]`.
        """
        size = x.shape[-1]
        fused = F.linear(F.rms_norm(x, (size,), self.attention_norm, RMS_EPS), self.query_key_value)
        rotated = fused[..., : 2 * size].contiguous()
        turned = (rotated.view(-1, self.head_dim) @ rotation).view(rotated.shape)
        rotated = rotated * cosine + turned * sine
        split = (*x.shape[:-1], self.num_heads, self.head_dim)
        return (
            rotated[..., :size].reshape(split),
            rotated[..., size:].reshape(split),
            fused[..., 2 * size :].reshape(split),
        )

    def feed_forward(self, x: Tensor) -> Tensor:
        """Returns the residual stream after the gated feed-forward part."""
        gate, up = F.linear(
            F.rms_norm(x, (x.shape[-1],), self.feed_forward_norm, RMS_EPS), self.gate_up
        ).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, self.down)

    def forward(
        self, x: Tensor, cosine: Tensor, sine: Tensor, rotation: Tensor, mask: Tensor
    ) -> Tensor:
        query, key, value = (
            part.transpose(1, 2) for part in self.project(x, cosine, sine, rotation)
        )
        scores = (query @ key.transpose(-1, -2)) * self.head_dim**-0.5 + mask
        attended = F.softmax(scores, -1) @ value
        x = x + F.linear(attended.transpose(1, 2).reshape(x.shape), self.output)
        return self.feed_forward(x)


class PocketModel(nn.Module):
    """A decoder with tied embeddings. `forward` returns hidden states; `logits`
    computes the logits of selected ones.
    """

    cosine: Tensor
    sine: Tensor
    rotation: Tensor

    def __init__(self, shape: ModelShape, number_tokens: Sequence[int] = ()) -> None:
        """`number_tokens[v]` is the token id of the number v in 0 .. 99; its embedding
        is initialised from digits, bits and Fourier features.
        """
        super().__init__()
        self.shape = shape
        self.embedding = nn.Parameter(torch.randn(shape.vocab_size, shape.hidden_size) * 0.02)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.num_layers))
        self.final_norm = nn.Parameter(torch.ones(shape.hidden_size))
        if number_tokens:
            with torch.no_grad():
                self.embedding[torch.tensor(number_tokens)] = _number_embeddings(shape.hidden_size)
        frequency = 1.0 / ROPE_THETA ** (
            torch.arange(0, shape.head_dim, 2).float() / shape.head_dim
        )
        angle = torch.outer(torch.arange(shape.max_positions).float(), frequency).repeat(1, 2)
        self.register_buffer("cosine", angle.cos().repeat(1, 2 * shape.num_heads), persistent=False)
        self.register_buffer("sine", angle.sin().repeat(1, 2 * shape.num_heads), persistent=False)
        half = shape.head_dim // 2
        rotation = torch.zeros(shape.head_dim, shape.head_dim)
        rotation[torch.arange(half) + half, torch.arange(half)] = -1
        rotation[torch.arange(half), torch.arange(half) + half] = 1
        self.register_buffer("rotation", rotation, persistent=False)

    def forward(self, ids: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """Returns hidden states `[B, T, hidden]` of ids `[B, T]`; `mask` is additive,
        `[B, 1, T, T]`.
        """
        x = F.embedding(ids, self.embedding)
        cosine, sine = self.cosine[positions], self.sine[positions]
        for block in self.blocks:
            x = block(x, cosine, sine, self.rotation, mask)
        return F.rms_norm(x, (x.shape[-1],), self.final_norm, RMS_EPS)

    def logits(self, hidden: Tensor) -> Tensor:
        """Returns the logits `[..., V]` of hidden states, in float32."""
        return F.linear(hidden, self.embedding).float()


def _number_embeddings(size: int) -> Tensor:
    """Returns initial embeddings `[100, size]`: a sum of random projections of decimal
    digits, binary digits and Fourier features, plus noise, scaled by 0.02.
    """
    value = torch.arange(100)
    tens, ones = torch.randn(10, size), torch.randn(10, size)
    phase = 2 * math.pi * value[:, None] * torch.tensor(_FOURIER_PERIODS) / 100
    waves = (
        torch.cat([phase.cos(), phase.sin()], 1)
        @ torch.randn(2 * len(_FOURIER_PERIODS), size)
        / len(_FOURIER_PERIODS) ** 0.5
    )
    signs = (value[:, None] >> torch.arange(7) & 1) * 2.0 - 1.0
    bits = signs @ torch.randn(7, size) / 7**0.5
    mixed: Tensor = (
        0.5 * (tens[value // 10] + ones[value % 10])
        + 0.6 * waves
        + 0.6 * bits
        + 0.4 * torch.randn(100, size)
    )
    return 0.02 * mixed

"""Batched sampling from the model in training: the `M` samples of a prompt share its
keys and values.

Only training and its evaluation use this module; an ordinary engine serves the exported
model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from training.pretrain.model import RMS_EPS, Block, PocketModel


class Sample(NamedTuple):
    """One completion: its token ids, including the stop token if one was sampled, and
    their log-probabilities at temperature 1.
    """

    ids: list[int]
    logprobs: list[float]


@torch.inference_mode()
def sample(
    model: PocketModel,
    prompts: Sequence[Sequence[int]],
    *,
    num_samples: int,
    stop: Sequence[int],
    max_tokens: int,
    temperature: float,
    generator: torch.Generator | None = None,
    chunk: int = 768,
) -> list[list[Sample]]:
    """Returns `num_samples` completions for each prompt; temperature 0 is greedy.
    `chunk`: maximum number of samples in a batch.
    """
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    results: list[list[Sample]] = [[] for _ in prompts]
    width = max(1, chunk // num_samples)
    for start in range(0, len(order), width):
        chosen = order[start : start + width]
        completions = _sample_chunk(
            model,
            [prompts[i] for i in chosen],
            num_samples,
            stop,
            max_tokens,
            temperature,
            generator,
        )
        for index, samples in zip(chosen, completions, strict=True):
            results[index] = samples
    return results


@torch.inference_mode()
def next_logprobs(
    model: PocketModel,
    prompts: Sequence[Sequence[int]],
    candidates: Sequence[int],
    *,
    chunk: int = 768,
) -> list[list[float]]:
    """Returns the log-probability of each candidate as the next token after each
    prompt, [prompts, candidates], in nats.
    """
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    results: list[list[float]] = [[] for _ in prompts]
    for start in range(0, len(order), chunk):
        chosen = order[start : start + chunk]
        hidden, _ = _prefill(model, *_padded([prompts[i] for i in chosen]))
        found = F.log_softmax(model.logits(hidden), -1)[:, list(candidates)]
        for index, row in zip(chosen, found.tolist(), strict=True):
            results[index] = row
    return results


def _padded(prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Returns the prompts' ids `[N, T]`, padded on the right, and their lengths
    `[N]`.
    """
    ids = torch.zeros(len(prompts), max(map(len, prompts)), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)] = torch.tensor(list(prompt))
    return ids, torch.tensor([len(prompt) for prompt in prompts])


def _sample_chunk(
    model: PocketModel,
    prompts: list[Sequence[int]],
    num_samples: int,
    stop: Sequence[int],
    max_tokens: int,
    temperature: float,
    generator: torch.Generator | None,
) -> list[list[Sample]]:
    ids, lengths = _padded(prompts)
    shape, (count, longest) = model.shape, ids.shape
    max_tokens = min(max_tokens, shape.max_positions - longest)
    hidden, prompt_cache = _prefill(model, ids, lengths)
    dtype = model.embedding.dtype
    prompt_mask = torch.zeros(count, 1, 1, longest, dtype=dtype).masked_fill_(
        torch.arange(longest) >= lengths[:, None, None, None], float("-inf")
    )
    new_cache = [
        [
            torch.zeros(
                count, shape.num_heads, num_samples, max_tokens, shape.head_dim, dtype=dtype
            )
            for _ in range(2)
        ]
        for _ in model.blocks
    ]
    hidden = (
        hidden[:, None]
        .expand(count, num_samples, shape.hidden_size)
        .reshape(count * num_samples, shape.hidden_size)
    )
    positions = lengths.repeat_interleave(num_samples)
    stops, done = torch.tensor(list(stop)), torch.zeros(count * num_samples, dtype=torch.bool)
    tokens: list[Tensor] = []
    logprobs: list[Tensor] = []
    for step in range(max_tokens):
        logits = model.logits(hidden)
        choice = (
            logits.argmax(-1)
            if temperature == 0
            else torch.multinomial(
                F.softmax(logits / temperature, -1), 1, generator=generator
            ).squeeze(1)
        )
        logprobs.append(F.log_softmax(logits, -1).gather(1, choice[:, None]).squeeze(1))
        tokens.append(choice)
        done |= torch.isin(choice, stops)
        if step == max_tokens - 1 or bool(done.all()):
            break
        x = F.embedding(choice, model.embedding)
        cosine, sine = model.cosine[positions], model.sine[positions]
        positions = positions + 1
        for block, prompt_part, new_part in zip(model.blocks, prompt_cache, new_cache, strict=True):
            assert isinstance(block, Block)
            x = _decode(
                block, x, cosine, sine, model.rotation, prompt_part, new_part, prompt_mask, step
            )
        hidden = F.rms_norm(x, (shape.hidden_size,), model.final_norm, RMS_EPS)
    return _collect(
        torch.stack(tokens, 1).tolist(), torch.stack(logprobs, 1).tolist(), set(stop), num_samples
    )


def _prefill(
    model: PocketModel, ids: Tensor, lengths: Tensor
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Returns the last hidden state `[N, hidden]` of each right-padded prompt, and keys
    `[N, H, D, T]` and values `[N, H, T, D]`.
    """
    length = ids.shape[1]
    mask = torch.full((length, length), float("-inf"), dtype=model.embedding.dtype).triu(1)
    x, cosine, sine = F.embedding(ids, model.embedding), model.cosine[:length], model.sine[:length]
    cache = []
    for block in model.blocks:
        assert isinstance(block, Block)
        query, key, value = (
            part.transpose(1, 2) for part in block.project(x, cosine, sine, model.rotation)
        )
        attended = (
            F.softmax((query @ key.transpose(-1, -2)) * block.head_dim**-0.5 + mask, -1) @ value
        )
        x = block.feed_forward(
            x + F.linear(attended.transpose(1, 2).reshape(x.shape), block.output)
        )
        cache.append((key.transpose(-1, -2).contiguous(), value.contiguous()))
    x = x[torch.arange(len(lengths)), lengths - 1]
    return F.rms_norm(x, (x.shape[-1],), model.final_norm, RMS_EPS), cache


def _decode(
    block: Block,
    x: Tensor,
    cosine: Tensor,
    sine: Tensor,
    rotation: Tensor,
    prompt: tuple[Tensor, Tensor],
    new: list[Tensor],
    prompt_mask: Tensor,
    step: int,
) -> Tensor:
    """Returns the residual stream `[N * M, hidden]` of one new token after a layer, and
    writes its key and value to `new`.
    """
    keys, values = prompt
    count, heads, num_samples = new[0].shape[:3]
    split = (count, num_samples, heads, block.head_dim)
    query, key, value = (
        part.reshape(split).transpose(1, 2) for part in block.project(x, cosine, sine, rotation)
    )
    new[0][:, :, :, step], new[1][:, :, :, step] = key, value
    scale = block.head_dim**-0.5
    old_scores = query @ keys * scale + prompt_mask
    new_scores = (new[0][:, :, :, : step + 1] * query.unsqueeze(-2)).sum(-1) * scale
    weights = F.softmax(torch.cat([old_scores, new_scores], -1), -1)
    length = keys.shape[-1]
    attended = weights[..., :length] @ values + (
        weights[..., length:].unsqueeze(-1) * new[1][:, :, :, : step + 1]
    ).sum(-2)
    return block.feed_forward(x + F.linear(attended.transpose(1, 2).reshape(x.shape), block.output))


def _collect(
    tokens: list[list[int]], logprobs: list[list[float]], stop: set[int], num_samples: int
) -> list[list[Sample]]:
    cut: list[Sample] = []
    for row, scores in zip(tokens, logprobs, strict=True):
        end = next((index for index, token in enumerate(row) if token in stop), len(row) - 1) + 1
        cut.append(Sample(row[:end], scores[:end]))
    return [cut[start : start + num_samples] for start in range(0, len(cut), num_samples)]

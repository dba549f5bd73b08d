"""Trie documents and their packing into fixed rows.

A trie document is a tree of tokens: the trunk is the question and one path of steps;
verdicts, the critic's working, sibling steps and reflections are branches. A token
attends only to its own path, and its position is its depth, so a further branch costs
only its own tokens (prefix sharing as in tree attention: Cai et al., Medusa, arXiv
2401.10774).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


@dataclass
class TrieDocument:
    """Token ids with their parents, and prediction targets."""

    ids: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    """Index of the previous token on the path; -1 at the root."""
    targets: list[tuple[int, int, float]] = field(default_factory=list)
    """(index of the predicting token, target id, loss weight)."""

    def add(self, token: int, parent: int, weight: float = 0.0) -> int:
        """Appends a token after `parent` and returns its index; `weight` is the loss
        weight of predicting it.
        """
        self.ids.append(token)
        self.parents.append(parent)
        if weight and parent >= 0:
            self.targets.append((parent, token, weight))
        return len(self.ids) - 1

    def extend(
        self, tokens: Sequence[int], parent: int, weight: float | Sequence[float] = 0.0
    ) -> int:
        """Appends a chain of tokens after `parent`, with one weight for all or one for
        each; returns the index of the last token.
        """
        weights = [weight] * len(tokens) if isinstance(weight, (int, float)) else weight
        for token, each in zip(tokens, weights, strict=True):
            parent = self.add(token, parent, each)
        return parent

    def predict(self, index: int, token: int, weight: float) -> None:
        """Adds the target `token` at token `index` without appending it to the document
        (nothing follows a verdict).
        """
        self.targets.append((index, token, weight))

    def __len__(self) -> int:
        return len(self.ids)


class Batch(NamedTuple):
    """Packed documents: `R` rows of `T` tokens, `P` prediction targets."""

    ids: Tensor
    """`[R, T]`."""
    positions: Tensor
    """`[R, T]`: depth in the document's trie."""
    mask: Tensor
    """`[R, 1, T, T]`, additive, in the dtype of the model."""
    predictors: Tensor
    """`[P]`: index into the flattened rows."""
    targets: Tensor
    """`[P]`: target ids."""
    weights: Tensor
    """`[P]`, >= 0."""
    num_tokens: int
    """Number of tokens that are not padding."""


def pack(
    documents: Sequence[TrieDocument], num_rows: int, row_length: int, dtype: torch.dtype
) -> tuple[Batch, list[TrieDocument]]:
    """Packs whole documents by best fit into one batch, and returns it with the
    documents that did not fit; `dtype`: that of the mask.

    Raises:
        ValueError: a document is longer than a row.
    """
    ids = torch.zeros(num_rows, row_length, dtype=torch.long)
    positions = torch.zeros_like(ids)
    allowed = np.zeros((num_rows, row_length, row_length), dtype=bool)
    fill = [0] * num_rows
    predictions: list[tuple[int, int, float]] = []
    left: list[TrieDocument] = []
    for document in documents:
        length = len(document)
        if length > row_length:
            raise ValueError(
                f"a document has {length} tokens, a row {row_length}; make rows longer or "
                "documents shorter"
            )
        row = max(
            (r for r in range(num_rows) if fill[r] + length <= row_length),
            key=lambda r: fill[r],
            default=None,
        )
        if row is None:
            left.append(document)
            continue
        start = fill[row]
        fill[row] += length
        ids[row, start : start + length] = torch.tensor(document.ids)
        depths, rows = [0] * length, allowed[row]
        for index, parent in enumerate(document.parents):
            if parent >= 0:
                rows[start + index] = rows[start + parent]
                depths[index] = depths[parent] + 1
            rows[start + index, start + index] = True
        positions[row, start : start + length] = torch.tensor(depths)
        offset = row * row_length + start
        predictions += [
            (offset + index, token, weight) for index, token, weight in document.targets
        ]
    for row in range(num_rows):
        padding = np.arange(fill[row], row_length)
        allowed[row, padding, padding] = True  # a mask row of only -inf would give NaN
    mask = torch.zeros(num_rows, 1, row_length, row_length, dtype=dtype).masked_fill_(
        ~torch.from_numpy(allowed)[:, None], float("-inf")
    )
    predictors, targets, weights = (
        (list(column) for column in zip(*predictions, strict=True)) if predictions else ([], [], [])
    )
    batch = Batch(
        ids,
        positions,
        mask,
        torch.tensor(predictors, dtype=torch.long),
        torch.tensor(targets, dtype=torch.long),
        torch.tensor(weights),
        sum(fill),
    )
    return batch, left

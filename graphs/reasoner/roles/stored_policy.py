"""A policy that returns the samples of a stored run: other critics and votes are then
compared on the same answers, and the samples are paid once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

from agents.engines.base import Generator
from agents.prompts import Prompts
from agents.roles.policy import ROLE, Policy, PolicySettings, Proposal
from agents.types import Meter, Question, Step, Usage
from graphs.traces.store import TraceStore
from graphs.tree import ROOT, Expanded


class StoredPolicy(Policy):
    """Returns stored chains of steps, and charges what they cost.

    The chains of a question are those of the first sample of the run, in the order in
    which they were drawn at the question.
    """

    def __init__(
        self, engine: Generator, prompts: Prompts, settings: PolicySettings, folder: Path
    ) -> None:
        """`folder`: a run with samples of whole answers.

        Raises:
            FileNotFoundError: there is no run in the folder.
        """
        super().__init__(engine, prompts, settings)
        self._folder = folder
        with TraceStore.read(folder):
            pass

    async def propose(
        self,
        question: Question,
        path: Sequence[Step],
        *,
        meter: Meter,
        n: int = 1,
        **options: Any,
    ) -> Proposal:
        """Returns the first `n` stored chains of the question.

        Raises:
            ValueError: the run has fewer, or `path` is not empty.
        """
        if path:
            raise ValueError(
                "policy.samples_from holds whole answers and the search expands a step; choose "
                "search=best_of_n or search=self_consistency, or set policy.samples_from to null"
            )
        with TraceStore.read(self._folder) as store:
            trace = store.get(question.hash, 0)
        chains = [
            chain
            for event in trace.events
            if isinstance(event, Expanded) and event.parent == ROOT
            for chain in event.chains
        ]
        if len(chains) < n:
            raise ValueError(
                f"policy.samples_from ({self._folder}) has {len(chains)} samples of the question "
                f"and the search asks for {n}; lower search.num_samples"
            )
        whole, share = trace.usage[ROLE], n / len(chains)
        spent = Usage(*(round(share * count) for count in astuple(whole)))
        meter.settle(meter.reserve(1, max(1, spent.generated_tokens)), ROLE, spent)
        return Proposal(tuple(chains[:n]))

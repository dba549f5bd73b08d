"""A simulated policy and critic in which whole searches run in microseconds, and a loop
that runs them.

Each prefix of a thought has a few continuations with fixed probabilities, one of them
right. After `depth` steps comes the answer: the right one if every step was right, else
one of a few wrong ones. Verdicts are the truth, each inverted with probability
`flip_rate` as a function of the prefix, so that a second verdict is no new evidence.
Everything derives from `seed`.

`simulate` does what the nodes of the graph do (graphs/reasoner/nodes.py), and records
the requests.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.types import Budget, Meter, Step, ThoughtFactor, Usage, VerdictScope
from graphs.strategies import Strategy
from graphs.tree import Backup, Event, Expanded, Expansion, Judged, PriorsComputed, ReasoningTree
from tests.graphs.strategies.trees import judged, step, tree_of, unread

RIGHT_ANSWER = "right"
TOKENS_PER_STEP = 5
INTUITION = 2.0
"""Log-odds of the best thought factor over each other one by the policy head."""


@dataclass(frozen=True)
class World:
    """One question."""

    seed: int = 0
    depth: int = 4
    """Steps before the answer."""
    ability: float = 1.0
    """Log-odds of the right continuation over each wrong one, before noise."""
    spread: float = 1.0
    """Standard deviation of the noise on the log-odds; a larger one makes the policy
    prefer wrong steps more often."""
    continuations: int = 4
    """Distinct continuations of a prefix, the right one included."""
    flip_rate: float = 0.15
    """Probability that a verdict is inverted."""
    unread_rate: float = field(default=0.0, repr=False)
    """Probability that a verdict cannot be parsed."""
    wrong_answers: int = 5
    tokens_per_verdict: int = 1
    scope: VerdictScope = "local"
    """Whether verdicts are about the step alone, or about the whole path to it."""

    def distribution(self, prefix: str) -> list[float]:
        """Returns the probabilities of the continuations of `prefix`; the right one is
        the first.
        """
        rng = random.Random(f"{self.seed}/policy/{prefix}")
        logits = [
            rng.gauss(self.ability if index == 0 else 0.0, self.spread)
            for index in range(self.continuations)
        ]
        total = sum(math.exp(logit) for logit in logits)
        return [math.exp(logit) / total for logit in logits]

    def write(
        self,
        path: Sequence[str],
        rng: random.Random,
        *,
        temperature: float | None,
        factor: str | None = None,
    ) -> Step:
        """Returns a sampled step after `path`."""
        greedy = temperature == 0.0
        how: dict[str, Any] = {"temperature": 0.0 if greedy else 1.0, "factor": factor}
        if len(path) >= self.depth:
            prefix = "/".join(path)
            answer = (
                RIGHT_ANSWER
                if self.is_solvable(path)
                else f"wrong {random.Random(prefix).randrange(self.wrong_answers)}"
            )
            return step(f"{prefix}: {answer}", answer=answer, logprob=-0.1, **how)
        probabilities = self.distribution("/".join([*path, factor or ""]))
        choice = (
            probabilities.index(max(probabilities))
            if greedy
            else rng.choices(range(len(probabilities)), probabilities)[0]
        )
        text = "/".join([*path, f"{factor or ''}{choice}"])
        return step(text, logprob=math.log(probabilities[choice]), **how)

    def priors(self, path: Sequence[str], factors: Sequence[ThoughtFactor]) -> dict[str, float]:
        """Returns the policy head's priors of the thought factors after `path`."""
        chances = [self.distribution("/".join([*path, factor.name]))[0] for factor in factors]
        weights = [math.exp(INTUITION if chance == max(chances) else 0.0) for chance in chances]
        return {
            factor.name: weight / sum(weights)
            for factor, weight in zip(factors, weights, strict=True)
        }

    def is_solvable(self, path: Sequence[str]) -> bool:
        """Whether every step of `path` is right."""
        return all(text.endswith("0") for text in path)

    def evidence(self, path: Sequence[str], answer: str | None) -> float:
        """Returns the log-likelihood ratio of the verdict on the last step of `path`,
        in nats.
        """
        right = (
            self.is_solvable(path)
            if self.scope == "value"
            else answer is not None or path[-1].endswith("0")
        )
        if self.flip_rate == 0:
            return 10.0 if right else -10.0
        flipped = (
            random.Random(f"{self.seed}/critic/{'/'.join(path)}/{answer}").random() < self.flip_rate
        )
        sure = math.log((1 - self.flip_rate) / self.flip_rate)
        return sure if right != flipped else -sure


@dataclass
class Search:
    """A finished search."""

    tree: ReasoningTree
    meter: Meter
    events: list[Event] = field(default_factory=list)
    requests: list[list[Expansion]] = field(default_factory=list)
    """One list per round."""
    leaf: int | None = None

    @property
    def answer(self) -> str | None:
        return None if self.leaf is None else self.tree.step(self.leaf).answer

    @property
    def samples(self) -> int:
        """Number of requested samples."""
        return sum(expansion.n for requests in self.requests for expansion in requests)


def simulate(
    strategy: Strategy,
    world: World,
    *,
    budget: Budget | None = None,
    seed: int = 0,
    max_rounds: int = 500,
) -> Search:
    """Runs `strategy` in `world` to its end.

    Raises:
        AssertionError: the strategy requests an invalid expansion (a closed node, no
            sample), or does not end within `max_rounds`.
    """
    meter = Meter(budget or Budget())
    search = Search(tree_of([]), meter)
    tree = search.tree

    def record(*events: Event) -> None:
        search.events.extend(events)
        tree.apply(events)

    for _ in range(max_rounds):
        if meter.exhausted or meter.nodes_left == 0:
            break
        asked = strategy.select(tree, meter, random.Random(f"{seed}/search"))
        if needs_priors := strategy.needs_priors(
            tree, [expansion for expansion in asked if isinstance(expansion, Expansion)]
        ):
            record(
                *(
                    PriorsComputed(node, world.priors(_texts(tree, node), strategy.context.factors))
                    for node in needs_priors
                )
            )
            asked = strategy.select(tree, meter, random.Random(f"{seed}/search"))
            assert not strategy.needs_priors(
                tree, [expansion for expansion in asked if isinstance(expansion, Expansion)]
            )
        backups = [event for event in asked if isinstance(event, Backup)]
        wanted = [expansion for expansion in asked if isinstance(expansion, Expansion)]
        record(*backups)
        if not wanted and not backups:
            break
        if wanted:
            search.requests.append(wanted)
        through = any(expansion.horizon == "answer" for expansion in wanted)
        meter.held_back = 0 if through else strategy.tokens_to_hold_back
        size = len(tree)
        for number, expansion in enumerate(wanted):
            assert expansion.n >= 1 and not tree.closed[expansion.node], expansion
            chains = _write(
                world,
                tree,
                expansion,
                meter,
                random.Random(f"{seed}/{len(search.events)}/{number}"),
            )
            if chains:
                record(Expanded(expansion.node, chains, expansion.horizon, expansion.mistakes))
        new_nodes = range(size, len(tree))
        meter.nodes += len(new_nodes)
        judged: set[int] = set()
        while wanted_verdicts := [
            node
            for node in strategy.to_judge(tree, new_nodes)
            if node not in judged and not tree.verdicts[node]
        ]:
            judged.update(wanted_verdicts)
            record(*_judge(world, tree, wanted_verdicts, meter))
        record(*strategy.to_back_up(tree, new_nodes))
    else:
        raise AssertionError(f"{strategy} did not end within {max_rounds} rounds")
    search.leaf = strategy.choose(tree)
    return search


def _texts(tree: ReasoningTree, node: int) -> list[str]:
    return [
        one.content.reveal().text.rpartition("/")[2]
        for one in tree.path_steps(node)
        if one.answer is None
    ]


def _write(
    world: World, tree: ReasoningTree, expansion: Expansion, meter: Meter, rng: random.Random
) -> tuple[tuple[Step, ...], ...]:
    longest = TOKENS_PER_STEP * (1 if expansion.horizon == "step" else world.depth + 1)
    granted = meter.reserve(expansion.n, longest)
    chains = []
    tokens = 0
    for _ in range(granted.n):
        path = _texts(tree, expansion.node)
        chain: list[Step] = []
        while not chain or (expansion.horizon == "answer" and chain[-1].answer is None):
            if TOKENS_PER_STEP * (len(chain) + 1) > granted.max_tokens:
                chain.append(step(f"{len(path)} cut", cut=True))
                break
            chain.append(
                world.write(
                    path,
                    rng,
                    temperature=expansion.temperature,
                    factor=None if chain else expansion.factor,
                )
            )
            path.append(chain[-1].content.reveal().text.rpartition("/")[2])
        tokens += min(TOKENS_PER_STEP * len(chain), granted.max_tokens)
        chains.append(tuple(chain))
    if granted.n:
        meter.settle(granted, "policy", Usage(generated_tokens=tokens, calls=1))
    return tuple(chains)


def _judge(world: World, tree: ReasoningTree, nodes: Sequence[int], meter: Meter) -> list[Judged]:
    verdicts = []
    for node in nodes:
        assert not tree.verdicts[node], f"node {node} is judged twice"
        granted = meter.reserve(1, world.tokens_per_verdict)
        if granted.n and tree.step(node).finish_reason == "stop":
            path = _texts(tree, node) or _texts(tree, int(tree.parent[node]))
            evidence = world.evidence(path, tree.step(node).answer) if path else 0.0
            is_read = (
                random.Random(f"{world.seed}/reads/{'/'.join(path)}").random() >= world.unread_rate
            )
            verdicts.append(judged(node, evidence, scope=world.scope) if is_read else unread(node))
        if granted.n:
            meter.settle(granted, "critic", Usage(generated_tokens=granted.max_tokens, calls=1))
    return verdicts

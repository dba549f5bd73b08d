"""What a solved problem costs: every registered strategy on Countdown, with the same
policy, the same critic and 16 samples.

Countdown of 3 and 4 numbers, the pocket model on vLLM. The critic is the oracle that is
wrong with probability .15, so strategies are compared under a critic that is known, and
not under the pocket's own. A strategy may draw 16 samples: 16 whole answers, as much in
single steps, 16 steps per level with 4 paths kept, or 16 simulations; what that costs
in tokens is the figure. The critic's tokens are none.

    accuracy           share of the questions that were answered right, by the exact
                       checker
    tokens             generated tokens per question
    tokens/solved      generated tokens of all questions over those that were solved:
                       the table is sorted by it
    x beam             the same, over that of beam 16/4
    problems/min       questions per minute, all in flight as the configuration has it;
                       the median over the blocks

Errors (+-) are standard errors over questions; that of `x beam` is taken question by
question, for all strategies answer the same ones. The questions are asked in blocks,
and every strategy takes its turn in each block: A B C A B C, so that a quiet hour of
the machine favours none.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.engines.base import Generator
from agents.types import Question
from configs import RunConfig
from graphs.strategies.build import STRATEGIES
from tests.bench.figures import (
    Options,
    Result,
    Row,
    Table,
    finite,
    mean,
    ratio_of_ratios,
    ratio_of_sums,
)
from tests.bench.workload import NO_CAPS, ask, opened, questions, served_config, serving

LEVELS = (3, 4)
ORACLE = ("critic=oracle", "critic.flip_rate=0.15", "reflector=none", *NO_CAPS)
SAMPLES = {"num_samples": 16, "beam_width": 4, "num_simulations": 16}
"""What 16 samples mean, by the name of the option; a strategy takes the options that it
has."""
ASSUMPTIONS = (
    "search.right_rate=0.8",
    "search.logprob_weight=1",
    "search.evidence_weight=1.5",
    "search.accident=0.05",
    "search.abort_ratio=0.2",
    "search.abort_rate=0",
    "search.prior_strength=32",
)
"""Of the posterior search, fitted on 150 validation questions with this critic
(`graphs.evaluation.fit_selector --assumptions --many-answers`)."""
HORIZON = ("search.step_cost=1", "search.first_samples=2")
"""Of the posterior search, chosen on the same questions: where verdicts are free and
few steps are right, it goes step by step."""
SPECIAL = {
    "best_of_n": ("search.num_samples=16", "search.selection=weighted_vote"),
    "posterior": ("search.num_samples=16", "search.many_answers=true", *ASSUMPTIONS, *HORIZON),
    "critique_loop": ("search.num_children=4", "search.beam_width=1", "search.max_children=16"),
}
"""Strategies whose options mean something else."""
REFERENCE = "beam"


@dataclass(slots=True)
class _Run:
    """What one strategy did, question by question."""

    config: RunConfig
    solved: list[float] = field(default_factory=list)
    tokens: list[float] = field(default_factory=list)
    per_minute: list[float] = field(default_factory=list)
    """One rate per block."""

    def add(self, other: _Run) -> None:
        """Adds what `other` did."""
        self.solved += other.solved
        self.tokens += other.tokens
        self.per_minute += other.per_minute


def run(options: Options) -> Result:
    """Measures every strategy, level by level."""
    return asyncio.run(_run(options))


async def _run(options: Options) -> Result:
    result = Result()
    configs = {name: config_of(name, quick=options.quick) for name in STRATEGIES}
    async with serving(configs[REFERENCE], quick=options.quick) as (engine, served_by):
        # the first requests of an engine are slow
        await _block(_Run(configs["greedy"]), engine, questions(8))
        everywhere = {name: _Run(config) for name, config in configs.items()}
        for level in LEVELS:
            asked = questions(
                6 if options.quick else options.questions, families=("countdown",), levels=(level,)
            )
            runs = {name: _Run(config) for name, config in configs.items()}
            blocks = min(options.repeats, len(asked))
            for number in range(blocks):
                for one in runs.values():
                    await _block(one, engine, asked[number::blocks])
            result.tables.append(
                Table(
                    f"Countdown of {level} numbers, {len(asked)} questions, {served_by}",
                    _rows(runs),
                )
            )
            for name, one in runs.items():
                everywhere[name].add(one)
        result.tables.append(
            Table(
                f"Countdown of {' and '.join(map(str, LEVELS))} numbers together, {served_by}",
                _rows(everywhere),
            )
        )
    for name, config in configs.items():
        chosen = {
            key: value
            for key, value in config.search.model_dump().items()
            if key in ("selection", "num_children", "max_children", *SAMPLES)
        }
        result.notes.append(
            f"{name}: "
            f"{', '.join(f'{key}={value}' for key, value in chosen.items()) or 'no options'}"
        )
    return result


async def _block(one: _Run, engine: Generator, asked: Sequence[Question]) -> None:
    """Asks a part of the questions, and books the answers in the order of the
    questions.
    """
    with opened(one.config, engine) as (key, _):
        start = time.monotonic()
        answers = await ask(asked, key, concurrency=one.config.run.concurrency)
        one.per_minute.append(60 * len(asked) / (time.monotonic() - start))
    by_question = {answer.question: answer for answer in answers}
    for question in asked:
        answer = by_question[question.text]
        one.solved.append(float(answer.correct is True))
        one.tokens.append(float(sum(spent["generated_tokens"] for spent in answer.usage.values())))


def _rows(runs: dict[str, _Run]) -> tuple[Row, ...]:
    beam = runs[REFERENCE]
    priced: list[tuple[float, Row]] = []
    for name, one in runs.items():
        accuracy, tokens, price = (
            mean(one.solved),
            mean(one.tokens),
            ratio_of_sums(one.tokens, one.solved),
        )
        against = ratio_of_ratios((one.tokens, one.solved), (beam.tokens, beam.solved))
        row: Row = {
            "strategy": name,
            "accuracy": finite(accuracy.value),
            "+-": finite(accuracy.standard_error),
            "tokens": finite(tokens.value),
            "+- ": finite(tokens.standard_error),
            "tokens/solved": finite(price.value),
            "+-  ": finite(price.standard_error),
            "x beam": finite(against.value),
            "+-   ": finite(against.standard_error),
            "problems/min": statistics.median(one.per_minute),
            "min": min(one.per_minute),
            "max": max(one.per_minute),
        }
        priced.append((price.value, row))
    return tuple(row for _, row in sorted(priced, key=lambda pair: pair[0]))


def config_of(name: str, *, quick: bool) -> RunConfig:
    """Returns the configuration of a strategy with 16 samples; one that needs no critic
    gets the oracle too, and does not ask it.
    """
    options = SPECIAL.get(name)
    if options is None:
        search = served_config(f"search={name}", *ORACLE, quick=quick).search
        options = tuple(
            f"search.{option}={value}"
            for option, value in SAMPLES.items()
            if option in type(search).model_fields
        )
    return served_config(f"search={name}", *options, *ORACLE, quick=quick)

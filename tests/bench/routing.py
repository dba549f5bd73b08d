"""What `effort=auto` sends to a search, and what that costs, with a chat model.

    python -m tests.bench.routing MODEL GSM8K_TRAIN.jsonl OUT.jsonl

Asks 40 everyday questions (everyday.jsonl) and the first 40 validation questions of
GSM8K's train file at effort=low and effort=medium; of the everyday questions only the
first of each kind at effort=medium, where a search takes a hundred times as long.
`effort=auto` asks a scored question, or one that it does not search, exactly as one of
the two does, so those are not asked again. OUT keeps every answer: a second call goes
on where the first ended.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from agents.engines.build import start_engines
from agents.types import Question
from configs import compose
from graphs.reasoner.batch import ask_all
from graphs.reasoner.resources import build_resources, engines_wanted, forget, register
from graphs.strategies.answers.routing import is_computed
from graphs.tasks import load_task
from graphs.traces.trace import Trace
from graphs.tree import Expanded

EVERYDAY = Path(__file__).parent / "everyday.jsonl"
SIZE = 40


def everyday() -> list[Question]:
    """Returns the everyday questions; their metadata hold language, kind and route."""
    rows = [json.loads(line) for line in EVERYDAY.read_text().splitlines()]
    return [Question(text=row.pop("question"), metadata=row) for row in rows]


def should_search(question: Question) -> bool:
    """Whether a search is right for a question of the mix."""
    return question.task == "gsm8k" or question.metadata["route"] == "search"


async def measure(model: str, gsm8k: str, out: Path) -> None:
    """Asks what `out` lacks."""
    problems = load_task("gsm8k", path=gsm8k, split="validation", limit=SIZE).questions
    done = {(row["effort"], row["hash"]) for row in rows_of(out)}
    words = ["experiment=chat", f"engine.model={model}", "policy.logprobs=always"]
    firsts = {question.metadata["kind"]: question for question in reversed(everyday())}
    engines, opened = await start_engines(engines_wanted(compose([*words, "effort=medium"])))
    async with opened:
        for effort, asked in (
            ("low", [*everyday(), *problems]),
            ("auto", [question for question in everyday() if is_computed(question)]),
            ("medium", [*problems, *firsts.values()]),
        ):
            await _ask(engines, [*words, f"effort={effort}"], effort, asked, done, out)


async def _ask(
    engines: Any,
    words: list[str],
    effort: str,
    asked: Sequence[Question],
    done: set[tuple[str, str]],
    out: Path,
) -> None:
    def keep(trace: Trace) -> None:
        with out.open("a") as file:
            file.write(json.dumps(_row(trace, effort), ensure_ascii=False) + "\n")

    resources = build_resources(compose(words), engines, sink=keep)
    register(effort, resources)
    missing = [question for question in asked if (effort, question.hash) not in done]
    await ask_all(missing, effort, concurrency=16, on_result=lambda index, result: None)
    forget(effort)


def _row(trace: Trace, effort: str) -> dict[str, Any]:
    chains = [event.chains[0] for event in trace.events if isinstance(event, Expanded)]
    logprobs = [
        value
        for step in (chains[0] if chains else ())
        for value in step.content.reveal().logprobs
        if not math.isnan(value)
    ]
    return {
        "effort": effort,
        "hash": trace.question.hash,
        "question": trace.question.text,
        "searched": should_search(trace.question),
        "computed": is_computed(trace.question),
        "status": trace.status,
        "answer": trace.answer,
        "correct": trace.correct,
        "tokens": sum(usage.generated_tokens for usage in trace.usage.values()),
        "logprob": mean(logprobs) if logprobs else None,
        "seconds": trace.seconds,
    }


def rows_of(out: Path) -> list[dict[str, Any]]:
    """Returns the stored answers."""
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def report(rows: Iterable[dict[str, Any]]) -> str:
    """Returns the figures as text."""
    by = {(row["effort"], row["hash"]): row for row in rows}
    low = [row for (effort, _), row in by.items() if effort == "low"]
    lines = [f"routed rightly: {sum(row['searched'] == row['computed'] for row in low)}/{len(low)}"]
    for name in ("word problems", "everyday"):
        hashes = [
            row["hash"] for row in low if (row["correct"] is not None) == (name == "word problems")
        ]
        for effort in ("low", "medium", "auto"):
            found = [by[key] for h in hashes if (key := (_as(effort, by, h), h)) in by]
            scored = [row["correct"] for row in found if row["correct"] is not None]
            accuracy = f", {sum(scored)}/{len(scored)} right" if scored else ""
            if found:
                tokens = mean(row["tokens"] for row in found)
                lines.append(f"{name}, {effort}: {len(found)}{accuracy}, {tokens:.0f} tokens each")
    for kind, rows_ in (
        ("right word problems", [row for row in low if row["correct"]]),
        ("wrong word problems", [row for row in low if row["correct"] is False]),
        ("everyday", [row for row in low if row["correct"] is None]),
    ):
        if values := [row["logprob"] for row in rows_ if row["logprob"] is not None]:
            lines.append(f"mean log-probability of greedy answers, {kind}: {mean(values):.3f}")
    return "\n".join(lines)


def _as(effort: str, by: dict[tuple[str, str], dict[str, Any]], question: str) -> str:
    if effort != "auto" or ("auto", question) in by:
        return effort
    return "medium" if by["low", question]["computed"] else "low"


if __name__ == "__main__":
    model, gsm8k, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    asyncio.run(measure(model, gsm8k, out))
    print(report(rows_of(out)))

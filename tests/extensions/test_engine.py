"""An engine of one's own, named in the configuration: the conformance suite passes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agents.engines.build import open_engine
from agents.types import EngineDiedError
from configs import ConfigError, compose
from graphs.runs.driver import run
from graphs.traces.store import TraceStore
from tests.agents.engines.conformance import (
    GeneratorConformance,
    RealModelConformance,
    Subject,
)
from tests.extensions import own_engine
from tests.extensions.own_engine import CORPUS, MARKS, VOCABULARY, WEIGHT, Bytes, Ngrams

NGRAMS = f"{own_engine.__name__}:Ngrams"


class NaiveNgrams:
    """The model of `own_engine`, counted anew for every token."""

    def __init__(self, corpus: str, order: int) -> None:
        encode = Bytes().encode
        self.texts = [tuple(encode(f"<|assistant|>{line}<|end|>")) for line in corpus.splitlines()]
        self.order = order

    def probabilities(self, ids: Sequence[int]) -> list[float]:
        found = [1 / VOCABULARY] * VOCABULARY
        for length in range(self.order + 1):
            context = tuple(ids[len(ids) - length :])
            behind = [
                text[end]
                for text in self.texts
                for end in range(max(1, length), len(text))
                if text[end - length : end] == context
            ]
            if not behind:
                break
            total = len(behind) + WEIGHT
            found = [(behind.count(t) + WEIGHT * p) / total for t, p in enumerate(found)]
        return found

    def next_logprobs(self, prompt: Sequence[int], candidates: Sequence[int]) -> list[float]:
        found = self.probabilities(prompt)
        return [math.log(found[token]) for token in candidates]

    def logprobs(
        self,
        prompt: Sequence[int],
        completion: Sequence[int],
        *,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int = VOCABULARY,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
    ) -> list[float]:
        logprobs = []
        for place, token in enumerate(completion):
            found = self.probabilities([*prompt, *completion[:place]])
            for seen in {*prompt, *completion[:place]}:
                found[seen] **= repetition_penalty
            found = [p ** (1 / (temperature or 1.0)) for p in found]
            least = max(min_p * max(found), sorted(found)[-top_k])
            found = [p if p >= least else 0.0 for p in found]
            nucleus: list[int] = []
            for candidate in sorted(range(VOCABULARY), key=lambda t: -found[t]):
                if sum(found[t] for t in nucleus) >= top_p * sum(found):
                    break
                nucleus.append(candidate)
            logprobs.append(math.log(found[token] / sum(found[t] for t in nucleus)))
        return logprobs


@pytest.fixture
def reference() -> Any:
    return NaiveNgrams(CORPUS, 6)


class TestOwnEngine(GeneratorConformance, RealModelConformance):
    @pytest.fixture
    async def subject(self, tmp_path: Path) -> Subject:
        return Subject(await Ngrams.open(), tmp_path, tmp_path)

    async def test_marks_in_data_are_text(self, subject: Subject) -> None:
        plain, marked = subject.prompt("a"), subject.prompt(f"a{MARKS[0]}")
        assert [sum(token >= 256 for token in ids) for ids in (plain, marked)] == [3, 3]

    async def test_a_closed_engine_refuses_requests(self, subject: Subject) -> None:
        await subject.engine.close()
        with pytest.raises(EngineDiedError):
            await subject.engine.score((5,), (6,))


def test_an_own_engine_runs_from_the_configuration(tmp_path: Path) -> None:
    words = ["engine=custom", f"engine.object={NGRAMS}", "engine.options={order: 4}"]
    words += ["policy=chat", "search=greedy", "critic=none", "reflector=none", "task.size=2"]
    folder, metrics, _ = run(compose([*words, f"run.output_dir={tmp_path}", "run=mine"]))
    assert metrics["questions"] == 2
    with TraceStore.read(folder) as store:
        assert all(trace.usage["policy"].generated_tokens > 0 for trace in store)


@pytest.mark.parametrize(
    ("object", "options", "message"),
    [
        ("no_such:Thing", None, r"engine\.object \(no_such:Thing\) names a module"),
        (f"{own_engine.__name__}:Bytes", None, "a class with a coroutine `open`"),
        (NGRAMS, {"ordr": 3}, r"engine\.options .*ordr"),
        (f"{__name__}:Opens", None, "returned Bytes"),
    ],
)
async def test_a_wrong_object_is_refused(
    object: str, options: dict[str, int] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        await open_engine("custom", {"object": object, "options": options})


class Opens:
    """Opens no generator."""

    @classmethod
    async def open(cls) -> Bytes:
        return Bytes()


def test_an_engine_without_an_object_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"critic\.engine\.object is missing"):
        compose(["engine@critic.engine=custom"])

"""The heads as roles: what is read, what comes of it, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from agents.critics import ValueHead
from agents.engines import Classification, EngineInfo
from agents.engines.heads_folder import VALUE, factor_label
from agents.engines.scripted.tokenizer import ScriptedTokenizer
from agents.prompts import PromptFamily, Prompts
from agents.roles.policy_head import PolicyHead
from agents.types import (
    Author,
    Budget,
    Content,
    EngineError,
    Hidden,
    Meter,
    Question,
    Sampling,
    Step,
    ThoughtFactor,
    Usage,
)
from tests.scripted_pocket import SPECIAL

FACTORS = tuple(ThoughtFactor(name=name, opening=f"<|{name}|>") for name in ("propose", "correct"))
LABELS = (factor_label("correct"), VALUE, factor_label("propose"))
QUESTION = Question(text="Compute 2 + 2.")


class Heads:
    """A classifier that returns constant outputs and records its prompts."""

    def __init__(self, *outputs: float, labels: tuple[str, ...] = LABELS) -> None:
        self.info = EngineInfo("transformers", "some/heads", "0" * 16, "0" * 16, context_length=40)
        self.tokenizer = ScriptedTokenizer(SPECIAL)
        self.labels = labels
        self.outputs = outputs
        self.asked: list[tuple[int, ...]] = []

    async def classify(self, prompt: Sequence[int], *, priority: int = 0) -> Classification:
        self.asked.append(tuple(prompt))
        return Classification(self.outputs, Usage(len(prompt), 0, 0, 1))

    async def close(self) -> None:
        pass


def prompts_of(heads: Heads) -> Prompts:
    return Prompts(PromptFamily("pocket"), heads.tokenizer)


def steps_of(heads: Heads, *texts: str) -> list[Step]:
    ids = [tuple(heads.tokenizer.encode(text)) for text in texts]
    return [
        Step(
            Hidden(Content(text, token_ids, (-1.0,) * len(token_ids))),
            "stop",
            Author("policy", "scripted"),
            Sampling(),
        )
        for text, token_ids in zip(texts, ids, strict=True)
    ]


async def test_the_value_is_a_sigmoid_and_the_evidence_its_log_odds() -> None:
    heads = Heads(5.0, math.log(4), -5.0)
    verdict = await ValueHead(heads, prompts_of(heads)).judge(
        QUESTION, steps_of(heads, "a", "b"), meter=Meter(Budget())
    )
    assert verdict is not None
    assert verdict.score == pytest.approx(0.8) and verdict.log_likelihood_ratio == pytest.approx(
        math.log(4)
    )
    assert (verdict.source, verdict.scope) == ("value_head", "value")


async def test_the_priors_are_the_softmax_over_the_factors_by_name() -> None:
    heads = Heads(math.log(3), 100.0, 0.0)
    priors = await PolicyHead(heads, prompts_of(heads), FACTORS).priors(
        QUESTION, [], meter=Meter(Budget())
    )
    assert priors == pytest.approx({"propose": 0.25, "correct": 0.75})


async def test_both_read_what_the_policy_would_go_on_from() -> None:
    heads, meter = Heads(0.0, 0.0, 0.0), Meter(Budget())
    prompts, steps = prompts_of(heads), steps_of(heads, "a", "b")
    await ValueHead(heads, prompts).judge(QUESTION, steps, meter=meter)
    await PolicyHead(heads, prompts, FACTORS).priors(QUESTION, steps, meter=meter)
    context, _ = prompts.context(QUESTION, steps)
    assert heads.asked == [context, context]
    assert set(meter.spent.roles) == {"critic", "heads"} and meter.spent.total.generated_tokens == 0


@pytest.mark.parametrize("output", [math.nan, math.inf, -math.inf])
async def test_what_is_no_number_is_no_evidence_and_no_prior(output: float) -> None:
    heads, meter = Heads(output, output, 0.0), Meter(Budget())
    verdict = await ValueHead(heads, prompts_of(heads)).judge(
        QUESTION, steps_of(heads, "a"), meter=meter
    )
    assert verdict is not None
    assert math.isfinite(verdict.log_likelihood_ratio)
    assert (verdict.outcome == "unparsed") == math.isnan(output)
    with pytest.raises(EngineError, match=r"policy head of some/heads returns .*train it again"):
        await PolicyHead(heads, prompts_of(heads), FACTORS).priors(QUESTION, [], meter=meter)


async def test_where_nothing_is_left_nothing_is_read() -> None:
    heads, spent = Heads(0.0, 0.0, 0.0), Meter(Budget(max_calls=0))
    assert (
        await ValueHead(heads, prompts_of(heads)).judge(QUESTION, steps_of(heads, "a"), meter=spent)
        is None
    )
    assert (
        await PolicyHead(heads, prompts_of(heads), FACTORS).priors(QUESTION, [], meter=spent)
        is None
    )
    long = steps_of(heads, "word " * 60)
    assert (
        await ValueHead(heads, prompts_of(heads)).judge(QUESTION, long, meter=Meter(Budget()))
        is None
    )
    assert heads.asked == []


def test_heads_that_lack_an_output_are_refused() -> None:
    heads = Heads(labels=("LABEL_0", factor_label("propose")))
    with pytest.raises(
        ValueError,
        match=r"critic=value_head needs the output 'value', and "
        r"some/heads has only LABEL_0, factor propose",
    ):
        ValueHead(heads, prompts_of(heads))
    with pytest.raises(
        ValueError,
        match=r"search\.prior=policy_head needs the output "
        r"'factor correct'.*training=heads",
    ):
        PolicyHead(heads, prompts_of(heads), FACTORS)

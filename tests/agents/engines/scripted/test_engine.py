"""The scripted engine and its tokenizer."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.engines import GenerateRequest
from agents.engines.scripted.engine import Rule, ScriptedEngine, ScriptError
from agents.engines.scripted.tokenizer import ScriptedTokenizer
from agents.types import EngineDiedError
from tests.agents.engines.conformance import GeneratorConformance, PublisherConformance, Subject

COUNTS = [
    f" {word} comes before {word} plus one, then comes another, and so on until it ends."
    for word in ("one", "two", "six", "ten")
]


def count(prompt: str, sample_index: int, rng: random.Random) -> str:
    """Returns one of COUNTS, or the rest of the one that the prompt has begun."""
    written = prompt.rsplit("<|assistant|>", 1)[-1]
    begun = [text for text in COUNTS if written and text.startswith(written)]
    return begun[0][len(written) :] if begun else rng.choice(COUNTS)


async def tick(seconds: float) -> None:
    """A sleep that takes forty turns of the event loop, whatever the time."""
    for _ in range(40):
        await asyncio.sleep(0)


class TestScriptedEngine(GeneratorConformance, PublisherConformance):
    @pytest.fixture
    def subject(self, tiny_model_folder: Path, other_tiny_model_folder: Path) -> Subject:
        engine = ScriptedEngine.from_function(count, latency_s=1.0, sleep=tick)
        return Subject(engine, tiny_model_folder, other_tiny_model_folder)

    async def test_publish_changes_the_logprobs_and_back(self, subject: Subject) -> None:
        await subject.engine.publish(subject.folder)  # there are no weights before
        await super().test_publish_changes_the_logprobs_and_back(subject)

    async def test_the_prefix_cache_holds_what_was_sent_and_written(self, subject: Subject) -> None:
        prompt = subject.prompt(
            "a question of more than two blocks of sixteen tokens, with a few words to spare at "
            "its end"
        )
        first = await subject.greedy(prompt)
        assert first.usage.cached_prompt_tokens == 0
        again = await subject.greedy(prompt)
        assert again.usage.cached_prompt_tokens == (len(prompt) - 1) // 16 * 16
        longer = prompt + first.completions[0].token_ids
        assert (await subject.greedy(longer)).usage.cached_prompt_tokens == (
            len(longer) - 1
        ) // 16 * 16


def engine_with(*script: Rule, **options: object) -> ScriptedEngine:
    """Returns an engine that follows rules."""
    return ScriptedEngine(script=script, **options)  # type: ignore[arg-type]


def ask(engine: ScriptedEngine, text: str, **options: object) -> GenerateRequest:
    """Returns a request for a text prompt."""
    return GenerateRequest(tuple(engine.tokenizer.encode(text)), **options)  # type: ignore[arg-type]


async def test_rules_are_used_in_order_and_run_out_loudly() -> None:
    engine = engine_with(Rule(reply=" one"), Rule(reply=[" two", " three"], match="again"))
    assert (await engine.generate(ask(engine, "go"))).completions[0].text == " one"
    assert [
        found.text for found in (await engine.generate(ask(engine, "go again", n=2))).completions
    ] == [" two", " three"]
    assert engine.rules_left == 0
    with pytest.raises(ScriptError, match=r"2 rules ran out.*'and on'"):
        await engine.generate(ask(engine, "and on"))


async def test_a_rule_for_another_prompt_another_n_or_another_call_fails() -> None:
    engine = engine_with(Rule(reply=[" a", " b"], match="again"))
    with pytest.raises(ScriptError, match="expects 'again'"):
        await engine.generate(ask(engine, "go"))
    with pytest.raises(ScriptError, match="has no scores"):
        await engine.score(engine.tokenizer.encode("again"), engine.tokenizer.encode("y"))
    assert engine.rules_left == 1
    with pytest.raises(ScriptError, match="2 replies for a request of n=3"):
        await engine.generate(ask(engine, "again", n=3))


async def test_scripted_scores_are_looked_up_by_the_candidates_text() -> None:
    engine = engine_with(
        Rule(scores={"<|yes|>": -0.1, "<|no|>": -2.5}),
        Rule(scores={"<|yes|>": 0.0}),
        special_tokens=["<|yes|>", "<|no|>"],
    )
    candidates = engine.tokenizer.encode("<|no|><|yes|>")
    assert (await engine.score((1, 2), candidates)).logprobs == (-2.5, -0.1)
    with pytest.raises(ScriptError, match="no score for"):
        await engine.score((1, 2), candidates)


async def test_a_score_function_sees_the_prompt_with_its_special_tokens() -> None:
    engine = ScriptedEngine.from_function(
        count, score=lambda prompt, candidate: -float(prompt.count("<|user|>")) - len(candidate)
    )
    prompt = engine.tokenizer.apply_chat_template([{"role": "user", "content": "hi"}])
    assert (await engine.score(prompt, engine.tokenizer.encode("no"))).logprobs == (-3.0,)


async def test_death_comes_on_request_and_takes_all_with_it() -> None:
    engine = ScriptedEngine.from_function(count, die_after=2, latency_s=1.0, sleep=tick)
    results = await asyncio.gather(
        *(engine.generate(ask(engine, f"{i}")) for i in range(4)), return_exceptions=True
    )
    assert all(isinstance(result, EngineDiedError) and result.in_flight == 4 for result in results)
    with pytest.raises(EngineDiedError, match="die_after=2"):
        await engine.generate(ask(engine, "more"))


async def test_closing_fails_what_is_in_flight_and_is_idempotent() -> None:
    engine = ScriptedEngine.from_function(count, latency_s=1.0, sleep=tick)
    task = asyncio.create_task(engine.generate(ask(engine, "go")))
    await asyncio.sleep(0)
    await engine.close()
    await engine.close()
    with pytest.raises(EngineDiedError, match="closed with 1 requests"):
        await task


async def test_a_function_can_be_named() -> None:
    engine = ScriptedEngine(function=f"{__name__}:count")
    assert (await engine.generate(ask(engine, "go"))).completions[0].text in COUNTS
    for name in ("nowhere:f", f"{__name__}:nothing", "words"):
        with pytest.raises(ValueError, match=r"engine\.function"):
            ScriptedEngine(function=name)


class Shouting:
    """An object that answers, and names its special tokens."""

    special_tokens = ("<|shout|>",)

    @staticmethod
    def reply(prompt: str, sample_index: int, rng: random.Random) -> str:
        return " LOUD" if prompt.endswith("<|shout|>") else " low"


async def test_an_object_brings_its_special_tokens() -> None:
    engine = ScriptedEngine(function=f"{__name__}:Shouting")
    assert len(engine.tokenizer.encode("<|shout|>")) == 1
    assert (await engine.generate(ask(engine, "hey<|shout|>"))).completions[0].text == " LOUD"
    assert (
        len(
            ScriptedEngine(
                function=f"{__name__}:Shouting", special_tokens=["<|hey|>"]
            ).tokenizer.encode("<|shout|>")
        )
        > 1
    )


def test_script_and_function_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="exactly one of script and function"):
        ScriptedEngine()
    with pytest.raises(ValueError, match="exactly one"):
        ScriptedEngine(script=[Rule(reply="a")], function=count)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_tokenizer_decodes_what_it_encoded(text: str) -> None:
    tokenizer = ScriptedTokenizer()
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids, skip_special_tokens=False) == text
    assert all(0 <= token < tokenizer.vocabulary_size < 2**31 for token in ids)


def test_special_tokens_are_one_token_each_and_left_out_of_decoded_text() -> None:
    tokenizer = ScriptedTokenizer(["<|step|>", "<|step|>2"])
    ids = tokenizer.encode("<|step|>2 and <|step|><|end|>")
    assert len(ids) == 6
    assert ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(ids) == " and "

"""The policy: steps, their ids, and what ends them."""

from __future__ import annotations

import dataclasses
import math

import pytest

from agents.engines.scripted import Rule, ScriptedEngine
from agents.nouns import Budget, Meter, Question, Step, ThoughtFactor
from agents.policy import Policy, PolicySettings
from agents.prompts import Mistake, PromptFamily, Prompts
from configs.schema import PolicyConfig
from tests.scripted_pocket import SPECIAL
from tests.settings import settings_of

QUESTION = Question(text="Compute (19 + 8) * 8.")
FACTORS = (ThoughtFactor(name="propose", opening="<|propose|>"), ThoughtFactor(name="conclude", opening="<|conclude|>"))
STEP_ENDS = "\n\n"


def policy_that_says(*replies: str | list[str], **settings: object) -> tuple[Policy, ScriptedEngine]:
    engine = ScriptedEngine(script=[Rule(reply=reply) for reply in replies], special_tokens=SPECIAL)
    options = settings_of(PolicySettings, PolicyConfig(factors=FACTORS), **settings)
    return Policy(engine, Prompts(PromptFamily("pocket"), engine.tokenizer), options), engine


def meter(**caps: int) -> Meter:
    return Meter(Budget(**caps))


async def one_step(policy: Policy, path: tuple[Step, ...] = (), **options: object) -> Step:
    proposal = await policy.propose(QUESTION, path, meter=meter(), **options)  # type: ignore[arg-type]
    return proposal.chains[0][0]


async def test_a_step_ends_with_the_blank_line_and_keeps_its_ids() -> None:
    policy, engine = policy_that_says("<|propose|>19 + 8 = 27\n\nnever written")
    step = await one_step(policy)
    content = step.content.reveal()
    assert content.text == "19 + 8 = 27"
    assert engine.tokenizer.decode(content.token_ids) == "19 + 8 = 27" + STEP_ENDS
    assert len(content.logprobs) == len(content.token_ids) and content.forced == 0
    assert (step.factor, step.answer, step.finish_reason) == ("propose", None, "stop")


async def test_the_opening_of_a_factor_is_forced_and_never_trained_on() -> None:
    policy, _ = policy_that_says("19 + 8 = 27\n\n")
    step = await one_step(policy, factor="propose")
    content = step.content.reveal()
    assert content.forced == 1 and math.isnan(content.logprobs[0])
    assert math.isfinite(content.logprob), "the forced token has no share in the step's log-probability"
    assert step.factor == "propose"


async def test_a_continuation_sends_the_ids_that_were_written() -> None:
    policy, engine = policy_that_says("<|propose|>19 + 8 = 27\n\n", "<|conclude|>Answer: 216")
    first = await one_step(policy)
    sent: list[tuple[int, ...]] = []
    generate = engine.generate

    async def spy(request):  # type: ignore[no-untyped-def]
        sent.append(request.prompt)
        return await generate(request)

    engine.generate = spy  # type: ignore[method-assign]
    last = await one_step(policy, (first,))
    assert sent[0] == policy.prompts.policy(QUESTION) + first.content.reveal().token_ids
    assert last.answer == "216" and last.is_final


async def test_both_horizons_give_the_same_steps() -> None:
    whole, _ = policy_that_says("<|propose|>19 + 8 = 27\n\n<|conclude|>Answer: 216")
    chain = (await whole.propose(QUESTION, (), meter=meter(), horizon="answer")).chains[0]
    stepped, _ = policy_that_says("<|propose|>19 + 8 = 27\n\n", "<|conclude|>Answer: 216")
    first = await one_step(stepped)
    second = await one_step(stepped, (first,))
    assert [step.content.reveal().token_ids for step in chain] == [s.content.reveal().token_ids for s in (first, second)]
    assert [step.answer for step in chain] == [None, "216"]


async def test_a_chain_ends_where_the_policy_doubts_its_last_step() -> None:
    """What was written before stands; the doubt is an empty step without an answer, whose token was paid for."""
    policy, engine = policy_that_says("<|propose|>19 + 8 = 28\n\n<|reflect|>Wait, step 1 is wrong.\n\n", doubts=("<|reflect|>",))
    proposal = await policy.propose(QUESTION, (), meter=(spent := meter()), horizon="answer", through_doubt=False)
    first, doubt = proposal.chains[0]
    assert (first.content.reveal().text, first.finish_reason, first.answer) == ("19 + 8 = 28", "stop", None)
    assert (doubt.content.reveal().text, doubt.finish_reason, doubt.answer) == ("", "stop", "")
    written = first.content.reveal().token_ids + doubt.content.reveal().token_ids
    assert engine.tokenizer.decode(written, skip_special_tokens=False) == "<|propose|>19 + 8 = 28\n\n<|reflect|>"
    assert spent.spent.roles["policy"].generated_tokens == len(written)


@pytest.mark.parametrize("factor", [None, "propose"])
@pytest.mark.parametrize("horizon", ["step", "answer"])
async def test_a_doubt_alone_is_no_blank_line(horizon: str, factor: str | None) -> None:
    policy, engine = policy_that_says("<|reflect|>Wait, step 1 is wrong.\n\n", "never", doubts=("<|reflect|>",))
    proposal = await policy.propose(QUESTION, (), meter=meter(), horizon=horizon, factor=factor, through_doubt=False)  # type: ignore[arg-type]
    ((doubt,),) = proposal.chains
    assert (doubt.content.reveal().text, doubt.answer, doubt.factor) == ("", "", factor)
    assert doubt.content.reveal().forced == (0 if factor is None else 1) and engine.rules_left == 1


async def test_a_policy_that_may_goes_through_its_doubt() -> None:
    policy, _ = policy_that_says("<|propose|>1 = 2\n\n<|reflect|>Wait.\n\n<|conclude|>Answer: 216", doubts=("<|reflect|>",))
    proposal = await policy.propose(QUESTION, (), meter=meter(), horizon="answer")
    assert [step.answer for step in proposal.chains[0]] == [None, None, "216"]


def test_a_doubt_is_one_token() -> None:
    with pytest.raises(ValueError, match=r"policy.doubts: 'Wait, I' is \d+ tokens of .*; name single tokens"):
        policy_that_says("never", doubts=("Wait, I",))


async def test_a_cut_step_is_no_finished_step() -> None:
    policy, _ = policy_that_says("<|propose|>19 + 8 = 27\n\n", max_step_tokens=3)
    step = await one_step(policy)
    assert step.finish_reason == "length" and step.answer is None


async def test_an_end_without_an_answer_is_marked_as_such() -> None:
    policy, _ = policy_that_says("I give up")
    step = await one_step(policy)
    assert step.answer == "" and step.is_final


async def test_silence_is_a_typed_outcome() -> None:
    policy, _ = policy_that_says("")
    proposal = await policy.propose(QUESTION, (), meter=meter())
    assert proposal.chains == () and proposal.failure == "unparsed"


async def test_an_exhausted_budget_sends_nothing() -> None:
    policy, engine = policy_that_says("never")
    proposal = await policy.propose(QUESTION, (), meter=meter(max_tokens=0))
    assert proposal.failure == "budget" and engine.rules_left == 1


async def test_a_full_context_sends_nothing() -> None:
    engine = ScriptedEngine(script=[Rule(reply="never")], special_tokens=SPECIAL, context_length=5)
    policy = Policy(engine, Prompts(PromptFamily("pocket"), engine.tokenizer), settings_of(PolicySettings, PolicyConfig()))
    assert (await policy.propose(QUESTION, (), meter=meter())).failure == "context_length"


async def test_mistakes_stand_before_the_new_try() -> None:
    policy, engine = policy_that_says("<|propose|>19 + 8 = 28\n\n", "<|correct|>19 + 8 = 27\n\n")
    wrong = await one_step(policy)
    prompts: list[str] = []
    generate = engine.generate

    async def spy(request):  # type: ignore[no-untyped-def]
        prompts.append(engine.tokenizer.decode(request.prompt, skip_special_tokens=False))
        return await generate(request)

    engine.generate = spy  # type: ignore[method-assign]
    await one_step(policy, mistakes=(Mistake(wrong),))
    assert prompts[0].endswith("19 + 8 = 28\n\n<|reflect|> Wait, step 1 is wrong.\n\n<|backtrack|> Back to step 0.\n\n")


async def test_an_unknown_factor_is_refused() -> None:
    policy, _ = policy_that_says("never")
    with pytest.raises(ValueError, match=r"'guess' is not in policy.factors \(propose, conclude\)"):
        await one_step(policy, factor="guess")


async def test_a_step_says_which_adapter_wrote_it() -> None:
    policy, engine = policy_that_says("19 + 8 = 27\n\n", "19 + 8 = 27\n\n")
    engine.info = dataclasses.replace(engine.info, adapters={"terse": "0" * 16})
    assert (await one_step(policy, adapter="terse")).author.adapter == "terse"
    assert (await one_step(policy)).author.adapter is None
    with pytest.raises(ValueError, match=r"adapter \(wordy\) is not served by scripted/script, which has terse"):
        await one_step(policy, adapter="wordy")


async def test_an_empty_line_before_the_first_word_belongs_to_the_step() -> None:
    policy, engine = policy_that_says("\n\nnever written", "<|propose|>19 + 8 = 27\n\nnever written")
    step = await one_step(policy)
    content = step.content.reveal()
    assert content.text == "19 + 8 = 27"
    assert engine.tokenizer.decode(content.token_ids) == "\n\n19 + 8 = 27" + STEP_ENDS
    assert len(content.logprobs) == len(content.token_ids) and content.forced == 0


ROLE_TOKENS = ("<|critic|>", "<|verify|>", "<|reflector|>", "<|right|>", "<|wrong|>", "<|user|>", "<|assistant|>")


@pytest.mark.parametrize("token", ROLE_TOKENS)
async def test_a_sampled_role_token_ends_the_step_and_is_no_part_of_it(token: str) -> None:
    policy, engine = policy_that_says(f"<|propose|>19 + 8 = 28{token}<|right|>\n\n<|conclude|>Answer: 224")
    step = await one_step(policy)
    content = step.content.reveal()
    assert engine.tokenizer.decode(content.token_ids, skip_special_tokens=False) == "<|propose|>19 + 8 = 28"
    assert len(content.logprobs) == len(content.token_ids)
    assert (step.answer, step.finish_reason) == ("", "stop"), "the sequence has ended, so nothing is continued behind it"


@pytest.mark.parametrize("token", ROLE_TOKENS)
async def test_a_role_token_behind_an_answer_leaves_the_answer(token: str) -> None:
    policy, _ = policy_that_says(f"<|propose|>19 + 8 = 27\n\n<|conclude|>Answer: 216{token}<|right|>")
    [chain] = (await policy.propose(QUESTION, (), meter=meter(), horizon="answer")).chains
    assert [step.answer for step in chain] == [None, "216"]
    ids = [token_id for step in chain for token_id in step.content.reveal().token_ids]
    assert not set(ids) & set(policy.prompts.role_tokens)


async def test_nothing_but_a_role_token_is_no_step() -> None:
    policy, _ = policy_that_says("<|critic|><|right|>", "<|right|>")
    assert (await policy.propose(QUESTION, (), meter=meter())).failure == "unparsed"
    assert (await policy.propose(QUESTION, (), meter=meter(), factor="propose")).failure == "unparsed"

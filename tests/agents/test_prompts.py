"""Prompts: which ids a role is asked with."""

from __future__ import annotations

from agents.engines.scripted_tokenizer import ScriptedTokenizer
from agents.nouns import Author, Content, Hidden, Question, Sampling, Step
from agents.prompts import Mistake, PromptFamily, Prompts
from tests.scripted_pocket import SPECIAL

TOKENIZER = ScriptedTokenizer(SPECIAL)
PROMPTS = Prompts(PromptFamily("pocket"), TOKENIZER)
QUESTION = Question(text="Compute (19 + 8) * 8.")


def step(text: str, *, answer: str | None = None) -> Step:
    ids = tuple(TOKENIZER.encode(text))
    return Step(Hidden(Content(text, ids, (-1.0,) * len(ids))), "stop", Author("policy", "scripted"), Sampling(), answer=answer)


def text_of(ids: tuple[int, ...]) -> str:
    return TOKENIZER.decode(ids, skip_special_tokens=False)


def test_a_wrong_answer_that_is_shown_as_a_mistake_does_not_end_the_sequence() -> None:
    first, wrong = step("<|propose|>19 + 8 = 27\n\n"), step("<|conclude|>Answer: 1<|end|>", answer="1")
    ids, _ = PROMPTS.context(QUESTION, [first], mistakes=[Mistake(wrong)])
    thought = text_of(ids).partition("<|assistant|>")[2]
    assert thought.startswith("<|propose|>19 + 8 = 27\n\n<|conclude|>Answer: 1\n\n<|reflect|> Wait, step 2 is wrong.")
    assert "<|end|>" not in thought


def test_an_open_step_keeps_its_ids() -> None:
    ids = step("19 + 8 = 27\n\n").content.reveal().token_ids
    assert PROMPTS.as_open_step(ids) == ids
    assert PROMPTS.as_open_step((*ids[:-2], TOKENIZER.eos_token_id)) == ids


def test_the_words_of_a_role_stand_behind_every_thought_alike() -> None:
    for texts in (["19 + 8 = 27\n\n"], ["19 + 8 = 28\n\n", "28 * 8 = 224\n\n"]):
        steps = [step(text) for text in texts]
        for template, words in {"critic_token": "<|critic|>", "critic_working": "<|verify|>", "reflector": "<|reflector|>"}.items():
            ids, _ = PROMPTS.context(QUESTION, steps)
            assert PROMPTS.role(template, QUESTION, steps) == (*ids, *TOKENIZER.encode(words))


def test_a_family_says_for_what_it_has_words() -> None:
    pocket, chat = PromptFamily("pocket"), PromptFamily("chat")
    for template in ("critic_reason", "summarizer"):
        assert chat.has(template) and not pocket.has(template)


CHAT = Prompts(PromptFamily("chat"), TOKENIZER)
SCORED = Question(text="What is 3 + 4?", gold="7")
OPEN = Question(text="What is 3 + 4?")


def test_only_chat_models_are_let_answer_openly_and_only_unscored_questions() -> None:
    assert CHAT.takes_open_answer(OPEN) and not CHAT.takes_open_answer(SCORED)
    assert not PROMPTS.takes_open_answer(OPEN) and not PROMPTS.takes_open_answer(SCORED)


def test_only_a_question_that_is_scored_demands_a_mark() -> None:
    assert '"Answer: "' in text_of(CHAT.policy(SCORED))
    assert "Answer:" not in text_of(CHAT.policy(OPEN))
    rules = (("R1", "Be kind."),)
    for question in (OPEN, SCORED):
        assert "[R1] Be kind." in text_of(CHAT.policy(question, rules))


class Thinker(ScriptedTokenizer):
    """The tokenizer of a model whose chat template begins to think."""

    def apply_chat_template(self, messages: list[dict[str, str]]) -> list[int]:
        return [*super().apply_chat_template(messages), *self.encode("<think>\n")]


def test_a_template_may_open_a_think_block() -> None:
    thinker = Prompts(PromptFamily("chat"), Thinker())
    assert thinker.opens_think_block(OPEN) and thinker.opens_think_block(SCORED)
    assert not CHAT.opens_think_block(Question(text="What is <think>"))

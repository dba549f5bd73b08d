"""What the runs of one command share."""

from __future__ import annotations

from agents.engines import loop
from agents.engines.base import GenerateRequest
from configs import RunConfig, compose
from graphs.reasoner.resources import Resources
from graphs.runs.session import Session

SCRIPTED = [
    "engine=scripted",
    "engine.function=tests.scripted_pocket:Pocket",
    "task=pocket",
    "task.size=4",
]
OTHER = [*SCRIPTED, "engine.context_length=512"]


def config(*words: str, base: list[str] = SCRIPTED) -> RunConfig:
    return compose([*base, *words])


def opened(session: Session, wanted: RunConfig) -> Resources:
    return session.open(wanted, sink=lambda trace: None, run="first")


def cached_tokens(resources: Resources) -> int:
    """Returns how much of a prompt the engine finds in its cache."""
    text = "<|user|>Compute (19 + 8) * 8.<|end|><|assistant|>"
    prompt = tuple(resources.engine.tokenizer.encode(text)) * 3
    return loop.run(
        resources.engine.generate(GenerateRequest(prompt=prompt))
    ).usage.cached_prompt_tokens


def test_runs_with_equal_options_share_an_engine_with_an_empty_cache() -> None:
    with Session() as session:
        first = opened(session, config("search=greedy", "critic=none"))
        assert [cached_tokens(first), cached_tokens(first)][1] > 0
        second = opened(session, config("search=critique_loop"))
        assert second.engine is first.engine and cached_tokens(second) == 0
        third = opened(session, config(base=OTHER))
        assert third.engine is not first.engine and third.engine.info.context_length == 512
        assert first.engine._gate.is_shut, "two engines at a time would compete for memory"  # type: ignore[attr-defined]
    assert third.engine._gate.is_shut  # type: ignore[attr-defined]


def test_roles_with_engines_of_their_own_keep_them() -> None:
    own = [
        "engine@critic.engine=scripted",
        "critic.engine.function=tests.scripted_pocket:Pocket",
        "critic.engine.context_length=512",
    ]
    with Session() as session:
        resources = opened(session, config(*own))
        assert resources.critic.engine is not resources.engine  # type: ignore[union-attr]
        again = opened(session, config("critic=none", "search=greedy"))
        assert again.engine is resources.engine, (
            "an engine that is not wanted this time is not in the way"
        )


def test_questions_are_loaded_once() -> None:
    with Session() as session:
        assert session.load(config()) is session.load(config("search=greedy"))
        assert (
            session.load(config("task.split=validation")).questions
            != session.load(config()).questions
        )

"""The nodes of the reasoning graph: one role or phase each, `State -> Command`.

    screen -> select -> suggest -> critique -> reflect -> (select)
           -> derive -> answer -> summarize -> check -> record

A node gathers the requests of one question; questions never wait for each other. The
hidden part of a thought is in `Thinking`; a node returns only what the user may see. A
round without work for `critique` or `reflect` skips them, since a super-step costs as
much as a call.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from contextvars import ContextVar
from uuid import uuid4

from langgraph.runtime import Runtime
from langgraph.types import Command

from agents.families import FAMILIES
from agents.prompts import Mistake
from agents.roles.policy import Proposal
from agents.roles.summarizer import admit_summary, neutral_summary
from agents.safety.visible_text import visible_text, without_controls
from agents.types import Hidden, Meter, Question
from graphs.reasoner.conversation.fitting import fit_history
from graphs.reasoner.conversation.messages import exchange, reply
from graphs.reasoner.no_answer import EXPLANATIONS, why_no_answer
from graphs.reasoner.resources import Resources, find_resources
from graphs.reasoner.state import Context, Phase, State, read_input
from graphs.reasoner.thinking import Shown, Thinking
from graphs.strategies import Strategy
from graphs.thought.derive import derive_journey, reason_against
from graphs.thought.long_thought import LongThought
from graphs.thought.markup import kept_steps
from graphs.thought.statistics import thought_statistics
from graphs.traces.trace import SafetyRecord, Trace
from graphs.tree import (
    ROOT,
    Backup,
    Expanded,
    Expansion,
    Failed,
    Finished,
    Judged,
    PriorsComputed,
    Reflected,
)

CHAT_MODEL = ("experiment=chat", "engine.model=FOLDER_OR_HUB_ID")
"""Options that answer any question, with a model of the user's choice."""
CHAT_SERVER = ("experiment=chat", "engine=openai", "engine.base_url=URL")
"""The same, with a model server."""
OUT_OF_DOMAIN = (
    "This model was made for other questions: {families}. For example: Use the numbers 3, 7, 11 "
    "and 25 to make 57. Ask one of those, or "
    f'choose a chat model: longthought ask "QUESTION" {" ".join(CHAT_MODEL)}, or, where a '
    f"server has it, {' '.join(CHAT_SERVER)}."
)
FORGETS = "This model takes each question alone and does not read earlier turns."

AUDIT: ContextVar[list[Hidden[Trace]] | None] = ContextVar("AUDIT", default=None)
"""A list to which `record` appends the trace of the caller's own thought, in this
process. The graph's state never holds a trace."""

MOST_CHARACTERS_PER_TOKEN = 20
"""A question with more characters than this times the context length is refused before
it is tokenised. Ordinary text has up to 6 characters per token."""

Go = Command[Phase]


async def screen(state: State, runtime: Runtime[Context]) -> Go:
    """Starts the thought: validates the question and attaches the safety rules that
    apply. A question that a rule decides, or outside of the model's domain, is not
    searched.
    """
    resources = await find_resources(runtime.context)
    asked, sample, unread = read_input(
        state, is_local=runtime.context is not None and bool(runtime.context.resources)
    )
    asked = mark_answers(asked, resources)
    check_question(asked, resources)
    question = fit_history(
        asked,
        resources.policy.prompts,
        resources.engine.info.context_length,
        room=resources.config.policy.max_answer_tokens,
    )
    if resources.thoughts.is_live(given := state.get("thought_id")):
        raise ValueError(
            f"thought {given} is in progress; the graph makes the thought_id of a question itself, "
            "so leave it out"
        )
    meter = Meter(resources.config.budget.to_budget())
    thinking = Thinking(question, asked, sample, resources.config.run.seed, meter, uuid4().hex)
    resources.thoughts.begin(thinking, runtime.control)
    if resources.policy.prompts.takes_history:
        thinking.dropped_turns = unread + len(asked.history) - len(question.history)
    update: State = {
        "thought_id": thinking.thought_id,
        "rounds": 0,
        "dropped_turns": thinking.dropped_turns,
    }
    if resources.safety is not None:
        earlier = asked.earlier
        thinking.rules = resources.safety.attach(question.text, earlier)
        if resources.config.safety.refuse_before_thinking:
            judgement = resources.safety.decide(
                question.text, answer=None, summary="", earlier=earlier
            )
            if judgement.decision != "comply":
                thinking.safety.append(
                    SafetyRecord(judgement.decision, judgement.rule_id, "before_thinking")
                )
                thinking.status = "refused" if judgement.decision == "refuse" else "no_answer"
                return Command(update=update, goto="derive")
    if not resources.domain.contains(question.text):
        thinking.status = "out_of_domain"
        return Command(update=update, goto="derive")
    return Command(update=update, goto="select")


def check_question(question: Question, resources: Resources) -> None:
    """Validates a question.

    Raises:
        ValueError: the question is empty, or fills the model's context.
    """
    if not without_controls(question.text).strip():
        raise ValueError(
            "the question is empty; ask something, for example: Use the numbers 3, 7, 11 and 25 to "
            "make 57."
        )
    length, context = len(question.text), resources.engine.info.context_length
    alone = question.model_copy(update={"history": ()})
    if length > MOST_CHARACTERS_PER_TOKEN * context:
        size = f"{length} characters"
    elif (tokens := len(resources.policy.prompts.policy(alone))) + 2 > context:
        size = f"{length} characters, {tokens} tokens as a prompt"
    else:
        return
    raise ValueError(
        f"the question has {size}, and the model's context holds {context} tokens; "
        "shorten it, or choose a model with a longer context (engine.model)"
    )


def mark_answers(question: Question, resources: Resources) -> Question:
    """Returns the question, with a marked answer demanded if the strategy compares
    answers of this question and not of all (`Strategy.marks_answer`).
    """
    strategy = resources.strategy(question.task)
    if question.marks_answer or not strategy.marks_answer(question):
        return question
    return question.model_copy(update={"marks_answer": True})


async def select(state: State, runtime: Runtime[Context]) -> Go:
    """Asks the strategy for the next expansions. If it needs priors, the policy head
    computes them first.
    """
    resources, thinking = await _find(state, runtime)
    meter, strategy = thinking.meter, _strategy(resources, thinking)
    thinking.pending = []
    with_priors: set[int] = set()
    while not (meter.exhausted or meter.nodes_left == 0 or thinking.pending):
        asked = strategy.select(thinking.tree, meter, thinking.rng_of_search())
        wanted = [expansion for expansion in asked if isinstance(expansion, Expansion)]
        if needs_priors := [
            node for node in strategy.needs_priors(thinking.tree, wanted) if node not in with_priors
        ]:
            with_priors.update(needs_priors)
            await _compute_priors(resources, thinking, needs_priors)
            continue
        thinking.record(backup for backup in asked if isinstance(backup, Backup))
        thinking.pending = wanted
        if len(wanted) == len(asked):
            break
    through = any(expansion.horizon == "answer" for expansion in thinking.pending)
    meter.held_back = strategy.tokens_to_hold_back if thinking.pending and not through else 0
    return Command(
        update={"nodes": len(thinking.tree)}, goto="suggest" if thinking.pending else "derive"
    )


async def suggest(state: State, runtime: Runtime[Context]) -> Go:
    """Samples all expansions that the strategy asked for, concurrently."""
    resources, thinking = await _find(state, runtime)
    tree, pending = thinking.tree, thinking.pending
    proposals = await asyncio.gather(
        *(
            _propose(resources, thinking, number, expansion)
            for number, expansion in enumerate(pending)
        )
    )
    size = len(tree)
    for expansion, proposal in zip(pending, proposals, strict=True):
        if proposal.chains:
            thinking.record(
                [Expanded(expansion.node, proposal.chains, expansion.horizon, expansion.mistakes)]
            )
        if proposal.failure is not None:
            thinking.record([Failed(expansion.node, proposal.failure)])
    thinking.new_nodes = list(range(size, len(thinking.tree)))
    thinking.meter.nodes += len(thinking.new_nodes)
    goto: Phase = "select"
    if thinking.new_nodes:
        goto = "critique" if _to_judge(resources, thinking) else _after_judging(resources, thinking)
    return Command(update={"rounds": state["rounds"] + 1}, goto=goto)


async def critique(state: State, runtime: Runtime[Context]) -> Go:
    """Judges the new steps that need a verdict, except dead ends (cut off, or ended
    without an answer).
    """
    resources, thinking = await _find(state, runtime)
    critic, tree = resources.critic, thinking.tree
    asked: set[int] = set()
    while critic is not None and (
        wanted := [node for node in _to_judge(resources, thinking) if node not in asked]
    ):
        asked.update(wanted)
        judged = await asyncio.gather(
            *(
                critic.judge(thinking.question, tree.path_steps(node), meter=thinking.meter)
                for node in wanted
            )
        )
        thinking.record(
            Judged(node, verdict)
            for node, verdict in zip(wanted, judged, strict=True)
            if verdict is not None
        )
    return Command(goto=_after_judging(resources, thinking))


def _to_judge(resources: Resources, thinking: Thinking) -> list[int]:
    """Returns the new nodes that need a verdict, without judged ones and dead ends."""
    if resources.critic is None:
        return []
    tree = thinking.tree
    wanted = _strategy(resources, thinking).to_judge(tree, thinking.new_nodes)
    return [node for node in wanted if not tree.verdicts[node] and tree.is_viable(node)]


def _after_judging(resources: Resources, thinking: Thinking) -> Phase:
    """Records the backups of simulations that have ended, and returns the next
    phase.
    """
    strategy = _strategy(resources, thinking)
    thinking.record(strategy.to_back_up(thinking.tree, thinking.new_nodes))
    stuck = resources.reflector is not None and strategy.to_reflect(
        thinking.tree, thinking.new_nodes
    )
    return "reflect" if stuck else "select"


async def reflect(state: State, runtime: Runtime[Context]) -> Go:
    """Asks the reflector about the wrong steps that the strategy names."""
    resources, thinking = await _find(state, runtime)
    reflector = resources.reflector
    if reflector is not None:
        tree, strategy = thinking.tree, _strategy(resources, thinking)
        stuck = strategy.to_reflect(tree, thinking.new_nodes)
        reflections = await asyncio.gather(
            *(
                reflector.reflect(
                    thinking.question,
                    tree.path_steps(node),
                    meter=thinking.meter,
                    exhausted=strategy.is_exhausted(tree, int(tree.parent[node])),
                    seed=thinking.derive_seed(f"reflect {node}"),
                )
                for node in stuck
            )
        )
        thinking.record(
            Reflected(node, reflection) for node, reflection in zip(stuck, reflections, strict=True)
        )
    return Command(goto="select")


async def derive(state: State, runtime: Runtime[Context]) -> Go:
    """Ends the search, chooses a leaf, and derives the long thought from the tree."""
    resources, thinking = await _find(state, runtime)
    tree = thinking.tree
    leaf = _strategy(resources, thinking).choose(tree) if len(tree) > 1 else None
    if leaf is not None and not visible_text(tree.step(leaf).answer or ""):
        leaf = None
    if leaf is not None:
        thinking.status = "answered"
    elif thinking.status == "no_answer" and not thinking.safety:
        thinking.shown.reason = why_no_answer(
            tree,
            thinking.events,
            thinking.meter,
            _strategy(resources, thinking),
            new_rng=thinking.rng_of_search,
            prompt_tokens=len(resources.policy.prompts.policy(thinking.question, _rules(thinking))),
            context_length=resources.engine.info.context_length,
            is_estimated=resources.engine.info.capabilities is not None,
        )
    thinking.long_thought = derive_journey(tree, leaf, rng=thinking.rng("derive"))
    thinking.record(
        [Finished(thinking.status, leaf, tree.step(leaf).answer if leaf is not None else None)]
    )
    return Command(goto="answer")


async def answer(state: State, runtime: Runtime[Context]) -> Go:
    """Takes the answer from the tree. A question outside of the model's families gets
    a message instead.
    """
    resources, thinking = await _find(state, runtime)
    shown, finished = thinking.shown, thinking.tree.finished
    if thinking.status == "out_of_domain":
        families = "; ".join(
            f"{name} ({FAMILIES[name].limits})" for name in resources.domain.families or ()
        )
        shown.summary = visible_text(OUT_OF_DOMAIN.format(families=families))
        if thinking.asked.history and not resources.policy.prompts.takes_history:
            shown.summary = f"{FORGETS} {shown.summary}"
        return Command(goto="check")
    if finished is not None and finished.answer is not None:
        shown.answer = visible_text(finished.answer)
    elif shown.reason is not None and _strategy(resources, thinking).takes_whole_reply:
        shown.answer = _unfinished_reply(resources, thinking)
    return Command(goto="summarize")


async def summarize(state: State, runtime: Runtime[Context]) -> Go:
    """Summarizes how the answer was found."""
    resources, thinking = await _find(state, runtime)
    thought, shown = _long_thought_of(thinking), thinking.shown
    if shown.reason is not None:
        what = "The answer is unfinished" if shown.answer is not None else "No answer was found"
        shown.summary = visible_text(f"{what}: {EXPLANATIONS[shown.reason].what}.")
        return Command(goto="check")
    steps, wrong_turns = kept_steps(thought), thought_statistics(thought).wrong_turns
    summary = await resources.summarizer.summarize(
        thinking.question, steps, answer=shown.answer, wrong_turns=wrong_turns, meter=thinking.meter
    )
    summary = admit_summary(
        summary,
        [segment.text for segment in thought.segments],
        question=thinking.question.text,
        answer=shown.answer,
        neutral=neutral_summary(len(steps) + 1, wrong_turns=wrong_turns),
    )
    shown.summary, shown.summary_source = summary.text, summary.source
    return Command(goto="check")


async def check(state: State, runtime: Runtime[Context]) -> Go:
    """Applies the safety rules to answer and summary, never to the thought, and
    publishes the result in the state.
    """
    resources, thinking = await _find(state, runtime)
    shown, rule_id = thinking.shown, None
    if resources.safety is not None:
        judgement = resources.safety.decide(
            thinking.question.text,
            answer=shown.answer,
            summary=shown.summary,
            earlier=thinking.asked.earlier,
        )
        thinking.safety.append(
            SafetyRecord(judgement.decision, judgement.rule_id, "after_thinking")
        )
        rule_id = judgement.rule_id
        if judgement.reply is not None:
            thinking.status = "refused" if judgement.decision == "refuse" else "answered"
            summary = visible_text(f"Decided by the safety rule {rule_id}.")
            thinking.shown = shown = Shown(visible_text(judgement.reply), summary)
    shown.is_checked = True
    update: State = {
        "answer": shown.answer,
        "summary": shown.summary,
        "summary_source": shown.summary_source,
    }
    update |= {"reason": shown.reason, "status": thinking.status, "rule_id": rule_id}
    said = reply(thinking.status, shown.answer, shown.summary)
    update["messages"] = exchange(
        thinking.question, said, thinking.status, state.get("messages") or []
    )
    return Command(update=update, goto="record")


async def record(state: State, runtime: Runtime[Context]) -> State:
    """Compares the answer with the gold, if there is one, and passes the trace to the
    sink.

    Raises:
        RuntimeError: the thought has skipped `check`.
    """
    resources, thinking = await _find(state, runtime)
    shown = thinking.shown
    if not shown.is_checked:
        raise RuntimeError(
            "the thought has not passed the safety check; let the graph go from `check` to `record`"
        )
    checked = await resources.check(
        thinking.question, shown.answer if thinking.status == "answered" else None
    )
    trace = Trace(
        run=resources.run,
        sample=thinking.sample,
        thought_id=thinking.thought_id,
        question=thinking.asked,
        dropped_turns=thinking.dropped_turns,
        policy_prompt=resources.policy.prompts.policy(thinking.question, _rules(thinking)),
        events=tuple(thinking.events),
        long_thought=_long_thought_of(thinking),
        status=thinking.status,
        answer=shown.answer,
        summary=shown.summary,
        correct=checked.correct,
        check=checked.outcome,
        reason=shown.reason,
        summary_source=shown.summary_source,
        safety=tuple(thinking.safety),
        usage=dict(thinking.meter.spent.roles),
        seconds=thinking.meter.seconds,
        config_hash=resources.config_hash,
        engine=resources.engine.info,
        seed=thinking.seed,
        versions=resources.versions,
        parameters=resources.parameters,
    )
    del resources.thoughts[thinking.thought_id]
    if resources.sink is not None:
        resources.sink(trace)
    if (audit := AUDIT.get()) is not None:
        audit.append(Hidden(trace))
    usage = {role: dataclasses.asdict(spent) for role, spent in trace.usage.items()}
    return {
        "correct": checked.correct,
        "usage": usage,
        "nodes": len(thinking.tree),
        "seconds": trace.seconds,
    }


async def _propose(
    resources: Resources, thinking: Thinking, number: int, expansion: Expansion
) -> Proposal:
    tree = thinking.tree
    path = tree.path_steps(expansion.node) if expansion.node != ROOT else []
    mistakes = [Mistake(tree.step(node), reason_against(tree, node)) for node in expansion.mistakes]
    return await resources.policy.propose(
        thinking.question,
        path,
        meter=thinking.meter,
        n=expansion.n,
        horizon=expansion.horizon,
        allow_backtracking=expansion.allow_backtracking,
        factor=expansion.factor,
        temperature=expansion.temperature,
        adapter=expansion.adapter,
        mistakes=mistakes,
        rules=_rules(thinking),
        seed=thinking.derive_seed(f"suggest {number}"),
        as_reply=_strategy(resources, thinking).takes_whole_reply,
    )


def _unfinished_reply(resources: Resources, thinking: Thinking) -> str | None:
    """Returns the beginning of an open answer that was cut off; None without one."""
    tree, policy = thinking.tree, resources.policy
    if not (
        tree.ends
        and policy.prompts.takes_open_answer(thinking.question)
        and tree.step(tree.ends[-1]).finish_reason == "length"
    ):
        return None
    reply = policy.read_reply(
        thinking.question, tree.path_steps(tree.ends[-1]), rules=_rules(thinking)
    )
    return visible_text(reply or "") or None


async def _compute_priors(resources: Resources, thinking: Thinking, nodes: Sequence[int]) -> None:
    """Computes the priors of the thought factors at each of `nodes` with the policy
    head.
    """
    head, tree = resources.policy_head, thinking.tree
    if head is None:
        raise RuntimeError(
            "the search asks a policy head and there is none; build_resources makes one where "
            "search.prior=policy_head"
        )
    found = await asyncio.gather(
        *(
            head.priors(thinking.question, tree.path_steps(node), meter=thinking.meter)
            for node in nodes
        )
    )
    thinking.record(
        PriorsComputed(node, priors)
        for node, priors in zip(nodes, found, strict=True)
        if priors is not None
    )


def _rules(thinking: Thinking) -> tuple[tuple[str, str], ...]:
    return tuple((rule.id, rule.text) for rule in thinking.rules)


def _long_thought_of(thinking: Thinking) -> LongThought:
    if thinking.long_thought is None:
        raise RuntimeError(
            "the thought has no long thought; let the graph go through `derive` first"
        )
    return thinking.long_thought


def _strategy(resources: Resources, thinking: Thinking) -> Strategy:
    return resources.strategy(thinking.question.task).for_question(thinking.question)


async def _find(state: State, runtime: Runtime[Context]) -> tuple[Resources, Thinking]:
    resources = await find_resources(runtime.context)
    return resources, resources.thoughts.find(state.get("thought_id"), runtime.control)

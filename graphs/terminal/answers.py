"""Formats an answer, and the hidden thought behind it, for a terminal."""

from __future__ import annotations

from agents.safety.visible_text import without_controls
from graphs.reasoner.graph import Answer
from graphs.reasoner.no_answer import EXPLANATIONS, last_words
from graphs.thought.markup import readable
from graphs.traces.trace import Trace
from graphs.tree import LEGEND, ReasoningTree, draw

UNCALIBRATED = (
    "The critic is not calibrated, so its verdicts rank steps and make none wrong; "
    "python -m graphs.calibration fit makes a calibration"
)


def critic_note(trace: Trace) -> str | None:
    """Returns a line about a critic without a calibration; None with one."""
    tree = ReasoningTree.replay(trace.question, trace.events)
    return f"{UNCALIBRATED}." if tree.is_relative.any() else None


def audit_view(trace: Trace) -> str:
    """Returns the hidden part of a trace as text: the tree, the long thought, and,
    without an answer, the last step. Control characters of the model's texts are
    removed, since they could control the auditor's terminal.
    """
    tree = ReasoningTree.replay(trace.question, trace.events)
    if len(tree) == 1:
        return f"There is no thought: {trace.status.replace('_', ' ')}."
    parts = [
        f"Reasoning tree ({LEGEND})\n\n{draw(tree).reveal()}",
        "Long thought (one path through the tree; ✗ a wrong turn, ~ the reason, ↩ the step to go "
        f"back to)\n\n{readable(trace.long_thought)}",
    ]
    if trace.reason is not None:
        parts.append(
            f"Last step ({EXPLANATIONS[trace.reason].what})\n\n{last_words(tree).reveal()}"
        )
    return without_controls("\n\n".join(parts))


def answer_text(answer: Answer) -> str:
    """Returns the text for the user: the time, the summary unless it is neutral, and
    the answer or the reason why there is none. Of a search it contains the cost, too; a
    reply that was written at once stands alone.
    """
    tokens = sum(usage["generated_tokens"] for usage in answer.usage.values())
    steps = answer.nodes - 1
    lines = []
    if steps:
        cost = f" ({steps} steps tried, {tokens} tokens)" if steps > 1 else ""
        lines.append(f"Thought for {answer.seconds:.1f} s{cost}")
    if answer.dropped_turns:
        lines.append(_dropped(answer.dropped_turns))
    if answer.summary and answer.summary_source != "neutral" and answer.status != "no_answer":
        lines.append(answer.summary)
    if lines:
        lines.append("")
    is_direct = not answer.summary or answer.rule_id is not None
    match answer.status:
        case "answered" | "refused" if is_direct and answer.answer is not None:
            lines.append(answer.answer)
        case "out_of_domain":
            lines.append("Answer: none; the question is outside of what this model was made for.")
        case "no_answer" if answer.answer is not None:
            lines += [f"Answer, unfinished{_why(answer)}:", answer.answer]
        case "no_answer":
            lines.append(f"Answer: none{_why(answer)}.")
        case _ if answer.answer is not None and "\n" in answer.answer:
            lines += ["Answer:", answer.answer]
        case _:
            lines.append(f"Answer: {answer.answer}")
    return "\n".join(lines)


def _dropped(turns: int) -> str:
    what = f"{turns} oldest turns were" if turns > 1 else "oldest turn was"
    return f"(The {what} left out: the model's context has no room for the whole conversation.)"


def _why(answer: Answer) -> str:
    if answer.reason is None:
        return ""
    what, way_out = EXPLANATIONS[answer.reason]
    hides_step = answer.nodes > 1 and answer.answer is None
    audit = (
        "; the audit view (--show-thought, in the chat /thought) shows the last step"
        if hides_step
        else ""
    )
    return f"; {what}; {way_out}{audit}"

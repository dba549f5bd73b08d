"""The main job, end to end, on the embedded pocket model: what `make demo` runs.

    python -m training.demo [key=value ...]

1. A few dozen reasoning-gym questions go through the graph; every trace is stored.
2. One of them is shown whole: its tree, the long thought, summary and answer.
3. The policy is trained on the traces (SFT), then by a short GRPO whose rollouts come
   from the serving engine. The new policy is served, and both are measured on the same
   500 held-out questions, greedy, the policy alone.

No number is prepared: all come from this run, and a run without a gain reports none.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from agents.families import recognise_question
from configs import RunConfig, compose
from configs.cli import Parser, add_override_arguments, parse, split_overrides
from graphs.runs.driver import run as run_questions
from graphs.terminal.answers import audit_view
from graphs.terminal.console import guarded
from graphs.thought.markup import kept_steps
from graphs.thought.statistics import thought_statistics
from graphs.traces.store import TraceStore
from graphs.traces.trace import Trace
from training.driver import run as run_training

_ASKED = 64  # questions run through the graph


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="python -m training.demo",
        description="Runs the whole loop on the pocket model: think, train, publish, serve.",
    )
    add_override_arguments(parser)
    overrides = ["experiment=demo", *split_overrides(parse(parser, argv))]
    name = f"demo-{datetime.now():%Y%m%d-%H%M%S}"
    traces = compose([*overrides, "task.split=train", f"task.limit={_ASKED}", f"run={name}-traces"])

    _print_heading(
        1,
        f"{_ASKED} reasoning-gym questions through the graph: propose, judge, reflect, "
        "backtrack, until an answer is accepted",
    )
    folder, metrics, _ = run_questions(traces)
    share = metrics["accuracy"]["all"]
    out_of_domain = metrics["statuses"].get("out_of_domain", 0)
    skipped = (
        f" ({out_of_domain} outside the pocket model's domain, not tried)" if out_of_domain else ""
    )
    print(
        f"{share['right']} of {share['of']} right{skipped}, "
        f"{metrics['generated_tokens_per_question']:.0f} generated tokens each"
    )

    with TraceStore.read(folder) as store:
        trace = most_instructive(store)
    _print_heading(2, "one whole thought (users never see this; it is the audit view of the trace)")
    print(f"{audit_view(trace)}\n\nWhat the user sees\n\n{trace.summary}\n\nAnswer: {trace.answer}")

    _print_heading(
        3,
        "the policy learns from the traces (SFT), then from its own answers (GRPO); served "
        "again, and measured",
    )
    trained, _ = run_training(_training(overrides, name, folder))

    print(
        "\nA demonstration is too short to expect a gain; docs/lab_log.md has results of longer "
        "trainings."
    )
    print("\nWhere to look next\n")
    print(f"  {trained}/report.md    what was trained, measured and served")
    print(f"  {folder}/report.md    the questions above")
    print(
        '  .venv/bin/python -m graphs.ask "Use the numbers 2, 5, 9 and 14 to make 37." '
        "--show-thought"
    )
    print("  .venv/bin/python -m graphs.chat")
    print("  .venv/bin/python -m graphs.run --help-all    every option")
    return 0


def most_instructive(traces: Sequence[Trace] | TraceStore) -> Trace:
    """Returns the most instructive thought: answer and steps are right, some wrong
    turns, and short.
    """

    def rank(trace: Trace) -> tuple[bool, bool, int, int]:
        statistics = thought_statistics(trace.long_thought)
        return (
            trace.correct is True,
            steps_are_right(trace),
            min(statistics.wrong_turns, 3),
            -statistics.segments,
        )

    return max(traces, key=rank)


def steps_are_right(trace: Trace) -> bool:
    """Whether the exact checker of the question's family accepts every step on the path
    to the answer.
    """
    problem = recognise_question(trace.question.text)
    steps = [step.reveal() for step in kept_steps(trace.long_thought, with_answer=True)]
    return problem is not None and all(truth.right for truth in problem.check_steps(steps))


def _training(overrides: Sequence[str], name: str, traces: Path) -> RunConfig:
    """Returns the configuration of the training on `traces`, with held-out questions of
    the same task.
    """
    return compose(
        [*overrides, "training=sft_grpo", f"training.from_runs=[{traces}]", *_SHORT, f"run={name}"]
    )


_SHORT = (
    "training.sft.learning_rate=1e-4",
    "training.sft.batch_size=8",
    "training.grpo.learning_rate=3e-5",
    "training.grpo.max_steps=10",
)


def _print_heading(number: int, text: str) -> None:
    print(f"\n[{number}/3] {text}\n", flush=True)


if __name__ == "__main__":
    sys.exit(guarded(main))

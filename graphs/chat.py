"""The chat demo in the terminal.

    python -m graphs.chat [key=value ...]

While a question is thought about, the status line says where the thought is, never what
it says; then come the summary and the answer. Ctrl-C stops a thought and keeps the
chat; Ctrl-D or /quit ends it. Every question is a thought of its own: there is no
memory of the questions before it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from agents.types import EngineDiedError, EngineError
from configs import compose
from configs.cli import Parser, add_override_arguments, parse, split_overrides
from graphs.reasoner.graph import Answer
from graphs.reasoner.reasoner import Reasoner
from graphs.terminal.answers import answer_text, audit_view
from graphs.terminal.console import console, guarded, starting, thinking, words_of

_HELP = (
    "/thought shows the last thought (the audit view), /help this, /quit ends; anything else is a "
    "question. Ctrl-C stops a thought."
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="python -m graphs.chat",
        description="Chats with the reasoner in the terminal.",
        examples=(
            ("", "chats with the embedded pocket model"),
            ("experiment=chat engine.model=FOLDER_OR_HUB_ID", "with a chat model of your own"),
            (
                "experiment=chat engine=openai engine.base_url=http://host:8000/v1",
                "with a model server",
            ),
        ),
        common=("experiment", "effort", "search", "engine", "engine.model", "budget.max_tokens"),
    )
    add_override_arguments(parser)
    config = compose(split_overrides(parse(parser, argv)))
    last: Answer | None = None
    reasoner = Reasoner(config)
    with starting(config):
        reasoner.__enter__()
    try:
        print(f"Ask a question. {_HELP}", flush=True)
        while (line := _read_line()) is not None:
            match line:
                case "":
                    continue
                case "/quit":
                    break
                case "/help":
                    print(_HELP, flush=True)
                case "/thought":
                    print(
                        audit_view(last.trace.reveal())
                        if last is not None
                        else "Nothing was thought yet.",
                        flush=True,
                    )
                case _ if line.startswith("/"):
                    print(f"{line} is no command. {_HELP}", flush=True)
                case _:
                    last = _answer(reasoner, line) or last
    finally:
        reasoner.__exit__(None, None, None)
    return 0


def _read_line() -> str | None:
    """Returns the next line, "" where it was given up with Ctrl-C, None at the end of
    the input.
    """
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return None
    except KeyboardInterrupt:
        print("\n(Ctrl-D or /quit ends the chat)", flush=True)
        return ""


def _answer(reasoner: Reasoner, question: str) -> Answer | None:
    """Thinks about one question, and shows and returns the answer. A question that
    cannot be asked and a request that fails cost a line, not the chat; None then.

    Raises:
        EngineDiedError: there is no engine any more to chat with.
    """
    try:
        with thinking() as show:
            answer = reasoner.ask(question, on_progress=show)
    except KeyboardInterrupt:
        print("(stopped thinking)", flush=True)
    except EngineDiedError:
        raise
    except (EngineError, ValueError) as error:
        console.print(f"error: {words_of(error)}", style="red", markup=False, soft_wrap=True)
    else:
        print(answer_text(answer), end="\n\n", flush=True)
        return answer
    return None


if __name__ == "__main__":
    sys.exit(guarded(main))

"""The chat demo in the terminal.

    python -m graphs.chat [key=value ...]

During a thought the status line shows the phase, never the content; then summary and
answer are printed. Ctrl-C stops a thought and keeps the chat; Ctrl-D or /quit ends it.
A question may refer to the turns before it; /new forgets them. A question that was
stopped, failed or refused is not remembered.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from agents.types import EngineDiedError, EngineError
from configs import compose
from configs.cli import Parser, add_override_arguments, parse, split_overrides
from graphs.reasoner.conversation.conversation import Conversation
from graphs.reasoner.graph import Answer
from graphs.terminal.answers import answer_text, audit_view
from graphs.terminal.console import console, guarded, thinking, words_of
from graphs.terminal.opening import open_reasoner

_HELP = (
    "/thought shows the last thought (the audit view), /new forgets the conversation, /help this "
    "text, /quit ends the chat; anything else is a question. Ctrl-C stops a thought."
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
    with open_reasoner(config) as reasoner:
        conversation = reasoner.conversation()
        print(f"Ask a question. {_HELP}", flush=True)
        while (line := _read_line()) is not None:
            match line:
                case "":
                    continue
                case "/quit":
                    break
                case "/help":
                    print(_HELP, flush=True)
                case "/new":
                    conversation.forget()
                    print("(a new conversation)", flush=True)
                case "/thought":
                    print(
                        audit_view(last.trace.reveal())
                        if last is not None
                        else "Nothing was thought yet.",
                        flush=True,
                    )
                case _ if line.startswith("/"):
                    print(f"unknown command {line}. {_HELP}", flush=True)
                case _:
                    last = _answer(conversation, line) or last
    return 0


def _read_line() -> str | None:
    """Returns the next line, "" after Ctrl-C, None at the end of the input."""
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return None
    except KeyboardInterrupt:
        print("\n(Ctrl-D or /quit ends the chat)", flush=True)
        return ""


def _answer(conversation: Conversation, question: str) -> Answer | None:
    """Asks one question, prints and returns the answer. Returns None after Ctrl-C, an
    invalid question or a failed request; the chat goes on.

    Raises:
        EngineDiedError: the engine has died.
    """
    try:
        with thinking() as show:
            answer = conversation.ask(question, on_progress=show)
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

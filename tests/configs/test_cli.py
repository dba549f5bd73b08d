"""Command lines and their help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from configs import ConfigError, compose
from configs.cli import Parser, add_override_arguments, is_override, parse, split_overrides
from configs.describe import describe
from configs.options import groups, options
from configs.schema import RunConfig
from tests.configs.shipped import CHOICES


def _parser() -> Parser:
    parser = Parser(
        prog="ask",
        description="Answers a question.",
        examples=(("a_question", "an example"),),
        common=("search", "policy.temperature"),
    )
    parser.add_argument("question")
    parser.add_argument("--json", action="store_true")
    add_override_arguments(parser, multirun=True)
    return parser


@pytest.mark.parametrize(
    "question",
    [
        "Solve 3x + 2 = 11",
        "x=3, y=?",
        "search=greedy",
        "2=2",
        "Is {a: 1} [valid]? \"yes\" or 'no'",
        "-3 + 5 = ?",
    ],
)
def test_the_first_positional_is_always_the_question(question: str) -> None:
    arguments = parse(_parser(), [question, "search=greedy", "--json", "policy.temperature=0.5"])
    assert arguments.question == question
    assert arguments.json
    assert split_overrides(arguments) == ["search=greedy", "policy.temperature=0.5"]


def test_flags_may_stand_anywhere() -> None:
    for argv in (
        ["--json", "q", "-m", "a=1"],
        ["q", "--json", "a=1", "-m"],
        ["q", "a=1", "--json", "-m"],
    ):
        arguments = parse(_parser(), argv)
        assert (
            arguments.json,
            arguments.multirun,
            arguments.question,
            split_overrides(arguments),
        ) == (True, True, "q", ["a=1"])


def test_a_question_without_quotes_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'3x' is no override.*quotes"):
        split_overrides(parse(_parser(), ["Solve", "3x", "+", "2"]))


@pytest.mark.parametrize(
    "word",
    [
        "a=1",
        "a.b=",
        "+a.b=1",
        "++a=1",
        "~a",
        "~a.b=1",
        "engine@policy.engine=vllm",
        "a=b=c",
        "a=x\ny",
    ],
)
def test_overrides_are_recognised(word: str) -> None:
    assert is_override(word)


@pytest.mark.parametrize("word", ["", "a", "=1", "3x=1", "two words=1", "1+1=2", "-a=1"])
def test_other_words_are_not(word: str) -> None:
    assert not is_override(word)


def test_help_shows_examples_and_common_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(_parser(), ["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert "ask a_question" in shown and "an example" in shown
    assert "search=" in shown and "policy.temperature=" in shown
    assert "policy.top_p=" not in shown


def test_a_common_option_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"policy\.typo"):
        Parser(prog="ask", description="Asks.", common=("policy.typo",)).format_help()


def test_help_all_shows_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(_parser(), ["--help-all"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert "Answers a question." in shown
    for option in options():
        assert f"  {option.key}=" in shown


def test_help_that_cannot_be_written_is_an_error() -> None:
    # suppress: closing the file fails as well
    with suppress(OSError), open("/dev/full", "w") as full, pytest.raises(OSError):
        _parser().print_help(full)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("--jsno", "--json"),
        ("--multi-run", "--multirun"),
        ("--search=greedy", "search="),
        ("--policy.top_p=1", "policy.top_p="),
    ],
)
def test_a_wrong_flag_is_told_what_was_meant(
    word: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(_parser(), ["question", word])
    assert caught.value.code == 2
    assert meant in capsys.readouterr().err.rpartition(word)[2]


def test_usage_errors_do_not_print_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(_parser(), [])
    assert caught.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) < 6


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str | None]]:
    """Yields every field of the schema, found without the code under test."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", field.description
        for part in _models(field.annotation):
            yield from _fields(part, f"{prefix}{name}.")


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def test_every_field_of_the_schema_has_a_description() -> None:
    fields = list(_fields(RunConfig, ""))
    assert len(fields) > 150
    for key, description in fields:
        if not key.startswith("policy.factors."):
            assert description, key
            assert description.rstrip().endswith((".", ")")), key


def test_help_shows_every_field_and_every_choice() -> None:
    shown = describe(100)
    flat = " ".join(shown.split())
    for option in options():
        assert f"{option.key}=" in shown
        assert " ".join(option.description.split()) in flat, option.key
    for choice in CHOICES:
        assert choice in flat or choice.partition("=")[2] in flat, choice
    tags = {f"{group}.{choices[0].tag}" for group, choices in groups().items() if choices[0].tag}
    keys = {option.key for option in options()}
    for key, _ in _fields(RunConfig, ""):
        parent = key.rpartition(".")[0]
        below_an_option = any(key.startswith(f"{option}.") for option in keys)
        assert (
            key in keys
            or key in tags
            or below_an_option
            or any(other.startswith(f"{key}.") for other in keys)
            or not parent
        ), key


def test_help_fits_its_width() -> None:
    assert all(len(line) <= 110 for line in describe(110).splitlines())


def test_words_of_a_command_line_compose(tmp_path: Path) -> None:
    arguments = parse(_parser(), ["q", "search=greedy", f"run.output_dir={tmp_path}"])
    assert compose(split_overrides(arguments)).run.output_dir == tmp_path


def test_a_command_without_overrides_does_not_miss_them(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser(prog="ask", description="Answers a question.")
    parser.add_argument("question")
    add_override_arguments(parser)
    with pytest.raises(SystemExit):
        parse(parser, [])
    assert "question" in (message := capsys.readouterr().err.splitlines()[-1])
    assert "key=value" not in message

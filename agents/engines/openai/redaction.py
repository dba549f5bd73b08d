"""Excerpts of server replies for errors: the beginning of a reply without keys,
thoughts and control characters.

Text and token ids of a completion are a hidden thought. So JSON, whole or cut off, is
reduced to its structure (keys and types), plus the values of keys that hold error
messages. Other content (the HTML page of a proxy) is shown unchanged, up to
`MOST_CHARACTERS`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from urllib.parse import quote

MOST_CHARACTERS = 200
"""Maximum length of an excerpt, in characters."""

_SEARCHED_BYTES = 8192  # the rest of a body is not shown
_DROPPED_CHARACTERS = 512  # at the end of a long body, which may contain half of a key
_SEARCHED_CHARACTERS = 1024  # the search for keys takes time quadratic in it
_MOST_KEY_CHARACTERS = 32

_ERROR_KEYS = frozenset(
    {
        "code",
        "detail",
        "error",
        "message",
        "msg",
        "object",
        "param",
        "reason",
        "status",
        "title",
        "type",
    }
)
_COMPLETION_KEYS = re.compile(
    r"""["'](?:choices|completion|content|generated_text|logprobs|response|text|token_ids|tokens)["']\s*:"""
)
_JSON_BEGINS = re.compile(r"""[{\[]\s*["'{\[\]}]""")
_LEXEME = re.compile(
    r""""(?:[^"\\]|\\.)*(?:"|\\?$)|'(?:[^'\\]|\\.)*(?:'|\\?$)|[{}\[\],:]|[^\s{}\[\],:"']+""",
    re.DOTALL,
)
_KEY = re.compile(rf"[A-Za-z_][\w.-]{{0,{_MOST_KEY_CHARACTERS - 1}}}")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_REPEATED = re.compile(r"\b(int|float|str|null)(?:, \1\b)+")

_MASK = "***"
_SECRETS = (
    re.compile(r"(?i)(\b(?:bearer|basic)\s+)[^\s\"'<>,;]{4,}"),
    re.compile(
        r"(?i)(\b(?:api[-_ ]?key|access[-_ "
        r"]?token|auth\w*|password|secret)\b[^:=]{0,20}[:=]\s*[\"']?)[^\s\"'<>,;]+"
    ),
    re.compile(r"(\b\w+://)[^\s/@]+@"),
    re.compile(r"(\b)(?:sk|pk|rk|hf|gh[a-z]|github|glpat|xox[a-z]|gsk|nvapi|key|r8)[-_][\w.-]{8,}"),
    re.compile(r"(\b)(?:AKIA|ASIA|AIza|ya29\.|eyJ)[\w.-]{8,}"),
    re.compile(r"(\b)[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"),
    re.compile(r"(\b)(?=[A-Za-z_]*\d)(?=[\d_]*[A-Za-z])\w{20,}"),
    re.compile(r"(?<![\w+/=-])()(?=[^\s\d]*\d)(?=[^\sA-Z]*[A-Z])(?=[^\sa-z]*[a-z])[\w+/=-]{32,}"),
)


def excerpt(body: bytes, *, secrets: Sequence[str] = ()) -> str:
    """Returns the beginning of a reply's body for an error; "nothing" if it is empty.

    Args:
        body: the raw body.
        secrets: texts that are masked everywhere, such as the API key in use.
    """
    text = _plain(body[:_SEARCHED_BYTES].decode("utf-8", errors="replace"))
    if len(body) > _SEARCHED_BYTES:
        text = text[:-_DROPPED_CHARACTERS]
    if not text:
        return "nothing"
    begin = (
        0
        if text[0] in "{[\"'"
        else found.start()
        if (found := _JSON_BEGINS.search(text))
        else len(text)
    )
    outline = " ".join(_outline(text[begin:], messages=not _COMPLETION_KEYS.search(text)))
    outline = _REPEATED.sub(r"\1, ...", re.sub(r"(?<=[{\[]) | (?=[}\],:])", "", outline))
    masked = mask((text[:begin] + outline)[:_SEARCHED_CHARACTERS], secrets=secrets)
    return masked if len(masked) <= MOST_CHARACTERS else masked[: MOST_CHARACTERS - 3] + "..."


def mask(text: str, *, secrets: Sequence[str] = ()) -> str:
    """Returns a short text on one line, with `secrets` and everything that looks like a
    key replaced by `***`.
    """
    text = _plain(text)
    for secret in secrets:
        for spelled in {secret, quote(secret, safe="")} - {""}:
            text = text.replace(spelled, _MASK)
    for pattern in _SECRETS:
        text = pattern.sub(rf"\g<1>{_MASK}", text)
    return text


def _outline(text: str, *, messages: bool) -> Iterator[str]:
    """Yields the lexemes of JSON with each value replaced by its type. `messages`:
    keeps the values of the keys of error messages.
    """
    lexemes = _LEXEME.findall(text)
    key = ""
    for lexeme, following in zip(lexemes, [*lexemes, ""][1:], strict=True):
        if lexeme in "{}[],:":
            yield lexeme
        elif lexeme[0] in "\"'":
            inside = lexeme[1:-1] if len(lexeme) > 1 and lexeme[-1] == lexeme[0] else lexeme[1:]
            if following == ":":
                key = inside
                yield f'"{inside}"' if _KEY.fullmatch(inside) else '"..."'
            else:
                yield (
                    f'"{_plain(_unescaped(inside))}"'
                    if messages and key.lower() in _ERROR_KEYS
                    else "str"
                )
        elif number := _NUMBER.fullmatch(lexeme):
            yield "float" if number[1] or number[2] else "int"
        else:
            yield (
                lexeme
                if lexeme in ("true", "false", "null", "NaN", "Infinity", "-Infinity")
                else "..."
            )


def _unescaped(text: str) -> str:
    try:
        value = json.loads(f'"{text}"')
    except ValueError:
        return text
    return str(value)


def _plain(text: str) -> str:
    """Returns a text on one line, without control characters and unassigned ones."""
    shown = "".join(
        " " if char.isspace() else char
        for char in text
        if char.isspace() or unicodedata.category(char)[0] != "C"
    )
    return " ".join(shown.split())

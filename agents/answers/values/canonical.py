"""The canonical form of an answer, for counting votes: equal forms are equal answers,
and most equal answers have equal forms.

Votes are counted on the event loop, so this uses only string operations and `Fraction`,
which cannot hang. Comparison with the gold answer is more thorough
(`agents.answers.values.compare`).

Three kinds of answer:

- `number` (GSM8K, SVAMP, MultiArith): currency, units, thousands commas and a leading
  "x =" are removed, and in a phrase the *only* number counts ("$18 every day" is 18).
  A phrase with two numbers, "not" or "or" is not a number. A percent sign is a unit:
  "50%" is 50.
- `math` (MATH, pocket): a number, a date, a time or another plain value must be the
  whole answer; everything else is LaTeX in one spelling. Units and the percent sign are
  kept, except degrees and the dollar sign, which are often omitted.
- `text` (reasoning-gym): only a plain number is rewritten, and "007" and "4/6" are not
  plain (a question may ask for the simplest form). Other text is kept with white space
  folded.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from agents.answers.values.dates import Date, Time, write_date, write_time
from agents.answers.values.numbers import Number, read_quantity, write_number
from agents.answers.values.phrases import read_phrase
from agents.answers.values.reading import read_plain, tidy
from agents.answers.values.spelling import LONGEST_ANSWER, spell, unwrap
from agents.answers.values.typed_values import InBase

AnswerKind = Literal["number", "math", "text"]

_PLAIN = re.compile(
    r"[-+]?(?!0[0-9])(?:(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
)
_SILENT_UNITS = ("degree", "dollar")
_NAME = re.compile(r"[A-Za-z] ?= ?(?=[^=]+$)")


@lru_cache(maxsize=4096)  # each round of voting counts the same few answers
def canonical_form(answer: str, kind: AnswerKind) -> str:
    """Returns the canonical form of an answer of `kind`. Idempotent."""
    form = " ".join(answer.split())
    if len(form) > LONGEST_ANSWER:
        return form
    for _ in range(LONGEST_ANSWER):  # each pass removes a layer ("$\\boxed{5}$")
        previous = form
        form = _pass(form, kind)
        if form == previous or len(form) > LONGEST_ANSWER:
            break
    return form


def read_number(answer: str, kind: AnswerKind = "number") -> Fraction | None:
    """Returns the exact number that an answer of `kind` states; None if it states none
    or several.
    """
    if len(answer) > LONGEST_ANSWER:
        return None
    if kind == "text":
        plain = unwrap(answer)
        return Fraction(plain.replace(",", "")) if _PLAIN.fullmatch(plain) else None
    spelled = spell(answer)
    named = _NAME.match(spelled)
    number = read_quantity(spelled[named.end() :] if named else spelled)
    if number is None and kind == "number":
        number = read_phrase(spelled)
    if number is None:
        return None
    return number.value * 100 if kind == "number" and number.is_percent else number.value


def _pass(form: str, kind: AnswerKind) -> str:
    if kind != "math":
        number = read_number(form, kind)
        if number is not None:
            return write_number(number)
        return unwrap(form) if kind == "text" else tidy(spell(form))
    spelled = spell(form)
    named = _NAME.match(spelled)
    match read_plain(spelled[named.end() :] if named else spelled):
        case Number(is_percent=True, value=value):
            return write_number(100 * value) + "%"
        case Number(unit=unit, value=value):
            return write_number(value) + (f" {unit}" if unit and unit not in _SILENT_UNITS else "")
        case Date() as date:
            return write_date(date)
        case Time() as time:
            return write_time(time)
        case InBase(digits=digits, base=base):
            return f"{digits}_{base}"
        case None:
            return unwrap(tidy(spelled))
        case code:
            return code.text

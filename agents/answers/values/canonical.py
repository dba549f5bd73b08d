"""The form of an answer by which votes are counted: equal forms are equal answers, and
most equal answers have equal forms.

Everything here is exact text and `Fraction` work that cannot hang, because votes are
counted on the event loop; whether an answer is the gold one is a finer question
(`agents.answers.values.compare`).

Three kinds of answer:

- `number` (GSM8K, SVAMP, MultiArith): currency, units, thousands commas and a leading
  "x =" go away, and in a phrase the *only* number counts ("$18 every day" is 18). Two
  numbers, a "not" or an "or" make it no number. A percent sign is a unit: "50%" is 50.
- `math` (MATH, pocket): the whole answer must be a number, a date, a time or the like;
  everything else is LaTeX in one spelling. Units stay, but for degrees and the dollar
  sign, which are often left out; so does the percent sign.
- `text` (reasoning-gym): only a plain number is rewritten, and neither "007" nor "4/6"
  is one (a question may ask for the simplest form); the rest keeps its letters, white
  space folded.
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


@lru_cache(maxsize=4096)  # a vote counts the same few answers in every round
def canonical_form(answer: str, kind: AnswerKind) -> str:
    """Returns the canonical form of an answer of `kind`; the form of a form is
    itself.
    """
    form = " ".join(answer.split())
    if len(form) > LONGEST_ANSWER:
        return form
    for _ in range(LONGEST_ANSWER):  # each pass peels a layer ("$\\boxed{5}$")
        previous = form
        form = _pass(form, kind)
        if form == previous or len(form) > LONGEST_ANSWER:
            break
    return form


def read_number(answer: str, kind: AnswerKind = "number") -> Fraction | None:
    """Returns the number that an answer of `kind` states, exactly; None when it states
    none, or more than one."""
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

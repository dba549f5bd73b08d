"""The form of an answer by which votes are counted and golds are compared: equal answers get equal strings.

Everything here is exact text and `Fraction` work that cannot hang, because votes are counted on the event loop; what needs algebra
(is `2\\sqrt{2}` the same as `\\sqrt{8}`?) is asked of math-verify, in a process of its own (`MathChecker`).

Three kinds of answer:

- `number` (GSM8K, SVAMP, MultiArith): currency, units, thousands commas and a leading "x =" go away, and in a phrase the *only* number
  counts ("$18 every day" is 18). Two numbers, a "not", an "or" or a scale word ("5 million") make it no number. A percent sign is a
  unit: "50%" is 50.
- `math` (MATH, pocket): the whole answer must be a number with at most a unit behind it; everything else is LaTeX in one spelling.
- `text` (reasoning-gym): only a plain number is rewritten, and neither "007" nor "4/6" is one (a question may ask for the simplest form);
  the rest keeps its letters, white space folded.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Literal

AnswerKind = Literal["number", "math", "text"]

TASK_KINDS: dict[str, AnswerKind] = {
    "gsm8k": "number",
    "svamp": "number",
    "multiarith": "number",
    "math500": "math",
    "jsonl": "math",
    "csv": "math",
    "text": "math",
    "pocket": "math",
    "user": "math",
    "reasoning_gym": "text",
}
"""What the answers of each task are. A new task adds its line here."""

LONGEST_ANSWER = 1000
"""Characters; a longer text is nobody's final answer, and Python refuses integers of more than 4300 digits."""

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
_RATIO = r"(?:[0-9]+ )?[0-9]+ ?/ ?[0-9]+"
_NUMBER = rf"(?:[-+] ?)?(?:{_RATIO}|{_DIGITS})"
_PLAIN = re.compile(rf"(?P<number>[-+]?(?!0[0-9])(?:{_DIGITS}))")
_UNIT = r"(?:%|(?: [A-Za-z]{3,}(?: [A-Za-z]{2,}){0,2}| ?[ckm]m| ?[kc]?g)(?:\^?[23])?)"
_WITH_UNIT = re.compile(rf"(?:[A-Za-z] ?= ?)?(?P<number>{_NUMBER}) ?{_UNIT}?")
_IN_PHRASE = re.compile(rf"(?<![\w.,+*/^!-])(?<![-+*/=] )(?P<number>{_NUMBER})(?![\w^!]|[.,][0-9]| ?[-+*/=] ?[\w(])")
_PHRASE = re.compile(r"[\w\s.,'’\"%:;()/+-]*")  # no algebra, no LaTeX
_REFUSED = re.compile(
    r"\b(?:not|never|no|or|and|than|between|minus|plus|times|half|third|quarter|twice|dozen|hundred|thousand|million|billion|trillion"
    r"|(?<!['’])[b-z])\b|n['’]t\b",
    re.IGNORECASE,
)
_CURRENCY = re.compile(r"[$€£¥] ?")

_LATEX: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\(?:left|right)(?![A-Za-z])", ""),
        (r",\\! ?|\{,\}", ","),
        (r"(?<!\\)\\[,!;: ]|~", " "),
        (r"\\([$%])", r"\1"),
        (r"\\[dt]frac(?![A-Za-z])", r"\\frac"),
        (r"\\frac ?([0-9]) ?([0-9])(?![0-9])", r"\\frac{\1}{\2}"),
        # A power or a quotient of a fraction keeps its braces: a/b^c is another number.
        (r"(?<![\^_/])\\frac ?\{ ?(-?) ?([0-9]+) ?\} ?\{ ?([0-9]+) ?\}(?! ?[\^!])", r" \1\2/\3"),
        (r"\\sqrt ?([0-9])(?![0-9])", r"\\sqrt{\1}"),
        (r"\\(?:text|mathrm|textbf|mathbf|mbox) ?\{([^{}]*)\}", r" \1"),
        (r"\^ ?\{? ?\\circ ?\}?|°", ""),
    )
)
_BLANKS = re.compile(r" (?=[-+*/^=<>()\[\]{}|_\\])|(?<=[-+*/^=<>()\[\]{}|_]) ")
_COMMA = re.compile(r" ?, ?(?!(?<=[0-9],)[0-9]{3}(?![0-9]))")
_WRAPPERS = (("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("`", "`"), ('"', '"'), ("\\boxed{", "}"), ("\\text{", "}"))


def canonical(answer: str, task: str) -> str:
    """Returns the canonical form of an answer; `canonical(canonical(a, t), t) == canonical(a, t)`.

    Raises:
        ValueError: `task` has no kind of answers.
    """
    if task not in TASK_KINDS:
        raise ValueError(f"task {task!r} has no kind of answers; add it to agents.answers.TASK_KINDS ({', '.join(TASK_KINDS)})")
    return canonical_form(answer, TASK_KINDS[task])


@lru_cache(maxsize=4096)  # a vote counts the same few answers in every round
def canonical_form(answer: str, kind: AnswerKind) -> str:
    """Returns the canonical form of an answer of `kind`."""
    form = " ".join(answer.split())
    if len(form) > LONGEST_ANSWER:
        return form
    for _ in range(LONGEST_ANSWER):  # each pass peels a layer ("$\\boxed{5}$"); two or three reach the fixed point
        previous = form
        number = read_number(form, kind)
        form = write_number(number) if number is not None else _unwrap(form) if kind == "text" else _tidy_latex(form)
        if form == previous:
            break
    return form


def read_number(answer: str, kind: AnswerKind = "number") -> Fraction | None:
    """Returns the number that an answer of `kind` states, exactly; None when it states none, or more than one."""
    if len(answer) > LONGEST_ANSWER:
        return None
    if kind == "text":
        return _fraction(_PLAIN.fullmatch(_unwrap(answer)))
    text = _CURRENCY.sub("", _spell_latex(answer))
    if (match := _WITH_UNIT.fullmatch(text)) is not None and not _REFUSED.search(text[match.end("number") :]):
        return _fraction(match)
    if kind == "math":
        return None
    left, equals, right = text.rpartition("=")
    after = _only_number(right) if equals and not left.endswith(("<", ">", "!")) else None
    return _only_number(text) if after is None else after


def write_number(value: Fraction) -> str:
    """Returns "3", "-1.25" or, where no decimal of 12 places is exact, "1/3"."""
    for places in range(13):
        if 10**places % value.denominator == 0:
            digits = str(abs(value.numerator) * (10**places // value.denominator)).rjust(places + 1, "0")
            cut = len(digits) - places
            return ("-" if value < 0 else "") + digits[:cut] + ("." + digits[cut:] if places else "")
    return f"{value.numerator}/{value.denominator}"


def is_words(answer: str) -> bool:
    """Whether an answer is words ("east"), which algebra would read as products of letters, equal to any anagram."""
    bare = _tidy_latex(answer)
    return "\\" not in bare and not any(c.isdigit() for c in bare) and re.search(r"[^\W\d_]{3,}", bare) is not None


def _only_number(text: str) -> Fraction | None:
    """Returns the number of a phrase that holds no other digit."""
    if not _PHRASE.fullmatch(text) or _REFUSED.search(text) or (match := _IN_PHRASE.search(text)) is None:
        return None
    if any(c.isdigit() for c in text[: match.start()] + text[match.end() :]):  # "A1 costs 5", "5-3"
        return None
    return _fraction(match)


def _fraction(match: re.Match[str] | None) -> Fraction | None:
    if match is None:
        return None
    text = re.sub(r" ?/ ?", "/", match["number"].replace(",", ""))
    try:
        value = sum((Fraction(part) for part in text.lstrip("+- ").split()), Fraction())  # "1 1/2" has two parts
    except (ValueError, ZeroDivisionError):  # "1/0"
        return None
    return -value if text.startswith("-") else value


def _unwrap(text: str) -> str:
    """Folds white space and takes off one layer of what only wraps an answer: $...$, emphasis, a box, quotes, a closing full stop."""
    text = " ".join(text.replace("−", "-").split())
    for left, right in _WRAPPERS:
        inner = text[len(left) : len(text) - len(right)]
        if inner and text == left + inner + right and _is_whole(inner, left, right):
            text = inner.strip()
    return text[:-1].rstrip() if text.endswith(".") and len(text) > 1 else text


def _is_whole(inner: str, left: str, right: str) -> bool:
    """Whether the wrapper around `inner` is one pair, and not the outer halves of two."""
    if right != "}":
        return left not in inner and right not in inner
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", inner):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


def _spell_latex(text: str) -> str:
    """Writes LaTeX commands in one spelling; blanks stay where words need them."""
    text = _unwrap(text)
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    return _unwrap(text)


def _tidy_latex(text: str) -> str:
    """Writes LaTeX, blanks included, in one spelling; the value stays the same."""
    return _unwrap(_COMMA.sub(", ", _BLANKS.sub("", _spell_latex(text))))

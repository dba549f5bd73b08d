"""Normalizes the spelling of an answer's characters and LaTeX commands without changing
its value.

`unwrap` is for every kind of answer. `spell` is for numbers and mathematics of at most
`LONGEST_ANSWER` characters: it also normalizes Unicode (full-width digits, zero-width
characters, superscripts, π, √, ≤) and LaTeX (`\\dfrac`, `\\left`, `\\text{...}`,
`{,}`).
"""

from __future__ import annotations

import re
import unicodedata

LONGEST_ANSWER = 1000
"""In characters. A longer text is not a final answer, and Python rejects integers of
more than 4300 digits."""

_WRAPPERS = (
    *(
        ("$$", "$$"),
        ("$", "$"),
        ("\\(", "\\)"),
        ("\\[", "\\]"),
        ("**", "**"),
        ("`", "`"),
        ('"', '"'),
    ),
    *(("\\boxed{", "}"), ("\\text{", "}")),
)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿ", "0123456789+-()n")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿ]+")
_LOWERED = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_ROOT = re.compile(r"([√∛]) ?(?:(\d+(?:\.\d+)?|[A-Za-z])|(?=[({]))")
_GREEK_NAMES = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "theta",
    "lambda",
    "mu",
    "sigma",
    "phi",
    "omega",
    "rho",
]
_GREEK = dict(zip("αβγδθλμσφωρ", _GREEK_NAMES, strict=True))
_SYMBOLS = str.maketrans(
    {
        **dict.fromkeys("−﹣－‐‑–", "-"),
        **dict.fromkeys("\xa0\u2007\u2009\u202f\u3000", " "),
        **dict.fromkeys("“”„«»", '"'),
        **dict.fromkeys("‘’", "'"),
        "π": "\\pi ",
        "×": "\\times ",
        "÷": "\\div ",
        "·": "\\cdot ",
        "⋅": "\\cdot ",
        "∙": "\\cdot ",
        "≤": "\\le ",
        "⩽": "\\le ",
        "≥": "\\ge ",
        "⩾": "\\ge ",
        "≠": "\\ne ",
        "∞": "\\infty ",
        "±": "\\pm ",
        "∓": "\\mp ",
        "∈": "\\in ",
        "∪": "\\cup ",
        "∅": "\\emptyset ",
        "ℝ": "\\mathbb{R}",
        "º": "°",
        "⁄": "/",
        "∕": "/",
        "٫": ".",
        "٬": ",",
        "≈": "\\approx ",
        "。": ".",
        "∣": "|",
        "、": ",",
        **{letter: f"\\{name} " for letter, name in _GREEK.items()},
    }
)  # fmt: skip
_IGNORED = re.compile("[\ufe00-\ufe0f\u20e3\u034f]")
_MARKS = "✅✔✓☑🎉👍✨💯🎯⭐🏆🙂😀😊➡👉 "
_DECORATION = re.compile(rf"^[{_MARKS}]+|[{_MARKS}]+$")
_IDEOGRAPH = "\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_BESIDE_IDEOGRAPH = re.compile(
    rf"(?<=[{_IDEOGRAPH}])(?=[\w$-])(?![{_IDEOGRAPH}])|(?<=[0-9])(?=[{_IDEOGRAPH}])"
)
_LABEL = re.compile(
    r"^\*{0,2}(?:最终)?(?:(?:the|so|thus|therefore|hence|my|final|correct),? "
    r")*(?:answer|solution|result|答案|答)\*{0,2}"
    r"(?: ?[:=]\*{0,2} ?| is:? | 是 ?)(?=\S)",
    re.IGNORECASE,
)
_REPEATING = re.compile(
    r"((?<![0-9])[0-9]+\.[0-9]*?)([0-9])\2{2,} "
    r"?(?:\.{3}|\\[lc]?dots(?![A-Za-z]))"
)
"""A decimal with a repeating last digit: "0.333..."."""
# Pandoc's rule: no blank inside the signs, no digit after them. So "$5 and $6" holds
# no formula.
_FORMULA = re.compile(r"(?<![\\$])\$(?![\s$])([^$]*[^$\s\\])\$(?![\d$])")

_LATEX: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^\*([^*]+)\*$|(?<!\\)[,;]$", r"\1"),
        (r"(?<=[0-9])(?:['_]|\{\\,\})(?=[0-9]{3}(?![0-9]))", ","),
        (r"</?(?:b|i|em|strong|br|p|span) ?/?>|&nbsp;", " "),
        (r"<sup>([^<>]*)</sup>", r"^{\1}"),
        (r"\\(?:begin|end) ?\{(?:align|equation|gather)(?:ed)?\*?\}|\\+$", ""),
        (r"\\textdollar(?![A-Za-z]) ?", "$"),
        (r"\\colon(?![A-Za-z]) ?", ":"),
        (r"\\cr(?![A-Za-z])", r"\\\\"),
        (r"\{([A-Za-z])\}(?=[_^])", r"\1"),
        (r"\\(?:left|right|displaystyle|big|Big|bigl|bigr)(?![A-Za-z])", ""),
        (r",\\! ?|\{,\}", ","),
        (r"\\!", ""),
        (r"(?<!\\)\\[,;: ]|~|\\q?quad(?![A-Za-z])", " "),
        (r"\\([$%#&])", r"\1"),
        (r"\\[dtc](frac|binom)(?![A-Za-z])", r"\\\1"),
        (r"\{([^{}]+?) ?\\over(?![A-Za-z]) ?([^{}]+)\}", r"\\frac{\1}{\2}"),
        (r"^([^{}]+?) ?\\over(?![A-Za-z]) ?([^{}]+)$", r"\\frac{\1}{\2}"),
        (r"\{([^{}]+?) ?\\choose(?![A-Za-z]) ?([^{}]+)\}", r"\\binom{\1}{\2}"),
        (r"^([^{}]+?) ?\\choose(?![A-Za-z]) ?([^{}]+)$", r"\\binom{\1}{\2}"),
        (r"(?<=\.)([0-9]*)\\(?:bar|dot|overline) "
            r"?(?:\{ ?([0-9]+) ?\}|([0-9]))", r"\1\\overline{\2\3}"),
        (r"\\frac ?([0-9]) ?([0-9])(?![0-9])", r"\\frac{\1}{\2}"),
        (r"\\frac ?([0-9]) ?(?=\{)", r"\\frac{\1}"),
        (r"(\\frac ?\{[^{}]*\}) ?([0-9])(?![0-9])", r"\1{\2}"),
        (r"\\sqrt ?([0-9])(?![0-9])", r"\\sqrt{\1}"),
        (r"\\(?:leqslant|leq|le)(?![A-Za-z]) ?|<=", r"\\le "),
        (r"\\(?:geqslant|geq|ge)(?![A-Za-z]) ?|>=", r"\\ge "),
        (r"\\(?:neq|ne)(?![A-Za-z]) ?|!=", r"\\ne "),
        (r"\\lt(?![A-Za-z]) ?", "<"),
        (r"\\gt(?![A-Za-z]) ?", ">"),
        (r"\\langle(?![A-Za-z]) ?", "("),
        (r" ?\\rangle(?![A-Za-z])", ")"),
        (r"\\varnothing(?![A-Za-z])", r"\\emptyset"),
        (r"\\(vec|hat|bar|dot|tilde) ([A-Za-z])(?![A-Za-z])", r"\\\1{\2}"),
        (r"\\rightarrow(?![A-Za-z])", r"\\to"),
        (r"\\wedge(?![A-Za-z])", r"\\land"),
        (r"\\vee(?![A-Za-z])", r"\\lor"),
        (r"^\\(?:approx|sim)(?![A-Za-z]) ?", ""),
        (r"^'([^']+)'$", r"\1"),
        (r"\\[lr]vert(?![A-Za-z]) ?|\\vert(?![A-Za-z]) ?", "|"),
        (r"\\(?:text|textrm|textit|mathrm|textbf|mathbf|mathit|mbox|operatorname|ce|boxed) "
            r"?\{([^{}]*)\}", r" \1"),
        (r" ?\^ ?(?:\{ ?\\circ ?\}|\\circ(?![A-Za-z]))| ?\\degree(?![A-Za-z])| ?°", "°"),
    )
)  # fmt: skip


def unwrap(text: str) -> str:
    """Folds white space and removes one layer of wrapping: $...$, emphasis, a box,
    quotes, a final full stop.
    """
    text = " ".join(text.replace("−", "-").split())
    for left, right in _WRAPPERS:
        inner = text[len(left) : len(text) - len(right)]
        if inner and text == left + inner + right and _is_whole(inner, left, right):
            text = inner.strip()
    return (
        text[:-1].rstrip()
        if text.endswith(".") and len(text.rstrip(".")) == len(text) - 1 > 0
        else text
    )


def spell(text: str) -> str:
    """Returns an answer in plain characters and one spelling of LaTeX; blanks between
    words are kept.
    """
    text = _REPEATING.sub(r"\1\\overline{\2}", _spell_characters(text))
    text = _LABEL.sub("", unwrap(text), count=1)
    text = unwrap(_FORMULA.sub(r"\1", unwrap(text)))
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    return unwrap(text)


def _spell_characters(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
        text = _RAISED.sub(lambda run: "^{" + run[0].translate(_SUPERSCRIPTS) + "}", text)
        text = _LOWERED.sub(lambda run: "_{" + run[0].translate(_SUBSCRIPTS) + "}", text)
        text = _ROOT.sub(_spell_root, text)
        text = "".join(map(_fold, text.translate(_SYMBOLS)))
        text = _BESIDE_IDEOGRAPH.sub(" ", _DECORATION.sub("", _IGNORED.sub("", text)))
    return " ".join(text.split())


def _spell_root(root: re.Match[str]) -> str:
    degree = "[3]" if root[1] == "∛" else ""
    return f"\\sqrt{degree}" + (f"{{{root[2]}}}" if root[2] else "")


def _fold(character: str) -> str:
    """Returns a character's plain form (NFKC): "" if invisible, a \\frac for "½".
    Superscripts are replaced before.
    """
    if character.isascii():
        return character
    if unicodedata.category(character) == "Cf":
        return ""
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    plain = unicodedata.normalize("NFKC", character)
    if "\u2044" in plain:
        numerator, _, denominator = plain.partition("\u2044")
        return f"\\frac{{{numerator}}}{{{denominator}}}"
    return plain.translate(_SYMBOLS)


def _is_whole(inner: str, left: str, right: str) -> bool:
    """Whether the wrapper around `inner` is one pair, not the outer halves of two
    pairs.
    """
    if right != "}":
        bare = inner.replace("\\$", "")
        return left not in bare and right not in bare
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", inner):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0

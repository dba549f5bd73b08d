"""Normalizes text for safety rules: texts that look alike get one spelling.

A pattern on raw characters misses "ｂｏｍｂ", "b o m b", "bo\\u200bmb" or a
Cyrillic "о". `normalize` undoes these, but not paraphrase, other languages, ciphers or
base64.

Source: Unicode TR39 (confusable characters; the table below holds the Cyrillic and
Greek letters that look like Latin ones), NFKC from TR15.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

LONGEST_SPELLED = 400
"""Longest run of single letters ("b o m b") that is joined into one word, in
characters; a longer run is joined in pieces."""

_LOOKALIKES = str.maketrans(
    "аеорсухіјѕһԁԛԝвкмнтгАВЕКМНОРСТУХІЈЅαβεικνορτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧıłøđħ’‘ʼ´`“”",
    "aeopcyxijshdqwbkmhtrABEKMHOPCTYXIJSabeikvoptuxABEZHIKMNOPTYXilodh'''''\"\"",
)
_LEET = str.maketrans("013457@$", "oieastas")
_WORD_WITH_LEET = re.compile(
    r"(?<![\w$@])(?=[\w$@]*[a-z])(?=[\w$@]*[0-9$@])[\w$@]{2,40}(?![\w$@])", re.IGNORECASE
)
_INNER_MARK = re.compile(r"(?<=[a-z])!(?=[a-z])", re.IGNORECASE)
_HYPHENATED = re.compile(r"(?<![\w-])[^\W\d_]{1,40}(?:-[^\W\d_]{1,40}){3,}(?![\w-])")
"""Four or more hyphenated words ("how-to-make-a"), read as words separated by
blanks."""
_LETTER_NAME = re.compile(
    r"(?:LATIN LETTER SMALL CAPITAL|NEGATIVE (?:SQUARED|CIRCLED) LATIN CAPITAL LETTER"
    r"|REGIONAL INDICATOR SYMBOL LETTER) ([A-Z])"
)
"""Unicode names of styled letters that NFKC does not map to plain ones."""
_SPELLED = re.compile(
    r"(?<!\w)[^\W\d_](?:(?P<by>[ "
    rf".\-*/])[^\W\d_](?:(?P=by)[^\W\d_]){{1,{LONGEST_SPELLED // 2}}})(?!\w)"
)


@lru_cache(maxsize=64)  # every rule asks for the same few texts
def normalize(text: str) -> str:
    """Returns `text` with compatibility forms, invisible characters, accents,
    look-alike letters and spelled-out words replaced by plain ones, and white space
    folded. Linear in the length of the text.
    """
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text))
    text = "".join(_plain(character) for character in text).translate(_LOOKALIKES)
    text = _SPELLED.sub(lambda match: match[0].replace(match["by"], ""), text)
    text = _HYPHENATED.sub(lambda match: match[0].replace("-", " "), text)
    return re.sub(r"[\s_]+", " ", text).strip()


def without_spaces(text: str) -> str | None:
    """Returns the normalized text without blanks if a part of it is spelled out ("h o w
    t o"), because its word boundaries are lost; else None.
    """
    return normalize(text).replace(" ", "") if _SPELLED.search(text) else None


def without_leet(text: str) -> str:
    """Returns a normalized text with digits and signs inside words replaced by letters
    ("b0mb" -> "bomb").
    """
    text = _INNER_MARK.sub("i", text)
    return _WORD_WITH_LEET.sub(lambda match: match[0].translate(_LEET), text)


def _plain(character: str) -> str:
    """Returns the plain form of a character: ASCII for digits, hyphens, blanks and
    styled letters, "" for accents and invisible characters.
    """
    match unicodedata.category(character):
        case "Cf" | "Mn" | "Me":
            return ""
        case "Nd":
            return str(unicodedata.digit(character))
        case "Pd":
            return "-"
        case "Zs" | "Zl" | "Zp" | "Cc":
            return " "
        case "Ll" | "So" if not character.isascii():
            letter = _LETTER_NAME.fullmatch(unicodedata.name(character, ""))
            return character if letter is None else letter[1].lower()
    return character

"""The form of a text that safety rules are matched on: one spelling for what reads the
same.

A matcher that sees the raw characters is passed by "ｂｏｍｂ", "b o m b",
"bo\\u200bmb" or a Cyrillic "о". `normalize` undoes those; it does not undo
paraphrase, other languages, ciphers or base64.

Source: Unicode TR39 (confusable characters; the table below holds the Cyrillic and
Greek letters that look like Latin ones), NFKC from TR15.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

LONGEST_SPELLED = 400
"""Characters of a run of single letters ("b o m b") that are joined at once; a longer
run is joined in pieces."""

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
"""A phrase of four words or more ("how-to-make-a"), which a blank could separate as
well."""
_LETTER_NAME = re.compile(
    r"(?:LATIN LETTER SMALL CAPITAL|NEGATIVE (?:SQUARED|CIRCLED) LATIN CAPITAL LETTER"
    r"|REGIONAL INDICATOR SYMBOL LETTER) ([A-Z])"
)
"""Names of letters in another dress that NFKC keeps."""
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
    """Returns the normalized text without blanks where a part of it was spelled out ("h
    o w t o"), so that word limits are lost; None for ordinary text.
    """
    return normalize(text).replace(" ", "") if _SPELLED.search(text) else None


def without_leet(text: str) -> str:
    """Returns a normalized text with the digits and signs inside words read as letters
    ("b0mb" is "bomb").
    """
    text = _INNER_MARK.sub("i", text)
    return _WORD_WITH_LEET.sub(lambda match: match[0].translate(_LEET), text)


def _plain(character: str) -> str:
    """Returns the character, an ASCII digit or hyphen for a foreign one, or "" for an
    invisible one or an accent.
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

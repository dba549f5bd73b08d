"""Where a sentence ends, and which words begin a new step of thought."""

from __future__ import annotations

import re

LONGEST_TAIL = 80
"""Characters before a full stop that decide what it is."""

SENTENCE_STOPS = (". ", "? ", "! ", "\n", "。", "！", "？")
"""Engine stop strings at which most sentences end."""

_END = re.compile(r"(?P<mark>[.!?]+)(?P<closers>[\"'”’)\]*_]*)(?P<blank>\s*)$")
_WIDE_END = re.compile(r"[。！？]$")
_LAST_WORD = re.compile(r"[\w.]+$")
_NUMBER_OF_ITEM = re.compile(r"[\W_]*(?:[^\W\d_]+\s)?(?:\d{1,3}|[A-Za-z])$")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_ABBREVIATIONS = frozenset(
    """
    approx art bzw ca cf ch co corp dept dr ed eq eqs est etc ex fig figs gen gov hr hrs inc jr
    lt ltd max min mio misc mr mrs ms mt no nos nr oz p pp prof ref resp sec sr st str usw vgl
    viz vol vs z
    """.split()  # noqa: SIM905
)
_WORDS_TOO = frozenset({"art", "ed", "ex", "gen", "max", "min", "no", "p", "sec", "z", "est"})
"""Abbreviations that are words or symbols as well: only with a capital letter."""

MARKERS = (
    # sequence
    *("First", "Second", "Third", "Next", "Then", "Finally", "Now", "After that"),
    # conclusion
    *("So", "Therefore", "Thus", "Hence", "Consequently", "In conclusion", "This means"),
    # thinking
    *("Wait", "Hmm", "Let me", "Let's", "Okay", "Maybe", "Actually", "I need to"),
    # verification
    *("Check", "Verify", "To check", "To verify", "Double-check", "Let us check"),
    # examples and conditions
    *("For example", "Given that", "Similarly"),
)
"""Words that begin a step of thought, in four groups; contrast ("but", "however",
"alternatively") is none of them.

Source: marker_semantic_v2 of ThinkBooster.
"""
MARKER_STOPS = tuple(
    f"{end}{marker}{after}" for marker in MARKERS for end in (". ", "\n") for after in (" ", ",")
)
"""Engine stop strings at which most marked steps end."""
_MARKERS = tuple(marker.lower() for marker in MARKERS)
_DECORATION = " \t\n\r*_#>-"


def ends_sentence(tail: str, *, begins_line: bool, following: str) -> bool:
    """Whether a sentence ends at the end of `tail`.

    A sentence ends with ".", "!" or "?", closing quotes included, before white space.
    It does not end at an abbreviation ("e.g.", "Dr."), initials, the number of a list's
    item, or an ellipsis. "。", "！" and "？" need no white space.

    Args:
        tail: last characters of the line so far, at most `LONGEST_TAIL`.
        begins_line: whether `tail` is the whole line so far.
        following: the next character; "" if there is none yet.
    """
    if _WIDE_END.search(tail):
        return True
    end = _END.search(tail)
    if end is None or not (end["blank"] or following.isspace()):
        return False
    if end["mark"] != ".":
        return ".." not in end["mark"]
    before = tail[: end.start()]
    if end["closers"] == "" and begins_line and _NUMBER_OF_ITEM.fullmatch(before):
        return False
    found = _LAST_WORD.search(before)
    word = "" if found is None else found[0]
    if _INITIALS.fullmatch(word) and (len(word) > 1 or word.isupper()):
        return False
    is_abbreviation = word.lower() in _ABBREVIATIONS and (
        word.lower() not in _WORDS_TOO or word[0].isupper()
    )
    return not is_abbreviation


def begins_with_marker(text: str) -> bool | None:
    """Whether a sentence begins with one of `MARKERS`, as whole words in any case; None
    while more of the sentence has to be read.
    """
    text = text.lstrip(_DECORATION)[:LONGEST_TAIL].lower()
    undecided = not text
    for marker in _MARKERS:
        if text.startswith(marker):
            following = text[len(marker) : len(marker) + 1]
            if following and not (following.isalnum() or following in "-_"):
                return True
            undecided = undecided or not following
        elif marker.startswith(text):
            undecided = True
    return None if undecided else False

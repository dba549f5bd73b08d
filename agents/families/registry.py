"""The families that the pocket model can be asked about, and the one question: does any
of them know this text?
"""

from __future__ import annotations

from functools import lru_cache

from agents.families.base import Family, Problem
from agents.families.countdown import Countdown
from agents.families.equations import Equations
from agents.families.legs import Legs
from agents.families.locks import Locks
from agents.families.running import Running

FAMILIES: dict[str, Family] = {
    family.name: family for family in (Countdown(), Locks(), Running(), Equations(), Legs())
}

# characters; the recognisers are regular expressions, so a longer text is refused
# unread
_LONGEST_QUESTION = 4000


# a thought asks of its question again and again: its wording, the scope of every
# verdict, the truth of a step
@lru_cache(maxsize=4096)
def recognise_question(text: str, families: tuple[str, ...] = tuple(FAMILIES)) -> Problem | None:
    """Returns the problem that `text` asks, None when none of the named families
    recognises it (the question is out of domain).
    """
    if len(text) > _LONGEST_QUESTION:
        return None
    return next(
        (problem for name in families if (problem := FAMILIES[name].recognise(text)) is not None),
        None,
    )

"""The families of the pocket model, and the recognition of questions."""

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

# In characters. The recognisers are regular expressions, so a longer text is rejected
# without matching.
_LONGEST_QUESTION = 4000


# Cached, because one thought needs its question's problem many times: for the wording,
# the scope of each verdict and the labels of the steps.
@lru_cache(maxsize=4096)
def recognise_question(text: str, families: tuple[str, ...] = tuple(FAMILIES)) -> Problem | None:
    """Returns the problem that `text` states; None if no family of `families`
    recognises it (out of domain).
    """
    if len(text) > _LONGEST_QUESTION:
        return None
    return next(
        (problem for name in families if (problem := FAMILIES[name].recognise(text)) is not None),
        None,
    )

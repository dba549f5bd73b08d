"""A scripted engine that plays a chat model on sums in words, "A box holds 3 pens and 4
nibs.": a right answer with probability `RIGHT_RATE`, a judge that is always right.

    engine=scripted engine.function=tests.scripted_chat:Chat    # in a command line
"""

from __future__ import annotations

import random
import re

RIGHT_RATE = 0.6
_SUM = re.compile(r"holds (\d+) pens and (\d+) nibs")


def question(first: int, second: int) -> str:
    """Returns a question whose answer is the sum."""
    return f"A box holds {first} pens and {second} nibs. How many things does it hold?"


class Chat:
    """Reply and score functions of `ScriptedEngine`, and the tokens that they read."""

    special_tokens = ("<|system|>", "<|user|>", "<|assistant|>", "Yes", "No")

    @staticmethod
    def reply(prompt: str, sample_index: int, rng: random.Random) -> str:
        """Returns two steps, the last of which holds the boxed answer."""
        total = _total(prompt)
        is_right = sample_index == 0 or rng.random() < RIGHT_RATE
        answer = total if is_right else total + rng.randint(1, 3)
        return f"The box holds pens and nibs.\n\nThe answer is \\boxed{{{answer}}}."

    @staticmethod
    def score(prompt: str, candidate: str) -> float:
        """Returns the log-probability of Yes or No after a judge's prompt."""
        boxed = re.findall(r"boxed\{(\d+)\}", prompt)
        is_right = not boxed or int(boxed[-1]) == _total(prompt)
        return -0.1 if (candidate == "Yes") == is_right else -2.4


def _total(prompt: str) -> int:
    found = _SUM.findall(prompt)
    if not found:
        raise ValueError("the scripted chat model was asked something else than a sum")
    return sum(map(int, found[-1]))

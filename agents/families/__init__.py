"""Task families: generators, recognisers and exact checkers of the pocket model's
questions.
"""

from agents.families.base import Family, Problem, StepTruth, read_answer
from agents.families.registry import FAMILIES, recognise_question

__all__ = ["FAMILIES", "Family", "Problem", "StepTruth", "read_answer", "recognise_question"]

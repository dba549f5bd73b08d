"""The nouns that everybody shares."""

from agents.nouns.budget import Budget, Meter, Reservation
from agents.nouns.errors import (
    BadDataError,
    BadReplyError,
    BadTraceError,
    ContextLengthError,
    EngineDiedError,
    EngineError,
    EngineUnavailableError,
    LongthoughtError,
    LostThoughtError,
    RunConflictError,
    StorageError,
    ThoughtsDeletedError,
)
from agents.nouns.factor import ThoughtFactor
from agents.nouns.hidden import Hidden
from agents.nouns.question import Question, Split, question_hash, split_of
from agents.nouns.reflection import Reflection, ReflectionAction
from agents.nouns.step import Author, Content, FinishReason, Sampling, Step
from agents.nouns.usage import ROLES, Usage, UsageByRole
from agents.nouns.verdict import Verdict, VerdictOutcome, VerdictScope, VerdictSource

__all__ = [
    "ROLES",
    "Author",
    "BadDataError",
    "BadReplyError",
    "BadTraceError",
    "Budget",
    "Content",
    "ContextLengthError",
    "EngineDiedError",
    "EngineError",
    "EngineUnavailableError",
    "FinishReason",
    "Hidden",
    "LongthoughtError",
    "LostThoughtError",
    "Meter",
    "Question",
    "Reflection",
    "ReflectionAction",
    "Reservation",
    "RunConflictError",
    "Sampling",
    "Split",
    "Step",
    "StorageError",
    "ThoughtFactor",
    "ThoughtsDeletedError",
    "Usage",
    "UsageByRole",
    "Verdict",
    "VerdictOutcome",
    "VerdictScope",
    "VerdictSource",
    "question_hash",
    "split_of",
]

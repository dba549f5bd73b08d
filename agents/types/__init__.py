"""The types that all packages share."""

from agents.types.budget import Budget, Meter, Reservation
from agents.types.capabilities import Capabilities
from agents.types.errors import (
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
from agents.types.factor import ThoughtFactor
from agents.types.hidden import Hidden
from agents.types.question import Question, Split, Turn, question_hash, split_of
from agents.types.reflection import Reflection, ReflectionAction
from agents.types.sampling import Sampling, SamplingOptions
from agents.types.step import Author, Content, FinishReason, Step
from agents.types.think import ThinkSettings
from agents.types.usage import ROLES, Usage, UsageByRole
from agents.types.verdict import Verdict, VerdictOutcome, VerdictScope, VerdictSource

__all__ = [
    "ROLES",
    "Author",
    "BadDataError",
    "BadReplyError",
    "BadTraceError",
    "Budget",
    "Capabilities",
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
    "SamplingOptions",
    "Split",
    "Step",
    "StorageError",
    "ThinkSettings",
    "ThoughtFactor",
    "ThoughtsDeletedError",
    "Turn",
    "Usage",
    "UsageByRole",
    "Verdict",
    "VerdictOutcome",
    "VerdictScope",
    "VerdictSource",
    "question_hash",
    "split_of",
]

"""The schema: every option's name, type, bounds, default and description. One file per group."""

from configs.schema.base import OPERATIONAL, Group, Operational, PromptFamily
from configs.schema.budget import BudgetConfig
from configs.schema.critic import CriticConfig, CriticKind
from configs.schema.engine import (
    POCKET,
    EngineConfig,
    OpenaiEngineConfig,
    ScriptedEngineConfig,
    ScriptRule,
    TransformersEngineConfig,
    VllmEngineConfig,
    resolve_model,
)
from configs.schema.policy import PolicyConfig
from configs.schema.reflector import ReflectorConfig, ReflectorKind
from configs.schema.run import EngineRole, RunConfig, RunOptions
from configs.schema.safety import SafetyConfig
from configs.schema.search import (
    AnswerSelection,
    BeamConfig,
    BestOfNConfig,
    CritiqueLoopConfig,
    GreedyConfig,
    ScoreAggregation,
    SearchConfig,
)
from configs.schema.summarizer import SummarizerConfig, SummarizerKind
from configs.schema.task import (
    Gsm8kTaskConfig,
    JsonlTaskConfig,
    PocketTaskConfig,
    ReasoningGymTaskConfig,
    TaskConfig,
    UserTaskConfig,
)
from configs.schema.training import (
    FineTune,
    GrpoConfig,
    GrpoTrainingConfig,
    LoraConfig,
    SftConfig,
    SftTrainingConfig,
    TrainingConfig,
    WheelTrainingConfig,
)

__all__ = [
    "OPERATIONAL",
    "POCKET",
    "AnswerSelection",
    "BeamConfig",
    "BestOfNConfig",
    "BudgetConfig",
    "CriticConfig",
    "CriticKind",
    "CritiqueLoopConfig",
    "EngineConfig",
    "EngineRole",
    "FineTune",
    "GreedyConfig",
    "Group",
    "GrpoConfig",
    "GrpoTrainingConfig",
    "Gsm8kTaskConfig",
    "JsonlTaskConfig",
    "LoraConfig",
    "OpenaiEngineConfig",
    "Operational",
    "PocketTaskConfig",
    "PolicyConfig",
    "PromptFamily",
    "ReasoningGymTaskConfig",
    "ReflectorConfig",
    "ReflectorKind",
    "RunConfig",
    "RunOptions",
    "SafetyConfig",
    "ScoreAggregation",
    "ScriptRule",
    "ScriptedEngineConfig",
    "SearchConfig",
    "SftConfig",
    "SftTrainingConfig",
    "SummarizerConfig",
    "SummarizerKind",
    "TaskConfig",
    "TrainingConfig",
    "TransformersEngineConfig",
    "UserTaskConfig",
    "VllmEngineConfig",
    "WheelTrainingConfig",
    "resolve_model",
]

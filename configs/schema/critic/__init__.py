"""Critics: one group of options for each kind, chosen with `critic=NAME`.

A new critic is a class with its own `kind` literal, added to `CriticConfig`: the group
option, `--help` and the tests follow. `graphs.reasoner.roles.critics` builds it.
"""

from typing import Annotated

from pydantic import Field

from configs.schema.critic.arithmetic import ArithmeticCriticConfig
from configs.schema.critic.base import (
    CriticOptions,
    JudgingCritic,
    ScopedCritic,
    SpeakingCritic,
)
from configs.schema.critic.custom import CustomCriticConfig
from configs.schema.critic.length import LengthCriticConfig
from configs.schema.critic.logprob import LogprobCriticConfig
from configs.schema.critic.none import NoCriticConfig
from configs.schema.critic.oracle import OracleCriticConfig
from configs.schema.critic.random import RandomCriticConfig
from configs.schema.critic.token import TokenCriticConfig
from configs.schema.critic.value_head import ValueHeadConfig
from configs.schema.critic.working import WorkingCriticConfig

CriticConfig = Annotated[
    NoCriticConfig
    | TokenCriticConfig
    | WorkingCriticConfig
    | ArithmeticCriticConfig
    | ValueHeadConfig
    | RandomCriticConfig
    | LengthCriticConfig
    | LogprobCriticConfig
    | OracleCriticConfig
    | CustomCriticConfig,
    Field(discriminator="kind"),
]
"""Any critic; `kind` names it."""

__all__ = [
    "ArithmeticCriticConfig",
    "CriticConfig",
    "CriticOptions",
    "CustomCriticConfig",
    "JudgingCritic",
    "LengthCriticConfig",
    "LogprobCriticConfig",
    "NoCriticConfig",
    "OracleCriticConfig",
    "RandomCriticConfig",
    "ScopedCritic",
    "SpeakingCritic",
    "TokenCriticConfig",
    "ValueHeadConfig",
    "WorkingCriticConfig",
]

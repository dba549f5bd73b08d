"""Critics: roles that judge the steps of a thought."""

from agents.critics.arithmetic import ArithmeticCritic
from agents.critics.base import Critic
from agents.critics.calibrated import CalibratedCritic
from agents.critics.generative import CriticSettings, GenerativeCritic
from agents.critics.length import LengthCritic
from agents.critics.logprob import LogprobCritic
from agents.critics.oracle import OracleCritic
from agents.critics.random import RandomCritic
from agents.critics.token import TokenCritic
from agents.critics.value_head import ValueHead
from agents.critics.working import WorkingCritic

__all__ = [
    "ArithmeticCritic",
    "CalibratedCritic",
    "Critic",
    "CriticSettings",
    "GenerativeCritic",
    "LengthCritic",
    "LogprobCritic",
    "OracleCritic",
    "RandomCritic",
    "TokenCritic",
    "ValueHead",
    "WorkingCritic",
]

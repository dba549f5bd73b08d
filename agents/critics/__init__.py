"""Critics: whoever judges the steps of a thought."""

from agents.critics.base import Critic
from agents.critics.controls import LengthCritic, LogprobCritic, RandomCritic
from agents.critics.generative import CriticSettings, GenerativeCritic
from agents.critics.oracle import OracleCritic

__all__ = [
    "Critic",
    "CriticSettings",
    "GenerativeCritic",
    "LengthCritic",
    "LogprobCritic",
    "OracleCritic",
    "RandomCritic",
]

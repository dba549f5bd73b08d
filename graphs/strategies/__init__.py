"""Search strategies."""

from graphs.strategies.base import Strategy
from graphs.strategies.beam import Beam
from graphs.strategies.best_of_n import BestOfN
from graphs.strategies.compute_optimal import ComputeOptimal
from graphs.strategies.critique_loop import CritiqueLoop
from graphs.strategies.dvts import Dvts
from graphs.strategies.greedy import Greedy
from graphs.strategies.mcts import Mcts
from graphs.strategies.particles import Particles
from graphs.strategies.posterior import Posterior
from graphs.strategies.rebase import Rebase
from graphs.strategies.revision import SequentialRevision
from graphs.strategies.self_consistency import SelfConsistency

__all__ = [
    "Beam",
    "BestOfN",
    "ComputeOptimal",
    "CritiqueLoop",
    "Dvts",
    "Greedy",
    "Mcts",
    "Particles",
    "Posterior",
    "Rebase",
    "SelfConsistency",
    "SequentialRevision",
    "Strategy",
]

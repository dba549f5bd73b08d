"""Search strategies."""

from graphs.strategies.answers.auto import Auto
from graphs.strategies.answers.best_of_n import BestOfN
from graphs.strategies.answers.compute_optimal import ComputeOptimal
from graphs.strategies.answers.greedy import Greedy
from graphs.strategies.answers.revision import SequentialRevision
from graphs.strategies.answers.self_consistency import SelfConsistency
from graphs.strategies.base import Strategy
from graphs.strategies.levels.beam import Beam
from graphs.strategies.levels.dvts import Dvts
from graphs.strategies.levels.particles import Particles
from graphs.strategies.levels.rebase import Rebase
from graphs.strategies.posterior.posterior import Posterior
from graphs.strategies.trees.critique_loop import CritiqueLoop
from graphs.strategies.trees.mcts import Mcts

__all__ = [
    "Auto",
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

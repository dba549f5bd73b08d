"""Search strategies."""

from graphs.strategies.base import Strategy
from graphs.strategies.beam import Beam
from graphs.strategies.best_of_n import BestOfN
from graphs.strategies.critique_loop import CritiqueLoop
from graphs.strategies.greedy import Greedy

__all__ = ["Beam", "BestOfN", "CritiqueLoop", "Greedy", "Strategy"]

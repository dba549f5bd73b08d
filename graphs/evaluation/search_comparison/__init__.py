"""What searches are worth at equal cost: a grid of runs, and what follows from it.

python -m graphs.run -m experiment=search_comparison
"""

from graphs.evaluation.search_comparison.grid import carry_out

__all__ = ["carry_out"]

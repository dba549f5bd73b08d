"""The law of a training method.

A method is its options and the list of stages that they make. The pipeline runs the
stages in order, each once, and measures the policy before the first and after every
stage that trains it. A method that repeats stages in rounds puts the round into their
names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from training.stages.base import Stage


class Method(Protocol):
    """How a policy, or heads for it, are trained."""

    @property
    def config(self) -> type[Any]:
        """The class of its options, derived from
        `configs.schema.training.TrainingOptions` (`PolicyTraining` if it trains the
        policy).
        """
        ...

    def stages(self, training: Any) -> Sequence[Stage]:
        """Returns the stages that the options, an instance of `config`, make; their
        names differ.
        """
        ...

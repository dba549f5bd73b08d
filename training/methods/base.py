"""The interface of a training method.

A method turns its options into a list of stages. The pipeline runs each stage once, in
order. It evaluates the policy before the first stage and after each stage that trains
it. Names of stages are unique, so a method that repeats a stage in rounds adds the
round to its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from training.stages.base import Stage


class Method(Protocol):
    """A way to train a policy, or heads for it."""

    @property
    def config(self) -> type[Any]:
        """The class of its options, derived from
        `configs.schema.training.TrainingOptions` (`PolicyTraining` if it trains the
        policy).
        """
        ...

    def stages(self, training: Any) -> Sequence[Stage]:
        """Returns the stages for these options, an instance of `config`. Their names
        are unique.
        """
        ...

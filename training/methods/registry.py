"""Training methods by the value of `training.method`, and the stages that options
make.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from agents.objects import load_object
from configs.messages import explain_custom
from configs.schema.training import CustomTrainingConfig, TrainingOptions
from training.methods.base import Method
from training.methods.grpo import GRPO
from training.methods.heads import HEADS
from training.methods.sft import SFT
from training.methods.sft_grpo import SFT_GRPO
from training.stages.base import Stage

METHODS: Mapping[str, Method] = {"sft": SFT, "grpo": GRPO, "sft_grpo": SFT_GRPO, "heads": HEADS}


def build_stages(training: TrainingOptions) -> Sequence[Stage]:
    """Returns the stages of the method that the options choose.

    Raises:
        ValueError: training.object is no training method, or does not have the options.
    """
    if isinstance(training, CustomTrainingConfig):
        return _custom(training)
    return METHODS[training.method].stages(training)


def _custom(training: CustomTrainingConfig) -> Sequence[Stage]:
    made = load_object(training.object, "training.object")
    method: Any = made() if isinstance(made, type) else made
    kind = getattr(method, "config", None)
    if not (isinstance(kind, type) and issubclass(kind, TrainingOptions)):
        raise ValueError(
            f"training.object ({training.object}) must have `config`, a class of options derived "
            "from configs.schema.training.TrainingOptions; see training.methods.base.Method"
        )
    stages = method.stages(_options(training, kind))
    names = [stage.name for stage in stages if isinstance(stage, Stage)]
    if not stages or len(set(names)) < len(stages):
        raise ValueError(
            f"{training.object}.stages returned {stages!r}; return one or more objects derived "
            "from training.stages.base.Stage, each with another name"
        )
    return list(stages)


def _options(training: CustomTrainingConfig, kind: type[TrainingOptions]) -> TrainingOptions:
    """Returns the options of a method of your own: the shared ones of the run, and
    `training.options`.
    """
    shared = {
        name: getattr(training, name)
        for name in type(training).model_fields
        if name in kind.model_fields and name not in ("object", "options")
    }
    own = sorted(kind.model_fields.keys() - shared.keys())
    options = training.options or {}
    if common := sorted(options.keys() & shared.keys()):
        raise ValueError(
            f"training.options.{common[0]} is an option of every training method; set "
            f"training.{common[0]}"
        )
    try:
        return kind(**shared | options)
    except ValidationError as error:
        raise ValueError(explain_custom(error, "training", training.object, own)) from None

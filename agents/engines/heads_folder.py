"""Model folders with heads: sequence classification models as transformers saves them
and vLLM serves them.

`id2label` in config.json names the outputs of the linear layer. training=heads writes
the names `VALUE` and `factor_label(NAME)`; other models may have any names.
"""

from __future__ import annotations

from agents.engines.base import Classifier
from agents.engines.weights import find_folder, read_config
from agents.types import EngineUnavailableError

ARCHITECTURE = "ForSequenceClassification"
"""Suffix of the names of such architectures."""

VALUE = "value"
"""Label of the value head: a logit."""


def factor_label(name: str) -> str:
    """Returns the label of a thought factor's output in the policy head."""
    return f"factor {name}"


def output_of(classifier: Classifier, label: str, option: str) -> int:
    """Returns the index of the output `label` of `classifier`; `option`: the config key
    that needs it, for the error.

    Raises:
        ValueError: the model has no such output.
    """
    if label not in classifier.labels:
        raise ValueError(
            f"{option} needs the output {label!r}, and {classifier.info.model} has only "
            f"{', '.join(classifier.labels)}; train heads for it (training=heads with the same "
            "policy.factors), or set heads.engine.model to other heads"
        )
    return classifier.labels.index(label)


def read_labels(model: str) -> tuple[str, ...]:
    """Returns the names of the heads' outputs.

    Raises:
        EngineUnavailableError: the folder is not on this machine, or is not a model
            with heads.
    """
    try:
        folder = find_folder(model)
    except EngineUnavailableError:
        folder = None
    if folder is None:
        raise EngineUnavailableError(
            f"the heads {model!r} are not on this machine; set heads.engine.model to a folder of "
            "training=heads"
        )
    config = read_config(folder)
    architectures, labels = config.get("architectures") or [], config.get("id2label") or {}
    if not labels or not any(str(name).endswith(ARCHITECTURE) for name in architectures):
        raise EngineUnavailableError(
            f"{folder} is not a model with heads: its config.json names "
            f"{', '.join(map(str, architectures)) or 'no architecture'} and {len(labels)} labels, "
            f"and must name one that ends with {ARCHITECTURE}; train heads with training=heads"
        )
    return tuple(str(labels[str(number)]) for number in range(len(labels)))

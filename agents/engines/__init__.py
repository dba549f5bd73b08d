"""How a model is reached. Importing this loads no heavy library; building an engine
does.
"""

from agents.engines.base import (
    Classification,
    Classifier,
    Completion,
    EngineInfo,
    GenerateRequest,
    Generation,
    Generator,
    NextTokenScores,
    Publisher,
    Tokenizer,
)

__all__ = [
    "Classification",
    "Classifier",
    "Completion",
    "EngineInfo",
    "GenerateRequest",
    "Generation",
    "Generator",
    "NextTokenScores",
    "Publisher",
    "Tokenizer",
]

"""Engines: access to language models. Importing this package loads no heavy library;
opening an engine does.
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

"""Options of the heads: a policy head and a value head (P(the thought ends right)),
read from hidden states.
"""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from configs.schema.base import ConfigGroup
from configs.schema.engine import EngineConfig


class HeadsConfig(ConfigGroup):
    """The model folder, written by training=heads, for search.prior=policy_head and
    critic=value_head.
    """

    engine: EngineConfig | None = None
    """Engine of the heads; null: no heads. Set with engine@heads.engine=transformers
    heads.engine.model=FOLDER, or =vllm, which starts a second process: on one GPU,
    lower gpu_memory_utilization of both engines so that the sum is below 1."""

    def keywords(self) -> dict[str, Any]:
        """Returns the keywords that open the engine, without those for generation
        only.
        """
        keywords = {} if self.engine is None else self.engine.keywords()
        return {name: value for name, value in keywords.items() if name not in ("adapters", "seed")}

    @model_validator(mode="after")
    def _engine_reads_heads(self) -> HeadsConfig:
        if self.engine is None:
            return self
        if self.engine.kind not in ("vllm", "transformers"):
            raise ValueError(
                f"heads.engine.kind ({self.engine.kind}) must be vllm or transformers, the engines "
                "that read heads; set engine@heads.engine=transformers"
            )
        if self.engine.adapter_names:
            raise ValueError(
                f"heads.engine.adapters ({', '.join(self.engine.adapter_names)}) must be empty: "
                "heads are read without adapters; merge them into the model"
            )
        return self

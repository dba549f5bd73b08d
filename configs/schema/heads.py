"""Options of the heads: what a policy would do next, and whether a thought will end
right, read from hidden states.
"""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from configs.schema.base import ConfigGroup
from configs.schema.engine import EngineConfig


class HeadsConfig(ConfigGroup):
    """The model that search.prior=policy_head and critic=value_head read, a folder that
    training=heads has written.
    """

    engine: EngineConfig | None = None
    """Where it is served; null: nowhere. Chosen with engine@heads.engine=transformers
    heads.engine.model=FOLDER, or =vllm, which starts a process beside that of the
    policy: on one GPU, lower engine.gpu_memory_utilization of both so that they add up
    to less than 1."""

    def keywords(self) -> dict[str, Any]:
        """Returns the keywords that open the engine, without those that nothing is
        generated with.
        """
        keywords = {} if self.engine is None else self.engine.keywords()
        return {name: value for name, value in keywords.items() if name not in ("adapters", "seed")}

    @model_validator(mode="after")
    def _engine_reads_heads(self) -> HeadsConfig:
        if self.engine is None:
            return self
        if self.engine.kind not in ("vllm", "transformers"):
            raise ValueError(
                f"heads.engine.kind ({self.engine.kind}) must be vllm or transformers; the others "
                "read no heads"
            )
        if self.engine.adapter_names:
            raise ValueError(
                f"heads.engine.adapters ({', '.join(self.engine.adapter_names)}) must be empty: "
                "heads are read without adapters; merge them into the model"
            )
        return self

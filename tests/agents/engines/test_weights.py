"""What is read from a model folder without loading the model."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.engines.weights import recommended_sampling
from agents.types import EngineUnavailableError, SamplingOptions


def test_recommended_sampling_is_what_the_model_names(tmp_path: Path) -> None:
    write = (tmp_path / "generation_config.json").write_text
    assert recommended_sampling(tmp_path) == recommended_sampling(None) == SamplingOptions()
    write('{"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "eos_token_id": 3}')
    assert recommended_sampling(tmp_path) == SamplingOptions(0.6, 0.95, 20)
    write('{"do_sample": false, "temperature": 0.6, "repetition_penalty": 1.1}')
    assert recommended_sampling(tmp_path) == SamplingOptions(repetition_penalty=1.1)
    write('{"temperature": -1, "top_p": "high", "top_k": true, "min_p": 0.1}')
    assert recommended_sampling(tmp_path) == SamplingOptions(min_p=0.1)


def test_a_damaged_generation_config_is_refused(tmp_path: Path) -> None:
    for text in ("[]", "{"):
        (tmp_path / "generation_config.json").write_text(text)
        with pytest.raises(EngineUnavailableError, match=r"generation_config\.json"):
            recommended_sampling(tmp_path)

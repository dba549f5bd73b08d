"""What reads the heads of a model: with transformers, and with vLLM, whose pooling
engine is a process of its own.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from agents.engines.build import open_engine
from agents.engines.transformers.heads import TransformersClassifier
from agents.engines.vllm.heads import VLLMClassifier
from agents.engines.vllm.options import VllmOptions
from agents.types import EngineDiedError, EngineUnavailableError
from tests.agents.engines.conformance import ClassifierConformance


class TestTransformersClassifier(ClassifierConformance):
    @pytest_asyncio.fixture
    async def classifier(self, tiny_heads_folder: Path) -> AsyncIterator[TransformersClassifier]:
        classifier = await TransformersClassifier.open(model=str(tiny_heads_folder), max_num_seqs=3)
        yield classifier
        await classifier.close()

    async def test_the_earliest_question_is_read_first(
        self, classifier: TransformersClassifier
    ) -> None:
        read: list[int] = []

        async def classify(priority: int) -> None:
            await classifier.classify((5, 6, 7), priority=priority)
            read.append(priority)

        await asyncio.gather(*(classify(priority) for priority in (9, 8, 7, 6, 5, 4, 3, 2, 1)))
        assert [sorted(read[start : start + 3]) for start in (0, 3, 6)] == [
            [1, 2, 3],
            [4, 5, 6],
            [7, 8, 9],
        ]

    @pytest.mark.parametrize(
        "error", [RuntimeError("out of memory"), AttributeError("out of memory")], ids=repr
    )
    async def test_a_model_that_breaks_is_a_dead_engine(
        self, classifier: TransformersClassifier, error: Exception, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def breaks(prompts: object) -> None:
            raise error

        monkeypatch.setattr(classifier, "_forward", breaks)
        results = await asyncio.gather(
            *(classifier.classify((5, number)) for number in range(6, 14)), return_exceptions=True
        )
        assert all(
            isinstance(result, EngineDiedError) and "out of memory" in str(result)
            for result in results
        ), results
        with pytest.raises(EngineDiedError, match="open a new engine"):
            await classifier.classify((5,))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pooling_vllm(tiny_heads_folder: Path) -> AsyncIterator[VLLMClassifier]:
    """Takes 15 s to start."""
    classifier = await VLLMClassifier.open(
        VllmOptions(model=str(tiny_heads_folder), kv_cache_gib=0.25)
    )
    yield classifier
    await classifier.close()


class TestVLLMClassifier(ClassifierConformance):
    @pytest.fixture
    def classifier(self, pooling_vllm: VLLMClassifier) -> VLLMClassifier:
        return pooling_vllm

    async def test_a_prefix_that_was_read_is_cached(self, classifier: VLLMClassifier) -> None:
        await classifier.reset_cache()
        prompt = tuple(range(5, 105))
        await classifier.classify(prompt)
        assert (await classifier.classify((*prompt, 9, 9))).usage.cached_prompt_tokens == 96


async def test_a_killed_pooling_vllm_is_a_dead_engine(pooling_vllm: VLLMClassifier) -> None:
    """The module's last test of it."""
    for process_id in pooling_vllm.core_process_ids:
        os.kill(process_id, signal.SIGKILL)
    with pytest.raises(EngineDiedError):
        for _ in range(1000):
            await pooling_vllm.classify((5, 6, 7))
    with pytest.raises(EngineDiedError, match="open a new engine"):
        await pooling_vllm.classify((5, 6, 7))


def test_a_context_longer_than_the_models_positions_is_refused(tiny_heads_folder: Path) -> None:
    with pytest.raises(
        EngineUnavailableError,
        match=r"heads\.engine\.max_model_len \(9999\) "
        r"exceeds the 512 positions",
    ):
        TransformersClassifier.load(model=str(tiny_heads_folder), max_model_len=9999)


async def test_heads_that_are_no_linear_layer_are_refused(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    from transformers import BertConfig, BertForSequenceClassification

    shutil.copytree(tiny_model_folder, tmp_path / "bert")
    BertForSequenceClassification(
        BertConfig(
            vocab_size=260,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=32,
            num_labels=3,
        )
    ).save_pretrained(tmp_path / "bert")
    with pytest.raises(
        EngineUnavailableError,
        match=r"BertForSequenceClassification, whose heads "
        r"are not a linear layer `score`",
    ):
        await TransformersClassifier.open(model=str(tmp_path / "bert"))


@pytest.mark.parametrize("kind", ["transformers_heads", "vllm_heads"])
async def test_a_folder_without_heads_is_refused_before_anything_is_loaded(
    kind: str, tiny_model_folder: Path
) -> None:
    with pytest.raises(
        EngineUnavailableError, match=r"is not a model with heads.*LlamaForCausalLM.*training=heads"
    ):
        await open_engine(kind, {"model": str(tiny_model_folder)})
    with pytest.raises(EngineUnavailableError, match=r"'somebody/heads' are not on this machine"):
        await open_engine(kind, {"model": "somebody/heads"})

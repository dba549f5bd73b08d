"""Engine, search and one training step on a GPU: `make gpu-check`. The same check runs
on the CPU among the slow tests, so that it cannot rot.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from configs import compose
from graphs import run as runs
from graphs.traces.store import TraceStore
from training.driver import run as train


def _needs_cuda(device: str) -> None:
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device")


@pytest.fixture(
    params=[
        pytest.param("cuda", marks=pytest.mark.gpu),
        pytest.param("cpu", marks=pytest.mark.slow),
    ]
)
def device(request: pytest.FixtureRequest) -> str:
    """The device of the model."""
    _needs_cuda(request.param)
    return str(request.param)


def test_a_search_runs_on_the_device(device: str, tmp_path: Path) -> None:
    words = [
        "experiment=pocket_greedy",
        "search=posterior",
        "engine=transformers",
        f"engine.device={device}",
        "task.families=[locks]",
        "task.levels=[8]",
        "task.size=8",
        f"run.output_dir={tmp_path}",
        "run.name=search",
        "run.show_progress=false",
    ]
    assert runs.main(words) == 0
    metrics = json.loads((tmp_path / "search" / "metrics.json").read_text())
    assert metrics["questions"] == 8 and metrics["accuracy"]["all"]["right"] >= 4
    with TraceStore.read(tmp_path / "search") as store:
        assert all(trace.usage["critic"].calls > 0 for trace in store)


def test_a_training_step_changes_the_served_weights(device: str, tmp_path: Path) -> None:
    words = [
        "experiment=sft_grpo",
        "engine=transformers",
        f"engine.device={device}",
        f"run.output_dir={tmp_path}",
        "run=turn",
        "critic=none",
        "search=best_of_n",
        "search.num_samples=4",
        "search.selection=majority",
        "task.families=[locks]",
        "task.levels=[8]",
        "training.evaluate=4",
        "training.traces=8",
        "training.grpo.max_steps=1",
        "training.grpo.prompts_per_step=4",
        "training.grpo.num_generations=4",
    ]
    folder, found = train(compose(words))
    assert len(found["grpo"]["steps"]) == 1
    assert list(folder.glob("model/*.safetensors"))


@pytest.mark.gpu
def test_vllm_serves_on_the_gpu(tmp_path: Path) -> None:
    _needs_cuda("cuda")
    pytest.importorskip("vllm")
    words = [
        "experiment=pocket_greedy",
        "task.families=[locks]",
        "task.levels=[8]",
        "task.size=32",
        f"run.output_dir={tmp_path}",
        "run.name=served",
        "run.show_progress=false",
    ]
    assert runs.main(words) == 0
    metrics = json.loads((tmp_path / "served" / "metrics.json").read_text())
    assert metrics["questions"] == 32

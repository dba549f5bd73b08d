"""The hash of a configuration, and the difference of two."""

from __future__ import annotations

import json

import pytest

from configs import RunConfig, compose, config_hash, difference, from_yaml, to_yaml
from configs.hashing import influential
from configs.options import options


def test_a_hash_is_16_hex_digits_and_a_function_of_the_choices() -> None:
    digits = config_hash(compose())
    assert len(digits) == 16
    assert int(digits, 16) >= 0
    assert digits == config_hash(from_yaml(to_yaml(compose())))


@pytest.mark.parametrize(
    "word",
    [
        "run.name=other",
        "run.output_dir=elsewhere",
        "run.concurrency=1",
        "run.show_progress=false",
        "engine.log_level=DEBUG",
    ],
)
def test_how_a_run_is_carried_out_stays_out_of_the_hash(word: str) -> None:
    assert config_hash(compose([word])) == config_hash(compose())
    assert difference(compose(), compose([word])) == []


def test_a_server_may_be_started_again_at_another_address() -> None:
    one, other = (
        compose(["engine=openai", f"engine.base_url=http://127.0.0.1:{port}/v1"])
        for port in (8000, 8001)
    )
    assert config_hash(one) == config_hash(other)
    assert one.engine != other.engine, "and two roles at two addresses have two engines"


@pytest.mark.parametrize(
    "word",
    [
        "run.seed=1",
        "search.beam_width=2",
        "engine.model=me/my-pocket",
        "policy.engine=null",
        "task.limit=5",
        "budget=low",
    ],
)
def test_a_different_hash_is_a_nonempty_difference(word: str) -> None:
    old, new = compose(), compose([word])
    assert (
        (config_hash(old) != config_hash(new))
        == bool(difference(old, new))
        == (word != "policy.engine=null")
    )


def test_difference_has_one_line_per_key() -> None:
    old = compose(["engine.dtype=float32"])
    new = compose(["engine.dtype=bfloat16", "search.beam_width=4", "engine.tokenizer=x"])
    assert difference(old, new) == [
        'engine.tokenizer: null -> "x"',
        'engine.dtype: "float32" -> "bfloat16"',
        "search.beam_width: 1 -> 4",
    ]


def test_another_alternative_is_one_line_and_a_new_group_is_shown_whole() -> None:
    old, new = (
        compose(["search=greedy"]),
        compose(["search=best_of_n", "search.num_samples=4", "budget.max_tokens=900"]),
    )
    assert difference(old, new) == [
        'search.strategy: "greedy" -> "best_of_n"',
        "budget.max_tokens: 4096 -> 900",
    ]
    lines = difference(compose(["task=pocket"]), compose(["task=pocket", "training=sft_grpo"]))
    assert (
        "training: null -> (absent)" in lines and 'training.method: (absent) -> "sft_grpo"' in lines
    )


def test_everything_else_influences_results() -> None:
    kept = {option.key for option in options()} - set(
        _leaves(influential(compose(["training=sft_grpo"])))
    )
    left_out = {
        option.key
        for option in options()
        if option.choice in (None, "vllm", "critique_loop", "pocket", "sft_grpo")
    } & kept
    assert left_out == {
        "engine.cpu_threads",
        "engine.gpu_memory_utilization",
        "engine.kv_cache_gib",
        "engine.log_level",
        "engine.max_num_seqs",
        "policy.logprobs",
        "run.concurrency",
        "run.name",
        "run.output_dir",
        "run.show_progress",
        "training.micro_batch_size",
        "training.output",
    }


def test_the_bare_schema_can_be_hashed() -> None:
    assert config_hash(RunConfig()) == config_hash(
        compose(
            [
                "policy=pocket_no_factors",
                "policy.backtrack_tokens=[]",
                "policy.temperature=null",
                "policy.top_p=null",
            ]
        )
    )


def _leaves(tree: dict[str, object], prefix: str = "") -> list[str]:
    json.dumps(tree)
    return [
        leaf
        for name, value in tree.items()
        for leaf in (
            _leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else [f"{prefix}{name}"]
        )
    ]

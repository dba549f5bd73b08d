"""What is refused, and that the refusal names the key, the value, the rule and the way
out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import ValidationError

from configs import ConfigError, RunConfig, compose, from_mapping
from configs.schema import GreedyConfig
from configs.schema.base import ConfigGroup

TYPOS = {
    "search.beam_widht=4": ["search.beam_widht is no option", "did you mean search.beam_width?"],
    "beam_width=4": ["beam_width is no option", "did you mean search.beam_width?"],
    "serach=greedy": ["serach is no option and no group", "did you mean search?"],
    "serach.beam_width=4": ["serach.beam_width is no option", "search.beam_width"],
    "search=gredy": [
        "search (gredy) is no such option",
        "did you mean search=greedy?",
        "best_of_n",
        "critique_loop",
    ],
    "experiment=nope": ["experiment (nope) is no such option", "pocket_loop", "gsm8k_smol"],
    "+search.bogus_word=1": ["search.bogus_word is no option"],
    "zzzz=1": ["zzzz is no option and no group; the groups are: ", "--help"],
    "engine@search.engine=vllm": [
        "engine@search.engine is no place for an engine",
        "engine@critic.engine",
    ],
    "policy.engine.modell=x": ["policy.engine.modell is no option", "policy.engine.model"],
}

OUT_OF_RANGE = {
    "search.beam_width=0": [
        "search.beam_width (0) must be an integer, at least 1",
        "the default is 1",
    ],
    "search.beam_width=2.5": ["search.beam_width (2.5) must be an integer"],
    "search.beam_width=true": ["search.beam_width (true) must be an integer"],
    "search.beam_width=": ['search.beam_width ("") must be an integer'],
    "policy.temperature=hot": [
        'policy.temperature ("hot") must be a number or null, at least 0, at most 10'
    ],
    "policy.temperature=nan": ["policy.temperature (NaN) must be a number or null"],
    "policy.top_p=1.5": ["policy.top_p (1.5) must be a number or null, above 0, at most 1"],
    "task.split=tset": [
        'task.split ("tset") must be train | validation | test',
        'the default is "test"',
    ],
    "task.levels=[-1]": [
        "task.levels.0 (-1)",
        "greater than or equal to 0",
        "task.levels must be a list of integers",
    ],
    "engine.model=7": ["engine.model (7) must be a text", "quote it: 'engine.model=\"7\"'"],
    "run=my/run": ['run.name ("my/run") must be a text or null, matching'],
    "policy.engine=vllm": [
        'policy.engine ("vllm") must be null or an engine',
        "engine@policy.engine=vllm",
    ],
    "policy.factors=[{name: a, opening: b},{name: a, opening: c}]": [
        "policy.factors names a twice"
    ],
    "policy.factors=[{name: a}]": ["policy.factors.0.opening is missing"],
    "budget.max_tokens=0": [
        "budget.max_tokens (0) must be an integer or null, at least 1",
        "the default is 4096",
    ],
    "budget.max_calls=0": ["budget.max_calls (0) must be an integer or null, at least 1"],
    "budget.max_nodes=0": ["budget.max_nodes (0) must be an integer or null, at least 1"],
    "budget.max_depth=0": ["budget.max_depth (0) must be an integer or null, at least 1"],
    "budget.max_seconds=0": [
        "budget.max_seconds (0) must be a number or null, above 0",
        "the default is null",
    ],
    "search.num_children=9": [
        "search.num_children (9) must be at most search.max_children (8)",
        "raise the second",
    ],
}

INCOMPATIBLE: dict[tuple[str, ...], list[str]] = {
    ("engine=transformers", "engine.base_url=http://h/v1"): [
        "engine.base_url is an option of engine=openai",
        "engine=transformers was chosen",
    ],
    ("engine@critic.engine=vllm", "critic.engine.base_url=x"): [
        "critic.engine.base_url is an option of engine@critic.engine=openai"
    ],
    ("policy.engine.model=x",): ["policy.engine is null", "add engine@policy.engine=vllm"],
    ("critic=value_head", "search=mcts", "search.aggregation=last", "engine@heads.engine=vllm"): [
        "heads.engine.model (pocket) has no heads",
        "set heads.engine.model=FOLDER",
    ],
    ("critic=value_head", "search=mcts", "engine@heads.engine=vllm"): [
        "search.aggregation is product",
        "set search.aggregation to last",
    ],
    ("critic=value_head", "search=posterior", "engine@heads.engine=vllm"): [
        "search.strategy (posterior) needs evidence on single steps"
    ],
    ("critic=value_head", "engine@heads.engine=openai"): [
        "heads.engine.kind (openai) must be vllm or transformers"
    ],
    ("critic=value_head", "search=mcts", "search.aggregation=last"): [
        "critic.kind (value_head) reads heads",
        "heads.engine is null",
    ],
    ("search.num_samples=4",): [
        "search.num_samples is an option of search=best_of_n",
        "search=critique_loop was chosen",
    ],
    ("training.grpo.beta=0.1",): [
        "training.grpo.beta is an option of training=grpo or training=sft_grpo",
        "add training=grpo",
    ],
    ("training=sft", "training.grpo.beta=0.1"): ["training.grpo.beta", "training=sft was chosen"],
    ("search.strategy=greedy",): ["search.strategy is chosen with its group; write search=greedy"],
    ("critic.engine.kind=openai",): [
        "critic.engine.kind is chosen with its group; write engine@critic.engine=openai"
    ],
    ("critic.kind=oracle",): ["critic.kind is chosen with its group; write critic=oracle"],
    ("critic.flip_rate=0.25",): [
        "critic.flip_rate is an option of critic=oracle",
        "critic=working was chosen",
    ],
    ("critic=oracle", "critic.scope=value"): [
        "critic.scope is an option of critic=token",
        "critic=oracle was chosen",
    ],
    ("critic=random", "engine@critic.engine=vllm"): [
        "critic.engine is an option of critic=token or critic=working",
        "critic=random was chosen",
    ],
    ("critic.object=a.b:C",): ["critic.object is an option of critic=custom"],
    ("critic=none",): [
        "search.strategy (critique_loop) needs a critic",
        "critic.kind is none",
        "choose search=best_of_n or search=greedy",
    ],
    ("critic=none", "search=best_of_n", "search.selection=best"): [
        "search.selection (best) needs scores",
        "search.logprob_weight above 0",
    ],
    ("critic=none", "search=best_of_n", "search.selection=weighted_vote"): [
        "search.selection (weighted_vote) needs scores"
    ],
    ("critic=none", "search=particles"): [
        "search.strategy (particles) needs a critic",
        "set search.logprob_weight above 0",
    ],
    ("search=dvts", "search.num_samples=6"): [
        "search.num_samples (6) must be a multiple of search.beam_width (4)",
        "set search.num_samples to 4 or 8",
    ],
    ("search=beam", "search.num_samples=10"): [
        "search.num_samples (10) must be a multiple of search.beam_width (4)",
        "to 8 or 12",
    ],
    ("search=beam", "search.num_samples=2"): [
        "search.num_samples (2) must be a multiple of search.beam_width (4)",
        "to 4",
    ],
    ("search=compute_optimal", "search.hard_samples=6"): [
        "search.hard_samples (6) must be a multiple of the width of search.hard=beam (4)",
        "set search.hard_samples to 4 or 8",
    ],
    ("search=compute_optimal", "search.medium=dvts", "search.medium_samples=5"): [
        "search.medium_samples (5)",
        "search.medium=dvts (4)",
    ],
    ("search=compute_optimal", "search.easy_below=0.9"): [
        "search.easy_below (0.9) must be at most search.hard_from (0.7)"
    ],
    ("search=sequential_revision", "search.num_chains=17"): [
        "search.num_chains (17) must be at most search.num_samples (16)"
    ],
    ("search=mcts", "search.pool_size=3"): [
        "search.pool_size (3) is for the step of one thought factor",
        "search.use_factors to true",
    ],
    ("search=mcts", "search.use_factors=true", "search.pool_temperatures=[0.5,1.0]"): [
        "search.pool_temperatures has 2 values and search.pool_size (1) replicas take one each",
        "set search.pool_size to 2 or more",
    ],
    ("search=mcts", "search.pool_adapters=[a]"): [
        "search.pool_adapters (a) is for the step of one thought factor"
    ],
    (
        "search=mcts",
        "search.use_factors=true",
        "search.pool_size=3",
        "search.pool_adapters=[a,null,b]",
        "engine.adapters=[{name: b, folder: x}]",
    ): [
        "search.pool_adapters (a) must be null or one of the policy's engine.adapters (b)",
    ],
    ("engine=openai", "engine.adapters=[a,b,a]"): ["engine.adapters names a twice"],
    ("engine.adapters=[{name: a, folder: x}, {name: a, folder: y}]",): [
        "engine.adapters names a twice"
    ],
    ("training=grpo", "engine.adapters=[{name: a, folder: x}]"): [
        "engine.adapters (a) do not fit the new weights",
        "leave engine.adapters",
    ],
    ("search=rebase", "policy.temperature=0"): [
        "policy.temperature (0) makes search.num_samples (16) equal copies"
    ],
    ("search=best_of_n", "policy.temperature=0"): [
        "policy.temperature (0) makes search.num_samples (16) equal copies",
        "search=greedy",
    ],
    ("search=best_of_n", "search.temperature=0"): [
        "search.temperature (0) makes search.num_samples (16) equal copies"
    ],
    ("policy.temperature=0",): [
        "policy.temperature (0) makes all search.max_children (8) tries at a step the same"
    ],
    ("policy.temperature=0", "search.num_children=2"): [
        "policy.temperature (0) makes search.num_children (2) equal copies"
    ],
    ("search.retry_factor=correct",): [
        "search.retry_factor (correct)",
        "search.show_mistakes is 0",
    ],
    ("search.first_factor=prpose",): [
        "search.first_factor (prpose) must be one of policy.factors (propose, correct, conclude)"
    ],
    ("policy=pocket_no_factors", "search.first_factor=propose"): [
        "must be one of policy.factors (none)"
    ],
    ("policy.max_step_tokens=300",): [
        "policy.max_step_tokens (300) must be at most policy.max_answer_tokens (256)"
    ],
    ("budget.max_tokens=20",): [
        "policy.max_step_tokens (48) must be at most budget.max_tokens (20)",
        "critic.max_tokens (24)",
    ],
    ("budget=low", "search=best_of_n", "search.num_samples=64"): [
        "search.num_samples (64) times policy.max_step_tokens (48) must be at most "
        "budget.max_tokens (1024)",
        "set budget.max_tokens to 16384",
    ],
    ("critic.reason=true",): [
        "critic.reason (true) needs critic.prompts=chat",
        "critic.prompts is pocket",
        "set critic.reason to false",
    ],
    ("critic=token", "critic.reason=true"): [
        "critic.reason (true)",
        "critic=chat engine@critic.engine=vllm",
    ],
    ("summarizer.kind=model",): [
        "summarizer.kind (model)",
        "summarizer.prompts is pocket",
        "set summarizer.kind to extractive",
    ],
    ("training=grpo", "task.split=train"): [
        "task.split (train) must be test or validation",
        "set task.split to test",
    ],
    ("training=sft_grpo", "task=user"): [
        "training.method (sft_grpo) needs a set of questions and task.name is user"
    ],
    ("engine=scripted",): ["engine", "exactly one of script and function"],
    ("engine.model=Some/Model",): [
        "policy.prompts (pocket) needs a model",
        "engine.model is Some/Model",
        "experiment=chat",
    ],
    ("search=greedy,best_of_n",): ["search=greedy,best_of_n lists several values", "add -m"],
    ("search=null",): ["search=null must choose one option of search"],
}

MISSING: dict[tuple[str, ...], list[str]] = {
    ("task=jsonl",): ["task.path is missing", "a JSON object", "set task.path=VALUE"],
    ("task=csv",): ["task.path is missing", "names the fields", "set task.path=VALUE"],
    ("task=text",): ["task.path is missing", "set task.path=VALUE"],
    ("task.path=my.jsonl",): ["task.path (my.jsonl)", "task=pocket reads none", "add task=jsonl"],
    ("task.path=MY.CSV", "run=a"): ["task.path (MY.CSV)", "add task=csv"],
    ("task=user", "task.path=a b/my.txt"): [
        "task.path (a b/my.txt)",
        "task=user reads none",
        "add task=text",
    ],
    ("task=reasoning_gym", "task.path=folder"): [
        "task.path (folder)",
        "task=jsonl (.jsonl",
        "task=csv (.csv",
        "task=text (.txt",
    ],
    ("task=text", "task.path=no.txt", "task.question_field=q"): [
        "task.question_field",
        "task=text was chosen",
    ],
    ("training=sft",): ["training.from_runs is missing", "set training.from_runs=VALUE"],
    ("run.name=???",): ["run.name is missing"],
    ("task=jsonl", "task.path=no/such/file.jsonl"): [
        "task.path (no/such/file.jsonl) must be an existing file or folder"
    ],
    ("training=sft", "training.from_runs=[no/such/run]"): [
        "training.from_runs (no/such/run) must be an existing"
    ],
    ("safety.rules=no_rules.yaml",): ["safety.rules (no_rules.yaml) must be an existing"],
    ("critic.calibration=no.json",): ["critic.calibration (no.json) must be an existing"],
    ("engine.model=./no_model",): ["engine.model (./no_model) must be an existing"],
}

GRAMMAR = {
    "hello": ["'hello' is no valid override", "write key=value"],
    "search.num_children=[1": ["'search.num_children=[1' is no valid override", "quote a value"],
    "=3": ["'=3' is no valid override"],
}


def _refusal(*words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        compose(words)
    assert caught.value.__cause__ is None
    # no traceback of Hydra or pydantic is shown
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


_CASES: list[tuple[tuple[str, ...], list[str]]] = [
    *(
        ((word,), parts)
        for cases in (TYPOS, OUT_OF_RANGE, GRAMMAR)
        for word, parts in cases.items()
    ),
    *INCOMPATIBLE.items(),
    *MISSING.items(),
]


@pytest.mark.parametrize(("words", "parts"), _CASES, ids=[" ".join(words) for words, _ in _CASES])
def test_refusals_name_key_value_rule_and_way_out(words: tuple[str, ...], parts: list[str]) -> None:
    message = _refusal(*words)
    for part in parts:
        assert part in message
    assert len(message.splitlines()) <= 3
    assert "Traceback" not in message
    assert "pydantic" not in message


class _SplitlessTask(ConfigGroup):
    name: Literal["sums"] = "sums"
    limit: int | None = None


class _RunWithSplitlessTask(RunConfig):
    task: _SplitlessTask = _SplitlessTask()  # type: ignore[assignment]


@pytest.mark.parametrize("method", ["grpo", "sft_grpo"])
def test_a_task_without_splits_is_asked_and_not_trained_on(method: str) -> None:
    assert _RunWithSplitlessTask(search=GreedyConfig()).task.name == "sums"
    for evaluate in (0, 5):
        with pytest.raises(
            ValidationError,
            match=r"task\.name \(sums\) has no option split.*derive its options from _Dataset",
        ):
            _RunWithSplitlessTask.model_validate(
                {"training": {"method": method, "evaluate": evaluate}}
            )
    learns_from_traces = {"method": "sft", "from_runs": ["runs/first"], "evaluate": 0}
    assert _RunWithSplitlessTask.model_validate({"training": learns_from_traces}).training


def test_all_mistakes_are_told_at_once() -> None:
    message = _refusal("search.beam_width=0", "policy.top_p=2", "run.seed=-1")
    assert [line.split()[0] for line in message.splitlines()] == [
        "policy.top_p",
        "search.beam_width",
        "run.seed",
    ]
    assert len(_refusal("search.beam_widht=0", "polcy.top_p=2").splitlines()) == 2


def test_mistakes_in_an_experiment_are_refused_like_words(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    experiment = tmp_path / "experiment" / "mine.yaml"
    search = f"hydra.searchpath=[file://{tmp_path}]"
    experiment.write_text("# @package _global_\nsearch:\n  beam_widht: 4\n")
    assert "did you mean search.beam_width?" in _refusal(search, "experiment=mine")
    experiment.write_text("# @package _global_\ndefaults:\n  - override /search: gredy\n")
    assert "gredy" in _refusal(search, "experiment=mine")
    experiment.write_text("# @package _global_\nsearch: [1\n")
    assert "not valid YAML" in _refusal(search, "experiment=mine")
    experiment.write_text("# @package _global_\ntask:\n  families: ???\n")
    assert "refused" not in _refusal("search.beam_width=0", search, "experiment=mine")


def test_plain_data_is_checked_in_the_same_words() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        (
            {"search": {"strategy": "greedy", "beam_width": 2}},
            "search.beam_width is an option of search=critique_loop",
        ),
        ({"search": {"strategy": "gredy"}}, "search"),
        ({"task": {"name": "pocket", "path": "my.tsv"}}, "add task=csv"),
        ({"task": {"name": "csv", "path": "my.tsv", "delimiter": ""}}, "task.delimiter"),
        ({"search": {}}, "choose search=greedy or search=best_of_n"),
        ({"serach": {}}, "serach is no option"),
        ({"policy": 3}, "policy (3) must be a group of options"),
        (
            {"critic": {"kind": "token", "engine": {"kind": "openai", "timeout_s": 0}}},
            "critic.engine.timeout_s (0) must be a number, above 0",
        ),
        (
            {"critic": {"kind": "working", "engine": {"kind": "scripted"}}},
            "critic.engine: the scripted engine needs exactly one",
        ),
        ({"training": {"method": "sft"}}, "training.from_runs is missing"),
        (
            {"training": {"method": "sft", "from_runs": ["a"], "sft": {"epochs": -1}}},
            "training.sft.epochs (-1) must be a number",
        ),
    ]
    for mapping, part in cases:
        with pytest.raises(ConfigError) as caught:
            from_mapping(mapping)
        assert part in str(caught.value)


def test_a_file_without_a_task_is_refused_with_the_task_to_add_alone() -> None:
    with pytest.raises(ConfigError) as refused:
        compose(["task.path=q.jsonl", "task.question_field=prompt", "experiment=chat"])
    assert "add task=jsonl" in str(refused.value)
    assert "task.question_field" not in str(refused.value)

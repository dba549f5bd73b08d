"""Exports: `datasets` reads them back, and they show the thought only when asked."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.types import Question, ThoughtsDeletedError, split_of
from graphs.thought.markup import parse
from graphs.traces.codec import AuditCodec
from graphs.traces.deletion import delete_thoughts
from graphs.traces.export import FORMATS, Format, export
from graphs.traces.row_files import Columns, Written, write_jsonl
from graphs.traces.store import TraceStore
from graphs.traces.trace import SafetyRecord, Trace
from graphs.tree import Event, Expanded
from tests.graphs.traces.samples import make_trace, ordinary_trace
from tests.graphs.tree.logs import finished, make_step

SUFFIXES = ("jsonl", "parquet")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    with TraceStore.open(tmp_path / "first", config_hash="c0ffee", config_yaml="{}") as store:
        for index in range(3):
            store.record(
                replace(
                    ordinary_trace(index, num_nodes=6),
                    correct=None if index == 1 else True,
                    answer=None if index == 1 else "5",
                )
            )
        yield store


def load(path: Path, cache: Path) -> list[dict[str, object]]:
    import datasets

    kind = "json" if path.suffix == ".jsonl" else "parquet"
    return list(
        datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=str(cache))
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_datasets_reads_an_export_back(store: TraceStore, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out.{suffix}"
    assert export(store, path).rows == 3
    assert load(path, tmp_path / "cache") == list(store.visible())
    assert "step 0: " not in repr(load(path, tmp_path / "cache"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_revealed_export_holds_the_whole_trace(
    store: TraceStore, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"out.{suffix}"
    export(store, path, reveal=True)
    rows = load(path, tmp_path / "cache")
    assert [parse(str(row["thought"])) for row in rows] == [trace.long_thought for trace in store]
    decoded = [AuditCodec().decode(json.loads(str(row["trace"]))) for row in rows]
    assert [AuditCodec().dumps(trace) for trace in decoded] == [
        AuditCodec().dumps(trace) for trace in store
    ]


def test_an_empty_run_is_refused(tmp_path: Path) -> None:
    with (
        TraceStore.open(tmp_path / "first", config_hash="c0ffee", config_yaml="{}") as store,
        pytest.raises(ValueError, match="run 'first' holds no trace yet"),
    ):
        export(store, tmp_path / "out.parquet")


def test_an_unknown_format_is_refused(store: TraceStore, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'out.csv': the name must end in .jsonl or .parquet"):
        export(store, tmp_path / "out.csv")


def test_a_failed_export_leaves_the_old_file_and_no_other(
    store: TraceStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.jsonl"
    export(store, path)
    before = path.read_bytes()
    monkeypatch.setattr(TraceStore, "get", lambda *key: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(store, path, reveal=True)
    assert path.read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {"first", "out.jsonl"}


# --- the same columns and types, whatever the rows hold


def columns_of(path: Path, cache: Path) -> dict[str, str]:
    """Returns the columns that `datasets` finds in a file, with their types."""
    import datasets

    kind = "json" if path.suffix == ".jsonl" else "parquet"
    features = datasets.load_dataset(
        kind, data_files=str(path), split="train", cache_dir=str(cache)
    ).features
    return {name: str(feature) for name, feature in features.items()}


@pytest.mark.parametrize("format", FORMATS)
def test_both_suffixes_have_one_schema(store: TraceStore, tmp_path: Path, format: Format) -> None:
    for name in ("wrong", "right"):
        store.record(replace(tree_trace(name, ["4", "5", "6"], gold="5"), run="first"))
    for reveal in (False, True):
        for suffix in SUFFIXES:
            export(store, tmp_path / f"{reveal}.{suffix}", format=format, reveal=reveal)
        found = [
            columns_of(tmp_path / f"{reveal}.{suffix}", tmp_path / "cache") for suffix in SUFFIXES
        ]
        assert found[0] == found[1] and "null" not in str(found[0])


def rows_of_usage(kinds: Sequence[str]) -> list[dict[str, Any]]:
    """Returns rows of 3 kB each: with no value, with a date, or with ordinary
    values.
    """
    values: dict[str, dict[str, Any]] = {
        "none": {"answer": None, "correct": None, "usage": [], "seconds": 1.0},
        "date": {"answer": "2024-05-01", "correct": None, "usage": [], "seconds": 2.5},
        "full": {
            "answer": "5",
            "correct": True,
            "usage": [{"role": "policy", "calls": 3}],
            "seconds": 3.0,
        },
    }
    return [{"id": number, "text": "x" * 3000, **values[kind]} for number, kind in enumerate(kinds)]


COLUMNS: Columns = {
    "id": int,
    "text": str,
    "answer": str,
    "correct": bool,
    "usage": [{"role": str, "calls": int}],
    "seconds": float,
}


@pytest.mark.parametrize("first", ["none", "date"])
def test_ten_megabytes_without_a_value_settle_no_type(tmp_path: Path, first: str) -> None:
    import datasets

    rows = rows_of_usage([first] * 4000 + ["full", "none", "date", "full"])
    path = tmp_path / "rows.jsonl"
    assert write_jsonl(rows, path, COLUMNS) == Written(4004)
    assert path.stat().st_size > 12_000_000
    loaded = datasets.load_dataset(
        "json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache")
    )
    types = {name: str(feature) for name, feature in loaded.features.items()}
    assert "null" not in str(types) and "timestamp" not in str(types)
    moved = rows[:1] + rows[4000:4001] + rows[1:4000] + rows[4001:]
    assert loaded.to_list() == moved


def test_rows_keep_their_order_where_the_first_show_every_type(tmp_path: Path) -> None:
    rows = rows_of_usage(["full", "none", "date", "full", "none"])
    write_jsonl(rows, tmp_path / "rows.jsonl", COLUMNS)
    assert [json.loads(line) for line in (tmp_path / "rows.jsonl").open()] == rows


@given(st.lists(st.sampled_from(["none", "date", "full"]), max_size=12))
def test_no_row_is_lost_and_the_first_show_every_type(kinds: list[str]) -> None:
    rows = rows_of_usage(kinds)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        written = write_jsonl(rows, path, COLUMNS)
        lines = [json.loads(line) for line in path.open()]
    assert sorted(lines, key=lambda row: row["id"]) == rows and written.rows == len(rows)
    assert "full" not in kinds or any(row["correct"] is True for row in lines[:2])
    assert written.only_dates == (("answer",) if "date" in kinds and "full" not in kinds else ())


def test_parquet_without_rows_holds_the_columns(tmp_path: Path) -> None:
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    with TraceStore.open(tmp_path / "first", config_hash="c0ffee", config_yaml="{}") as store:
        store.record(replace(ordinary_trace(0, num_nodes=3), correct=False, answer="7"))
        for suffix in SUFFIXES:
            found = export(store, tmp_path / f"out.{suffix}", format="sft")
            assert (found.rows, found.left_out) == (0, {"wrong_answer": 1}) and len(
                found.notes
            ) == 1
        table = pq.read_table(tmp_path / "out.parquet")
        assert (tmp_path / "out.jsonl").read_bytes() == b"" and table.num_rows == 0
        export(store, tmp_path / "full.parquet", format="sft", keep_wrong=True)
        assert pq.read_table(tmp_path / "full.parquet").schema == table.schema


def test_texts_that_are_all_dates_are_reported(tmp_path: Path) -> None:
    with TraceStore.open(tmp_path / "first", config_hash="c0ffee", config_yaml="{}") as store:
        store.record(replace(ordinary_trace(0, num_nodes=3), answer="2024-05-01", correct=True))
        assert "completion.content" in export(store, tmp_path / "out.jsonl", format="sft").notes[-1]
        assert (
            export(store, tmp_path / "out.parquet", format="sft").notes
            == export(store, tmp_path / "out.jsonl", format="sft").notes[:-1]
        )


# --- rows for TRL


def tree_trace(
    name: str, answers: Sequence[str], *, gold: str | None, task: str = "user", **fields: Any
) -> Trace:
    """Returns the trace of a question in whose tree each of `answers` is a leaf; the
    last one ends the thought.
    """
    events: list[Event] = []
    for number, answer in enumerate(answers):
        chain = (
            make_step(f"secret {number} of {name}"),
            make_step(f"So {number}.\n\nAnswer: {answer}", answer=answer),
        )
        events.append(Expanded(0, (chain,), "answer"))
    question = Question(
        text=f"What about {name}?", gold=gold, task=task, metadata=fields.pop("metadata", {})
    )
    return replace(make_trace(finished(events), question=question), **fields)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[TraceStore]:
    """A run with one trace of every kind that an export distinguishes."""
    refusal = SafetyRecord("refuse", "S1", "after_thinking")
    traces = [
        tree_trace("right", ["4", "5"], gold="5"),
        tree_trace("wrong", ["5", "7", "4", "7"], gold="5"),
        tree_trace("unscored", ["4", "5"], gold=None, correct=None),
        tree_trace("unchecked", ["5"], gold="5", correct=None, check="timed_out"),
        tree_trace("refused", ["4", "5"], gold="5", safety=(refusal,)),
        tree_trace("leaked", ["4", "5"], gold="5", task="gsm8k", metadata={"split": "test"}),
        tree_trace(
            "symbolic", ["5"], gold="5", task="reasoning_gym", metadata={"dataset": "gsm_symbolic"}
        ),
        tree_trace("one answer", ["5", "5"], gold="5"),
    ]
    with TraceStore.open(tmp_path / "first", config_hash="c0ffee", config_yaml="{}") as store:
        for trace in traces:
            store.record(trace)
        yield store


def rows_in(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Returns the rows of a file by the name in their question."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in path.open():
        row = json.loads(line)
        found.setdefault(
            row["prompt"][0]["content"].removeprefix("What about ").removesuffix("?"), []
        ).append(row)
    return found


def test_sft_holds_right_and_unscored_answers(own: TraceStore, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    found = export(own, path, format="sft")
    rows = rows_in(path)
    assert {name: [row["correct"] for row in group] for name, group in rows.items()} == {
        "right": [True],
        "unscored": [None],
        "one answer": [True],
    }
    assert found.left_out == {
        "wrong_answer": 1,
        "unchecked": 1,
        "decided_by_rule": 1,
        "for_measuring_only": 2,
    }
    for (row,) in rows.values():
        assert row["messages"] == row["prompt"] + row["completion"]
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
        assert row["completion"][0]["content"] == "5"
        assert row["split"] == split_of(row["prompt"][0]["content"])
    export(own, path, format="sft", keep_wrong=True)
    assert [row["correct"] for row in rows_in(path)["wrong"]] == [False]


def test_dpo_pairs_a_right_with_each_different_wrong_answer(
    own: TraceStore, tmp_path: Path
) -> None:
    path = tmp_path / "out.jsonl"
    found = export(own, path, format="dpo")
    pairs = {
        name: [(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in group]
        for name, group in rows_in(path).items()
    }
    assert pairs == {"right": [("5", "4")], "wrong": [("5", "7"), ("5", "4")]}
    assert found.left_out == {
        "not_scored": 1,
        "no_wrong_answer": 2,
        "no_right_answer": 1,
        "for_measuring_only": 2,
    }


def test_samples_of_one_question_are_paired(tmp_path: Path) -> None:
    with TraceStore.open(tmp_path / "first", config_hash="c0ffee", config_yaml="{}") as store:
        for sample, answer in enumerate(("4", "5")):
            store.record(replace(tree_trace("samples", [answer], gold="5"), sample=sample))
        assert export(store, tmp_path / "out.jsonl", format="dpo").rows == 1


@pytest.mark.parametrize("format", ["sft", "dpo"])
def test_the_thought_is_in_rows_only_where_it_was_asked_for(
    own: TraceStore, tmp_path: Path, format: Format
) -> None:
    path = tmp_path / "out.jsonl"
    export(own, path, format=format)
    assert "secret" not in path.read_text() and "<think" not in path.read_text()
    export(own, path, format=format, reveal=True)
    sides = ("completion",) if format == "sft" else ("chosen", "rejected")
    for group in rows_in(path).values():
        for row in group:
            for side in sides:
                thought, end, answer = row[side][0]["content"].partition("\n</think>\n\n")
                assert thought.startswith("<think>\nsecret") and end and "secret" not in answer
                assert f"Answer: {answer}" in thought


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("format", FORMATS)
def test_a_file_with_thoughts_is_its_owners_alone(
    own: TraceStore, tmp_path: Path, suffix: str, format: Format
) -> None:
    path = tmp_path / f"out.{suffix}"
    path.touch(mode=0o666)
    export(own, path, format=format, reveal=True)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("<think>secret</think>5", "5"),
        ("secret</think>\n\n5", "5"),
        ("5 <THINK>secret", "5"),
        ("<think>secret", ""),
        ("a < b", "a < b"),
    ],
)
def test_a_think_block_in_an_old_trace_is_never_exported(
    tmp_path: Path, text: str, seen: str
) -> None:
    with TraceStore.open(tmp_path / "first", config_hash="c0ffee", config_yaml="{}") as store:
        store.record(
            replace(ordinary_trace(0, num_nodes=3), answer=text, summary=text, correct=True)
        )
        export(store, tmp_path / "trace.jsonl")
        (row,) = (json.loads(line) for line in (tmp_path / "trace.jsonl").open())
        assert (row["answer"], row["summary"]) == (seen, seen)
        assert export(store, tmp_path / "sft.jsonl", format="sft").rows == bool(seen)
        assert "secret" not in (tmp_path / "sft.jsonl").read_text()


@pytest.mark.parametrize("format", ["sft", "dpo"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_trl_takes_a_step_from_an_export_as_it_is(
    own: TraceStore, tmp_path: Path, tiny_model_folder: Path, format: Format, suffix: str
) -> None:
    import datasets
    import torch
    import trl
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = tmp_path / f"out.{suffix}"
    rows = export(own, path, format=format, reveal=suffix == "parquet").rows
    kind = "json" if suffix == "jsonl" else "parquet"
    data = datasets.load_dataset(
        kind, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache")
    )
    config, trainer_class = (
        (trl.SFTConfig, trl.SFTTrainer) if format == "sft" else (trl.DPOConfig, trl.DPOTrainer)
    )
    arguments = config(
        output_dir=str(tmp_path / "model"),
        max_steps=1,
        per_device_train_batch_size=rows,
        learning_rate=1e-3,
        use_cpu=True,
        bf16=False,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        warmup_steps=0,
    )
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32)
    before = {name: weights.clone() for name, weights in model.state_dict().items()}
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder)
    trainer = trainer_class(
        model=model, args=arguments, train_dataset=data, processing_class=tokenizer
    )
    batch = next(iter(trainer.get_train_dataloader()))
    if format == "sft":  # the loss is the completion's alone
        learned = [
            tokenizer.decode([token for token in labels if token >= 0])
            for labels in batch["labels"].tolist()
        ]
        assert (
            all("What about" not in text and "5" in text for text in learned)
            and len(learned) == rows
        )
    trainer.train()
    assert trainer.state.global_step == 1 and math.isfinite(
        trainer.state.log_history[-1]["train_loss"]
    )
    assert any(
        not torch.equal(before[name], weights)
        for name, weights in trainer.model.state_dict().items()
    )


def test_without_thoughts_what_a_user_may_see_is_exported(own: TraceStore, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    seen: dict[Format, bytes] = {}
    shown: tuple[Format, ...] = ("trace", "sft")
    hidden: tuple[tuple[Format, bool], ...] = (("trace", True), ("sft", True), ("dpo", False))
    for format in shown:
        export(own, path, format=format)
        seen[format] = path.read_bytes()
    own.close()
    delete_thoughts(tmp_path / "first", day=date(2026, 5, 1))
    with TraceStore.read(tmp_path / "first") as store:
        for format in shown:
            export(store, path, format=format)
            assert path.read_bytes() == seen[format]
        for format, reveal in hidden:
            with pytest.raises(ThoughtsDeletedError):
                export(store, path, format=format, reveal=reveal)
        assert path.read_bytes() == seen["sft"]

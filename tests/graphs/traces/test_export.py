"""Exports: `datasets` reads them back, and they show the thought only when asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from graphs.thought.markup import parse
from graphs.traces.codec import AuditCodec
from graphs.traces.export import export
from graphs.traces.store import TraceStore
from tests.graphs.traces.samples import ordinary_trace

SUFFIXES = ("jsonl", "parquet")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    with TraceStore.open(tmp_path / "first", config_hash="c0ffee", config_yaml="{}") as store:
        for index in range(3):
            store.record(
                replace(ordinary_trace(index, num_nodes=6), correct=None if index == 1 else True, answer=None if index == 1 else "5")
            )
        yield store


def load(path: Path, cache: Path) -> list[dict[str, object]]:
    import datasets

    kind = "json" if path.suffix == ".jsonl" else "parquet"
    return list(datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=str(cache)))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_datasets_reads_an_export_back(store: TraceStore, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out.{suffix}"
    assert export(store, path).rows == 3
    assert load(path, tmp_path / "cache") == list(store.visible())
    assert "step 0: " not in repr(load(path, tmp_path / "cache"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_revealed_export_holds_the_whole_trace(store: TraceStore, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out.{suffix}"
    export(store, path, reveal=True)
    rows = load(path, tmp_path / "cache")
    assert [parse(str(row["thought"])) for row in rows] == [trace.long_thought for trace in store]
    decoded = [AuditCodec().decode(json.loads(str(row["trace"]))) for row in rows]
    assert [AuditCodec().dumps(trace) for trace in decoded] == [AuditCodec().dumps(trace) for trace in store]


def test_an_empty_run_is_refused(tmp_path: Path) -> None:
    with (
        TraceStore.open(tmp_path / "first", config_hash="c0ffee", config_yaml="{}") as store,
        pytest.raises(ValueError, match="run 'first' holds no trace yet"),
    ):
        export(store, tmp_path / "out.parquet")


def test_an_unknown_format_is_refused(store: TraceStore, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'out.csv': the name must end in .jsonl or .parquet"):
        export(store, tmp_path / "out.csv")


def test_a_failed_export_leaves_the_old_file_and_no_other(store: TraceStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.jsonl"
    export(store, path)
    before = path.read_bytes()
    monkeypatch.setattr(TraceStore, "get", lambda *key: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(store, path, reveal=True)
    assert path.read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {"first", "out.jsonl"}

"""Files of a run: whole or not at all, private where they are made, refused with the
path, the cause and the way out.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agents.files import make_folder, read_json, replacing, storing, write_text
from agents.types import BadDataError, StorageError

REPOSITORY = Path(__file__).parents[2]
NOBODY = 65534


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o277])
def test_folders_are_made_for_their_owner_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    with umask(mask):
        make_folder(tmp_path / "runs" / "first")
    assert mode(tmp_path / "runs") == mode(tmp_path / "runs" / "first") == 0o700


def test_a_folder_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs").chmod(0o755)
    make_folder(tmp_path / "runs")
    make_folder(tmp_path / "runs" / "first")
    assert mode(tmp_path / "runs") == 0o755 and mode(tmp_path / "runs" / "first") == 0o700


def file_in_the_way(place: Path) -> Path:
    (place / "runs").write_text("a file")
    return place / "runs" / "first" / "report.md"


def file_for_a_folder(place: Path) -> Path:
    (place / "runs").mkdir()
    (place / "runs" / "first").write_text("a file")
    return place / "runs" / "first" / "report.md"


def folder_for_a_file(place: Path) -> Path:
    (place / "report.md").mkdir()
    return place / "report.md"


def dangling_link(place: Path) -> Path:
    (place / "first").symlink_to(place / "nowhere")
    return place / "first" / "report.md"


def long_name(place: Path) -> Path:
    return place / ("n" * 300) / "report.md"


def full_device(place: Path) -> Path:
    (place / "report.md").symlink_to("/dev/full")
    return place / "report.md"


@pytest.mark.parametrize(
    "obstacle",
    [file_in_the_way, file_for_a_folder, folder_for_a_file, dangling_link, long_name, full_device],
)
def test_what_stands_in_the_way_is_a_storage_error(
    tmp_path: Path, obstacle: Callable[[Path], Path]
) -> None:
    path = obstacle(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StorageError) as caught:
        write_text(path, "text")
    error = caught.value
    assert error.path in (path, *path.parents) and str(error.path) in str(error)
    assert error.reason in str(error) and "run.output_dir" in error.remedy
    assert sorted(tmp_path.rglob("*")) == before, "nothing was left behind"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_a_folder_of_another_user_is_a_storage_error(tmp_path: Path) -> None:
    for place in (tmp_path, *tmp_path.parents[:2]):
        place.chmod(0o755)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(StorageError) as made:
            make_folder(tmp_path / "runs" / "first")
        with pytest.raises(StorageError) as written:
            write_text(tmp_path / "report.md", "text")
    finally:
        os.seteuid(0)
    reason = os.strerror(errno.EACCES)
    assert made.value.reason == written.value.reason == reason and not list(tmp_path.iterdir())


def test_where_a_file_may_not_grow_the_old_one_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_text(path, "old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(StorageError) as caught:
            write_text(path, "new" * 9999)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.reason == os.strerror(errno.EFBIG)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


WRITER = """
import sys
from itertools import cycle
from pathlib import Path
from agents.files import write_text
for letter in cycle("ab"):
    write_text(Path(sys.argv[1]), letter * 400_000)
    print(letter, flush=True)
"""


def test_kill_9_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    for written in (1, 2, 5):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            for _ in range(written):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        assert path.read_text() in ("a" * 400_000, "b" * 400_000)


def test_a_body_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), replacing(path) as unfinished:
        unfinished.write_text("half")
        _ = 1 / 0
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_private_file_is_for_its_owner_and_replaces_a_public_one(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    write_text(path, "for all")
    path.chmod(0o644)
    with umask(0), replacing(path, private=True) as unfinished:
        assert mode(unfinished) == 0o600
        unfinished.write_text("for me")
    assert mode(path) == 0o600 and path.read_text() == "for me"


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "report.md", tmp_path / "report.md"
    target.write_text("old")
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink() and target.read_text() == "new"


@pytest.mark.parametrize(
    "message",
    [
        "Error while serializing: I/O error: No space left on device (os error 28)",  # safetensors
        "[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534",  # torch
    ],
)
def test_what_libraries_raise_on_a_full_disk_is_a_storage_error(
    tmp_path: Path, message: str
) -> None:
    with pytest.raises(StorageError) as caught, storing(tmp_path / "model.safetensors"):
        raise RuntimeError(message)
    assert caught.value.reason == os.strerror(errno.ENOSPC)


@pytest.mark.parametrize(
    "error", [RuntimeError("something else"), TimeoutError(), ConnectionResetError()], ids=repr
)
def test_errors_that_are_not_of_the_disk_pass(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)), storing(tmp_path):
        raise error


def test_damaged_json_is_refused_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    for content in (b"{", b"", b"\xff\xfe", b"[1,", b"[]", b"null", b"7", b"[" * 99_999):
        path.write_bytes(content)
        with pytest.raises(BadDataError) as caught:
            read_json(path)
        assert str(path) in str(caught.value)
    path.write_text('{"questions": 3}')
    assert read_json(path) == read_json(path, "questions") == {"questions": 3}
    with pytest.raises(BadDataError, match="accuracy"):
        read_json(path, "questions", "accuracy")

"""Files and folders of a run: written whole or not at all, and refused with one
sentence.

    write_text(folder / "report.md", text)
    with replacing(Path("traces.jsonl"), private=True) as unfinished:
        unfinished.write_text(lines)

A file is written beside its place, synced and renamed, so a killed process leaves the
old file or the new one, never half of it. Folders are made for their owner alone
(0700): runs hold readable thought. What exists already keeps its mode.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agents.types import BadDataError, StorageError

ELSEWHERE = "choose another folder with run.output_dir"
"""The way out where a run's folder cannot be used."""

_REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EACCES: "change its owner or permissions",
    errno.EPERM: "change its owner or permissions",
    errno.EIO: "check the disk and the limit on the size of files (ulimit -f)",
    errno.ENAMETOOLONG: "choose a shorter name",
}
_FOREIGN_ERROR = re.compile(r"\(os error (\d+)\)|inline_container")
"""Disk errors that are no OSError: safetensors' name an errno in their text, torch's
name none."""


@contextmanager
def storing(path: Path, *, is_folder: bool = False, elsewhere: str = ELSEWHERE) -> Iterator[None]:
    """Turns what the operating system refuses inside the `with` into a `StorageError`
    about `path`.

    Raises:
        StorageError: an OSError was raised (of a file, not of a network), or what
            safetensors and torch raise instead.
    """
    try:
        yield
    except (ConnectionError, TimeoutError):
        raise
    except OSError as error:
        raise storage_error(path, error, is_folder=is_folder, elsewhere=elsewhere) from error
    except Exception as error:
        found = _FOREIGN_ERROR.search(str(error))
        if found is None:
            raise
        number = int(found[1] or errno.ENOSPC)
        own = OSError(number, os.strerror(number))
        raise storage_error(path, own, is_folder=is_folder, elsewhere=elsewhere) from error


def storage_error(
    path: Path, error: OSError, *, is_folder: bool = False, elsewhere: str = ELSEWHERE
) -> StorageError:
    """Returns the error that names `path`, or what stands in its way, the cause and the
    way out.
    """
    if (obstacle := _obstacle(path, is_folder)) is not None:
        place, reason = obstacle
        return StorageError(place, reason, f"remove it, or {elsewhere}")
    reason = error.strerror or str(error) or type(error).__name__
    if (
        isinstance(error.filename, str)
        and path.parent not in Path(error.filename).parents
        and Path(error.filename) not in path.parents
    ):
        reason += f" ({error.filename})"  # another file: a temporary folder, say
    remedy = _REMEDIES.get(error.errno or 0)
    return StorageError(path, reason, elsewhere if remedy is None else f"{remedy}, or {elsewhere}")


def _obstacle(path: Path, is_folder: bool) -> tuple[Path, str] | None:
    """Returns what stands where `path` or a folder above it belongs, and what it is."""
    folders = [*reversed(path.absolute().parents), *([path] if is_folder else [])]
    with contextlib.suppress(OSError):  # of a path that is too long, or that may not be looked at
        for place in (*folders, path):
            if place.is_symlink() and not place.exists():
                target = os.readlink(place)
                return place, f"it is a symbolic link to {target}, which does not exist"
        for place in folders:
            if place.exists() and not place.is_dir():
                return place, "it is a file where a folder belongs"
        if not is_folder and path.is_dir():
            return path, "it is a folder where a file belongs"
    return None


def make_folder(folder: Path, *, elsewhere: str = ELSEWHERE) -> None:
    """Makes a folder and those above it that are missing, for their owner alone,
    whatever the umask.

    Raises:
        StorageError: it cannot be made, or is no folder.
    """
    with storing(folder, is_folder=True, elsewhere=elsewhere):
        if folder.is_dir():
            return
        missing = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
        for place in reversed(missing):
            with contextlib.suppress(FileExistsError):  # made by another process meanwhile
                place.mkdir(mode=0o700)
                place.chmod(0o700)
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def make_private_file(path: Path, *, elsewhere: str = ELSEWHERE) -> None:
    """Makes an empty file for its owner alone, whatever the umask; one that exists
    stays as it is.

    Raises:
        StorageError: it cannot be made.
    """
    with storing(path, elsewhere=elsewhere), contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)


def write_text(path: Path, text: str, *, elsewhere: str = ELSEWHERE) -> None:
    """Writes a text file, whole or not at all.

    Raises:
        StorageError: it cannot be written; what was there before is left.
    """
    with replacing(path, elsewhere=elsewhere) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def read_json(path: Path, *keys: str) -> dict[str, Any]:
    """Returns the object that a JSON file of a run holds; `keys`: what is in it at
    least.

    Raises:
        BadDataError: it holds something else: it was edited, or the disk has damaged
            it.
        StorageError: it cannot be read.
    """
    with storing(path):
        text = path.read_text(encoding="utf-8", errors="replace")
    try:
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError(f"it holds a {type(found).__name__}, not an object")
        if missing := [key for key in keys if key not in found]:
            raise ValueError(f"it holds no {', '.join(missing)}")
    except (ValueError, RecursionError) as error:
        raise BadDataError(
            f"{path} is damaged ({error}); remove it and repeat the command that wrote it, or put "
            "back a copy"
        ) from None
    return found


@contextmanager
def replacing(path: Path, *, private: bool = False, elsewhere: str = ELSEWHERE) -> Iterator[Path]:
    """Yields a path to write to; at the end of the `with` that file takes the place of
    `path`.

    Where the body fails, `path` is left as it was and the unfinished file is removed. A
    symbolic link is followed; a device or a pipe is written to directly. `private`:
    readable by the owner alone.

    Raises:
        StorageError: the file cannot be written.
    """
    with storing(path, elsewhere=elsewhere):
        target = path.resolve() if path.is_symlink() else path
        if target.exists() and not target.is_file() and not target.is_dir():
            yield target
            return
        make_folder(target.parent, elsewhere=elsewhere)
        unfinished = target.with_name(f"{unfinished_prefix(target)}{os.getpid()}")
        unfinished.unlink(missing_ok=True)
        try:
            if private:
                make_private_file(unfinished, elsewhere=elsewhere)
            yield unfinished
            _sync(unfinished)
            unfinished.replace(target)
            with contextlib.suppress(OSError):  # some file systems sync no folders
                _sync(target.parent)
        finally:
            unfinished.unlink(missing_ok=True)


def unfinished_prefix(path: Path) -> str:
    """Returns how the names of the unfinished files of `path` begin; a killed process
    may leave one.
    """
    return f".{path.name[:50]}."


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

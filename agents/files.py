"""Files and folders of a run: written atomically, with one-sentence errors.

    write_text(folder / "report.md", text)
    with replacing(Path("traces.jsonl"), private=True) as unfinished:
        unfinished.write_text(lines)

A file is written under a temporary name in the same folder, synced and renamed, so a
killed process leaves the old file or the new one, never a partial one. New folders have
mode 0700, because runs hold readable thought; existing ones keep their mode.
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
"""The remedy in the error about an unusable run folder."""

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
"""Disk errors that are not OSErrors: the text of safetensors' errors holds an errno,
the text of torch's does not."""


@contextmanager
def storing(path: Path, *, is_folder: bool = False, elsewhere: str = ELSEWHERE) -> Iterator[None]:
    """Converts disk errors inside the `with` into a `StorageError` about `path`.

    Raises:
        StorageError: the body raised an OSError (of a file, not of a network), or its
            equivalent in safetensors or torch.
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
        equivalent = OSError(number, os.strerror(number))
        raise storage_error(path, equivalent, is_folder=is_folder, elsewhere=elsewhere) from error


def storage_error(
    path: Path, error: OSError, *, is_folder: bool = False, elsewhere: str = ELSEWHERE
) -> StorageError:
    """Returns the error with the path (or the obstacle on it), the cause and the
    remedy.
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
        reason += f" ({error.filename})"  # another file, such as a temporary one
    remedy = _REMEDIES.get(error.errno or 0)
    return StorageError(path, reason, elsewhere if remedy is None else f"{remedy}, or {elsewhere}")


def _obstacle(path: Path, is_folder: bool) -> tuple[Path, str] | None:
    """Returns the file, folder or broken link that blocks `path`, with a
    description.
    """
    folders = [*reversed(path.absolute().parents), *([path] if is_folder else [])]
    with contextlib.suppress(OSError):  # path too long, or permission denied
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
    """Makes a folder and its missing parents with mode 0700, whatever the umask.

    Raises:
        StorageError: the folder cannot be made, or `folder` is a file.
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
    """Makes an empty file with mode 0600, whatever the umask. An existing file is left
    unchanged.

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
    """Writes a text file atomically.

    Raises:
        StorageError: the file cannot be written; an existing file is left
            unchanged.
    """
    with replacing(path, elsewhere=elsewhere) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def read_json(path: Path, *keys: str) -> dict[str, Any]:
    """Returns the object in a JSON file of a run. `keys`: keys that it must have.

    Raises:
        BadDataError: the file is not such an object: it was edited or damaged.
            StorageError: the file cannot be read.
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
    """Yields a temporary path to write to; the end of the `with` renames that file to
    `path`.

    If the body fails, `path` is left unchanged and the temporary file is removed.
    Symbolic links are followed; a device or a pipe is written to directly. `private`:
    mode 0600.

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
    """Returns the prefix of the names of temporary files of `path`; a killed process
    may leave one.
    """
    return f".{path.name[:50]}."


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The configurations of a command line: one, those of a sweep, the cells of a
comparison, or the stored one of a run that is resumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from configs import ConfigError, RunConfig, compose, config_hash, sweep, to_yaml
from configs.messages import closest
from configs.schema import OPERATIONAL, RunOptions
from graphs.evaluation.search_comparison import carry_out
from graphs.terminal.console import console
from graphs.traces.store import FILE_NAME, TraceStore

_OPERATIONAL = [
    name for name, option in RunOptions.model_fields.items() if OPERATIONAL in option.metadata
]
"""Options of a run that do not change results."""


def configurations(overrides: Sequence[str], *, multirun: bool) -> Iterator[RunConfig]:
    """Yields one configuration; with -m one for each combination, or for each cell of a
    comparison.
    """
    for number, combination in enumerate(sweep(overrides) if multirun else [list(overrides)]):
        config = compose(combination)
        if not multirun:
            config = _begun(config, combination)
        if config.task.name == "user":
            compose(combination, require=("task",))  # raises, with the tasks that have questions
        if config.comparison is not None and not multirun:
            raise ConfigError(
                f"comparison ({config.comparison.kind}) is many runs and this is one; add -m"
            )
        if config.comparison is not None:
            yield from carry_out(config, combination)
        elif multirun and config.run.name is not None:
            yield compose([*combination, f"run={config.run.name}-{number}"], require=("task",))
        else:
            yield config


def _begun(config: RunConfig, overrides: Sequence[str]) -> RunConfig:
    """Returns the stored configuration of an existing run that is given by name and
    place alone; otherwise `config`.

    Raises:
        RunConflictError: the run exists, and the given options compose to another
            configuration.
    """
    run = config.run
    if run.name is None:
        return config
    folder, is_name_alone = run.output_dir / run.name, _names_alone(overrides)
    if not (folder / FILE_NAME).is_file():
        if is_name_alone:
            console.print(_no_such_run(folder), style="yellow", markup=False, soft_wrap=True)
        return config
    with TraceStore.read(folder) as store:
        if not is_name_alone:
            store.require_same_config(config_hash(config), to_yaml(config))
            return config
        begun = store.config
    given = {
        name: getattr(run, name)
        for name in _OPERATIONAL
        if name in ("name", "output_dir") or f"run.{name}" in _keys(overrides)
    }
    return begun.model_copy(update={"run": begun.run.model_copy(update=given)})


def _names_alone(overrides: Sequence[str]) -> bool:
    """Whether all overrides only name a run or set options that do not change
    results.
    """
    return _keys(overrides) <= {"run", *(f"run.{name}" for name in _OPERATIONAL)}


def _keys(overrides: Sequence[str]) -> set[str]:
    return {override.partition("=")[0] for override in overrides}


def _no_such_run(folder: Path) -> str:
    """Returns a warning that the name alone starts a new run, with similar names."""
    names = [path.parent.name for path in folder.parent.glob(f"*/{FILE_NAME}")]
    meant = closest(folder.name, names)
    hint = f"did you mean {' or '.join(f'run={name}' for name in meant)}? " if meant else ""
    return (
        f"warning: there is no run {folder} to resume; {hint}a new run starts with the default "
        "options"
    )

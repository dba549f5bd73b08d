"""Open engines and loaded questions that the runs of one command share.

An engine empties its prefix cache before each run, so a run's cost does not depend on
earlier runs. An engine that cannot empty its cache is reopened.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from agents.engines import loop
from agents.engines.base import Engine, SupportsCacheReset
from agents.engines.build import open_engine
from configs import RunConfig
from graphs.reasoner.resources import Resources, Sink, build_resources, engine_key, engines_wanted
from graphs.tasks import load_task
from graphs.tasks.base import TaskData
from graphs.terminal.console import starting


class Session:
    """Shared engines and questions, for synchronous callers. The end of `with` closes
    the engines.
    """

    def __init__(self) -> None:
        self._engines: dict[str, Engine] = {}
        self._questions: dict[str, TaskData] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        loop.run(self._close_all())

    def load(self, config: RunConfig) -> TaskData:
        """Returns the questions of `config.task`; loads them at the first call.

        Raises:
            BadDataError, ValueError: see `graphs.tasks.load_task`.
        """
        key = config.task.model_dump_json()
        if key not in self._questions:
            self._questions[key] = load_task(config.task.name, **config.task.source_options())
        return self._questions[key]

    def open(self, config: RunConfig, *, sink: Sink, run: str) -> Resources:
        """Returns resources for a run of `config` over engines with empty caches. The
        caller closes the resources; the engines stay open.

        Raises:
            EngineUnavailableError, ValueError: see
                `graphs.reasoner.resources.start_resources`.
        """
        wanted = {
            role: (engine_key(kind, options), kind, options)
            for role, (kind, options) in engines_wanted(config).items()
        }
        if not loop.run(self._are_fresh({key for key, _, _ in wanted.values()})):
            with starting(config):
                loop.run(
                    self._reopen({key: (kind, options) for key, kind, options in wanted.values()})
                )
        return build_resources(
            config,
            {role: self._engines[key] for role, (key, _, _) in wanted.items()},
            sink=sink,
            run=run,
        )

    async def _are_fresh(self, keys: set[str]) -> bool:
        """Empties the caches of these engines; returns False if one is closed or cannot
        empty its cache.
        """
        if not keys <= self._engines.keys():
            return False
        for key in keys:
            engine = self._engines[key]
            if not (isinstance(engine, SupportsCacheReset) and await engine.reset_cache()):
                return False
        return True

    async def _reopen(self, wanted: Mapping[str, tuple[str, Mapping[str, Any]]]) -> None:
        """Closes all engines, then opens `wanted` one by one: two that load at once
        compete for memory.
        """
        await self._close_all()
        for key, (kind, options) in wanted.items():
            self._engines[key] = await open_engine(kind, options)

    async def _close_all(self) -> None:
        while self._engines:
            _, engine = self._engines.popitem()
            await engine.close()

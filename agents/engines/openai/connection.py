"""A connection to a model server or several replicas of one: addresses, API key, the
served model.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from agents.engines.openai.replicas import Replica, Replicas, TooLongError, TryAgainError
from agents.engines.openai.replies import ModelCard, read_models
from agents.engines.weights import find_folder, hash_text, hash_weights
from agents.types import EngineUnavailableError, Hidden

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8000/v1"

_MOST_LISTED = 10  # model names in an error


@dataclass(frozen=True, slots=True)
class Connection:
    """Replicas that serve one model."""

    replicas: Replicas
    model: str
    """Name of the model on the server."""
    root: str
    """Folder or hub id from which the server loaded it; its name if not reported."""
    reported_length: int | None
    """Context length in tokens; None: not reported."""
    adapters: Mapping[str, str]
    """Hash of each adapter's name and path."""

    @property
    def name(self) -> str:
        """Address of the first replica, for errors."""
        return self.replicas.all[0].name

    @property
    def folder(self) -> Path | None:
        """The model's folder on this machine; None if it is not here."""
        try:
            return find_folder(self.root)
        # ValueError: the name is not a valid hub id
        except (EngineUnavailableError, ValueError):
            return None

    @property
    def model_hash(self) -> str:
        """Hash of the weights if they are here, else of the reported names."""
        folder = self.folder
        if folder is not None and (folder / "config.json").is_file():
            return hash_weights(folder)
        return hash_text(f"{self.model} {self.root}")


async def connect(
    *,
    base_url: str | Sequence[str] = DEFAULT_URL,
    model: str | None = None,
    adapters: Sequence[str] = (),
    api_key_env: str | None = None,
    timeout_s: float = 600.0,
    retry_s: float = 300.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    rng: random.Random | None = None,
) -> Connection:
    """Connects to a running server. The caller closes `Connection.replicas`.

    Args:
        base_url: address of the server, or of several replicas with the same model.
        model: the model's name on the server; None: the first listed model.
        adapters: names under which the server lists LoRA adapters as models.
        api_key_env: name of the environment variable that contains the API key; None:
            send no key.
        timeout_s: timeout of one request, in seconds.
        retry_s: time during which a failed request is retried, in seconds since its
            first failure.
        clock: returns seconds, for `retry_s`. Tests replace it, as well as `sleep` and
            `rng`, which draws the jitter.

    Raises:
        EngineUnavailableError: a replica cannot be reached, or serves another model.
        ValueError: an address is not a valid URL, or the API key cannot be sent in a
            header.
    """
    addresses = [base_url] if isinstance(base_url, str) else list(base_url)
    if not addresses:
        raise ValueError(
            "engine.base_url is empty; set it to an address such as http://127.0.0.1:8000/v1"
        )
    api_key = Hidden(os.environ.get(api_key_env, "")) if api_key_env else None
    if api_key == Hidden(""):
        raise EngineUnavailableError(
            f"engine.api_key_env names the environment variable {api_key_env}, which is not "
            "set; export it"
        )
    replicas = Replicas(
        addresses,
        api_key=api_key,
        timeout_s=timeout_s,
        retry_s=retry_s,
        clock=clock,
        sleep=sleep,
        rng=rng,
    )
    try:
        return await _find_model(replicas, model, adapters)
    except BaseException:
        await replicas.close()
        raise


async def _find_model(replicas: Replicas, model: str | None, adapters: Sequence[str]) -> Connection:
    listed = [await _list_models(replicas, replica) for replica in replicas.all]
    cards = [
        _card(replica, models, model) for replica, models in zip(replicas.all, listed, strict=True)
    ]
    model = cards[0].name
    for replica, models, card in zip(replicas.all, listed, cards, strict=True):
        if card.name != model:
            raise EngineUnavailableError(
                f"{replica.name} serves {card.name!r}, {replicas.all[0].name} serves "
                f"{model!r}; set engine.model"
            )
        for name in adapters:
            _card(replica, models, name)
    return Connection(
        replicas,
        model,
        cards[0].root or model,
        cards[0].context_length,
        {
            name: hash_text(f"{name} {_card(replicas.all[0], listed[0], name).root}")
            for name in adapters
        },
    )


async def _list_models(replicas: Replicas, replica: Replica) -> tuple[ModelCard, ...]:
    """Returns the models that a server lists."""
    try:
        return await replicas.ask(replica, "GET", "/v1/models", read_models)
    except (TryAgainError, TooLongError) as error:
        raise EngineUnavailableError(
            f"no model server answers at {replica.name} ({error}); start one with `python -m "
            "agents.engines.server MODEL`, or set engine.base_url"
        ) from error


def _card(replica: Replica, models: Sequence[ModelCard], name: str | None) -> ModelCard:
    """Returns the card of the model `name`; None: of the first listed model."""
    for card in models:
        if name is None or card.name == name:
            return card
    known = [card.name for card in models[:_MOST_LISTED]] + ["..."] * (len(models) > _MOST_LISTED)
    raise EngineUnavailableError(
        f"{replica.name} does not serve {name!r}, only {known}; set engine.model or "
        "engine.adapters to a served name"
    )


async def run_together(requests: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Returns the results of requests that run at once; one that fails cancels the
    others.
    """
    tasks = [asyncio.ensure_future(request) for request in requests]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()

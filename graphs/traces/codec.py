"""Encodes traces as JSON; the only place where hidden values reach disk or other
processes.

The JSON follows the dataclasses of `Trace` field by field. For every type that occurs,
an encoder and a decoder are built once from its annotations, so no second description
of a trace has to be kept in sync. Where a field may hold several event types, the key
"type" names the type. `Hidden[T]` is stored as its T, unprotected, which is why no
other file may encode it.

Floats are exact. NaN (the logprob of a forced token, the score of an unparsed verdict)
is stored as the JSON extension NaN and decoded to the object `math.nan` itself, so a
decoded trace equals one built with `math.nan`. Tuples in a question's metadata are
decoded as lists.

    codec = AuditCodec()
    assert codec.loads(codec.dumps(trace)) == trace
"""

from __future__ import annotations

import dataclasses
import json
import math
import operator
import types
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError

from agents.types import BadTraceError, Hidden
from graphs.traces.trace import SCHEMA_VERSION, Trace

_COMPRESSION = 3  # zlib level; 6 takes twice as long and saves 5 %

_EARLIER_EVENTS = {"Weighed": "PriorsComputed"}
"""Event names in stored traces of version 0.1 -> names of today."""

_CONSTANTS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

_Encode = Callable[[Any], Any]
_Decode = Callable[[Any], Any]


class AuditCodec:
    """Encodes and decodes traces, hidden thought included. Stateless."""

    def encode(self, trace: Trace) -> dict[str, Any]:
        """Returns the trace as values for `json.dumps` (may contain NaN).

        Raises:
            TypeError: the type of a value differs from the annotation of its field.
        """
        encoded: dict[str, Any] = _encoder(Trace)(trace)
        return encoded

    def decode(self, data: Mapping[str, Any]) -> Trace:
        """Returns the trace; the inverse of `encode`.

        Raises:
            BadTraceError: the schema version differs, or a value does not fit its
                field. The message names the field, never a hidden value.
        """
        if not isinstance(data, dict):
            raise BadTraceError(f"a trace is a JSON object, not {type(data).__name__}")
        version = data.get("schema_version")
        if version != SCHEMA_VERSION:
            raise BadTraceError(
                f"the trace has schema version {version!r}, this version of longthought reads "
                f"{SCHEMA_VERSION}; read it with the version that wrote it (see "
                "versions.longthought in the trace), or record the run again"
            )
        try:
            trace: Trace = _decoder(Trace)(data)
        except _Misfit as misfit:
            raise BadTraceError(
                f"the trace is damaged at {misfit.where()}: {misfit.problem}"
            ) from None
        return trace

    def dumps(self, trace: Trace) -> bytes:
        """Returns the trace as compressed JSON."""
        text = json.dumps(self.encode(trace), separators=(",", ":"))
        return zlib.compress(text.encode("ascii"), _COMPRESSION)

    def loads(self, blob: bytes) -> Trace:
        """Returns the trace; the inverse of `dumps`.

        Raises:
            BadTraceError: see `decode`; also if the bytes are not compressed JSON.
        """
        try:
            data = json.loads(zlib.decompress(blob), parse_constant=_CONSTANTS.__getitem__)
        except (zlib.error, ValueError, RecursionError) as error:
            raise BadTraceError(
                f"{len(blob)} bytes are no stored trace: {type(error).__name__}"
            ) from None
        return self.decode(data)


class _Misfit(Exception):
    """A value does not fit its type. Collects the path to the value while it
    propagates.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path: list[str] = []

    def where(self) -> str:
        return "".join(reversed(self.path)).lstrip(".") or "the top level"


@cache
def _encoder(kind: Any) -> _Encode:
    """Returns the function that encodes a value of type `kind` as JSON values."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is int:
        return operator.index  # takes numpy's integers, refuses 3.7
    if kind is float:
        return float
    if kind is bool:
        return bool
    if kind is Any:
        return _same
    if kind is str:
        return _string
    if origin is Literal:
        return _encoder_of_literal(arguments)
    if origin is Hidden:
        inner = _encoder(arguments[0])
        return lambda value: inner(value.reveal())
    if origin is tuple:
        item = _encoder(arguments[0])
        return lambda value: list(map(item, value))
    if origin is dict:
        item = _encoder(arguments[1])
        return lambda value: {key: item(entry) for key, entry in value.items()}
    if origin in (Union, types.UnionType):
        return _encoder_of_union(arguments)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return lambda value: value.model_dump(mode="json")
    if dataclasses.is_dataclass(kind):
        return _encoder_of_dataclass(kind)
    raise TypeError(f"a trace cannot hold a {kind!r}; add it to graphs/traces/codec.py")


def _encoder_of_literal(choices: tuple[Any, ...]) -> _Encode:
    def encode(value: Any) -> Any:
        if value not in choices:
            raise TypeError(f"a trace has a value that is none of {', '.join(map(str, choices))}")
        return value

    return encode


def _encoder_of_dataclass(kind: Any) -> _Encode:
    fields = [
        (field.name, _encoder(_hints(kind)[field.name])) for field in dataclasses.fields(kind)
    ]

    def encode(value: Any) -> dict[str, Any]:
        if type(value) is not kind:
            raise TypeError(f"a trace has a {type(value).__name__} where a {kind.__name__} belongs")
        return {name: to_json(getattr(value, name)) for name, to_json in fields}

    return encode


def _encoder_of_union(members: tuple[Any, ...]) -> _Encode:
    if types.NoneType in members:
        inner = _encoder(Union[tuple(member for member in members if member is not types.NoneType)])  # noqa: UP007
        return lambda value: None if value is None else inner(value)
    encoders = {member: (member.__name__, _encoder(member)) for member in members}

    def encode(value: Any) -> dict[str, Any]:
        name, to_json = encoders[type(value)]
        return {"type": name, **to_json(value)}

    return encode


@cache
def _decoder(kind: Any) -> _Decode:
    """Returns the function that decodes JSON values to a value of type `kind`; it
    raises `_Misfit` if they do not fit.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return _same
    if kind in (str, bool, int):
        return _decoder_of_scalar(kind, (kind,))
    if kind is float:
        return _decoder_of_scalar(float, (float, int))
    if origin is Literal:
        return _decoder_of_literal(arguments)
    if origin is Hidden:
        inner = _decoder(arguments[0])
        return lambda value: Hidden(inner(value))
    if origin is tuple:
        return _decoder_of_tuple(arguments[0])
    if origin is dict:
        return _decoder_of_dict(arguments[1])
    if origin in (Union, types.UnionType):
        return _decoder_of_union(arguments)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _decoder_of_model(kind)
    return _decoder_of_dataclass(kind)


def _decoder_of_scalar(name: type, accepted: tuple[type, ...]) -> _Decode:
    def decode(value: Any) -> Any:
        if type(value) not in accepted:
            raise _Misfit(f"{type(value).__name__} where {name.__name__} belongs")
        return value

    return decode


def _decoder_of_literal(choices: tuple[Any, ...]) -> _Decode:
    def decode(value: Any) -> Any:
        if value not in choices:
            raise _Misfit(f"none of {', '.join(map(str, choices))}")
        return value

    return decode


def _decoder_of_tuple(member: Any) -> _Decode:
    item = _decoder(member)
    plain = {int: (int,), float: (float, int), str: (str,)}.get(member)

    def decode(value: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise _Misfit(f"{type(value).__name__} where a list belongs")
        # token ids and logprobs: most of a trace
        if plain is not None and set(map(type, value)).issubset(plain):
            return tuple(value)
        return tuple(_inside(item, entry, f"[{index}]") for index, entry in enumerate(value))

    return decode


def _decoder_of_dict(member: Any) -> _Decode:
    item = _decoder(member)

    def decode(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise _Misfit(f"{type(value).__name__} where an object belongs")
        return {key: _inside(item, entry, f".{key}") for key, entry in value.items()}

    return decode


def _decoder_of_union(members: tuple[Any, ...]) -> _Decode:
    if types.NoneType in members:
        inner = _decoder(Union[tuple(member for member in members if member is not types.NoneType)])  # noqa: UP007
        return lambda value: None if value is None else inner(value)
    decoders = {member.__name__: _decoder(member) for member in members}

    def decode(value: Any) -> Any:
        name = value.get("type") if type(value) is dict else None
        name = _EARLIER_EVENTS.get(name, name) if type(name) is str else name
        if type(name) is not str or name not in decoders:
            raise _Misfit(f'no "type" that is one of {", ".join(decoders)}')
        return decoders[name]({key: entry for key, entry in value.items() if key != "type"})

    return decode


def _decoder_of_model(kind: type[BaseModel]) -> _Decode:
    def decode(value: Any) -> BaseModel:
        try:
            return kind.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            raise _Misfit(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    return decode


def _decoder_of_dataclass(kind: Any) -> _Decode:
    fields = [
        (field.name, _decoder(_hints(kind)[field.name]), f".{field.name}")
        for field in dataclasses.fields(kind)
    ]
    names = {name for name, _, _ in fields}
    required = {
        field.name for field in dataclasses.fields(kind) if not field.metadata.get("may_be_missing")
    }

    def decode(value: Any) -> Any:
        if type(value) is not dict:
            raise _Misfit(f"{type(value).__name__} where an object belongs")
        if not required <= value.keys() <= names:
            missing, unknown = sorted(required - value.keys()), sorted(value.keys() - names)
            raise _Misfit(f"a {kind.__name__} without {missing} and with unknown {unknown}")
        inside = {
            name: _inside(item, value[name], path) for name, item, path in fields if name in value
        }
        try:
            return kind(**inside)
        except (ValueError, OverflowError) as error:
            raise _Misfit(str(error)) from None

    return decode


def _inside(decode: _Decode, value: Any, path: str) -> Any:
    try:
        return decode(value)
    except _Misfit as misfit:
        misfit.path.append(path)
        raise


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _same(value: Any) -> Any:
    return value


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a trace has a {type(value).__name__} where a string belongs")
    return value

"""Which numbers `dtype: auto` means."""

import pytest

from agents.engines import precision
from agents.engines.precision import cpu_has_bfloat16, own_dtype


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({}, False),
        ({"avx2": True, "avx512_f": True}, False),
        ({"amx_bf16": True}, True),
        ({"avx512_bf16": True}, True),
        ({"bf16": True}, True),
    ],
)
def test_bfloat16_needs_instructions_of_its_own(
    capabilities: dict[str, bool], expected: bool
) -> None:
    assert cpu_has_bfloat16(capabilities) is expected


@pytest.mark.parametrize(
    ("named", "on_cpu", "native", "expected"),
    [
        ("bfloat16", True, True, "bfloat16"),
        ("bfloat16", True, False, "float32"),
        ("bfloat16", False, False, "bfloat16"),
        ("float32", True, True, "float32"),
        (None, True, False, "auto"),
    ],
)
def test_auto_follows_the_config_where_the_cpu_can(
    monkeypatch: pytest.MonkeyPatch, named: str | None, on_cpu: bool, native: bool, expected: str
) -> None:
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: native)
    assert own_dtype({"dtype": named}, on_cpu) == expected

"""What a model can be asked."""

from __future__ import annotations

from pathlib import Path

from agents.pocket.domain import Domain
from configs.schema.engine import resolve_model


def test_the_pocket_knows_its_families_in_their_wording() -> None:
    pocket = Domain.of(resolve_model("pocket"))
    assert pocket.families is not None and "countdown" in pocket.families
    assert pocket.contains("Use the numbers 3, 7, 11 and 25 to make 57.")
    assert pocket.family("Use the numbers 3, 7, 11 and 25 to make 57.") == "countdown"
    assert not pocket.contains("Who wrote Faust?")


def test_another_model_takes_any_question_as_it_is(tmp_path: Path) -> None:
    domain = Domain.of(tmp_path)
    assert domain.contains("Who wrote Faust?")
    assert (
        domain.wording("Use the numbers 3, 7, 11 and 25 to make 57.")
        == "Use the numbers 3, 7, 11 and 25 to make 57."
    )

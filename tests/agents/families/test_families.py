"""Laws that every family obeys: what it generates it recognises, solves, judges and can
spoil.
"""

import random
import re
from pathlib import Path

import pytest
import reasoning_gym
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.families import FAMILIES, read_answer, recognise_question
from agents.families.base import ANSWER_PREFIX

CARD = Path(__file__).parents[3] / "agents" / "pocket" / "README.md"
ALL_LEVELS = [(name, level) for name, family in FAMILIES.items() for level in family.levels]


@pytest.mark.parametrize(("name", "level"), ALL_LEVELS)
def test_solution_is_right_alive_and_answers(name: str, level: int) -> None:
    rng = random.Random(level)
    for _ in range(25):
        problem = FAMILIES[name].generate(rng, level)
        steps = problem.solution(rng)
        assert problem.level == level
        assert problem.is_correct(problem.answer)
        assert problem.is_correct(read_answer(steps[-1]) or "")
        assert all(truth.right and truth.solvable for truth in problem.check_steps(steps))


@pytest.mark.parametrize(("name", "level"), ALL_LEVELS)
def test_generated_question_is_recognised_by_its_own_family_only(name: str, level: int) -> None:
    rng = random.Random(100 + level)
    for _ in range(25):
        problem = FAMILIES[name].generate(rng, level)
        found = [family.recognise(problem.text) for family in FAMILIES.values()]
        assert [p.text for p in found if p] == [problem.text]
        again = recognise_question(problem.text)
        assert again == problem or (
            name == "countdown" and again is not None and again.level == level
        )


@pytest.mark.parametrize(("name", "level"), ALL_LEVELS)
def test_wrong_step_has_a_wrong_verdict_and_never_lets_the_path_live(name: str, level: int) -> None:
    rng = random.Random(200 + level)
    for _ in range(25):
        problem = FAMILIES[name].generate(rng, level)
        prefix = problem.solution(rng)[:-1][: rng.randrange(4)]
        wrong = [*prefix, problem.wrong_step(rng, prefix)]
        truth = problem.check_steps(wrong)[-1]
        assert not problem.verdict(truth)
        assert not truth.solvable
        later = problem.next_step(rng, wrong)
        if later is not None and problem.scope == "local":
            judged = problem.check_steps([*wrong, later])[-1]
            assert judged.right and not judged.solvable, (
                "a step below a mistake is judged as its prefix stands"
            )


@pytest.mark.parametrize(("name", "level"), ALL_LEVELS)
def test_next_step_mends_any_right_prefix(name: str, level: int) -> None:
    rng = random.Random(300 + level)
    problem = FAMILIES[name].generate(rng, level)
    for _ in range(5):
        steps = problem.solution(rng)[: rng.randrange(3)]
        while (step := problem.next_step(rng, steps)) is not None:
            steps.append(step)
        assert problem.is_correct(read_answer(steps[-1]) or "")


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), junk=st.lists(st.text(max_size=30), max_size=4))
def test_unreadable_steps_are_wrong_and_never_raise(name: str, seed: int, junk: list[str]) -> None:
    rng = random.Random(seed)
    problem = FAMILIES[name].generate(rng, rng.choice(FAMILIES[name].levels))
    readable = {*problem.solution(rng)}
    truths = problem.check_steps(junk)
    assert len(truths) == len(junk)
    assert all(
        not truth.right
        for truth, step in zip(truths, junk, strict=True)
        if step not in readable and not step.strip()[:1].isalnum()
    )
    for index, step in enumerate(junk):
        assert isinstance(problem.working(junk[:index], step), str)
        problem.next_step(rng, junk[:index])
    assert not any(
        problem.is_correct(text)
        for text in junk
        if not any(character.isdigit() for character in text)
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_a_step_that_rambles_or_counts_without_end_is_wrong(name: str) -> None:
    rng = random.Random(5)
    problem = FAMILIES[name].generate(rng, FAMILIES[name].levels[-1])
    *steps, answer = problem.solution(rng)
    for before, step in (([], steps[0]), (steps, answer)):
        endless = [
            re.sub(r"\d+", "9" * 5000, step),
            step + " 57" * 300 + " ...",
            step + "57" * 300 + "x",
        ]
        for bad in endless:
            assert not problem.check_steps([*before, bad])[-1].right
            assert not problem.is_correct(bad.removeprefix(ANSWER_PREFIX))
            problem.working([], bad)


@pytest.mark.parametrize("name", FAMILIES)
def test_unknown_level_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match="level 99 does not exist; choose one of"):
        FAMILIES[name].generate(random.Random(0), 99)


@pytest.mark.parametrize(
    ("dataset", "options", "family"),
    [
        (
            "countdown",
            {
                "min_numbers": 3,
                "max_numbers": 5,
                "max_value": 25,
                "min_target": 10,
                "max_target": 99,
            },
            "countdown",
        ),
        ("simple_equations", {"max_terms": 2, "operators_weights": [0.5, 0.5, 0.0]}, "equations"),
        ("leg_counting", {}, "legs"),
        ("chain_sum", {"max_digits": 2}, "running"),
    ],
)
def test_reasoning_gym_wording_is_recognised_and_its_answers_are_correct(
    dataset: str, options: dict[str, object], family: str
) -> None:
    recognised = 0
    for item in reasoning_gym.create_dataset(dataset, size=60, seed=3, **options):
        problem = recognise_question(item["question"])
        if problem is None:
            continue
        recognised += 1
        assert problem.family == family
        assert problem.is_correct(item["answer"]), item
    assert recognised >= 55


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("Use the numbers 3, 7, 11 and 25 to make 57.", "countdown"),
        ("Make 57 from 25, 3, 11 and 7.", "countdown"),
        ("Using 3, 7, 11, 25 reach 57", "countdown"),
        ("What is (3+4)*2?", "running"),
        ("Calculate 12 - 30 + 4.", "running"),
        ("Solve 3x + 2 = 11.", "equations"),
        ("What is y if 5*y - 3 = 12?", "equations"),
        ("How many legs do 3 cows, 2 spiders and a crab have in total?", "legs"),
        (
            "The start code is 7. Lock A is 1 with 4, 19, 8 and 12. What is the sum of the codes?",
            "locks",
        ),
    ],
)
def test_natural_wording_is_recognised(text: str, family: str) -> None:
    problem = recognise_question(text)
    assert problem is not None and problem.family == family
    assert recognise_question(problem.text) == problem or family == "countdown"


def test_the_cards_wordings_are_recognised() -> None:
    """Every canonical wording that the pocket's card shows, as it stands there."""
    rows = [
        row.split("|")[1:3]
        for row in CARD.read_text().splitlines()
        if row.startswith("| ") and "`" in row
    ]
    shown = [
        (family.strip(), text)
        for family, wordings in rows
        if family.strip() in FAMILIES
        for text in wordings.split("`")[1::2]
    ]
    assert {family for family, _ in shown} == set(FAMILIES)
    for family, text in shown:
        problem = recognise_question(text)
        assert problem is not None and (problem.family, problem.text) == (family, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "What is the capital of France?",
        "Use the numbers 3 and 7 to make 57.",
        "Use the numbers 3, 7, 11 and 250 to make 57.",
        "Solve x = for x.",
        "9" * 100_000,
    ],
)
def test_out_of_domain_is_not_recognised(text: str) -> None:
    assert recognise_question(text) is None

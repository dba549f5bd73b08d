"""What documents teach is true, and packing keeps documents and branches apart."""

import random

import pytest
import torch

from agents.families import FAMILIES, Problem, read_answer
from agents.types.question import split_of
from training.pretrain.documents import DocumentBuilder, DocumentOptions
from training.pretrain.mixture import FAMILY_SHARES, LEVEL_SHARES, draw_problem, read_thought
from training.pretrain.packing import TrieDocument, pack
from training.pretrain.tokenizer import Codec

CODEC = Codec()
RIGHT, WRONG = CODEC.special("right"), CODEC.special("wrong")


def _path(document: TrieDocument, index: int) -> list[int]:
    ids = []
    while index >= 0:
        ids.append(document.ids[index])
        index = document.parents[index]
    return ids[::-1]


def _steps_that_stand(problem: Problem, ids: list[int]) -> list[str]:
    """Reads a path's steps, dropping those that a reflection took back."""
    prompt = len(DocumentBuilder(CODEC, DocumentOptions()).prompt(problem))
    steps: list[str] = []
    current: list[int] = []
    for token in [*ids[prompt:], CODEC.separator]:
        if token != CODEC.separator:
            current.append(token)
        elif current:
            text = CODEC.decode(current[1:])
            if current[0] == CODEC.special("backtrack"):
                steps = steps[: int(text.removesuffix(".").split()[-1])]
            elif current[0] != CODEC.special("reflect"):
                steps.append(text)
            current = []
    return steps


@pytest.mark.parametrize("kind", ["checked", "sampled"])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_trained_verdict_is_true(kind: str, name: str) -> None:
    rng, builder, seen = (
        random.Random(0),
        DocumentBuilder(CODEC, DocumentOptions(error_dose=0.5)),
        set(),
    )
    for _ in range(40):
        problem = draw_problem(rng, name)
        if kind == "checked":
            document = builder.checked(rng, problem)
        else:
            steps = problem.solution(rng)
            cut = rng.randrange(len(steps))
            document = builder.sampled(
                rng,
                problem,
                [[*steps[:cut], problem.wrong_step(rng, steps[:cut])], steps, ["Wait = 3"], []][
                    rng.randrange(3) :
                ],
            )
        for index, token, _ in document.targets:
            if token not in (RIGHT, WRONG):
                continue
            ids = _path(document, index)
            role = max(
                at
                for at, one in enumerate(ids)
                if one in (CODEC.special("critic"), CODEC.special("verify"))
            )
            steps_read = _steps_that_stand(problem, ids[:role])
            truth = problem.check_steps(steps_read)[-1]
            assert problem.verdict(truth) == (token == RIGHT), (problem.text, steps_read)
            if ids[role] == CODEC.special("verify"):
                assert tuple(ids[role + 1 :]) == tuple(
                    i
                    for word in problem.working(steps_read[:-1], steps_read[-1]).split()
                    for i in CODEC.encode(word)
                )
            seen.add(token)
    assert seen == {RIGHT, WRONG}


def test_error_dose_zero_makes_plain_solutions_and_dose_one_makes_journeys() -> None:
    rng, problem = random.Random(1), draw_problem(random.Random(1), "locks", level=4)
    plain = DocumentBuilder(CODEC, DocumentOptions(error_dose=0.0)).policy(rng, problem)
    journey = DocumentBuilder(CODEC, DocumentOptions(error_dose=1.0)).policy(rng, problem)
    assert CODEC.special("reflect") not in plain.ids
    assert {CODEC.special("reflect"), CODEC.special("backtrack")} <= set(journey.ids)
    assert _steps_that_stand(problem, journey.ids[:-1]) == problem.solution(rng)


@pytest.mark.parametrize("train_on_errors", [False, True])
def test_wrong_step_of_a_journey_is_learned_only_when_asked(train_on_errors: bool) -> None:
    rng = random.Random(2)
    builder = DocumentBuilder(
        CODEC, DocumentOptions(error_dose=1.0, train_on_errors=train_on_errors)
    )
    for _ in range(20):
        problem = draw_problem(rng, "locks", level=4)
        document = builder.policy(rng, problem)
        reflect = document.ids.index(CODEC.special("reflect"))
        trained = {index + 1 for index, _, _ in document.targets}
        starts = [i for i in range(reflect) if document.ids[i] == CODEC.special("propose")]
        right = problem.check_steps(_steps_that_stand(problem, document.ids[:reflect]))
        wrong_start = starts[[truth.right for truth in right].index(False)]
        assert (wrong_start + 3 in trained) == train_on_errors


def test_no_validation_or_test_question_is_ever_drawn_for_training() -> None:
    rng = random.Random(3)
    for name in FAMILIES:
        assert set(LEVEL_SHARES[name]) == set(FAMILIES[name].levels)
        assert all(split_of(draw_problem(rng, name).text) == "train" for _ in range(50))
    assert set(FAMILY_SHARES) == set(FAMILIES)
    assert split_of(draw_problem(rng, "locks", "validation").text) == "validation"


def test_documents_stay_within_their_limit() -> None:
    rng, builder = random.Random(4), DocumentBuilder(CODEC, DocumentOptions(error_dose=1.0))
    longest = 0
    for _ in range(300):
        problem = draw_problem(rng)
        longest = max(
            longest, len(builder.checked(rng, problem)), len(builder.policy(rng, problem))
        )
    assert longest <= 256


def test_read_thought_stops_at_reflection_answer_and_cut_off() -> None:
    builder = DocumentBuilder(CODEC, DocumentOptions())
    ids = [*builder.step_ids("A = 5"), *builder.step_ids("B = 4")]
    assert read_thought(CODEC, ids) == ["A = 5", "B = 4"]
    assert read_thought(
        CODEC, [*ids, CODEC.special("reflect"), *CODEC.encode("Wait"), CODEC.separator]
    ) == ["A = 5", "B = 4"]
    assert read_thought(CODEC, [*ids, *builder.step_ids("Answer: 9")]) == [
        "A = 5",
        "B = 4",
        "Answer: 9",
    ]
    assert read_thought(CODEC, ids[:-1]) == ["A = 5"]
    assert read_answer("Answer: 9") == "9"


def test_packed_mask_is_the_path_and_nothing_else() -> None:
    trunk = TrieDocument()
    end = trunk.extend([5, 6, 7], -1)
    trunk.extend([8, 9], end - 1, 1.0)
    trunk.extend([10], end, 1.0)
    other = TrieDocument()
    other.extend([11, 12], -1, 1.0)
    batch, left = pack([trunk, other], num_rows=1, row_length=10, dtype=torch.float32)
    assert not left and batch.num_tokens == 8
    seen = [{int(j) for j in torch.nonzero(batch.mask[0, 0, i] == 0)[:, 0]} for i in range(10)]
    assert seen == [
        {0},
        {0, 1},
        {0, 1, 2},
        {0, 1, 3},
        {0, 1, 3, 4},
        {0, 1, 2, 5},
        {6},
        {6, 7},
        {8},
        {9},
    ]
    assert batch.positions[0].tolist() == [0, 1, 2, 2, 3, 3, 0, 1, 0, 0]
    assert sorted(zip(batch.predictors.tolist(), batch.targets.tolist(), strict=True)) == [
        (1, 8),
        (2, 10),
        (3, 9),
        (6, 12),
    ]


def test_what_finds_no_room_is_given_back_and_too_long_is_refused() -> None:
    short = TrieDocument()
    short.extend([1] * 6, -1, 1.0)
    _, left = pack([short, short, short], num_rows=1, row_length=12, dtype=torch.float32)
    assert left == [short]
    with pytest.raises(ValueError, match="6 tokens, a row 5"):
        pack([short], num_rows=1, row_length=5, dtype=torch.float32)

"""What every critic keeps to, and what the critics without a model say."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from agents.critics import (
    ArithmeticCritic,
    CalibratedCritic,
    Critic,
    CriticSettings,
    LengthCritic,
    LogprobCritic,
    OracleCritic,
    RandomCritic,
    TokenCritic,
    WorkingCritic,
)
from agents.critics.calibration import Calibration, PlattScaling
from agents.critics.claims import find_claims
from agents.families import FAMILIES, Problem
from agents.prompts import PromptFamily, Prompts
from agents.types import (
    Author,
    Budget,
    Content,
    Hidden,
    Meter,
    Question,
    Sampling,
    Step,
    Verdict,
    VerdictSource,
)
from configs.schema import WorkingCriticConfig
from tests.scripted_pocket import scripted_pocket
from tests.seeds import seeds
from tests.settings import settings_of

PROBLEMS = [
    family.generate(random.Random(1), level)
    for family in FAMILIES.values()
    for level in family.levels[:2]
]


def generative(kind: str) -> Critic:
    engine = scripted_pocket()
    critic = {"token": TokenCritic, "working": WorkingCritic}[kind]
    return critic(
        engine,
        Prompts(PromptFamily("pocket"), engine.tokenizer),
        settings_of(CriticSettings, WorkingCriticConfig()),
        scope_of=lambda text: "value",
    )


CONTROLS: dict[str, Critic] = {
    "random": RandomCritic(7, lambda text: "value"),
    "length": LengthCritic(lambda text: "value"),
    "logprob": LogprobCritic(lambda text: "value"),
    "arithmetic": ArithmeticCritic(0.2, -3.0, lambda text: "value"),
    "calibrated": CalibratedCritic(
        RandomCritic(7, lambda text: "value"),
        Calibration({"*": PlattScaling(0.5, 0.1, prior=0.9)}),
        0.5,
        lambda text: None,
    ),
    "oracle": OracleCritic(7),
    "oracle, a third flipped": OracleCritic(7, 1 / 3),
}


@pytest.fixture(params=["token", "working", *CONTROLS])
def critic(request: pytest.FixtureRequest) -> Critic:
    return CONTROLS.get(request.param) or generative(request.param)


def steps_of(*texts: str, logprobs: Sequence[float] = (-0.5,), forced: int = 0) -> list[Step]:
    """Returns a step for each text, with one made-up token for each of `logprobs`."""
    contents = [
        Content(text, tuple(range(len(logprobs))), tuple(logprobs), forced) for text in texts
    ]
    return [
        Step(Hidden(content), "stop", Author("policy", "scripted"), Sampling())
        for content in contents
    ]


def thoughts(problem: Problem) -> list[list[Step]]:
    """Returns the beginnings of a right solution, each also with a wrong last step."""
    rng = random.Random(2)
    solution = problem.solution(rng)
    beginnings = [solution[:length] for length in range(1, len(solution) + 1)]
    beginnings += [[*texts[:-1], problem.wrong_step(rng, texts[:-1])] for texts in beginnings]
    return [steps_of(*texts) for texts in beginnings]


async def judge(critic: Critic, problem: Problem, steps: Sequence[Step]) -> Verdict:
    verdict = await critic.judge(Question(text=problem.text), steps, meter=Meter(Budget()))
    assert verdict is not None
    return verdict


@pytest.mark.parametrize(
    "problem", PROBLEMS, ids=lambda problem: f"{problem.family} {problem.level}"
)
async def test_asking_twice_tells_nothing_new(critic: Critic, problem: Problem) -> None:
    for steps in thoughts(problem):
        verdict = await judge(critic, problem, steps)
        assert verdict == await judge(critic, problem, steps)
        assert verdict.outcome == "no_claim" or 0 <= verdict.score <= 1
        assert math.isfinite(verdict.log_likelihood_ratio)
        assert verdict.source in get_args(VerdictSource)
        assert verdict.scope == (problem.scope if isinstance(critic, OracleCritic) else "value")


@pytest.mark.parametrize("name", CONTROLS)
async def test_a_control_judges_where_nothing_is_left_and_spends_nothing(name: str) -> None:
    meter = Meter(Budget(max_tokens=0, max_calls=0))
    verdict = await CONTROLS[name].judge(
        Question(text=PROBLEMS[0].text), thoughts(PROBLEMS[0])[0], meter=meter
    )
    assert verdict is not None and meter.spent.total.calls == 0


# --- random


async def test_noise_is_uniform_and_depends_on_seed_question_and_every_step() -> None:
    texts = [f"{number} + 1 = {number + 1}" for number in range(400)]
    scores = [(await judge(RandomCritic(0), PROBLEMS[0], steps_of(text))).score for text in texts]
    assert np.histogram(scores, bins=4, range=(0, 1))[0].min() > 70
    steps = steps_of("a", "b")
    others = [
        await judge(RandomCritic(1), PROBLEMS[0], steps),
        await judge(RandomCritic(0), PROBLEMS[1], steps),
        await judge(RandomCritic(0), PROBLEMS[0], steps_of("c", "b")),
        await judge(RandomCritic(0), PROBLEMS[0], steps_of("a", "c")),
        await judge(RandomCritic(0), PROBLEMS[0], steps_of("a, b")),
    ]
    assert (
        len(
            {
                verdict.score
                for verdict in [*others, await judge(RandomCritic(0), PROBLEMS[0], steps)]
            }
        )
        == 6
    )


async def test_noise_does_not_see_how_a_step_was_written() -> None:
    assert await judge(RandomCritic(0), PROBLEMS[0], steps_of("a")) == await judge(
        RandomCritic(0), PROBLEMS[0], steps_of("a", logprobs=(-9.0,))
    )


# --- length and log-probability


def log_sigma(verdict: Verdict) -> float:
    return float(-np.logaddexp(0.0, -verdict.log_likelihood_ratio))


async def test_length_ranks_thoughts_by_their_tokens_wherever_they_are_cut() -> None:
    def of_length(*lengths: int) -> list[Step]:
        return [
            step for length in lengths for step in steps_of("x" * length, logprobs=(-1.0,) * length)
        ]

    async def score(*lengths: int) -> float:
        steps = of_length(*lengths)
        return sum(
            [
                log_sigma(await judge(LengthCritic(), PROBLEMS[0], steps[: end + 1]))
                for end in range(len(steps))
            ]
        )

    assert await score(16) == pytest.approx(math.log(0.5))
    assert await score(40) == pytest.approx(await score(8, 30, 2))
    assert await score(3, 5) > await score(4, 5)
    assert not (await judge(LengthCritic(), PROBLEMS[0], of_length(17))).is_right
    assert (await judge(LengthCritic(), PROBLEMS[0], of_length(15))).is_right


@pytest.mark.parametrize("logprob", [-1e-9, -1e-3, -0.1, -math.log(2), -5.0, -60.0, -900.0])
async def test_log_sigma_of_the_evidence_is_the_steps_log_probability(logprob: float) -> None:
    verdict = await judge(
        LogprobCritic(),
        PROBLEMS[0],
        steps_of("three", logprobs=(math.nan, logprob / 4, 3 * logprob / 4), forced=1),
    )
    assert log_sigma(verdict) == pytest.approx(logprob, rel=1e-6)
    assert verdict.score == pytest.approx(math.exp(logprob))


async def test_a_certain_step_is_finite_evidence() -> None:
    for logprob in (0.0, 1e-7):  # an engine may round above 0
        verdict = await judge(LogprobCritic(), PROBLEMS[0], steps_of("sure", logprobs=(logprob,)))
        assert math.isfinite(verdict.log_likelihood_ratio) and log_sigma(verdict) == pytest.approx(
            0.0, abs=1e-9
        )
        assert verdict.score == 1.0


async def test_a_step_of_unknown_log_probability_is_unparsed() -> None:
    verdict = await judge(LogprobCritic(), PROBLEMS[0], steps_of("what", logprobs=(math.nan,)))
    assert (
        verdict.outcome == "unparsed"
        and math.isnan(verdict.score)
        and verdict.log_likelihood_ratio == 0.0
    )


# --- arithmetic


def read_table() -> list[tuple[str, str]]:
    """Returns texts with the truth of their claims: T, F, or "-" without a claim."""
    lines = (Path(__file__).parent / "claims.txt").read_text().splitlines()
    rows = [line.partition(" | ") for line in lines if line and not line.startswith("#")]
    return [(text.replace("⏎", "\n"), truth) for truth, _, text in rows]


def truths_of(text: str) -> str:
    return "".join("FT"[claim.is_true] for claim in find_claims(text)) or "-"


def test_claims_are_found_and_computed_exactly() -> None:
    table = read_table()
    assert len(table) > 200
    assert [(text, truths_of(text)) for text, _ in table] == table


def test_a_claim_does_not_depend_on_the_text_around_it() -> None:
    for text, truth in read_table():
        if "```" not in text and "\\begin" not in text and not text.startswith(("-", "*")):
            around = f"We begin.\n{text}\nThen we go on with the next one."
            assert (text, truths_of(around)) == (text, truth)


@seeds(20, first=3)
def test_a_computed_value_is_a_true_claim_and_another_a_false_one(seed: int) -> None:
    rng = random.Random(seed)
    a, b, c = (rng.randint(2, 400) for _ in range(3))
    for expression, value in (
        (f"{a} + {b} * {c}", a + b * c),
        (f"({a} + {b}) * ${c:,}", (a + b) * c),
        (f"{a * b} apples / {b}", a),
        (rf"\frac{{{a * b}}}{{{a}}} - {c}", b - c),
        (f"{a} times {c}", a * c),
    ):
        assert truths_of(f"So {expression} = {value:,}.") == "T"
        assert truths_of(f"So {expression} equals {value + rng.choice((-1, 1))}.") == "F"


@pytest.mark.parametrize("text", ["9^9^9 = 1", "9^999999 = 4", "99999999! = 4", "1/0 = 4"])
def test_a_number_without_bounded_value_makes_no_claim(text: str) -> None:
    assert truths_of(text) == "-"


async def test_a_false_claim_outweighs_true_ones_and_is_the_reason() -> None:
    critic = ArithmeticCritic(0.2, -3.0)
    right, wrong, silent = [
        await judge(critic, PROBLEMS[0], steps_of(text))
        for text in ("3 + 4 = 7", "3 + 4 = 7, so 7 * 2 = 15.", "We add them.")
    ]
    assert right.is_right and right.log_likelihood_ratio == 0.2 and right.reason is None
    assert wrong.is_wrong and wrong.log_likelihood_ratio == -3.0
    assert wrong.reason is not None and "7*2 = 15" in wrong.reason.reveal()
    assert silent.outcome == "no_claim" and not silent.is_right and not silent.is_wrong


async def test_a_calibration_replaces_evidence_and_leaves_the_score() -> None:
    plain = RandomCritic(3)
    fitted = CalibratedCritic(
        plain, Calibration({"*": PlattScaling(0.0, -1.0, prior=0.9)}), 0.5, lambda text: None
    )
    before = await judge(plain, PROBLEMS[0], steps_of("a"))
    after = await judge(fitted, PROBLEMS[0], steps_of("a"))
    assert after.score == before.score and after.log_likelihood_ratio == -1.0
    assert not after.is_wrong, "9 of 10 steps are right"


# --- oracle


@pytest.mark.parametrize(
    "problem", PROBLEMS, ids=lambda problem: f"{problem.family} {problem.level}"
)
async def test_an_oracle_without_flips_tells_the_truth(problem: Problem) -> None:
    for steps in thoughts(problem):
        texts = [step.content.reveal().text for step in steps]
        verdict = await judge(OracleCritic(0), problem, steps)
        assert verdict.is_right == problem.verdict(problem.check_steps(texts)[-1])
        assert abs(verdict.log_likelihood_ratio) == pytest.approx(math.log(9999)), (
            "clipped as Calibration clips"
        )


@pytest.mark.parametrize("flip_rate", [0.1, 0.4])
async def test_an_oracle_flips_its_share_and_knows_what_that_is_worth(flip_rate: float) -> None:
    problem = PROBLEMS[0]
    truth = OracleCritic(3)
    noisy = OracleCritic(3, flip_rate)
    flips = []
    for number in range(600):
        steps = steps_of(f"{number} + 1 = {number + 1}")
        verdict = await judge(noisy, problem, steps)
        flips.append(verdict.is_right != (await judge(truth, problem, steps)).is_right)
        assert abs(verdict.log_likelihood_ratio) == pytest.approx(
            math.log((1 - flip_rate) / flip_rate)
        )
    assert abs(np.mean(flips) - flip_rate) < 4 * math.sqrt(flip_rate * (1 - flip_rate) / len(flips))


async def test_an_oracle_that_flips_half_says_nothing() -> None:
    for steps in thoughts(PROBLEMS[0]):
        verdict = await judge(OracleCritic(0, 0.5), PROBLEMS[0], steps)
        assert (verdict.score, verdict.log_likelihood_ratio, verdict.outcome) == (
            0.5,
            0.0,
            "judged",
        )


async def test_an_oracle_refuses_a_question_of_no_family() -> None:
    question = Question(text="Who wrote Faust?")
    with pytest.raises(
        ValueError,
        match=rf"critic\.kind \(oracle\).*countdown.*{question.hash}.*choose task=pocket, or "
        r"critic=working",
    ):
        await OracleCritic(0).judge(question, steps_of("Goethe"), meter=Meter(Budget()))

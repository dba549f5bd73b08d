"""The fitted selector: Newton's method against naive ascent and known weights, and what
posterior search does with it.
"""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from configs import ConfigError, compose
from graphs.evaluation.calibration import log_loss
from graphs.strategies import BestOfN, Posterior
from graphs.strategies.build import build_strategy
from graphs.strategies.posterior.fitted import (
    FEATURES,
    AnswerModel,
    LogitExample,
    choices,
    fit_weights,
    read_answers,
)
from graphs.strategies.selection import Selector
from graphs.tree import ROOT, Event, Expanded, ReasoningTree
from tests.graphs.strategies.make import assuming, make
from tests.graphs.strategies.trees import judged, step, tree_of
from tests.graphs.strategies.world import RIGHT_ANSWER, World, simulate

VOTE_LIKE = AnswerModel((1.0, 1.0, 0.0, 0.1, -1.0))
FREQUENCY_ONLY = AnswerModel((50.0, 0.0, 0.0, 0.0, 0.0))


def drawn_choices(weights: np.ndarray, questions: int, *, seed: int = 0) -> list[LogitExample]:
    """Draws questions with 1 to 5 answers and random features, and what is right from
    the model itself.
    """
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(questions):
        features = rng.normal(size=(rng.integers(2, 7), len(weights)))
        features[-1], features[:-1, -1] = np.eye(len(weights))[-1], 0.0
        utility = features @ weights
        probability = np.exp(utility - np.logaddexp.reduce(utility))
        drawn.append(
            LogitExample(features, np.eye(len(features))[rng.choice(len(features), p=probability)])
        )
    return drawn


def naive_fit(examples: list[LogitExample], ridge: float) -> np.ndarray:
    """Gradient ascent with a small step, from the definition."""
    weights = np.zeros(len(FEATURES))
    for _ in range(4000):
        gradient = -ridge * weights
        for features, target in examples:
            odds = np.exp(features @ weights)
            gradient = gradient + features.T @ (target - odds / odds.sum())
        weights = weights + 0.5 / len(examples) * gradient
    return weights


@pytest.mark.parametrize("ridge", [0.1, 1.0, 10.0])
def test_newtons_method_ends_where_naive_gradient_ascent_does(ridge: float) -> None:
    examples = drawn_choices(np.array([1.0, 0.5, -0.5, 0.2, -1.0]), 40)
    assert fit_weights(examples, ridge=ridge) == pytest.approx(naive_fit(examples, ridge), abs=1e-6)


def test_known_weights_are_recovered() -> None:
    weights = np.array([1.5, 0.8, -0.4, 0.3, -1.2])
    assert fit_weights(drawn_choices(weights, 4000), ridge=0.01) == pytest.approx(weights, abs=0.15)


def test_a_prior_that_strong_leaves_nothing_and_none_at_all_is_refused() -> None:
    examples = drawn_choices(np.ones(5), 20)
    assert np.abs(fit_weights(examples, ridge=1e9)).max() < 1e-6
    with pytest.raises(ValueError, match=r"ridge \(0\) must be above 0"):
        fit_weights(examples, ridge=0)


def test_separable_examples_have_a_finite_fit() -> None:
    """Always the first of two is right: without the prior, weights would grow without
    end.
    """
    example = LogitExample(
        np.array([[1.0, 0, 0, 0, 0], [-1.0, 0, 0, 0, 0], [0, 0, 0, 0, 1.0]]), np.array([1.0, 0, 0])
    )
    weights = fit_weights([example] * 50)
    assert np.isfinite(weights).all() and weights[0] > 1.0


def small_tree() -> ReasoningTree:
    """Answer 4 by two paths, one of them drawn twice, and answer 5 by one; a path that
    was cut, and an end without an answer.
    """
    good = (step("a", logprob=-0.5), step("b", answer="4", logprob=-0.25))
    bad = (step("c", logprob=-2.0), step("d", answer=" 4 ", logprob=-1.0))
    other = (step("e", logprob=-1.5), step("f", answer="5"))
    samples = (good, bad, good, other, (step("g", cut=True),), (step("h", answer=""),))
    events: list[Event] = [
        Expanded(ROOT, samples, "answer"),
        judged(1, 2.0),
        judged(2, 1.0),
        judged(3, -1.0),
        judged(6, -3.0),
    ]
    return tree_of(events)


def test_features_are_those_of_the_best_path_and_of_all_samples() -> None:
    def log_right(evidence: float) -> float:
        return -math.log1p(math.exp(-evidence))

    answers, features = read_answers(small_tree(), str.strip)
    assert answers == ["4", "5"]
    assert features[0] == pytest.approx(
        [math.log(3), log_right(2.0) + log_right(1.0), log_right(1.0), -0.75, 0.0]
    )
    assert features[1] == pytest.approx(
        [0.0, log_right(0.0) + log_right(-3.0), log_right(-3.0), -2.5, 0.0]
    )
    assert features[2] == pytest.approx([0, 0, 0, 0, 1])


def test_without_verdicts_nothing_is_said_of_them() -> None:
    _, features = read_answers(
        tree_of([Expanded(ROOT, ((step("a"), step("b", answer="4")),), "answer")]), str.strip
    )
    assert features[0] == pytest.approx([0.0, 0.0, 0.0, -2.0, 0.0])


def test_beliefs_are_the_softmax_with_none_of_them() -> None:
    tree = small_tree()
    answers, features = read_answers(tree, str.strip)
    odds = np.exp(features @ np.array(VOTE_LIKE.weights))
    believed = VOTE_LIKE.infer(tree)
    assert list(believed) == answers == list(assuming().infer(tree).answers), (
        "in the order in which the sum-product pass has them"
    )
    assert (
        list(believed.values()) == pytest.approx(list(odds[:-1] / odds.sum()))
        and sum(believed.values()) < 1
    )
    assert VOTE_LIKE.infer(tree_of([])) == {}


def test_answers_that_may_all_be_right_do_not_share() -> None:
    tree = small_tree()
    _, features = read_answers(tree, str.strip)
    odds = np.exp(features @ np.array(VOTE_LIKE.weights))
    believed = replace(VOTE_LIKE, many_answers=True).infer(tree)
    assert list(believed.values()) == pytest.approx(
        [odds[0] / (odds[0] + odds[2]), odds[1] / (odds[1] + odds[2])]
    )
    two = choices(tree, {"4": True, "5": True}, many_answers=True)
    assert [list(choice.target) for choice in two] == [[1, 0], [1, 0]] and all(
        choice.features.shape == (2, 5) for choice in two
    )


def test_what_is_right_is_the_target_or_none_of_them() -> None:
    tree = small_tree()
    for right, target in (
        ((True, False), [1, 0, 0]),
        ((False, False), [0, 0, 1]),
        ((True, True), [0.5, 0.5, 0]),
    ):
        [choice] = choices(tree, dict(zip(("4", "5"), right, strict=True)))
        assert list(choice.target) == target
    assert choices(tree_of([]), {}) == []
    with pytest.raises(ValueError, match="nothing to fit"):
        AnswerModel.fit([[]])


@dataclass(frozen=True)
class MisreadWorld(World):
    """Fully correlated errors: for three questions in ten the critic inverts every
    verdict.
    """

    def evidence(self, path: list[str], answer: str | None) -> float:  # type: ignore[override]
        evidence = super().evidence(path, answer)
        return -evidence if random.Random(f"{self.seed}/misread").random() < 0.3 else evidence


def test_fitted_beliefs_beat_the_sum_product_pass_where_errors_correlate() -> None:
    """Fitted on some questions, measured on others."""
    trees = [
        simulate(make(BestOfN, 8, Selector("best")), MisreadWorld(seed, depth=3), seed=seed).tree
        for seed in range(300)
    ]

    def truth(tree: ReasoningTree) -> dict[str, bool]:
        return {answer: answer == RIGHT_ANSWER for answer in read_answers(tree, str.strip)[0]}

    model = AnswerModel.fit([choices(tree, truth(tree)) for tree in trees[:150]])
    held_out = trees[150:]
    fitted = [model.infer(tree) for tree in held_out]
    inferred = [
        assuming(right_rate=0.55, wrong_answers=5.0, evidence_weight=1.0).infer(tree).answers
        for tree in held_out
    ]
    losses = [
        np.mean(
            [log_loss(belief, truth(tree)) for belief, tree in zip(beliefs, held_out, strict=True)]
        )
        for beliefs in (fitted, inferred)
    ]
    assert losses[0] < losses[1] - 0.05
    best = [max(belief.items(), key=lambda item: item[1]) for belief in fitted]
    assert (
        abs(np.mean([p for _, p in best]) - np.mean([answer == RIGHT_ANSWER for answer, _ in best]))
        < 0.1
    )


def test_a_model_is_what_was_saved(tmp_path: Path) -> None:
    model = AnswerModel((0.1, -2.5, 1e-17, 3.0, 0.0), True, ("a", "b"), 17)
    model.save(tmp_path / "selector.json")
    assert AnswerModel.load(tmp_path / "selector.json") == model
    stored = json.loads((tmp_path / "selector.json").read_text())
    assert stored["features"] == list(FEATURES) and stored["fitted_on"] == {
        "runs": ["a", "b"],
        "questions": 17,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("features", ["frequency"]),
        ("weights", [1.0]),
        ("weights", [math.nan] * 5),
        ("weights", ["much"] * 5),
        ("fitted_on", None),
    ],
)
def test_a_file_that_holds_something_else_is_refused(
    tmp_path: Path, name: str, value: object
) -> None:
    path = tmp_path / "selector.json"
    VOTE_LIKE.save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(
        ValueError,
        match=r"search\.selector_model \(.*\) holds no fitted selector .*python -m "
        r"graphs.fit_selector",
    ):
        AnswerModel.load(path)


def with_model(search: Posterior, model: AnswerModel) -> Posterior:
    return replace(search, context=replace(search.context, answer_model=model))


def test_a_fitted_model_stops_and_chooses_and_the_pass_picks_samples() -> None:
    """Two samples answer 4; one answers 5, and the critic prefers it."""
    chains = tuple(
        (step(f"{name}1"), step(f"{name}2", answer=answer))
        for name, answer in (("a", "4"), ("b", "4"), ("c", "5"))
    )
    tree = tree_of(
        [
            Expanded(ROOT, chains, "answer"),
            *(judged(node, 3.0 if node > 4 else -2.0) for node in range(1, 7)),
        ]
    )
    inferring = make(Posterior, first_samples=3, confidence=0.9999)
    counting = with_model(inferring, FREQUENCY_ONLY)
    assert (
        tree.step(inferring.choose(tree) or 0).answer == "5"
        and tree.step(counting.choose(tree) or 0).answer == "4"
    )
    assert counting.infer(tree).p_correct == pytest.approx(inferring.infer(tree).p_correct)
    rng = random.Random(0)
    assert inferring.next_round(tree, rng).wanted and not counting.next_round(tree, rng).wanted, (
        "50 log 2 is belief enough"
    )
    undecided = with_model(inferring, AnswerModel((0.0,) * 5))
    assert undecided.next_round(tree, rng).wanted == inferring.next_round(tree, rng).wanted


def test_the_option_is_a_file_that_fits(tmp_path: Path) -> None:
    path = tmp_path / "selector.json"
    VOTE_LIKE.save(path)
    config = compose(["search=posterior", f"search.selector_model={path}"])
    strategy = build_strategy(config)
    assert isinstance(strategy, Posterior) and strategy.context.answer_model == VOTE_LIKE
    plain = build_strategy(compose(["search=posterior"]))
    assert isinstance(plain, Posterior) and plain.context.answer_model is None
    many = compose(
        ["search=posterior", f"search.selector_model={path}", "search.many_answers=true"]
    )
    with pytest.raises(
        ValueError,
        match=r"search\.many_answers \(true\) must be what search\.selector_model .* was fitted "
        r"with, false",
    ):
        build_strategy(many)
    with pytest.raises(
        ConfigError, match=r"search\.selector_model \(nowhere.json\) must be an existing file"
    ):
        compose(["search=posterior", "search.selector_model=nowhere.json"])

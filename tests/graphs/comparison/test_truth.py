"""The exact truth about trees, the first samples of a pool, other critics' verdicts on them, and siblings."""

from __future__ import annotations

import pytest

from agents.critics import LengthCritic, OracleCritic
from agents.nouns import Question
from graphs.comparison.siblings import SiblingPairs, sibling_pairs
from graphs.comparison.truth import first_samples, rejudged, truth_of
from graphs.tree import Event, Expanded, ReasoningTree
from tests.graphs.comparison.trees import FIRST, LOST, LUCKY, SECOND, SLIP, SOUND, SUM, WRONG_END, problem_of, samples, steps_below, written
from tests.graphs.strategies.trees import judged

POOL = [SOUND, LUCKY, WRONG_END, SOUND, LOST]


def replayed(events: list[Event], question: Question = SUM) -> ReasoningTree:
    return ReasoningTree.replay(question, events)


def test_luck_is_an_answer_and_no_derivation() -> None:
    tree = replayed([samples(*POOL)])
    truth = truth_of(tree, problem_of())
    texts = [tree.step(node).content.reveal().text for node in range(1, len(tree))]
    assert [text for node, text in enumerate(texts, 1) if truth.answered[node]] == ["Answer: 216"] * 2
    assert truth.derived.sum() == 1
    by_text = dict(zip(texts, truth.right[1:].tolist(), strict=True))
    assert by_text[FIRST] and by_text[SECOND] and not by_text[SLIP]
    assert by_text["28 * 8 = 224"], "right as its prefix stands"
    assert not truth.sound[texts.index("28 * 8 = 224") + 1], "and below a wrong step"


def test_of_value_scope_a_dead_end_is_wrong() -> None:
    question = Question(text="Use the numbers 2, 3 and 5 to make 30.", gold="2 * 3 * 5", task="pocket")
    tree = replayed([steps_below(0, "3 * 2 = 6 ; left 5 6", "3 - 2 = 1 ; left 1 5")], question)
    assert truth_of(tree, problem_of(question)).right.tolist() == [True, True, False]


@pytest.mark.parametrize("k", range(1, len(POOL) + 1))
def test_the_first_samples_of_a_pool_are_the_pool_of_so_many(k: int) -> None:
    whole = replayed([samples(*POOL)])
    verdicts = [judged(node, float(node)) for node in range(1, len(whole))]
    few, own = replayed(first_samples([samples(*POOL), *verdicts], k)), replayed([samples(*POOL[:k])])
    assert few.steps == own.steps and few.count.tolist() == own.count.tolist() and few.samples[0] == k
    assert few.log_likelihood_ratio[1:].tolist() == [float(node) for node in range(1, len(few))]


def test_the_first_samples_of_several_requests_are_taken_in_order() -> None:
    few = replayed(first_samples([samples(*POOL[:2]), samples(*POOL[2:])], 3))
    assert few.ends == replayed([samples(*POOL[:3])]).ends


async def test_a_pool_is_judged_again_by_another_critic() -> None:
    events: list[Event] = [samples(*POOL), judged(1, -3.0)]
    tree = await rejudged(SUM, events, OracleCritic(seed=0))
    truth = truth_of(tree, problem_of())
    assert (tree.log_likelihood_ratio[1:] > 0).tolist() == truth.right[1:].tolist()
    assert (tree.judged[1:] == 1).all()


async def test_the_oracle_knows_all_siblings_apart_and_a_tie_is_half() -> None:
    events: list[Event] = [samples(*POOL)]
    oracle = await rejudged(SUM, events, OracleCritic(seed=0))
    truth = truth_of(oracle, problem_of())
    assert sibling_pairs(oracle, truth) == SiblingPairs(pairs=2, wins=2.0)
    same_length = await rejudged(SUM, events, LengthCritic())
    assert sibling_pairs(same_length, truth).accuracy == 0.5


def test_pairs_are_counted_below_sound_nodes_and_hard_where_the_policy_prefers_the_wrong_one() -> None:
    likely = Expanded(0, ((written(FIRST, logprob=-2.0),), (written(SLIP, logprob=-1.0),)))
    below = [steps_below(1, SECOND, "27 * 8 = 206", "27 * 8 = 207"), steps_below(2, "28 * 8 = 224", "28 * 8 = 225")]
    verdicts = [judged(1, 1.0), judged(2, 2.0), judged(3, 1.0), judged(4, 0.0), judged(5, 1.0), judged(6, -1.0), judged(7, 1.0)]
    tree = replayed([likely, *below, *verdicts])
    assert sibling_pairs(tree, truth_of(tree, problem_of())) == SiblingPairs(pairs=3, wins=1.5, hard_pairs=1, hard_wins=0.0)


def test_without_pairs_there_is_no_accuracy() -> None:
    assert SiblingPairs().accuracy != SiblingPairs().accuracy

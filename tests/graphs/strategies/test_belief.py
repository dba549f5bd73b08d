"""Beliefs against brute force over all assignments of right and wrong to the steps."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from agents.types import Verdict
from graphs.strategies.posterior.belief import BeliefModel
from graphs.tree import Event, Expanded, Judged, ReasoningTree
from tests.graphs.strategies.make import assuming, make
from tests.graphs.strategies.trees import expanded, step, tree_of
from tests.graphs.strategies.world import World, simulate


def brute_force(
    belief_model: BeliefModel, tree: ReasoningTree, right_rate: float
) -> tuple[dict[str, float], list[float]]:
    """Returns the probability of each answer and p_correct of each node by definition,
    summing over all 2^steps assignments and all answers.
    """
    nodes = range(1, len(tree))
    names = {
        leaf: belief_model.canonical(tree.step(leaf).answer or "") for leaf in tree.answer_leaves()
    }
    answers = list(dict.fromkeys(names.values()))
    log_odds = [math.log(p / (1 - p)) for p in np.exp(np.minimum(tree.logprob, -1e-4))]
    aborted = [bool(tree.terminal[node]) and node not in names for node in range(len(tree))]
    continued = [0 if aborted[node] else int(tree.count[node]) for node in nodes]
    average = np.average(log_odds[1:], weights=continued)
    low, high = -50.0, 50.0
    while high - low > 1e-12:  # log-odds shift with mean probability right_rate
        shift = (low + high) / 2
        chances = [
            1 / (1 + math.exp(-shift - belief_model.assumptions.logprob_weight * (one - average)))
            for one in log_odds[1:]
        ]
        low, high = (
            (low, shift) if np.average(chances, weights=continued) > right_rate else (shift, high)
        )
    unseen = max(belief_model.assumptions.wrong_answers + 1 - len(answers), 1.0)
    hypotheses: list[tuple[str | None, float]] = [(answer, 1.0) for answer in answers] + [
        (None, unseen)
    ]
    if belief_model.many_answers:
        hypotheses = [(None, 1.0)]

    def by_accident(leaf: int) -> float:
        verdict = (
            belief_model.assumptions.evidence_weight * tree.log_likelihood_ratio[leaf]
            if tree.of_value[leaf]
            else 0.0
        )
        return belief_model.assumptions.accident * math.exp(verdict)

    def accident_of(leaf: int) -> float:
        return by_accident(leaf) / (by_accident(leaf) + 1 - belief_model.assumptions.accident)

    def abort_likelihood(node: int, correct: bool) -> float:
        """Returns the beta-binomial likelihood of one order of the aborts and other
        samples below the node.
        """
        children = [child for child in nodes if tree.parent[child] == node]
        aborts = sum(int(tree.count[child]) for child in children if aborted[child])
        others = sum(int(tree.count[child]) for child in children if not aborted[child])
        if not belief_model.abort_rate:
            return belief_model.assumptions.abort_ratio if correct and aborts else 1.0
        rate = belief_model.abort_rate * (belief_model.assumptions.abort_ratio if correct else 1.0)
        a, b = (
            belief_model.assumptions.prior_strength * rate,
            belief_model.assumptions.prior_strength * (1 - rate),
        )
        ways = math.prod(a + seen for seen in range(aborts)) * math.prod(
            b + seen for seen in range(others)
        )
        return ways / math.prod(a + b + seen for seen in range(aborts + others))

    total = 0.0
    by_answer = dict.fromkeys(answers, 0.0)
    correct_mass = [0.0] * len(tree)
    for answer, prior in hypotheses:
        for truth in itertools.product((True, False), repeat=len(tree) - 1):
            right = dict(zip(nodes, truth, strict=True))
            correct = {0: True}
            p = prior
            for node in nodes:
                parent = int(tree.parent[node])
                correct[node] = correct[parent] and right[node]
                odds = shift + belief_model.assumptions.logprob_weight * (log_odds[node] - average)
                if aborted[node]:
                    p *= not right[node]
                else:
                    p *= 1 / (1 + math.exp(-odds)) if right[node] else 1 / (1 + math.exp(odds))
                if correct[node] if tree.of_value[node] else right[node]:
                    p *= math.exp(
                        belief_model.assumptions.evidence_weight * tree.log_likelihood_ratio[node]
                    )
                if tree.terminal[node]:
                    if node not in names:
                        p *= not correct[node]
                    elif not belief_model.many_answers and correct[node]:
                        p *= names[node] == answer
                    elif belief_model.many_answers and not correct[node]:
                        p *= by_accident(node) + 1 - belief_model.assumptions.accident
                    elif not belief_model.many_answers:
                        p *= (
                            by_accident(node)
                            if names[node] == answer
                            else (1 - belief_model.assumptions.accident)
                            / belief_model.assumptions.wrong_answers
                        )
            for node in range(len(tree)):
                p *= abort_likelihood(node, correct[node])
            total += p
            if answer is not None:
                by_answer[answer] += p
            if belief_model.many_answers:
                for name in answers:
                    chances = [
                        accident_of(leaf)
                        for leaf in names
                        if names[leaf] == name and not correct[leaf]
                    ]
                    some_correct = any(correct[leaf] for leaf in names if names[leaf] == name)
                    by_answer[name] += p * (
                        1.0 if some_correct else 1 - math.prod(1 - chance for chance in chances)
                    )
            for node in range(len(tree)):
                correct_mass[node] += p * correct[node]
    return {answer: mass / total for answer, mass in by_answer.items()}, [
        mass / total for mass in correct_mass
    ]


def verdict(node: int, evidence: float, *, value: bool = False) -> Judged:
    return Judged(
        node,
        Verdict(0.5, "token_critic", "value" if value else "local", log_likelihood_ratio=evidence),
    )


def small_tree(*, value: bool) -> list[Event]:
    """Two chains that agree and one that does not, a shared first step, a step that was
    cut, and two ends without an answer.
    """
    first = (step("a", logprob=-0.5), step("b", answer="4"))
    second = (step("a", logprob=-0.5), step("c", logprob=-2.0), step("d", answer=" 4"))
    third = (step("e", logprob=-1.5), step("f", answer="5", logprob=-0.2))
    fourth = (step("g", logprob=-3.0), step("h", cut=True))
    fifth = (step("i", answer=""),)
    sixth = (step("e", logprob=-1.5), step("", answer=""))
    evidence = [0.7, 1.2, -0.4, 2.0, 0.3, -1.0, -2.0]
    verdicts = [verdict(node + 1, llr, value=value) for node, llr in enumerate(evidence)]
    return [Expanded(0, (first, second, third, fourth, fifth, sixth, third), "answer"), *verdicts]


@pytest.mark.parametrize("value", [False, True])
@pytest.mark.parametrize("many_answers", [False, True])
@pytest.mark.parametrize("logprob_weight", [0.0, 0.7])
@pytest.mark.parametrize("abort_rate", [0.0, 0.4])
def test_the_pass_equals_brute_force(
    value: bool, many_answers: bool, logprob_weight: float, abort_rate: float
) -> None:
    tree = tree_of(small_tree(value=value))
    belief_model = assuming(
        logprob_weight=logprob_weight,
        evidence_weight=0.8,
        many_answers=many_answers,
        abort_rate=abort_rate,
        prior_strength=1e12,
    )
    belief = belief_model.infer(tree)
    answers, correct = brute_force(belief_model, tree, belief_model.assumptions.right_rate)
    assert belief.right_rate == pytest.approx(belief_model.assumptions.right_rate), (
        "a prior that strong does not move"
    )
    assert belief.p_correct == pytest.approx(np.array(correct))
    assert belief.answers == pytest.approx(answers)


def test_agreement_is_evidence_and_verdicts_are() -> None:
    """Of two paths to one answer and one to another the two win; strong verdicts turn
    it round.
    """
    chains = tuple(
        (step(name), step(f"{name}!", answer=answer))
        for name, answer in (("a", "4"), ("b", "4"), ("c", "5"))
    )
    events: list[Event] = [Expanded(0, chains, "answer")]
    silent = assuming().infer(tree_of(events))
    assert silent.best[0] == "4" and silent.answers["4"] > silent.answers["5"]
    belief = assuming().infer(
        tree_of([*events, verdict(5, 3.0), verdict(6, 3.0), verdict(1, -2.0), verdict(3, -2.0)])
    )
    assert belief.best[0] == "5" and belief.best_leaf == 6


@pytest.mark.parametrize("many_answers", [False, True])
def test_an_abort_lowers_the_odds_of_its_parent_by_abort_ratio(many_answers: bool) -> None:
    """The odds of p_correct fall by `abort_ratio` once, also after a second abort."""
    belief_model = assuming(abort_ratio=0.1, prior_strength=1e12, many_answers=many_answers)
    odds = []
    for chains in ([("a",)], [("a", "")], [("a", ""), ("a", "")]):
        steps = [
            tuple(step(word) if word else step("", answer="") for word in chain) for chain in chains
        ]
        correct = belief_model.infer(tree_of([Expanded(0, tuple(steps), "answer")])).p_correct[1]
        odds.append(correct / (1 - correct))
    assert odds[1] == pytest.approx(0.1 * odds[0])
    assert odds[2] == pytest.approx(odds[1])


@pytest.mark.parametrize("many_answers", [False, True])
def test_few_aborts_among_many_samples_are_evidence_for_the_step(many_answers: bool) -> None:
    """Among many samples the share counts: one abort of twenty is evidence for the
    step, ten of twenty against it.
    """
    belief_model = assuming(abort_rate=0.4, many_answers=many_answers, logprob_weight=0.0)

    def p_correct(aborts: int, others: int) -> float:
        chains = [(step("a"), step("", answer=""))] * aborts + [(step("a"), step("b"))] * others
        return float(
            belief_model.infer(tree_of([Expanded(0, tuple(chains), "answer")])).p_correct[1]
        )

    assert (
        p_correct(10, 10) < p_correct(1, 0) < p_correct(0, 1) < p_correct(1, 19) < p_correct(0, 20)
    )


@pytest.mark.parametrize(("aborts", "others"), [(1, 0), (3, 0), (0, 20), (5, 15), (40, 60)])
@pytest.mark.parametrize("strength", [4.0, 16.0])
def test_evidence_of_aborts_is_beta_binomial(aborts: int, others: int, strength: float) -> None:
    """Beta-binomial, and not binomial: ten times as many samples are not ten times the
    evidence.
    """
    belief_model = assuming(abort_rate=0.4, abort_ratio=0.2, prior_strength=strength)

    def evidence(times: int) -> float:
        chains = [(step("a"), step("", answer=""))] * (times * aborts) + [
            (step("a"), step("b"))
        ] * (times * others)
        tree = tree_of([Expanded(0, tuple(chains), "answer")])
        return float(
            belief_model._abort_evidence(
                tree, np.where(tree.terminal & ~tree.answered, 0, tree.count)
            )[1]
        )

    def beta(rate: float) -> float:
        a, b = strength * rate, strength * (1 - rate)
        return math.lgamma(a + aborts) + math.lgamma(b + others) - math.lgamma(a) - math.lgamma(b)

    assert evidence(1) == pytest.approx(beta(0.08) - beta(0.4))
    assert abs(evidence(10)) < 5 * abs(evidence(1))


REPORTS = ((-0.105, -2.303), (-0.69, -0.69), (-6.0, -6.0))
"""Log-probabilities that a policy that draws a step nine times of ten may report: the
truth, an uninformative report, and a wrong one."""


def test_counts_outweigh_the_reported_log_probabilities() -> None:
    """A server may report log-probabilities other than those it sampled from; the
    counts of the steps correct them.
    """
    often, once = step("a", logprob=-6.0), step("b", logprob=-6.0)
    correct = assuming().infer(tree_of([expanded(0, *[often] * 9, once)])).p_correct
    assert correct[1] > correct[2] + 0.2
    nine = [
        assuming()
        .infer(tree_of([expanded(0, *[step("a", logprob=p)] * 9, step("b", logprob=q))]))
        .p_correct[1]
        for p, q in REPORTS
    ]
    assert max(nine) - min(nine) < 0.05, (
        "after nine equal samples it hardly matters what was reported"
    )


def test_a_local_verdict_is_no_evidence_for_the_steps_before() -> None:
    """A local verdict on a right step is no evidence for its parent; a value verdict
    is.
    """
    events = [expanded(0, step("a")), expanded(1, step("b"))]
    plain = assuming().infer(tree_of(events)).p_correct[1]
    assert assuming(prior_strength=1e12).infer(tree_of([*events, verdict(2, 4.0)])).p_correct[
        1
    ] == pytest.approx(plain)
    assert (
        assuming(prior_strength=1e12)
        .infer(tree_of([*events, verdict(2, 4.0, value=True)]))
        .p_correct[1]
        > plain + 0.1
    )


def test_right_rate_is_estimated_from_the_tree() -> None:
    right = tree_of(
        [expanded(0, *(step(str(i)) for i in range(6))), *(verdict(i + 1, 4.0) for i in range(6))]
    )
    wrong = tree_of(
        [expanded(0, *(step(str(i)) for i in range(6))), *(verdict(i + 1, -4.0) for i in range(6))]
    )
    belief_model = assuming(right_rate=0.5, prior_strength=4.0)
    assert belief_model.infer(right).right_rate > 0.7 and belief_model.infer(wrong).right_rate < 0.3


def test_beliefs_are_calibrated_where_the_assumptions_hold() -> None:
    """In a world whose verdicts err independently at a known rate, the mean probability
    of the best answer is its accuracy.
    """
    from graphs.strategies import BestOfN
    from graphs.strategies.selection import Selector

    belief_model = assuming(right_rate=0.55, wrong_answers=5.0, evidence_weight=1.0)
    believed, right = 0.0, 0
    for seed in range(300):
        search = simulate(make(BestOfN, 8, Selector("best")), World(seed, depth=3), seed=seed)
        answer, probability = belief_model.infer(search.tree).best
        believed += probability
        right += answer == "right"
    assert abs(believed - right) / 300 < 0.07


def test_the_belief_of_an_empty_tree_has_no_answer() -> None:
    belief = assuming().infer(tree_of([]))
    assert (
        belief.best == (None, 0.0)
        and belief.best_leaf is None
        and belief.p_correct == pytest.approx([1.0])
    )

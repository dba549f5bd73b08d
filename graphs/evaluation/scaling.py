"""Accuracy as a function of the number of samples: pure functions of counts, and of the
pool of samples in a tree.

Coverage (pass@k) is the probability that any of k samples is right; a vote must also
elect it. Legend: `Q` questions, `K` sample sizes, `L` different samples of a question,
`A` its answers, `D` draws. Every interval is a 95 % one.

Sources: pass@k: Chen et al. (arXiv:2107.03374). Power law of coverage: Brown et al.,
"Large language monkeys" (arXiv:2407.21787). Law of majority votes: Chen et al., "Are
more LM calls all you need?" (arXiv:2403.02419).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.answers import canonical
from graphs.tree import ROOT, ReasoningTree

# relative tolerance of a tie between votes: sums of equal weights differ in their last
# bits
_TIE = 1e-9
_MOST_ROUNDS = 2000  # of expectation maximisation


class Count(NamedTuple):
    """Number of samples of one question, and number of right ones."""

    total: int
    right: int


class Point(NamedTuple):
    """A mean over questions at one number of samples."""

    k: int
    value: float
    interval: tuple[float, float]
    """Bootstrap interval over questions: the variation due to the choice of
    questions."""
    standard_error: float = 0.0
    """Standard error of the Monte-Carlo estimate of `value` for these questions; 0 if
    `value` is exact."""


class Mean(NamedTuple):
    """A Monte-Carlo estimate."""

    value: float
    standard_error: float


class Pool(NamedTuple):
    """All samples of one question, equal samples merged. Arrays `[L]`."""

    counts: NDArray[np.int64]
    """How often each sample was drawn."""
    answers: NDArray[np.int64]
    """Index of the sample's answer, from 0; -1: no answer and no vote."""
    right: NDArray[np.bool_]
    """Whether the answer is right; the same for equal answers."""
    weights: NDArray[np.float64]
    """Weight of a sample's vote, at least 0; all 1 for a majority."""

    @property
    def tally(self) -> Count:
        """The number of samples, and of right ones."""
        return Count(int(self.counts.sum()), int(self.counts[self.right].sum()))

    @property
    def duel(self) -> Count:
        """Samples of the most frequent right and the most frequent wrong answer
        together, and the number of the right ones.
        """
        voting = self.answers >= 0
        right, wrong = (
            int(np.bincount(self.answers[voting & of], self.counts[voting & of], minlength=1).max())
            for of in (self.right, ~self.right)
        )
        return Count(right + wrong, right)


def pool_of(
    tree: ReasoningTree, right: NDArray[np.bool_], log_weights: NDArray[np.float64] | None = None
) -> Pool:
    """Returns the samples of a tree whose samples all begin at the question.

    The last entry holds the samples without an answer: they count as samples but have
    no vote.

    Args:
        tree: of `N` nodes.
        right: whether each node ends the thought with a right answer, [N].
        log_weights: log weight of a leaf's vote, [N], in nats, up to a constant; None:
            equal weights.
    """
    leaves = tree.answer_leaves()
    forms = [canonical(tree.step(leaf).answer or "", tree.question.task) for leaf in leaves]
    numbers = {form: number for number, form in enumerate(dict.fromkeys(forms))}
    counts = tree.count[leaves].tolist()
    logs = np.zeros(len(leaves)) if log_weights is None else log_weights[leaves]
    return Pool(
        counts=np.array([*counts, int(tree.samples[ROOT]) - sum(counts)], np.int64),
        answers=np.array([*(numbers[form] for form in forms), -1], np.int64),
        right=np.array([*right[leaves].tolist(), False], bool),
        weights=np.array([*np.exp(logs - logs.max(initial=-math.inf)).tolist(), 0.0]),
    )


def pass_at_k(total: int, right: int, k: int) -> float:
    """Returns the probability that k of `total` samples, drawn without replacement,
    include one of the `right` ones: 1 - C(n - c, k) / C(n, k).

    Its mean over questions is an unbiased estimate of coverage; the mean of 1 - (1 - c
    / n)^k is not. Source: arXiv:2107.03374, equation 1.

    Raises:
        ValueError: k is not in 1 .. total.
    """
    _check_k(k, total)
    return 1.0 - math.comb(total - right, k) / math.comb(total, k)


def coverage_curve(
    counts: Sequence[Count], ks: Sequence[int], *, rng: np.random.Generator, resamples: int = 1000
) -> list[Point]:
    """Returns coverage at each of `ks`, with bootstrap intervals over the questions.

    Raises:
        ValueError: there is no question, or one has fewer than `max(ks)` samples.
    """
    values = np.array([[pass_at_k(count.total, count.right, k) for k in ks] for count in counts])
    return _curve(ks, values, np.zeros_like(values), rng, resamples)


def vote_at_k(pool: Pool, k: int, *, rng: np.random.Generator, draws: int = 1000) -> Mean:
    """Returns the probability that a vote among k samples of the pool, drawn without
    replacement, elects a right answer.

    Among tied answers the one found first wins, as in `graphs.strategies.selection`, so
    each wins with probability proportional to its samples. There is no closed form for
    more than two answers, so `draws` subsets are drawn; if k is the size of the pool,
    all subsets are equal and the error is 0.

    Raises:
        ValueError: k is not in 1 .. the size of the pool.
    """
    _check_k(k, pool.tally.total)
    num_answers = int(pool.answers.max()) + 1
    if num_answers == 0:
        return Mean(0.0, 0.0)
    # [L, A]; row -1 is masked
    ballots = np.eye(num_answers)[pool.answers] * (pool.answers >= 0)[:, None]
    is_right = (ballots * pool.right[:, None]).any(axis=0)  # [A]
    drawn = rng.multivariate_hypergeometric(pool.counts, k, size=draws)  # [D, L]
    votes = drawn @ (ballots * pool.weights[:, None])  # [D, A]
    # [D, A]: samples of the tied winners
    elected = (drawn @ ballots) * (votes >= votes.max(axis=1, keepdims=True) * (1 - _TIE))
    chances = (elected * is_right).sum(axis=1) / np.maximum(elected.sum(axis=1), 1)
    return Mean(float(chances.mean()), float(chances.std() / math.sqrt(draws)))


def vote_curve(
    pools: Sequence[Pool],
    ks: Sequence[int],
    *,
    rng: np.random.Generator,
    draws: int = 200,
    resamples: int = 1000,
) -> list[Point]:
    """Returns the accuracy of a vote at each of `ks`, with bootstrap intervals over the
    questions; see `vote_at_k`.

    Raises:
        ValueError: there is no question, or one has fewer than `max(ks)` samples.
    """
    # [Q, K, 2]
    means = np.array([[vote_at_k(pool, k, rng=rng, draws=draws) for k in ks] for pool in pools])
    if not len(means):
        raise ValueError("there is no question to average over; give at least one")
    return _curve(ks, means[..., 0], means[..., 1], rng, resamples)


class PowerLaw(NamedTuple):
    """Coverage c(k) = exp(a k^b), with a below 0; b is below 0 where coverage grows.
    Source: arXiv:2407.21787, section 3.
    """

    a: float
    b: float

    def coverage(self, k: float) -> float:
        """Returns the coverage that the law predicts at k samples."""
        return math.exp(self.a * k**self.b)


def fit_power_law(points: Sequence[tuple[int, float]]) -> PowerLaw | None:
    """Returns the law fitted to points (k, coverage): least squares of log(-log c) on
    log k.

    Points with coverage 0 or 1, where the logarithm is undefined, are left out. Returns
    None if fewer than two different k are left.
    """
    usable = [
        (math.log(k), math.log(-math.log(coverage)))
        for k, coverage in points
        if 0.0 < coverage < 1.0
    ]
    if len({x for x, _ in usable}) < 2:
        return None
    x, y = np.array(usable).T
    b = float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())
    return PowerLaw(-math.exp(float(y.mean()) - b * float(x.mean())), b)


def majority_accuracy(chance: float, num_calls: int) -> float:
    """Returns the probability that the majority of `num_calls` answers is right, if
    each is right with probability `chance` and a fair coin breaks ties.

    For odd K this is the binomial tail, or I_p((K + 1) / 2, (K + 1) / 2) with the
    regularised incomplete beta function; an even K gives the same value as K - 1.
    Summed from the increments of two more calls: F(2m + 1) - F(2m - 1) = C(2m - 1, m)
    (p (1 - p))^m (2p - 1).

    Raises:
        ValueError: `num_calls` is below 1.
    """
    if num_calls < 1:
        raise ValueError(f"num_calls ({num_calls}) must be at least 1")
    spread = chance * (1.0 - chance)
    accuracy, increment = chance, spread * (2.0 * chance - 1.0)
    for m in range(1, (num_calls + 1) // 2):
        accuracy += increment
        increment *= spread * 2 * (2 * m + 1) / (m + 1)
    return accuracy


class DifficultyMix(NamedTuple):
    """Questions of two difficulties: on a share of them a call is right with
    probability `easy`, on the rest with probability `hard`.
    """

    easy_share: float
    """alpha, in [0, 1]."""
    easy: float
    """p1, in (0, 1); the paper has it above 1/2."""
    hard: float
    """p2, in (0, 1); the paper has it below 1/2."""

    def accuracy(self, num_calls: int) -> float:
        """Returns the accuracy of a majority of `num_calls` calls with two possible
        answers. Source: arXiv:2403.02419.
        """
        return self.easy_share * majority_accuracy(self.easy, num_calls) + (
            1 - self.easy_share
        ) * majority_accuracy(self.hard, num_calls)

    @property
    def limit(self) -> float:
        """Limit of the accuracy for many calls: the share of questions that a call
        answers right more often than not.
        """
        return self.easy_share * _side(self.easy) + (1 - self.easy_share) * _side(self.hard)

    def best_num_calls(self) -> int | None:
        """Returns the smallest (odd) optimal number of calls; None if the accuracy is
        best in the limit of many calls.

        Two more calls change the accuracy by C(2m - 1, m) (gain x s1^m - loss x s2^m),
        with gain = alpha (2 p1 - 1), loss = (1 - alpha) (1 - 2 p2) and s = p (1 - p).
        With s1 < s2 the accuracy has one maximum, at m = log(gain / loss) / log(s2 /
        s1). With s1 >= s2 it may fall and then rise, so the optimum is at one of the
        ends. If both kinds of questions improve, or both get worse, the optimum is at
        an end, too.
        """
        gain, loss = (
            self.easy_share * (2 * self.easy - 1),
            (1 - self.easy_share) * (1 - 2 * self.hard),
        )
        if loss <= 0 or gain <= 0:  # nothing gets worse, or nothing gets better, with more calls
            return None if gain > 0 or loss < 0 else 1
        easy_spread, hard_spread = self.easy * (1 - self.easy), self.hard * (1 - self.hard)
        if easy_spread < hard_spread:
            turn = math.log(gain / loss) / math.log(hard_spread / easy_spread)
            return 2 * max(1, math.ceil(turn)) - 1
        return 1 if self.accuracy(1) >= self.limit else None


def _side(chance: float) -> float:
    """Returns the limit of a majority vote: 1 if `chance` is above 1/2, 0 if below."""
    return 0.5 if chance == 0.5 else float(chance > 0.5)


def fit_difficulty_mix(counts: Sequence[Count]) -> DifficultyMix:
    """Returns the maximum-likelihood mix of two difficulties for the counts, by
    expectation maximisation.

    Initially the easy questions are those answered right more than half of the time.
    This split alone would make easy questions look easier, and hard ones harder, than
    they are, by selection on noise. A kind with an expected size below half a question
    is dropped: its share is 0.

    Raises:
        ValueError: there is no question.
    """
    if not counts:
        raise ValueError("there is no question to fit a mix of difficulties to; give at least one")
    total, right = np.array(counts, float).T  # [Q]
    mix = _mix_of((right / total > 0.5).astype(float), total, right)
    for _ in range(_MOST_ROUNDS):
        if not 0.0 < mix.easy_share < 1.0:
            break
        # [Q]
        odds = right * math.log(mix.easy / mix.hard) + (total - right) * math.log(
            (1 - mix.easy) / (1 - mix.hard)
        )
        odds += math.log(mix.easy_share / (1 - mix.easy_share))
        before, mix = mix, _mix_of(1.0 / (1.0 + np.exp(-np.clip(odds, -700, 700))), total, right)
        if max(abs(new - old) for new, old in zip(mix, before, strict=True)) < 1e-9:
            break
    return mix


def _mix_of(
    is_easy: NDArray[np.float64], total: NDArray[np.float64], right: NDArray[np.float64]
) -> DifficultyMix:
    """Returns the maximum-likelihood mix if each question is easy with probability
    `is_easy`; all arrays `[Q]`.
    """
    num_easy, num_questions = float(is_easy.sum()), len(is_easy)
    return DifficultyMix(
        0.0
        if num_easy < 0.5
        else 1.0
        if num_easy > num_questions - 0.5
        else num_easy / num_questions,
        # one pseudo-sample for each kind keeps both probabilities away from 0 and 1
        float(((is_easy * right).sum() + 0.75) / ((is_easy * total).sum() + 1)),
        float((((1 - is_easy) * right).sum() + 0.25) / (((1 - is_easy) * total).sum() + 1)),
    )


def _curve(
    ks: Sequence[int],
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    rng: np.random.Generator,
    resamples: int,
) -> list[Point]:
    """Returns the means of `values` `[Q, K]` over the questions; all k share one set of
    bootstrap resamples.
    """
    if not len(values):
        raise ValueError("there is no question to average over; give at least one")
    num_questions = len(values)
    # [resamples, Q]
    times_drawn = rng.multinomial(
        num_questions, [1 / num_questions] * num_questions, size=resamples
    )
    low, high = np.percentile(times_drawn @ values / num_questions, (2.5, 97.5), axis=0)
    means, standard_errors = values.mean(axis=0), np.sqrt((errors**2).sum(axis=0)) / num_questions
    return [
        Point(k, float(means[i]), (float(low[i]), float(high[i])), float(standard_errors[i]))
        for i, k in enumerate(ks)
    ]


def _check_k(k: int, total: int) -> None:
    if not 1 <= k <= total:
        raise ValueError(
            f"k ({k}) must be from 1 to the number of samples ({total}); estimate it at a smaller "
            "k, or draw more samples"
        )

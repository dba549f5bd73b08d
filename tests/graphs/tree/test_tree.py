"""The fold: equal to a naive one, in one go or piece by piece; backups add up; what
cannot be is refused.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.types import Hidden, Reflection
from graphs.tree import (
    ROOT,
    Backup,
    Event,
    Expanded,
    Failed,
    Finished,
    Judged,
    PriorsComputed,
    ReasoningTree,
    Reflected,
    siblings_wrong,
)
from tests.graphs.tree.logs import (
    QUESTION,
    UNPARSED,
    event_logs,
    finished,
    make_step,
    trees,
    verdict,
)
from tests.graphs.tree.reference import fold

COLUMNS = (
    *(
        "parent",
        "depth",
        "count",
        "samples",
        "tokens",
        "logprob",
        "log_likelihood_ratio",
        "of_value",
        "judged",
        "unparsed",
    ),
    *("visit_count", "value_sum", "terminal", "closed", "backtracked"),
)


def assert_equal(first: ReasoningTree, second: ReasoningTree) -> None:
    for column in COLUMNS:
        np.testing.assert_array_equal(
            getattr(first, column), getattr(second, column), err_msg=column
        )
    assert (first.version, first.finished, first.backtracks, first.terminated) == (
        *(second.version, second.finished, second.backtracks, second.terminated),
    )
    assert (first.greedy_child, first.failures, first.is_judged) == (
        second.greedy_child,
        second.failures,
        second.is_judged,
    )
    assert (first.ends, first.votes, first.priors) == (second.ends, second.votes, second.priors)
    assert (first.steps, first.children) == (second.steps, second.children)
    assert (first.verdicts, first.reflections) == (second.verdicts, second.reflections)


@given(event_logs())
def test_the_fold_equals_a_naive_one(events: list[Event]) -> None:
    tree, nodes = ReasoningTree.replay(QUESTION, events), fold(events)
    assert len(tree) == len(nodes)
    for node in nodes:
        i = node.number
        assert tree.parent[i] == (-1 if node.parent is None else node.parent.number)
        assert tree.depth[i] == len(node.path)
        assert tree.path(i) == [n.number for n in node.path]
        assert tree.path_steps(i) == [n.step for n in node.path]
        assert tree.children[i] == [child.number for child in node.children]
        assert tree.steps[i] is node.step
        assert (tree.count[i], tree.samples[i]) == (node.count, node.samples)
        assert tree.greedy_child.get(i) == (
            None if node.greedy_child is None else node.greedy_child.number
        )
        assert tree.priors.get(i) == node.priors
        assert tree.logprob[i] == pytest.approx(node.logprob)
        logprobs = () if node.step is None else node.step.content.reveal().logprobs
        assert tree.tokens[i] == sum(math.isfinite(logprob) for logprob in logprobs), (
            "those of a forced opening are NaN"
        )
        assert tree.of_value[i] == (bool(node.verdicts) and node.verdicts[-1].scope == "value")
        assert tree.log_likelihood_ratio[i] == pytest.approx(node.evidence)
        assert (tree.judged[i], tree.unparsed[i]) == (node.judged, len(node.verdicts) - node.judged)
        assert (tree.verdicts[i], tree.reflections[i]) == (node.verdicts, node.reflections)
        assert (tree.visit_count[i], tree.value_sum[i]) == (
            len(node.values),
            pytest.approx(sum(node.values)),
        )
        assert (tree.terminal[i], tree.closed[i], tree.backtracked[i]) == (
            node.is_final,
            node.is_closed,
            node.backtracked,
        )
        assert (tree.is_right(i), tree.is_wrong(i)) == (node.is_right, node.is_wrong)
        assert tree.path_score(i) == pytest.approx(node.path_score)
        assert tree.path_score(i, logprob_weight=0.5) == pytest.approx(
            node.path_score + 0.5 * sum(n.logprob for n in node.path)
        )
        assert list(siblings_wrong(tree, i)) == [
            child.number for child in node.children if child.is_wrong
        ]
    chains = [chain for event in events if isinstance(event, Expanded) for chain in event.chains]
    ends = [tree.step(end).content.reveal().token_ids for end in tree.ends]
    assert ends == [chain[-1].content.reveal().token_ids for chain in chains]
    assert tree.votes == Counter(chain[-1].answer for chain in chains if chain[-1].answer)
    assert tree.is_judged == any(node.judged for node in nodes)
    assert tree.wrong().tolist() == [node.is_wrong for node in nodes]
    assert tree.viable().tolist() == [
        tree.is_viable(i) if i else not tree.closed[0] or bool(tree.children[0])
        for i in range(len(tree))
    ]
    assert [nodes.tolist() for nodes in tree.levels()] == [
        [node.number for node in nodes if len(node.path) == depth]
        for depth in range(1, max(len(node.path) for node in nodes) + 1)
    ]
    assert tree.leaves() == [node.number for node in nodes if not node.children]
    assert tree.answer_leaves() == [
        node.number for node in nodes if node.step is not None and node.step.answer
    ]


@given(event_logs(), st.lists(st.integers(0, 40), max_size=3))
def test_pieces_give_the_same_tree_as_the_whole(events: list[Event], cuts: list[int]) -> None:
    log = finished(events)
    pieces = ReasoningTree(QUESTION)
    for cut in [*sorted(cuts), len(log)]:
        pieces.apply(log[pieces.version : cut])
        assert sum(map(len, pieces.levels())) == len(pieces) - 1
    assert_equal(pieces, ReasoningTree.replay(QUESTION, log))


@given(event_logs())
def test_applying_what_is_already_there_changes_nothing(events: list[Event]) -> None:
    tree = ReasoningTree.replay(QUESTION, events)
    tree.apply(events[tree.version :])
    assert_equal(tree, ReasoningTree.replay(QUESTION, events))


@given(event_logs())
def test_backups_are_conserved(events: list[Event]) -> None:
    tree = ReasoningTree.replay(QUESTION, events)
    backups = [event for event in events if isinstance(event, Backup)]
    assert tree.visit_count[ROOT] == len(backups)
    assert tree.value_sum[ROOT] == pytest.approx(sum(backup.value for backup in backups))
    for node in range(len(tree)):
        ended_here = [backup.value for backup in backups if backup.leaf == node]
        assert (
            tree.visit_count[node] == len(ended_here) + tree.visit_count[tree.children[node]].sum()
        )
        assert tree.value_sum[node] == pytest.approx(
            sum(ended_here) + tree.value_sum[tree.children[node]].sum()
        )


@given(event_logs())
def test_the_order_of_backups_does_not_matter(events: list[Event]) -> None:
    backups = [event for event in events if isinstance(event, Backup)]
    others = [event for event in events if not isinstance(event, Backup)]
    first, second = (
        ReasoningTree.replay(QUESTION, [*others, *order]) for order in (backups, backups[::-1])
    )
    np.testing.assert_array_equal(first.visit_count, second.visit_count)
    np.testing.assert_allclose(first.value_sum, second.value_sum)


@given(trees())
def test_a_parent_is_older_than_its_children(tree: ReasoningTree) -> None:
    assert all(tree.parent[node] < node for node in range(len(tree)))


def test_a_tree_grows_past_its_first_capacity() -> None:
    events: list[Event] = [
        Expanded(node, ((make_step(f"{node}", logprobs=(-float(node),)),),)) for node in range(200)
    ]
    tree = ReasoningTree(QUESTION)
    for event in events:
        tree.apply([event])
        tree.apply([Judged(len(tree) - 1, verdict(1.0)), Backup(len(tree) - 1, 1.0)])
    assert len(tree) == 201 and tree.path(200) == list(range(1, 201))
    assert list(tree.depth) == list(range(201))
    assert list(tree.visit_count) == [200, *range(200, 0, -1)]
    assert list(tree.logprob) == [0.0, *(-float(node) for node in range(200))]


@given(
    event_logs(),
    st.sampled_from(["expanded", "failed", "judged", "weighed", "reflected", "backup", "finished"]),
    st.sampled_from([0, 7, -1]),
)
def test_a_node_that_does_not_exist_is_refused_and_nothing_has_changed(
    events: list[Event], kind: str, beyond: int
) -> None:
    tree = ReasoningTree.replay(QUESTION, events)
    node = -1 if beyond < 0 else len(tree) + beyond
    event: Event = {
        "expanded": Expanded(node, ((make_step("x"),),)),
        "failed": Failed(node, "unparsed"),
        "judged": Judged(node, verdict(1.0)),
        "weighed": PriorsComputed(node, {"a": 1.0}),
        "reflected": Reflected(node, Reflection("backtrack", Hidden("x"), 1, 0)),
        "backup": Backup(node, 1.0),
        "finished": Finished("answered", node, "21"),
    }[kind]  # type: ignore[assignment]
    with pytest.raises(
        ValueError,
        match=f"event {len(events)} refers to node {node}, but the tree has nodes 0 to "
        f"{len(tree) - 1}",
    ):
        tree.apply([event])
    assert_equal(tree, ReasoningTree.replay(QUESTION, events))


@given(event_logs())
def test_nothing_comes_after_finished(events: list[Event]) -> None:
    log = finished(events)
    tree = ReasoningTree.replay(QUESTION, log)
    assert tree.finished == log[-1]
    with pytest.raises(ValueError, match=rf"event {len(log)} \(Backup\) comes after Finished"):
        tree.apply([Backup(0, 1.0)])
    assert_equal(tree, ReasoningTree.replay(QUESTION, log))


@pytest.mark.parametrize("action", ["backtrack", "reflect"])
def test_the_question_is_not_reflected_on(action: str) -> None:
    tree = ReasoningTree(QUESTION)
    with pytest.raises(ValueError, match="node 0, the question; reflect on a step"):
        tree.apply([Reflected(ROOT, Reflection(action, Hidden("x")))])  # type: ignore[arg-type]
    assert_equal(tree, ReasoningTree(QUESTION))


@pytest.mark.parametrize(
    ("target_step", "backtracked", "backtracks"),
    [(None, 3, 0), (2, 3, 0), (3, 3, 0), (99, 3, 0), (1, 2, 1), (0, 1, 1), (-5, 1, 1)],
)
def test_a_backtrack_gives_up_the_child_of_its_target(
    target_step: int | None, backtracked: int, backtracks: int
) -> None:
    chain = Expanded(0, (tuple(make_step(text) for text in "abc"),), "answer")
    tree = ReasoningTree.replay(
        QUESTION, [chain, Reflected(3, Reflection("backtrack", Hidden("x"), 3, target_step))]
    )
    assert (
        list(np.flatnonzero(tree.backtracked)) == [backtracked] == [tree.abandoned(3, target_step)]
    )
    assert tree.backtracks == backtracks


def test_an_unparsed_verdict_leaves_a_step_unjudged() -> None:
    tree = ReasoningTree.replay(QUESTION, [Expanded(0, ((make_step("a"),),)), Judged(1, UNPARSED)])
    assert not tree.is_wrong(1) and not tree.is_right(1) and tree.log_likelihood_ratio[1] == 0.0
    assert tree.is_undecided(1) and not siblings_wrong(tree, ROOT) and not tree.wrong().any()
    for evidence, wrong in ((-1.0, True), (1.0, False)):
        judged = ReasoningTree.replay(
            QUESTION,
            [Expanded(0, ((make_step("a"),),)), Judged(1, UNPARSED), Judged(1, verdict(evidence))],
        )
        assert judged.is_wrong(1) == wrong != judged.is_right(1) and not judged.is_undecided(1)


@pytest.mark.parametrize(
    "answer",
    ["", " ", "\n\t", "\u200b", "\ufeff \u00a0", "<|im_end|>", "<answer> </answer>", "</s>"],
)
def test_an_answer_in_which_nothing_can_be_read_is_none(answer: str) -> None:
    tree = ReasoningTree.replay(QUESTION, [Expanded(0, ((make_step("a", answer=answer),),))])
    assert (
        tree.terminal[1]
        and not tree.answered[1]
        and not tree.answer_leaves()
        and not tree.votes
        and not tree.is_viable(1)
    )


def test_verdicts_add_up() -> None:
    tree = ReasoningTree.replay(
        QUESTION,
        [Expanded(0, ((make_step("a"),),)), Judged(1, verdict(-1.0)), Judged(1, verdict(1.5))],
    )
    assert tree.is_right(1) and tree.log_likelihood_ratio[1] == pytest.approx(0.5)


def test_the_question_holds_no_step() -> None:
    with pytest.raises(ValueError, match="node 0 is the question"):
        ReasoningTree(QUESTION).step(ROOT)

"""Every rule of the depth-first derivation, on random trees."""

from __future__ import annotations

import random
from itertools import groupby
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from agents.types import Hidden, Reflection, Verdict
from graphs.thought.derive import (
    Wording,
    best_open_node,
    derive_journey,
    derive_shortcut,
    known_wrong,
    reason_against,
)
from graphs.thought.long_thought import LongThought, Segment
from graphs.thought.markup import kept_steps
from graphs.tree import ROOT, Event, Expanded, Judged, ReasoningTree, Reflected
from tests.graphs.tree.logs import QUESTION, UNPARSED, make_step, trees, verdict

COUNTS = st.integers(0, 3)


@st.composite
def journeys(draw: st.DrawFn) -> tuple[ReasoningTree, int | None, LongThought, dict[str, Any]]:
    """A tree, a leaf of it (None in trees without an answer, and sometimes in others),
    its journey and the journey's parameters.
    """
    tree = draw(trees())
    leaf = draw(st.sampled_from([*tree.answer_leaves(), None]))
    parameters: dict[str, Any] = {
        "wrong_trials": draw(COUNTS),
        "right_trials": 1 + draw(COUNTS),
        "off_path_depth": draw(COUNTS),
    }
    return (
        tree,
        leaf,
        derive_journey(tree, leaf, rng=random.Random(draw(st.integers(0, 99))), **parameters),
        parameters,
    )


def path_of(tree: ReasoningTree, leaf: int | None) -> list[int]:
    return tree.path(best_open_node(tree) if leaf is None else leaf)


def turns_of(thought: LongThought) -> list[list[Segment]]:
    """Returns the wrong turns: what stands between steps of the path, cut after each
    backtrack mark.
    """
    turns: list[list[Segment]] = [[]]
    for segment in thought.segments:
        if segment.kind in ("step", "answer"):
            assert turns[-1] == [], "a step of the path follows an unfinished wrong turn"
        else:
            turns[-1].append(segment)
            if segment.kind == "backtrack":
                turns.append([])
    assert turns[-1] == [], "the thought ends inside a wrong turn"
    return turns[:-1]


@pytest.mark.parametrize("kind", ["wrong", "reflect", "backtrack", "answer"])
def test_journeys_have_segments_of_every_kind(kind: str) -> None:
    """The laws below are about them."""
    find(
        journeys(),
        lambda journey: any(segment.kind == kind for segment in journey[2].segments),
        settings=settings(phases=[Phase.generate], derandomize=True),
    )


@given(journeys())
def test_nodes_of_the_path_appear_once_and_in_order(
    journey: tuple[ReasoningTree, int | None, LongThought, dict[str, int]],
) -> None:
    tree, leaf, thought, _ = journey
    assert [s.node for s in thought.segments if s.kind in ("step", "answer")] == path_of(tree, leaf)


@given(journeys())
def test_the_last_segment_is_the_answer(
    journey: tuple[ReasoningTree, int | None, LongThought, dict[str, int]],
) -> None:
    _, leaf, thought, _ = journey
    answers = [index for index, segment in enumerate(thought.segments) if segment.kind == "answer"]
    assert answers == ([] if leaf is None else [len(thought.segments) - 1])
    assert leaf is None or thought.segments[-1].node == leaf


@given(journeys())
def test_without_its_wrong_turns_a_journey_is_the_shortcut(
    journey: tuple[ReasoningTree, int | None, LongThought, dict[str, int]],
) -> None:
    tree, leaf, thought, _ = journey
    kept = tuple(s for s in thought.segments if s.kind not in ("wrong", "reflect", "backtrack"))
    assert LongThought(kept, "shortcut") == derive_shortcut(tree, leaf)


@given(journeys())
def test_obeying_the_backtrack_marks_gives_the_shortcut(
    journey: tuple[ReasoningTree, int | None, LongThought, dict[str, int]],
) -> None:
    tree, leaf, thought, _ = journey
    line: list[int] = []
    for segment in thought.segments:
        if segment.kind == "backtrack":
            target = int(segment.text.reveal().removeprefix("Back to step ").rstrip("."))
            assert target == tree.depth[segment.node]
            del line[target:]
        elif segment.kind != "reflect":
            line.append(segment.node)
    assert line == path_of(tree, leaf)


@given(journeys())
def test_a_wrong_turn_is_wrong_steps_then_reflections_then_one_backtrack(
    journey: tuple[ReasoningTree, int | None, LongThought, dict[str, int]],
) -> None:
    tree, _, thought, _ = journey
    for turn in turns_of(thought):
        assert [kind for kind, _ in groupby(turn, key=lambda s: s.kind)] == [
            "wrong",
            "reflect",
            "backtrack",
        ]
        assert turn[-1].kind == "backtrack"
        wrong = [s.node for s in turn if s.kind == "wrong"]
        assert [s.node for s in turn if s.kind == "reflect"] == [
            node for node in wrong if node in known_wrong(tree)
        ]


@given(journeys())
def test_a_wrong_turn_is_one_chain_off_the_path_back_to_where_it_left_it(
    journey: tuple[ReasoningTree, int | None, LongThought, dict[str, int]],
) -> None:
    tree, leaf, thought, parameters = journey
    path = path_of(tree, leaf)
    for turn in turns_of(thought):
        wrong = [s.node for s in turn if s.kind == "wrong"]
        assert not set(wrong) & set(path)
        assert [int(tree.parent[node]) for node in wrong] == [turn[-1].node, *wrong[:-1]]
        assert turn[-1].node in [ROOT, *path]
        assert len(wrong) <= 1 + parameters["off_path_depth"]


@given(journeys())
def test_wrong_turns_come_before_the_step_that_goes_on(
    journey: tuple[ReasoningTree, int | None, LongThought, dict[str, int]],
) -> None:
    _, _, thought, _ = journey
    at = ROOT
    for segment in thought.segments:
        if segment.kind == "backtrack":
            assert segment.node == at
        elif segment.kind in ("step", "answer"):
            at = segment.node


@given(journeys())
def test_trials_are_bounded(
    journey: tuple[ReasoningTree, int | None, LongThought, dict[str, int]],
) -> None:
    tree, _, thought, parameters = journey
    starts: dict[int, list[int]] = {}
    for turn in turns_of(thought):
        starts.setdefault(turn[-1].node, []).append(turn[0].node)
    for nodes in starts.values():
        assert nodes == sorted(set(nodes))
        wrong = [node for node in nodes if node in known_wrong(tree)]
        assert len(wrong) <= parameters["wrong_trials"]
        assert len(nodes) - len(wrong) <= parameters["right_trials"] - 1


@given(trees(), st.integers(1, 3), st.integers(0, 2))
def test_every_wrong_sibling_is_tried_while_trials_last(
    tree: ReasoningTree, wrong_trials: int, off_path_depth: int
) -> None:
    path = path_of(tree, None)
    thought = derive_journey(
        tree, None, rng=random.Random(0), wrong_trials=wrong_trials, off_path_depth=off_path_depth
    )
    tried = [turn[-1].node for turn in turns_of(thought)]
    for node, following in zip([ROOT, *path], [*path, None], strict=True):
        words = {
            tree.step(child).content.reveal().text
            for child in tree.children[node]
            if child in known_wrong(tree)
        }
        taken = {tree.step(following).content.reveal().text} if following is not None else set()
        assert tried.count(node) == min(wrong_trials, len(words - taken))


@given(journeys())
def test_by_default_only_steps_known_to_be_wrong_begin_a_turn(
    journey: tuple[ReasoningTree, int | None, LongThought, dict[str, int]],
) -> None:
    tree, leaf, _, _ = journey
    for turn in turns_of(derive_journey(tree, leaf, rng=random.Random(1))):
        assert turn[0].node in known_wrong(tree)
        assert len([s for s in turn if s.kind == "wrong"]) <= 2


@given(journeys())
def test_a_dead_end_ends_at_the_first_step_known_to_be_wrong(
    journey: tuple[ReasoningTree, int | None, LongThought, dict[str, int]],
) -> None:
    tree, _, thought, _ = journey
    for turn in turns_of(thought):
        wrong = [s.node in known_wrong(tree) for s in turn if s.kind == "wrong"]
        assert wrong[0] or wrong == [False] * (len(wrong) - 1) + [True]


@given(journeys())
def test_reflections_carry_the_judges_reason(
    journey: tuple[ReasoningTree, int | None, LongThought, dict[str, int]],
) -> None:
    tree, _, thought, _ = journey
    for segment in thought.segments:
        if segment.kind == "reflect":
            text = segment.text.reveal()
            against = [
                v for v in tree.verdicts[segment.node] if v.outcome == "judged" and not v.is_right
            ]
            assert all(v.reason is None or v.reason.reveal() in text for v in against)
            assert text.strip()


@given(journeys())
def test_no_turn_states_the_answer_or_begins_with_the_words_that_follow(
    journey: tuple[ReasoningTree, int | None, LongThought, dict[str, int]],
) -> None:
    tree, leaf, thought, _ = journey
    answer = None if leaf is None else tree.step(leaf).answer
    path = path_of(tree, leaf)
    for turn in turns_of(thought):
        assert answer is None or all(
            tree.step(s.node).answer != answer for s in turn if s.kind == "wrong"
        )
        following = next((node for node in path if tree.parent[node] == turn[-1].node), None)
        assert following is None or turn[0].text != Hidden(
            tree.step(following).content.reveal().text
        )


@given(trees(), st.integers(0, 9))
def test_a_seed_decides_the_journey(tree: ReasoningTree, seed: int) -> None:
    leaf = next(iter(tree.answer_leaves()), None)
    first, second = (
        derive_journey(
            tree, leaf, rng=random.Random(seed), wrong_trials=2, right_trials=2, off_path_depth=2
        )
        for _ in range(2)
    )
    assert first == second


@given(trees())
def test_the_best_open_node_is_a_sound_one_of_greatest_depth(tree: ReasoningTree) -> None:
    def is_sound(node: int) -> bool:
        return not tree.terminal[node] and not set(tree.path(node)) & known_wrong(tree)

    best = best_open_node(tree)
    assert is_sound(best)
    assert tree.depth[best] == max(
        int(tree.depth[node]) for node in range(len(tree)) if is_sound(node)
    )


def small_tree(*events: Event) -> ReasoningTree:
    """1 (wrong) and 2 below the question; 3 below 1; 4 (the answer) below 2."""
    steps = [
        Expanded(0, ((make_step("3 + 7 = 11"),), (make_step("7 - 3 = 4"),))),
        Expanded(1, ((make_step("so 11 + 11"),),)),
        Expanded(2, ((make_step("Answer: 21", answer="21"),),)),
    ]
    return ReasoningTree.replay(QUESTION, [*steps, *events])


def segments_of(thought: LongThought) -> list[tuple[str, int, str]]:
    return [(s.kind, s.node, s.text.reveal()) for s in thought.segments]


def test_a_journey_reads_like_a_thought() -> None:
    tree = small_tree(
        Judged(1, verdict(-2.0, reason="3 + 7 is 10")), Judged(2, verdict(2.0, reason="fine"))
    )
    assert segments_of(derive_journey(tree, 4, rng=random.Random(0))) == [
        ("wrong", 1, "3 + 7 = 11"),
        ("wrong", 3, "so 11 + 11"),
        ("reflect", 1, "Wait, step 1 is wrong: 3 + 7 is 10"),
        ("backtrack", 0, "Back to step 0."),
        ("step", 2, "7 - 3 = 4"),
        ("answer", 4, "Answer: 21"),
    ]


def reflection_on_1(*events: Event) -> str:
    thought = derive_journey(small_tree(*events), 4, rng=random.Random(0), off_path_depth=0)
    return next(s.text.reveal() for s in thought.segments if s.kind == "reflect" and s.node == 1)


def test_without_a_reason_the_reflector_is_quoted() -> None:
    reflection = Reflection("reflect", Hidden("Step 1 is wrong, try a difference."), 1)
    assert reflection_on_1(Judged(1, verdict(-1.0)), Reflected(1, reflection)) == (
        "Step 1 is wrong, try a difference."
    )


def test_a_step_that_was_given_up_quotes_whoever_gave_it_up() -> None:
    reflection = Reflection("backtrack", Hidden("This leads nowhere."), 2, target_step=0)
    assert (
        reflection_on_1(Judged(1, verdict(1.0)), Reflected(3, reflection)) == "This leads nowhere."
    )


def test_where_nothing_is_known_nothing_is_invented() -> None:
    assert (
        reflection_on_1(Judged(1, Verdict(0.0, "exact_checker", log_likelihood_ratio=-20.0)))
        == "Wait, step 1 is wrong."
    )
    assert (
        reflection_on_1(Reflected(1, Reflection("backtrack", Hidden(" "), None, 0)))
        == "Step 1 leads no further."
    )


def test_the_wording_is_a_parameter() -> None:
    wording = Wording(
        mistake_because="Moment, Schritt {step}: {reason}", backtrack="Zurück zu {step}."
    )
    thought = derive_journey(
        small_tree(Judged(1, verdict(-1.0, reason="{nein}"))),
        4,
        rng=random.Random(0),
        wording=wording,
    )
    texts = [text for _, _, text in segments_of(thought)]
    assert "Moment, Schritt 1: {nein}" in texts and "Zurück zu 0." in texts


@given(trees())
def test_known_wrong_is_judged_against_or_given_up(tree: ReasoningTree) -> None:
    def evidence(node: int) -> list[float]:
        return [v.log_likelihood_ratio for v in tree.verdicts[node] if v.outcome == "judged"]

    judged_wrong = {
        node for node in range(1, len(tree)) if evidence(node) and sum(evidence(node)) <= 0
    }
    assert known_wrong(tree) == judged_wrong | {
        node for node in range(len(tree)) if tree.backtracked[node]
    }


def test_only_the_reasons_against_a_step_are_shown() -> None:
    praise, blame = verdict(0.5, reason="looks fine"), verdict(-1.0, reason="3 + 7 is 10")
    again = verdict(-0.5, reason=" 3 + 7 is 10\n")
    mumbled = Verdict(0.5, "token_critic", outcome="unparsed", reason=Hidden("mumble"))
    judged = [Judged(1, v) for v in (praise, blame, again, mumbled)]
    assert reflection_on_1(*judged) == "Wait, step 1 is wrong: 3 + 7 is 10"


def test_an_unparsed_verdict_makes_no_step_wrong() -> None:
    assert known_wrong(small_tree(Judged(1, UNPARSED))) == frozenset()


def test_no_turn_states_the_answer_in_another_spelling() -> None:
    chains = ((make_step("Answer: 21.0", answer="21.0"),), (make_step("Answer: 21", answer="21"),))
    tree = ReasoningTree.replay(QUESTION, [Expanded(0, chains), Judged(1, verdict(-1.0))])
    assert [s.kind for s in derive_journey(tree, 2, rng=random.Random(0)).segments] == ["answer"]


def test_a_wrong_turn_ends_where_the_policy_said_nothing_more() -> None:
    """The policy's own doubt is an empty step: it is never told, however deep a turn
    may go.
    """
    chains = (
        (make_step("Answer: 21", answer="21"),),
        (make_step("wrong"), make_step("", answer="")),
    )
    tree = ReasoningTree.replay(QUESTION, [Expanded(0, chains), Judged(2, verdict(-1.0))])
    segments = derive_journey(tree, 1, rng=random.Random(0), off_path_depth=3).segments
    assert [(s.kind, s.node) for s in segments] == [
        ("wrong", 2),
        ("reflect", 2),
        ("backtrack", 0),
        ("answer", 1),
    ]


def test_a_second_right_trial_is_a_dead_end() -> None:
    tree = small_tree(Judged(1, verdict(1.0)), Judged(3, verdict(-1.0)))
    assert [s.kind for s in derive_journey(tree, 4, rng=random.Random(0)).segments] == [
        "step",
        "answer",
    ]
    kinds = [
        (s.kind, s.node)
        for s in derive_journey(tree, 4, rng=random.Random(0), right_trials=2).segments
    ]
    assert kinds == [
        ("wrong", 1),
        ("wrong", 3),
        ("reflect", 3),
        ("backtrack", 0),
        ("step", 2),
        ("answer", 4),
    ]


def test_a_thought_whose_first_steps_are_all_wrong_ends_at_the_question() -> None:
    tree = small_tree(Judged(1, verdict(-1.0)), Judged(2, verdict(-1.0)))
    kinds = [
        s.kind
        for s in derive_journey(
            tree, None, rng=random.Random(0), wrong_trials=9, off_path_depth=0
        ).segments
    ]
    assert kinds == ["wrong", "reflect", "backtrack"] * 2
    assert derive_shortcut(tree, None).segments == ()


@pytest.mark.parametrize("leaf", [0, 1, 5, -1])
def test_a_leaf_must_mark_an_answer(leaf: int) -> None:
    with pytest.raises(ValueError, match=f"node {leaf} marks no answer"):
        derive_shortcut(small_tree(), leaf)


@pytest.mark.parametrize(
    "parameters", [{"wrong_trials": -1}, {"right_trials": 0}, {"off_path_depth": -1}]
)
def test_counts_out_of_range_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="right_trials"):
        derive_journey(small_tree(), 4, rng=random.Random(0), **parameters)


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_wrong_siblings_are_chosen_evenly(seed: int) -> None:
    chains = (
        *((make_step(f"try {i}"),) for i in range(3)),
        (make_step("Answer: 21", answer="21"),),
    )
    judged = [Judged(node, verdict(-1.0)) for node in (1, 2, 3)]
    tree = ReasoningTree.replay(QUESTION, [Expanded(0, chains), *judged])
    rng = random.Random(seed)
    firsts = [derive_journey(tree, 4, rng=rng).segments[0].node for _ in range(300)]
    assert all(60 <= firsts.count(node) <= 140 for node in (1, 2, 3))


def test_a_reason_is_what_judges_wrote_who_held_the_step_to_be_wrong() -> None:
    said = [
        verdict(-1.0, reason="2+2 is 4. "),
        UNPARSED,
        verdict(1.0, reason="fine"),
        verdict(-1.0, reason="2+2 is 4."),
        verdict(-1.0),
    ]
    tree = ReasoningTree.replay(
        QUESTION,
        [
            Expanded(0, ((make_step("2+2=5"),), (make_step("x"),))),
            *(Judged(1, one) for one in said),
        ],
    )
    assert reason_against(tree, 1) == "2+2 is 4." and reason_against(tree, 2) == ""


def test_a_cut_step_and_its_continuation_are_one_text() -> None:
    cut = make_step("3 + 4 is 1", finish_reason="length")
    events = [
        Expanded(ROOT, ((cut,),)),
        Expanded(1, ((make_step("2, no, 7."),),)),
        Expanded(2, ((make_step("Answer: 7", answer="7"),),)),
    ]
    thought = derive_shortcut(ReasoningTree.replay(QUESTION, events), 3)
    assert [segment.is_cut for segment in thought.segments] == [True, False, False]
    assert [text.reveal() for text in kept_steps(thought)] == ["3 + 4 is 12, no, 7."]

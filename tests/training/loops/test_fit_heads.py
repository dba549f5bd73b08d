"""Policy and value heads: what rows say, what the loss is, what is learned, and what a
run of training=heads leaves.
"""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from agents.engines.heads_folder import VALUE, factor_label
from agents.engines.tokenizer import HFTokenizer
from agents.engines.transformers.heads import TransformersClassifier, head_outputs, load_heads
from agents.prompts import PromptFamily, Prompts
from agents.types import LongthoughtError, RunConflictError, ThoughtFactor
from configs import compose
from configs.errors import ConfigError
from configs.schema.training import HeadsFit, HeadsTrainingConfig
from graphs.runs.driver import run as think_about
from graphs.traces.checked import CheckedThought
from graphs.traces.store import FILE_NAME
from graphs.tree import ROOT, Backup
from tests.graphs.strategies.trees import QUESTION, expanded, step, tree_of
from tests.training.conftest import NUM_TAUGHT
from training.driver import run
from training.loops.fit_heads import (
    HeadRow,
    HeadRows,
    HeadsResult,
    LossScale,
    collect_rows,
    factor_written,
    fit_heads,
    head_rows,
    heads_loss,
    is_held_out,
    outcomes_below,
)
from training.loops.model_folder import load_model
from training.run import main

FACTORS = tuple(ThoughtFactor(name=name, opening=f"<|{name}|>") for name in ("propose", "correct"))


def thought() -> CheckedThought:
    """Below a: two samples that end right, one that ends wrong. Below b: one that is
    cut off. c has no thought factor.
    """
    events = [
        expanded(ROOT, step("a", factor="propose"), step("b", factor="correct"), step("c")),
        expanded(
            1,
            step("Answer: 4", answer="4"),
            step("Answer: 4", answer="4"),
            step("Answer: 5", answer="5"),
        ),
        expanded(2, step("cut", cut=True)),
        Backup(1, 0.5),
        Backup(4, 1.0),
        Backup(2, 0.0),
        Backup(3, 0.0),
    ]
    return CheckedThought(QUESTION, tree_of(events), {"4": True, "5": False}, None)


def test_outcomes_are_counted_by_samples_at_every_node_above_them() -> None:
    right, answers = outcomes_below(thought())
    assert answers == [3, 3, 0, 0, 2, 1, 0]
    assert right == [2, 2, 0, 0, 2, 0, 0]


def test_a_row_is_the_policys_context_at_a_node_that_something_is_known_of(
    tiny_pocket: Path,
) -> None:
    prompts = Prompts(PromptFamily("pocket"), HFTokenizer(str(tiny_pocket)))
    rows = head_rows(thought(), prompts, FACTORS, most=99, rng=random.Random(0))
    assert [(row.node, row.right, row.answers) for row in rows] == [
        (0, 2, 3),
        (1, 2, 3),
        (4, 2, 2),
        (5, 0, 1),
    ]
    assert rows[0].visits == (2, 1) and rows[0].tried == (True, True) and rows[0].is_searched
    assert rows[1].visits == (0, 0) and not rows[1].is_searched, "its children have no factor"
    tree = thought().tree
    for row in rows:
        assert row.input_ids == prompts.context(QUESTION, tree.path_steps(row.node))[0]
    few = head_rows(thought(), prompts, FACTORS, most=2, rng=random.Random(0))
    assert len(few) == 2 and set(few) < set(rows)


def test_a_factor_that_was_not_tried_says_nothing(tiny_pocket: Path) -> None:
    third = ThoughtFactor(name="conclude", opening="<|conclude|>")
    prompts = Prompts(PromptFamily("pocket"), HFTokenizer(str(tiny_pocket)))
    [root, *_] = head_rows(thought(), prompts, (*FACTORS, third), most=99, rng=random.Random(0))
    assert (root.visits, root.tried) == ((2, 1, 0), (True, True, False))


def test_without_visit_counts_right_answers_count(tiny_pocket: Path) -> None:
    whole = thought()
    events = [
        expanded(ROOT, step("a", factor="propose"), step("b", factor="correct")),
        expanded(1, *[step("4", answer="4")] * 3),
    ]
    sampled = CheckedThought(
        QUESTION, tree_of([*events, expanded(2, step("5", answer="5"))]), whole.right, None
    )
    [root, *_] = head_rows(
        sampled,
        Prompts(PromptFamily("pocket"), HFTokenizer(str(tiny_pocket))),
        FACTORS,
        most=9,
        rng=random.Random(0),
    )
    assert root.node == ROOT and root.visits == (3, 0) and root.tried == (True, True), (
        "the policy could have written either"
    )


@pytest.mark.parametrize(
    ("text", "named", "expected"),
    [
        ("Wait, that is wrong", None, "correct"),
        ("Wait,", None, "correct"),
        ("3 + 4 = 7", None, "propose"),
        ("Wait, 3", "propose", "propose"),
        ("3 + 4 = 7", "unknown", None),
    ],
)
def test_a_free_step_has_the_factor_that_it_begins_with(
    text: str, named: str | None, expected: str | None
) -> None:
    """Openings of a chat model are words, and their last blank belongs to the next
    word's token.
    """
    factors = (
        ThoughtFactor(name="propose", opening=""),
        ThoughtFactor(name="correct", opening="Wait, "),
    )
    assert factor_written(step(text, factor=named), factors) == expected
    assert factor_written(step("3 + 4 = 7"), factors[1:]) is None


def row(
    ids: Sequence[int],
    right: int = 0,
    answers: int = 0,
    visits: tuple[int, ...] = (0, 0),
    question: str = "q",
    tried: str = "11",
) -> HeadRow:
    return HeadRow(
        tuple(ids), right, answers, visits, tuple(mark == "1" for mark in tried), question, 0
    )


ROWS = [
    row([5], 1, 4, (3, 1)),
    row([5], 0, 0, (0, 2)),
    row([5], 2, 2, (0, 0)),
    row([5], 0, 1, (5, 0), tried="10"),  # nothing to choose between
]


def naive_loss(outputs: list[list[float]], policy_weight: float) -> float:
    value, visited, visits = 0.0, 0.0, 0
    for one, (logit, *logits) in zip(ROWS, outputs, strict=True):
        v = 1 / (1 + math.exp(-logit))
        if one.answers:
            share = one.right / one.answers
            value -= (share * math.log(v) + (1 - share) * math.log(1 - v)) / 3
        if one.is_searched:
            total = sum(math.exp(x) for x in logits)
            visited -= sum(
                n * math.log(math.exp(x) / total) for n, x in zip(one.visits, logits, strict=True)
            )
            visits += sum(one.visits)
    return value + policy_weight * visited / visits


@pytest.mark.parametrize("policy_weight", [0.0, 1.0, 0.3])
def test_the_loss_is_the_naive_one_however_the_batch_is_cut_up(policy_weight: float) -> None:
    import torch

    rng = random.Random(1)
    outputs = [[rng.gauss(0, 1) for _ in range(3)] for _ in ROWS]
    tensor, scale = torch.tensor(outputs, dtype=torch.float64), LossScale.of(ROWS, policy_weight)
    for micro in (4, 2, 1):
        parts = [
            heads_loss(tensor[start : start + micro], ROWS[start : start + micro], scale)
            for start in range(0, 4, micro)
        ]
        assert float(sum(parts) / len(parts)) == pytest.approx(naive_loss(outputs, policy_weight))


def test_factors_that_were_not_tried_stay_out_of_the_loss() -> None:
    import torch

    rows = [row([5], 0, 0, (3, 1, 0), tried="110")]
    losses = [
        float(heads_loss(torch.tensor([[0.0, 1.0, -1.0, logit]]), rows, LossScale(1.0, 4.0, 1.0)))
        for logit in (-5.0, 0.0, 50.0)
    ]
    assert losses[0] == losses[1] == losses[2] > 0


def test_a_batch_without_answers_or_visits_has_a_loss_all_the_same() -> None:
    import torch

    assert float(heads_loss(torch.zeros(1, 3), [row([5])], LossScale(1.0, 1.0, 1.0))) == 0.0


# What is learned: a made-up world in which the first token determines the outcome
# and the second the best factor.

ENDS_RIGHT, ENDS_WRONG, GO_HERE, GO_THERE = 40, 41, 42, 43


def world(questions: int = 60) -> list[HeadRow]:
    rows, rng = [], random.Random(0)
    for number in range(questions):
        end, go = rng.choice((ENDS_RIGHT, ENDS_WRONG)), rng.choice((GO_HERE, GO_THERE))
        padding = [rng.randrange(50, 90) for _ in range(rng.randrange(6))]
        visits = (7, 1) if go == GO_HERE else (1, 7)
        rows.append(
            row([end, go, *padding], 4 * (end == ENDS_RIGHT), 4, visits, f"question {number}")
        )
    return rows


def fit(
    base: Path, folder: Path, rows: list[HeadRow] | None = None, **options: object
) -> HeadsResult:
    heads = HeadsFit.model_validate(
        {"learning_rate": 3e-3, "epochs": 12, "batch_size": 8, "held_out": 0.25, **options}
    )
    training = HeadsTrainingConfig(from_runs=(Path("unused"),), heads=heads)
    return fit_heads(world() if rows is None else rows, base, folder, FACTORS, training)


@pytest.fixture(scope="module")
def fitted(tiny_pocket: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[HeadsResult, Path]:
    folder = tmp_path_factory.mktemp("fitted") / "model"
    return fit(tiny_pocket, folder), folder


def test_both_heads_are_learned_and_beat_what_can_be_said_without_reading(
    fitted: tuple[HeadsResult, Path],
) -> None:
    result, _ = fitted
    measure = result.measure
    assert result.labels == (VALUE, factor_label("propose"), factor_label("correct"))
    assert (
        result.rows + result.held_out_rows == 60
        and result.held_out_rows == measure.nodes == measure.searched_nodes > 5
    )
    assert result.losses[-1] < result.losses[0] == pytest.approx(2 * math.log(2), abs=0.01), (
        "at first V is 1/2, and P uniform"
    )
    assert measure.value_loss < 0.3 * measure.base_rate_loss and measure.perfect_loss < 1e-4
    assert measure.calibration_error < 0.2
    assert (
        measure.policy_loss < 0.6 * measure.marginal_loss
        and measure.uniform_loss == pytest.approx(math.log(2))
    )
    assert measure.agreement > 0.9 > measure.chance_agreement


async def test_what_was_learned_is_what_is_served(
    fitted: tuple[HeadsResult, Path], tiny_pocket: Path
) -> None:
    result, folder = fitted
    classifier = await TransformersClassifier.open(model=str(folder))
    assert classifier.labels == result.labels
    assert classifier.info.tokenizer_hash == HFTokenizer(str(tiny_pocket)).hash, (
        "so it reads the policy's ids"
    )
    right, wrong = [
        (await classifier.classify((end, GO_HERE, 50))).outputs for end in (ENDS_RIGHT, ENDS_WRONG)
    ]
    await classifier.close()
    assert right[0] > 1 > -1 > wrong[0]
    assert right[1] > right[2] and wrong[1] > wrong[2]


def test_a_head_alone_leaves_the_trunk_as_it_is(tiny_pocket: Path, tmp_path: Path) -> None:
    import torch

    fit(tiny_pocket, tmp_path / "model", finetune="head", epochs=1)
    trunk, served = (
        load_model(tiny_pocket, dtype="float32").model.state_dict(),
        load_heads(tmp_path / "model", dtype="float32"),
    )
    assert all(
        torch.equal(tensor, served.model.state_dict()[name]) for name, tensor in trunk.items()
    )
    assert served.score.weight.abs().sum() > 0


def test_without_visits_there_is_a_value_head_alone(tiny_pocket: Path, tmp_path: Path) -> None:
    rows = [
        row(one.input_ids, one.right, one.answers, (0, 0), one.question_hash) for one in world()
    ]
    result = fit(tiny_pocket, tmp_path / "model", rows, epochs=1)
    assert result.labels == (VALUE,)
    assert result.measure.as_json()["policy_loss"] is None


def test_a_training_that_diverges_is_told_and_leaves_no_heads(
    tiny_pocket: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        LongthoughtError,
        match=r"the training diverged: .*nan.*; lower training\.heads\.learning_rate",
    ):
        fit(
            tiny_pocket,
            tmp_path / "model",
            epochs=1,
            learning_rate=1.0,
            warmup_ratio=0.0,
            weight_decay=1e30,
        )
    assert not (tmp_path / "model").exists()


def test_without_weight_there_is_no_policy_head(tiny_pocket: Path, tmp_path: Path) -> None:
    assert fit(tiny_pocket, tmp_path / "model", policy_weight=0.0, epochs=1).labels == (VALUE,)


def test_padding_changes_nothing(fitted: tuple[HeadsResult, Path]) -> None:
    import torch

    model = load_heads(fitted[1], dtype="float32").eval()
    prompts = [(40, 42), (41, 43, 50, 51, 52, 53), (3,), (40, 3)]  # 3 is the end of the sequence
    with torch.inference_mode():
        together = head_outputs(model, prompts)
        alone = torch.cat([head_outputs(model, [prompt]) for prompt in prompts])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_questions_are_held_out_by_their_hash() -> None:
    held_out = [is_held_out(f"{number}", 0.1) for number in range(2000)]
    assert 150 < sum(held_out) < 250
    assert held_out == [is_held_out(f"{number}", 0.1) for number in range(2000)]


def test_too_few_questions_are_refused(tiny_pocket: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError,
        match=r"0 nodes of 0 questions.*record more questions, or change training\.heads\.held_out",
    ):
        fit(tiny_pocket, tmp_path / "model", [])
    with pytest.raises(ValueError, match="1 nodes of 1 questions leave"):
        fit(tiny_pocket, tmp_path / "model", world(1))
    with pytest.raises(ValueError, match="with an answer below them"):
        fit(
            tiny_pocket,
            tmp_path / "model",
            [row(one.input_ids, 0, 0, one.visits, one.question_hash) for one in world()],
        )


# The command.

SEARCH = [
    *(
        "search=mcts",
        "search.use_factors=true",
        "search.num_simulations=6",
        "search.prior=logprob",
        "search.value=rollout",
    ),
    *(
        "task.families=[legs]",
        "task.levels=[1]",
        "task.split=train",
        f"task.size={NUM_TAUGHT}",
        "critic=length",
        "reflector=none",
    ),
]


@pytest.fixture(scope="module")
def searched(taught_pocket: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Words that train heads on a search under thought factors."""
    folder = tmp_path_factory.mktemp("runs")
    engine = [
        "engine=transformers",
        f"engine.model={taught_pocket}",
        f"run.output_dir={folder}",
        "policy.max_answer_tokens=96",
    ]
    think_about(compose([*engine, *SEARCH, "run=searched"]))
    return [
        *engine,
        "training=heads",
        f"training.from_runs=[{folder}/searched]",
        "training.heads.held_out=0.4",
        "run=heads",
    ]


def collect(words: list[str]) -> HeadRows:
    config = compose(words)
    assert isinstance(config.training, HeadsTrainingConfig)
    return collect_rows(config, config.training)


def _words_of_the_search(searched: list[str]) -> list[str]:
    """Returns the words that recorded what these words train on."""
    return [
        word
        for word in searched
        if not word.startswith(("training", "run=")) and word not in SEARCH
    ] + SEARCH


def test_a_run_leaves_heads_that_a_search_can_read(
    searched: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, found = run(compose(searched))
    assert found["heads"]["labels"] == [
        VALUE,
        *(factor_label(name) for name in ("propose", "correct", "conclude")),
    ]
    assert json.loads((folder / "metrics.json").read_text()) == json.loads(json.dumps(found))
    report = (folder / "report.md").read_text()
    for text in (report, capsys.readouterr().out):
        assert "value head on" in text and "policy head on" in text
    heads = [
        "engine@heads.engine=transformers",
        f"heads.engine.model={folder}/model",
        "critic=value_head",
        "search.aggregation=last",
    ]
    words = [
        word
        for word in searched
        if not word.startswith(("training", "run=heads", "run.output_dir"))
    ]
    search = [
        "search=mcts",
        "search.use_factors=true",
        "search.num_simulations=4",
        "search.prior=policy_head",
        "reflector=none",
    ]
    task = [
        "task.families=[legs]",
        "task.levels=[1]",
        "task.size=2",
        f"run.output_dir={tmp_path}",
        "run=read",
    ]
    _, metrics, outcome = think_about(compose([*words, *search, *heads, *task]))
    assert not outcome.failed
    assert {"policy", "critic", "heads"} <= set(metrics["tokens_by_role"]), metrics
    assert run(compose(searched))[1] == found, "finished already"


def test_the_command_trains_heads_and_not_on_held_out_questions(
    searched: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(searched) == 0
    assert "heads/report.md" in capsys.readouterr().out
    words = [word for word in searched if not word.startswith(("training", "run"))]
    task = [
        "task.families=[legs]",
        "task.levels=[1]",
        "task.size=2",
        f"run.output_dir={tmp_path}",
        "run=measured",
    ]
    think_about(compose([*words, *task, "search=greedy", "critic=none", "reflector=none"]))
    learn = [
        "training=heads",
        f"training.from_runs=[{tmp_path}/measured]",
        f"run.output_dir={tmp_path}",
        "run=cheating",
    ]
    with pytest.raises(ValueError, match="belongs to the test split and must not be trained on"):
        run(compose([*words, *learn]))
    assert not (tmp_path / "cheating" / FILE_NAME).exists(), "so the name is free for another try"


def test_other_traces_or_another_tokenizer_are_not_mixed_in(
    searched: list[str], tiny_model_folder: Path
) -> None:
    run(compose(searched))
    folder = Path(
        next(word for word in searched if word.startswith("run.output_dir")).partition("=")[2]
    )
    contents = collect(searched).contents
    (folder / "searched").rename(folder / "before")
    try:
        think_about(compose([*_words_of_the_search(searched), "run=searched", "run.seed=7"]))
        assert collect(searched).contents.keys() == contents.keys()
        (folder / "heads" / "stages" / "heads.json").unlink()
        with pytest.raises(RunConflictError, match=r"nodes of .*searched"):
            run(compose(searched))
    finally:
        shutil.rmtree(folder / "searched")
        (folder / "before").rename(folder / "searched")
    words = [*searched, f"engine.model={tiny_model_folder}", "run=other", "policy=chat"]
    with pytest.raises(ValueError, match="was recorded with another tokenizer"):
        run(compose(words))


def test_heads_need_weights_to_stand_on(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"training\.method \(heads\) needs the policy's weights and engine\.kind is openai",
    ):
        compose(["training=heads", f"training.from_runs=[{tmp_path}]", "engine=openai"])


def test_a_run_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"training\.from_runs"):
        compose(["training=heads", f"training.from_runs=[{tmp_path}/nowhere]"])

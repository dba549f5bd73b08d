"""The model against transformers, the sampler against a naive loop, resumed training
against unbroken training.
"""

import json
import math
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from graphs.evaluation.platt import fit_platt
from tests.seeds import seeds
from training.pretrain.documents import DocumentBuilder, DocumentOptions
from training.pretrain.evaluate import sibling_accuracy
from training.pretrain.export import export_model, llama_config, llama_state, load_folder
from training.pretrain.judging import Judge, Node
from training.pretrain.mixture import draw_problem
from training.pretrain.model import ModelShape, PocketModel
from training.pretrain.optimizer import Muon, orthogonalised, rate_factor
from training.pretrain.packing import pack
from training.pretrain.sampling import Sample, sample
from training.pretrain.tokenizer import Codec
from training.pretrain.trainer import Trainer, TrainOptions

CODEC = Codec()


def _causal(length: int) -> torch.Tensor:
    return torch.full((length, length), float("-inf")).triu(1)[None, None]


@pytest.fixture(scope="module")
def model() -> PocketModel:
    torch.manual_seed(0)
    fresh = PocketModel(
        ModelShape(CODEC.size, hidden_size=128, num_layers=2, intermediate_size=192), CODEC.numbers
    )
    for parameter in fresh.parameters():
        parameter.requires_grad_(False).add_(0.05 * torch.randn_like(parameter)).copy_(
            parameter.bfloat16()
        )
    return fresh


def test_logits_equal_transformers_llama(model: PocketModel, tmp_path: Path) -> None:
    export_model(model, tmp_path)
    llama = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert llama.config.tie_word_embeddings
    ids = torch.randint(0, CODEC.size, (3, 60), generator=torch.Generator().manual_seed(1))
    ours = model.logits(model(ids, torch.arange(60).expand(3, 60), _causal(60)))
    torch.testing.assert_close(ours, llama(ids).logits, rtol=1e-4, atol=1e-4)


def test_exported_names_are_all_that_llama_has(model: PocketModel) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    llama = LlamaForCausalLM(
        LlamaConfig(
            **{
                key: value
                for key, value in llama_config(model.shape, CODEC).items()
                if key != "dtype"
            }
        )
    )
    expected = {name for name, _ in llama.named_parameters()}
    assert set(llama_state(model)) == expected


def test_exported_folder_can_be_started_from(model: PocketModel, tmp_path: Path) -> None:
    export_model(model, tmp_path)
    other = PocketModel(model.shape, CODEC.numbers)
    load_folder(other, tmp_path)
    for name, parameter in model.named_parameters():
        assert torch.equal(other.get_parameter(name), parameter), name


@pytest.mark.parametrize("shape", [(96, 32), (32, 96), (64, 64)])
def test_muon_steps_like_torch(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    start = torch.randn(shape)
    ours, theirs = start.clone().requires_grad_(), start.clone().requires_grad_()
    reference = torch.optim.Muon([theirs], lr=0.1, weight_decay=0.0, momentum=0.95)
    muon = Muon([ours], 0.1, torch.float32)
    for _ in range(4):
        ours.grad = torch.randn(shape)
        theirs.grad = ours.grad.clone()
        with torch.no_grad():
            muon.step()
        reference.step()  # type: ignore[no-untyped-call]
    step, expected = (ours - start).detach(), (theirs - start).detach()
    assert float((step - expected).norm() / expected.norm()) < 0.03  # torch iterates in bfloat16


def test_orthogonalised_matrix_has_singular_values_near_one() -> None:
    values = torch.linalg.svdvals(
        orthogonalised(
            torch.randn(48, 200, generator=torch.Generator().manual_seed(0)), torch.float32
        )
    )
    assert float(values.min()) > 0.6 and float(values.max()) < 1.3


def test_branches_of_a_packed_trie_equal_plain_sequences(model: PocketModel) -> None:
    rng = random.Random(0)
    document = DocumentBuilder(CODEC, DocumentOptions(error_dose=0.0)).checked(
        rng, draw_problem(rng, "locks", level=3)
    )
    batch, _ = pack([document], 1, len(document) + 7, dtype=torch.float32)
    packed = model(batch.ids, batch.positions, batch.mask)[0]
    for leaf in sorted(set(range(len(document))) - set(document.parents)):
        path, index = [], leaf
        while index >= 0:
            path.append(index)
            index = document.parents[index]
        path.reverse()
        ids = torch.tensor([[document.ids[i] for i in path]])
        plain = model(ids, torch.arange(len(path))[None], _causal(len(path)))[0]
        torch.testing.assert_close(packed[path], plain, rtol=1e-4, atol=1e-5)


def test_greedy_sampling_equals_a_naive_loop_at_any_batch(model: PocketModel) -> None:
    rng = random.Random(1)
    prompts = [
        DocumentBuilder(CODEC, DocumentOptions()).prompt(draw_problem(rng)) for _ in range(5)
    ]
    drawn = sample(model, prompts, num_samples=2, stop=(CODEC.eos,), max_tokens=12, temperature=0.0)
    alone = [
        sample(model, [prompt], num_samples=1, stop=(CODEC.eos,), max_tokens=12, temperature=0.0)[
            0
        ][0]
        for prompt in prompts
    ]
    for prompt, (first, second), single in zip(prompts, drawn, alone, strict=True):
        ids = list(prompt)
        for _ in range(12):
            logits = model.logits(
                model(torch.tensor([ids]), torch.arange(len(ids))[None], _causal(len(ids)))
            )[0, -1]
            ids.append(int(logits.argmax()))
            if ids[-1] == CODEC.eos:
                break
        assert first.ids == second.ids == single.ids == ids[len(prompt) :]
        assert first.logprobs == pytest.approx(single.logprobs, abs=1e-4)


def test_samples_are_a_function_of_the_seed(model: PocketModel) -> None:
    prompt = [CODEC.special("bos"), CODEC.special("user"), CODEC.special("policy")]

    def draw(seed: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(seed)
        return [
            one.ids
            for one in sample(
                model,
                [prompt],
                num_samples=4,
                stop=(CODEC.eos,),
                max_tokens=8,
                temperature=1.0,
                generator=generator,
            )[0]
        ]

    assert draw(7) == draw(7) != draw(8)


def _trainer(out: Path, **options: Any) -> Trainer:
    trainer = Trainer(
        TrainOptions(
            out=out,
            num_rows=2,
            compile=False,
            seed=5,
            **{"steps": 6, "phase_2_from": 0.34, **options},
        )
    )
    trainer.mixture.questions_per_round = 4
    return trainer


def test_resumed_training_ends_in_the_same_weights(tmp_path: Path) -> None:
    whole = _trainer(tmp_path / "whole")
    whole.train()
    first = _trainer(tmp_path / "broken", checkpoint_minutes=0.0)
    kept = tmp_path / "kept"

    def save_and_keep_third(batch: object, save=first.save) -> None:  # type: ignore[no-untyped-def]
        save(batch)
        if first.step == 3:
            kept.mkdir()
            shutil.copy(tmp_path / "broken" / "last.pt", kept / "last.pt")

    first.save = save_and_keep_third  # type: ignore[method-assign,assignment]
    first.train()
    resumed = _trainer(kept)
    resumed.restore()
    assert resumed.step == 3
    resumed.train()
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name
    assert whole.num_tokens == resumed.num_tokens
    lines = [
        json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()
    ]
    assert lines[-1]["step"] == 6 and lines[-1]["progress"] == 1.0


def test_a_finished_training_is_not_trained_further(tmp_path: Path) -> None:
    _trainer(tmp_path).train()
    before = (tmp_path / "last.pt").read_bytes()
    resumed = _trainer(tmp_path)
    resumed.restore()
    resumed.train()
    assert resumed.step == 6 and (tmp_path / "last.pt").read_bytes() == before


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, steps=25, recipe="pocket-base")
    batch = trainer.next_batch()

    def loss() -> float:
        with torch.no_grad():
            hidden = trainer.model(batch.ids, batch.positions, batch.mask).view(
                -1, trainer.model.shape.hidden_size
            )
            return float(
                torch.nn.functional.cross_entropy(
                    trainer.model.logits(hidden[batch.predictors]), batch.targets
                )
            )

    before = loss()
    trainer.train()
    assert loss() < before - 0.5
    assert "verdict_token" not in trainer.losses, "pocket-base has policy documents only"
    assert CODEC.special("reflect") not in {
        token for document in trainer.pool for token in document.ids
    }


def test_exported_folder_is_loaded_by_transformers_with_its_tokenizer(
    model: PocketModel, tmp_path: Path
) -> None:
    export_model(model, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert len(tokenizer) == CODEC.size
    families = json.loads((tmp_path / "families.json").read_text())["families"]
    assert {family["name"] for family in families} == {
        "countdown",
        "locks",
        "running",
        "equations",
        "legs",
    }


def test_rate_warms_up_stays_and_falls_to_the_end() -> None:
    assert rate_factor(0, 0.0) < 0.1
    assert rate_factor(100, 0.2) == rate_factor(100, 0.5) == 1.0
    assert rate_factor(100, 0.75) == pytest.approx(0.5)
    assert 0 < rate_factor(100, 1.0) < 0.05


def test_a_token_verdict_is_the_probability_among_the_two_verdicts(model: PocketModel) -> None:
    judge, problem = Judge(model, 0), draw_problem(random.Random(2), "legs")
    step = problem.solution(random.Random(0))[0]
    nodes = [Node(0, (step,)), Node(0, (step, step))]
    found = judge.verdicts([problem], nodes, "token")
    for node in nodes:
        path = [token for text in node.path for token in judge.builder.step_ids(text)]
        ids = torch.tensor([[*judge.builder.prompt(problem), *path, CODEC.special("critic")]])
        logits = model.logits(model(ids, torch.arange(ids.shape[1])[None], _causal(ids.shape[1])))[
            0, -1
        ]
        expected = logits[[CODEC.special("right"), CODEC.special("wrong")]].softmax(-1)[0]
        assert found[node].probability == pytest.approx(float(expected), abs=1e-4)
        assert found[node].sureness == 1.0


@pytest.mark.parametrize(
    ("verdict", "probability", "expected"),
    [("right", 0.9, 0.9), ("wrong", 0.9, 0.1), ("wrong", 0.3, 0.5), ("eos", 0.9, 0.5)],
)
def test_a_working_verdict_is_read_as_the_served_critic_reads_it(
    model: PocketModel,
    monkeypatch: pytest.MonkeyPatch,
    verdict: str,
    probability: float,
    expected: float,
) -> None:
    written = Sample(
        [9, 9, CODEC.special(verdict)], [math.log(0.5), math.log(0.8), math.log(probability)]
    )
    monkeypatch.setattr(
        "training.pretrain.judging.sample",
        lambda model, prompts, **options: [[written]] * len(prompts),
    )
    problem = draw_problem(random.Random(2), "legs")
    node = Node(0, (problem.solution(random.Random(0))[0],))
    assert Judge(model, 0).verdicts([problem], [node], "working")[node] == pytest.approx(
        (expected, 0.4)
    )


def test_sibling_accuracy_compares_only_children_of_one_parent() -> None:
    good, bad, tied, elsewhere = (
        Node(0, ("a",)),
        Node(0, ("b",)),
        Node(0, ("c",)),
        Node(0, ("a", "d")),
    )
    truths = {good: True, bad: False, tied: False, elsewhere: False}
    assert sibling_accuracy({good: 0.7, bad: 0.2, tied: 0.7, elsewhere: 0.9}, truths) == (0.75, 2)


@seeds(20, first=4)
def test_platt_fit_converges_on_saturated_verdicts(seed: int) -> None:
    rng = random.Random(seed)
    rights = [True] * 200 + [False] * 180
    signs = [1 if rng.random() < (0.94 if right else 0.18) else -1 for right in rights]
    logits = [sign * (9.2 if rng.random() < 0.77 else rng.uniform(0.0, 9.2)) for sign in signs]
    a, b = fit_platt(logits, rights)
    errors = [
        1 / (1 + math.exp(-a * x - b)) - (201 / 202 if right else 1 / 182)
        for x, right in zip(logits, rights, strict=True)
    ]
    weights = [0.5 / (200 if right else 180) for right in rights]
    assert abs(sum(w * e for w, e in zip(weights, errors, strict=True))) < 1e-6
    assert (
        abs(
            sum(w * e * x for w, e, x in zip(weights, errors, logits, strict=True)) + 1e-3 * (a - 1)
        )
        < 1e-6
    )


def test_platt_fit_recovers_a_known_likelihood_ratio() -> None:
    rng = random.Random(0)
    # Logits normal with means +1 and -1 and variance 1: log-likelihood ratio = 2 x,
    # whatever the share of right steps is.
    rights = [rng.random() < 0.8 for _ in range(20000)]
    logits = [rng.gauss(1.0 if right else -1.0, 1.0) for right in rights]
    a, b = fit_platt(logits, rights)
    assert a == pytest.approx(2.0, abs=0.1)
    assert b == pytest.approx(0.0, abs=0.1)
    with pytest.raises(ValueError, match="needs right and wrong steps"):
        fit_platt([0.1], [True])


def test_platt_fit_finds_that_a_verdict_is_worth_what_its_working_was() -> None:
    rng = random.Random(0)
    # As above where the working is sure (w = 1), noise where it is not (w = 0):
    # log-likelihood ratio = 2 w x.
    rights = [rng.random() < 0.5 for _ in range(20000)]
    sureness = [float(rng.random() < 0.5) for _ in rights]
    logits = [
        rng.gauss((1.0 if right else -1.0) * w, 1.0)
        for right, w in zip(rights, sureness, strict=True)
    ]
    # a little is lost to the ridge
    assert fit_platt(logits, rights, sureness) == pytest.approx((0.0, 0.0, 2.0, 0.0), abs=0.2)

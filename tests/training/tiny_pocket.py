"""A pocket of 0.2M weights: the shipped pocket's tokenizer, template and families
around a small random Llama, made in a second.

`teach` makes it know a few questions by heart, so that searches, rewards and
evaluations have something right in them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

from agents.families import recognise_question
from agents.types import Question
from configs.schema.training import SftConfig, SftTrainingConfig
from training.data.records import IGNORED, Record
from training.loops.fine_tune import fine_tune
from training.pretrain.tokenizer import Codec, save_tokenizer


def make_tiny_pocket(
    folder: Path, *, seed: int = 0, hidden_size: int = 64, num_layers: int = 2
) -> Path:
    """Writes the model and returns its folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    codec = Codec()
    config = LlamaConfig(
        vocab_size=codec.size,
        hidden_size=hidden_size,
        intermediate_size=2 * hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=hidden_size // 32,
        num_key_value_heads=hidden_size // 32,
        max_position_embeddings=512,
        bos_token_id=codec.special("bos"),
        eos_token_id=codec.eos,
        pad_token_id=codec.pad,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder)
    save_tokenizer(folder)
    (folder / "families.json").write_text(
        json.dumps({"families": [{"name": "legs", "levels": [1, 2, 3]}]})
    )
    return folder


def solution_record(question: Question) -> Record:
    """Returns the row of a right solution, written by the family itself and encoded by
    the generators' codec.
    """
    codec, problem = Codec(), recognise_question(question.text)
    assert problem is not None
    prompt = [
        codec.special("bos"),
        codec.special("user"),
        *codec.encode(problem.text),
        codec.special("policy"),
    ]
    thought = [
        token for step in problem.solution(random.Random(0)) for token in step_ids(codec, step)
    ]
    return Record(
        (*prompt, *thought), (*[IGNORED] * len(prompt), *thought), "taught", question.hash, 0, ()
    )


def step_ids(codec: Codec, step: str, factor: str | None = None) -> list[int]:
    """Returns a step's ids: factor, text, and separator or (after an answer) end of
    sequence.
    """
    concludes = step.startswith("Answer:")
    head = codec.special(factor or ("conclude" if concludes else "propose"))
    return [head, *codec.encode(step), codec.eos if concludes else codec.separator]


def teach(base: Path, questions: Sequence[Question], folder: Path, *, epochs: float = 120) -> Path:
    """Overfits the model on right solutions of the questions and returns the new
    folder.
    """
    sft = SftConfig(learning_rate=3e-3, epochs=epochs, batch_size=8, warmup_ratio=0.1)
    training = SftTrainingConfig(from_runs=(Path("unused"),), sft=sft)
    fine_tune([solution_record(question) for question in questions], base, folder, training, sft)
    return folder

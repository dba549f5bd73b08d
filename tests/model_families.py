"""Tiny random models of public architectures, each with a chat template in the form
that its family publishes: what a new model does to the chat policy is found without
its weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
)
_SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 1024,
    "tie_word_embeddings": True,
}


@dataclass(frozen=True)
class ModelFamily:
    """Architecture, special tokens and chat template of a public family."""

    config: str
    """Name of transformers' configuration class."""
    special: tuple[str, ...]
    """Special tokens, the end-of-sequence token first."""
    template: str
    plain: tuple[str, ...] = ()
    """Added tokens that are not marked as special."""
    generation: Mapping[str, Any] = field(default_factory=dict)
    """Sampling parameters of generation_config.json."""
    sizes: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the configuration."""


FAMILIES = {
    "qwen3": ModelFamily(
        config="Qwen3Config",
        special=("<|im_end|>", "<|im_start|>"),
        plain=("<think>", "</think>"),
        template=CHATML
        + "{% if enable_thinking is defined and enable_thinking is false %}"
        + "<think>\n\n</think>\n\n{% endif %}{% endif %}",
        generation={"do_sample": True, "temperature": 0.6, "top_p": 0.95, "top_k": 20},
    ),
    "llama": ModelFamily(
        config="LlamaConfig",
        special=("<|eot_id|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>"),
        template="<|begin_of_text|>{% for message in messages %}<|start_header_id|>"
        "{{ message.role }}<|end_header_id|>\n\n{{ message.content | trim }}<|eot_id|>"
        "{% endfor %}{% if add_generation_prompt %}"
        "<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}",
        generation={"do_sample": True, "temperature": 0.6, "top_p": 0.9},
    ),
    "gemma": ModelFamily(
        config="Gemma3TextConfig",
        special=("<end_of_turn>", "<bos>", "<start_of_turn>"),
        template="<bos>{% if messages[0].role == 'system' %}"
        "{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}"
        "<start_of_turn>{{ 'model' if message.role == 'assistant' else message.role }}\n"
        "{{ message.content | trim }}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}"
        "<start_of_turn>model\n{% endif %}",
        generation={"do_sample": True, "top_k": 64, "top_p": 0.95},
        sizes={"sliding_window": 64},
    ),
    "gpt_oss": ModelFamily(
        config="GptOssConfig",
        special=("<|return|>", "<|start|>", "<|message|>", "<|channel|>", "<|end|>"),
        template="<|start|>system<|message|>Reasoning: {{ reasoning_effort or 'medium' }}<|end|>"
        "{% for message in messages %}<|start|>{{ message.role }}<|message|>{{ message.content }}"
        "<|end|>{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}",
        sizes={
            "num_local_experts": 2,
            "num_experts_per_tok": 1,
            "tie_word_embeddings": False,
            "sliding_window": 64,
        },
    ),
    "r1_distill": ModelFamily(
        config="Qwen2Config",
        special=("<|end_of_sentence|>", "<|User|>", "<|Assistant|>"),
        plain=("<think>", "</think>"),
        template="{% for message in messages %}{% if message.role == 'user' %}<|User|>"
        "{{ message.content }}{% elif message.role == 'assistant' %}<|Assistant|>"
        "{{ message.content }}<|end_of_sentence|>{% else %}{{ message.content }}{% endif %}"
        "{% endfor %}{% if add_generation_prompt %}<|Assistant|><think>\n{% endif %}",
        generation={"do_sample": True, "temperature": 0.6, "top_p": 0.95},
    ),
}


def make_model(name: str, folder: Path) -> Path:
    """Writes a random model of a family into `folder` and returns it."""
    import torch
    import transformers
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    family = FAMILIES[name]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {
        piece: number for number, piece in enumerate([*family.special, *family.plain, *alphabet])
    }
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=family.special[0],
        additional_special_tokens=list(family.special[1:]),
    )
    fast.add_tokens([AddedToken(text, special=False) for text in family.plain])
    fast.chat_template = family.template
    fast.save_pretrained(folder)
    config = getattr(transformers, family.config)(
        **{
            **_SIZES,
            "vocab_size": len(vocabulary),
            "eos_token_id": 0,
            "bos_token_id": None,
            "pad_token_id": 0,
            **family.sizes,
        }
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.AutoModelForCausalLM.from_config(config)
        model.save_pretrained(folder)
    generation = {"eos_token_id": 0, **family.generation}
    (folder / "generation_config.json").write_text(json.dumps(generation))
    return folder

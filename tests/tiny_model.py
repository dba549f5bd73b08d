"""A random Llama of 0.1M weights with a byte-level tokenizer: real enough for every
engine, made in a second, the same everywhere.

`head_dim` is 32 because vLLM's CPU attention takes no smaller one. Weights are drawn
wide, so that next-token distributions are far from flat and greedy choices have a
margin that floating-point noise does not cross.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL_TOKENS = ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]


def make_tiny_model(
    folder: Path, *, seed: int = 0, chat_template: bool = True, context_length: int = 512
) -> Path:
    """Writes model and tokenizer into `folder` and returns it. Another seed gives other
    weights for the same tokenizer.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: i for i, piece in enumerate([*SPECIAL_TOKENS, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|end|>",
        additional_special_tokens=SPECIAL_TOKENS[1:],
    )
    if chat_template:
        fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)

    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=context_length,
        initializer_range=0.25,
        bos_token_id=None,
        eos_token_id=0,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    return folder


def make_tiny_heads(
    folder: Path, model_folder: Path, labels: Sequence[str], *, seed: int = 0
) -> Path:
    """Writes a copy of the model with a random linear layer over it that has one output
    per label, and returns its folder.
    """
    import shutil

    import torch
    from transformers import AutoModelForSequenceClassification

    shutil.copytree(model_folder, folder)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_pretrained(
            model_folder,
            dtype="float32",
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            problem_type="regression",
        )
        torch.nn.init.normal_(model.score.weight)
    model.save_pretrained(folder)
    return folder


def make_tiny_adapter(folder: Path, model_folder: Path, *, seed: int, rank: int = 4) -> Path:
    """Writes a random LoRA adapter of the model, wide enough to change its output,
    and returns its folder.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM.from_pretrained(model_folder)
        adapted = get_peft_model(
            model,
            LoraConfig(
                r=rank, lora_alpha=4 * rank, target_modules="all-linear", init_lora_weights=False
            ),
        )
    adapted.save_pretrained(folder)
    return folder

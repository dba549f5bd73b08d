"""Exports a training checkpoint to an ordinary Llama folder of transformers:
safetensors in bfloat16, tokenizer, chat template.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from agents.families import FAMILIES
from training.pretrain.model import RMS_EPS, ROPE_THETA, Block, ModelShape, PocketModel
from training.pretrain.optimizer import native_dtype
from training.pretrain.tokenizer import Codec, save_tokenizer


def load_checkpoint(path: Path) -> PocketModel:
    """Returns the model of a checkpoint or of an exported folder, with its weights
    rounded to bfloat16 as in serving.

    The model computes in this CPU's native dtype.
    """
    model = PocketModel(ModelShape(Codec().size)).to(native_dtype())
    if path.is_dir():
        load_folder(model, path)
    else:
        state = torch.load(path, weights_only=False)["model"]
        model.load_state_dict({name: value.bfloat16() for name, value in state.items()})
    return model.requires_grad_(False)


def llama_config(shape: ModelShape, codec: Codec) -> dict[str, Any]:
    """Returns the config.json of `LlamaForCausalLM`."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.num_layers,
        "num_attention_heads": shape.num_heads,
        "num_key_value_heads": shape.num_heads,
        "head_dim": shape.head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": shape.max_positions,
        "rms_norm_eps": RMS_EPS,
        "rope_theta": ROPE_THETA,
        "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_THETA},
        "tie_word_embeddings": True,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": codec.special("bos"),
        "eos_token_id": codec.eos,
        "pad_token_id": codec.pad,
        "dtype": "bfloat16",
    }


def llama_state(model: PocketModel) -> dict[str, Tensor]:
    """Returns the weights in bfloat16 under the names of transformers, with fused
    projections split.
    """
    state: dict[str, Tensor] = {
        "model.embed_tokens.weight": model.embedding,
        "model.norm.weight": model.final_norm,
    }
    for index, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        prefix = f"model.layers.{index}"
        query, key, value = block.query_key_value.chunk(3)
        gate, up = block.gate_up.chunk(2)
        state |= {
            f"{prefix}.self_attn.q_proj.weight": query,
            f"{prefix}.self_attn.k_proj.weight": key,
            f"{prefix}.self_attn.v_proj.weight": value,
            f"{prefix}.self_attn.o_proj.weight": block.output,
            f"{prefix}.mlp.gate_proj.weight": gate,
            f"{prefix}.mlp.up_proj.weight": up,
            f"{prefix}.mlp.down_proj.weight": block.down,
            f"{prefix}.input_layernorm.weight": block.attention_norm,
            f"{prefix}.post_attention_layernorm.weight": block.feed_forward_norm,
        }
    return {name: weight.detach().bfloat16().contiguous() for name, weight in state.items()}


def load_folder(model: PocketModel, folder: Path) -> None:
    """Loads the weights of an exported folder into a model of the same shape; the
    inverse of `llama_state`.
    """
    weights = load_file(folder / "model.safetensors")
    with torch.no_grad():
        model.embedding.copy_(weights["model.embed_tokens.weight"])
        model.final_norm.copy_(weights["model.norm.weight"])
        for index, block in enumerate(model.blocks):
            assert isinstance(block, Block)
            prefix = f"model.layers.{index}."
            part = {
                name.removeprefix(prefix): weight
                for name, weight in weights.items()
                if name.startswith(prefix)
            }
            block.query_key_value.copy_(
                torch.cat([part[f"self_attn.{name}_proj.weight"] for name in "qkv"])
            )
            block.gate_up.copy_(
                torch.cat([part[f"mlp.{name}_proj.weight"] for name in ("gate", "up")])
            )
            block.output.copy_(part["self_attn.o_proj.weight"])
            block.down.copy_(part["mlp.down_proj.weight"])
            block.attention_norm.copy_(part["input_layernorm.weight"])
            block.feed_forward_norm.copy_(part["post_attention_layernorm.weight"])


def export_model(model: PocketModel, folder: Path) -> None:
    """Writes the model folder; keeps other files in it (README, calibration)."""
    folder.mkdir(parents=True, exist_ok=True)
    codec = Codec()
    config = llama_config(model.shape, codec)
    generation = {
        "bos_token_id": codec.special("bos"),
        "eos_token_id": codec.eos,
        "pad_token_id": codec.pad,
        "do_sample": False,
    }
    families = {
        "families": [
            {"name": family.name, "levels": list(family.levels)} for family in FAMILIES.values()
        ]
    }
    for name, content in (
        ("config.json", config),
        ("generation_config.json", generation),
        ("families.json", families),
    ):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")
    save_file(llama_state(model), folder / "model.safetensors", metadata={"format": "pt"})
    save_tokenizer(folder)


def export_checkpoint(checkpoint: Path, folder: Path) -> None:
    """Exports the model of a checkpoint and prints the folder."""
    export_model(load_checkpoint(checkpoint), folder)
    size = (folder / "model.safetensors").stat().st_size
    print(f"wrote {folder} ({size / 1e6:.1f} MB of weights)")

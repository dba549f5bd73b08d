"""What importing the training code loads."""

from __future__ import annotations

import subprocess
import sys


def test_the_entry_point_loads_neither_torch_nor_trl() -> None:
    code = (
        "import sys, training.run; print([name for name in ('torch', 'trl', 'transformers', "
        "'vllm', 'peft') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"

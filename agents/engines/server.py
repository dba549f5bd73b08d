"""Forwards `python -m agents.engines.server` to `agents.engines.vllm.server`."""

from runpy import run_module

if __name__ == "__main__":
    run_module("agents.engines.vllm.server", run_name="__main__", alter_sys=True)

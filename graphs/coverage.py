"""Forwards `python -m graphs.coverage` to `graphs.evaluation.coverage`."""

from runpy import run_module

if __name__ == "__main__":
    run_module("graphs.evaluation.coverage", run_name="__main__", alter_sys=True)

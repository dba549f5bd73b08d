"""Forwards `python -m graphs.comparison` to `graphs.evaluation.search_comparison`."""

from runpy import run_module

if __name__ == "__main__":
    run_module("graphs.evaluation.search_comparison", run_name="__main__", alter_sys=True)

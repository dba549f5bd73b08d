"""Forwards `python -m graphs.fit_selector` to `graphs.evaluation.fit_selector`."""

from runpy import run_module

if __name__ == "__main__":
    run_module("graphs.evaluation.fit_selector", run_name="__main__", alter_sys=True)

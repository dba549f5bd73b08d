"""Forwards `python -m graphs.calibration` to `graphs.evaluation.calibration`."""

from runpy import run_module

if __name__ == "__main__":
    run_module("graphs.evaluation.calibration", run_name="__main__", alter_sys=True)

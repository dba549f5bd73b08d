"""Benchmarks: what the search costs beside the model, and what it buys. `python -m
tests.bench --help` lists them.
"""

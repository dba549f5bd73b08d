"""Training methods: each is a list of stages."""

from training.methods.base import Method
from training.methods.registry import METHODS, build_stages

__all__ = ["METHODS", "Method", "build_stages"]

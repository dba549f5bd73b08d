"""Training methods: each is a list of stages."""

from training.methods.base import Method
from training.methods.registry import METHODS, method_of

__all__ = ["METHODS", "Method", "method_of"]

"""Prompt families: the prompts of each role."""

from agents.prompts.family import PromptFamily
from agents.prompts.prompts import Mistake, Prompts

__all__ = ["Mistake", "PromptFamily", "Prompts"]

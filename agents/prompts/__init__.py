"""Prompt families: the prompts of each role."""

from agents.prompts.prompt_family import Mistake, PromptFamily, Prompts

__all__ = ["Mistake", "PromptFamily", "Prompts"]

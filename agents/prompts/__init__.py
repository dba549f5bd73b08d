"""Prompt families: how each role is asked."""

from agents.prompts.prompt_family import Mistake, PromptFamily, Prompts

__all__ = ["Mistake", "PromptFamily", "Prompts"]

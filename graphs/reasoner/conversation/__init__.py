"""Conversations: turns, messages, and what of them fits the context."""

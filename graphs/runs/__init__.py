"""Runs over sets of questions."""

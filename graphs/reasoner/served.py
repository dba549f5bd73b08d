"""The graph that `langgraph.json` names. Importing it checks the configuration of the
server's owner (graphs/reasoner/presets.py), so that a wrong word ends the server where
it starts and not a caller's first run.

    LONGTHOUGHT_CONFIG="engine=openai" langgraph dev
"""

from __future__ import annotations

from graphs.reasoner.graph import graph
from graphs.reasoner.presets import check_environment

__all__ = ["graph"]

check_environment()

"""The graph that `langgraph.json` names. The import checks the server's presets
(graphs/reasoner/presets.py), so an invalid option fails at the server's start and not
in a caller's first run.

    LONGTHOUGHT_CONFIG="engine=openai" langgraph dev
"""

from __future__ import annotations

from graphs.reasoner.graph import graph
from graphs.reasoner.presets import check_environment

__all__ = ["graph"]

check_environment()

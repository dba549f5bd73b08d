"""The scripted pocket behaves as its docstring states."""

from __future__ import annotations

import re

from configs import compose
from graphs import Context, graph
from graphs.reasoner.resources import forget, open_resources, register
from graphs.traces.trace import Trace
from graphs.tree import Judged
from tests import scripted_pocket


async def test_the_documented_command_plays_every_role() -> None:
    [command] = re.findall(r"(engine=scripted .*?) +#", str(scripted_pocket.__doc__))
    traces: list[Trace] = []
    async with open_resources(compose(command.split()), sink=traces.append) as resources:
        register("documented", resources)
        found = await graph.ainvoke(
            {"question": "Compute (19 + 8) * 8.", "task": "pocket"},
            context=Context(resources="documented"),
        )
        forget("documented")
    assert found["answer"] == "216"
    verdicts = [event.verdict for event in traces[0].events if isinstance(event, Judged)]
    assert verdicts and all(verdict.outcome == "judged" for verdict in verdicts)

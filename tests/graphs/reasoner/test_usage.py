"""The reported usage equals the counters of a real vLLM server, for whole searches and
all roles.
"""

from __future__ import annotations

import asyncio
from uuid import uuid4

import aiohttp
import pytest

from agents.types import Question
from configs import compose
from graphs.reasoner.graph import think
from graphs.reasoner.resources import forget, open_resources, register

COUNTERS = {
    "generated_tokens": "vllm:generation_tokens_total",
    "prompt_tokens": "vllm:prompt_tokens_total",
    "cached_prompt_tokens": "vllm:prefix_cache_hits_total",
}
CHAT = (
    "policy=chat",
    "critic=chat",
    "reflector=none",
    "summarizer=chat",
    "policy.max_step_tokens=8",
)


async def counters(base_url: str) -> dict[str, int]:
    """Returns the server's own counts, by the name that `Usage` has for them."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(base_url.removesuffix("/v1") + "/metrics") as response,
    ):
        lines = (await response.text()).splitlines()
    return {
        name: int(
            sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(counter + "{"))
        )
        for name, counter in COUNTERS.items()
    }


@pytest.mark.parametrize(
    "search",
    [
        (
            "search=best_of_n",
            "search.num_samples=6",
            "search.selection=weighted_vote",
            "policy.max_answer_tokens=24",
        ),
        (
            "search=beam",
            "search.num_samples=4",
            "search.beam_width=2",
            "policy.max_answer_tokens=24",
        ),
        ("search=posterior", "search.num_samples=6", "policy.max_answer_tokens=24"),
    ],
    ids=lambda words: words[0],
)
async def test_tokens_are_those_of_the_engines_counters(
    search: tuple[str, ...], vllm_server: str
) -> None:
    config = compose(["engine=openai", f"engine.base_url={vllm_server}", *CHAT, *search])
    async with open_resources(config) as resources:  # opening asks something, too
        before = await counters(vllm_server)
        register("counted", resources)
        try:
            answers = await asyncio.gather(
                *(think(Question(text=f"What is {i} and {uuid4()}?"), "counted") for i in range(3))
            )
        finally:
            forget("counted")
    spent = {
        name: sum(usage[name] for answer in answers for usage in answer.usage.values())
        for name in COUNTERS
    }
    async with asyncio.timeout(30):  # the counters follow the answers
        while (
            counted := {
                name: count - before[name] for name, count in (await counters(vllm_server)).items()
            }
        )["generated_tokens"] < spent["generated_tokens"]:
            await asyncio.sleep(0.01)
    assert (spent["generated_tokens"], spent["prompt_tokens"]) == (
        counted["generated_tokens"],
        counted["prompt_tokens"],
    )
    assert (
        counted["cached_prompt_tokens"] <= spent["cached_prompt_tokens"] < spent["prompt_tokens"]
    ), "an upper bound, see the engine"

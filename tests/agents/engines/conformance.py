"""The laws of an engine, one class per protocol; every implementation's test file
inherits them and provides the subject.

`GeneratorConformance` and `PublisherConformance` hold for every engine,
`RealModelConformance` for those that compute a model: there the numbers are compared
with a naive forward pass.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from agents.engines import Classifier, GenerateRequest, Generation, Generator, Publisher
from agents.engines.base import SupportsCacheReset
from agents.types import ContextLengthError
from tests.agents.engines.reference import Reference

LOGPROB_TOLERANCE = 1e-3  # nats, float32
HEAD_LABELS = ("value", "factor one", "factor two")


@dataclass(frozen=True)
class Subject:
    """An engine under test, and what the suite must know about it."""

    engine: Any
    """Generator and Publisher, with the attribute `in_flight`."""
    folder: Path
    """The weights that it serves."""
    other_folder: Path
    """Weights of the same architecture to publish."""

    def prompt(self, text: str = "What is 3 + 4?") -> tuple[int, ...]:
        """Returns the ids of a conversation with one question."""
        return tuple(self.engine.tokenizer.apply_chat_template([{"role": "user", "content": text}]))

    async def greedy(
        self, prompt: tuple[int, ...], max_tokens: int = 24, **options: Any
    ) -> Generation:
        """Returns the greedy completion."""
        generation: Generation = await self.engine.generate(
            GenerateRequest(prompt, max_tokens=max_tokens, temperature=0.0, **options)
        )
        return generation

    async def until_in_flight(self, *tasks: asyncio.Task[Any]) -> None:
        """Returns when the requests of all tasks are in flight."""
        while self.engine.in_flight < len(tasks):
            assert not any(task.done() for task in tasks)
            await asyncio.sleep(0)


class GeneratorConformance:
    """Laws of `Generator`."""

    async def test_is_a_generator(self, subject: Subject) -> None:
        assert isinstance(subject.engine, Generator)
        info = subject.engine.info
        assert len(info.model_hash) == len(info.tokenizer_hash) == 16
        assert info.logprobs_mode == "processed"

    async def test_returns_n_completions_within_max_tokens(self, subject: Subject) -> None:
        prompt = subject.prompt()
        generation = await subject.engine.generate(
            GenerateRequest(prompt, n=5, max_tokens=7, seed=1)
        )
        assert len(generation.completions) == 5
        for completion in generation.completions:
            assert 1 <= len(completion.token_ids) == len(completion.logprobs) <= 7
            assert all(logprob <= 0 for logprob in completion.logprobs)
        assert len({completion.token_ids for completion in generation.completions}) > 1
        assert generation.usage.prompt_tokens == 5 * len(prompt)
        assert generation.usage.generated_tokens == sum(
            len(completion.token_ids) for completion in generation.completions
        )
        assert generation.usage.calls == 1
        assert 0 <= generation.usage.cached_prompt_tokens < 5 * len(prompt)

    async def test_ids_in_and_out_continue_a_greedy_completion(self, subject: Subject) -> None:
        prompt = subject.prompt()
        whole = (await subject.greedy(prompt)).completions[0]
        for k in (1, 7, 20):
            tail = (
                await subject.greedy(prompt + whole.token_ids[:k], max_tokens=24 - k)
            ).completions[0]
            assert tail.token_ids == whole.token_ids[k:]
            assert tail.logprobs == pytest.approx(whole.logprobs[k:], abs=LOGPROB_TOLERANCE)

    async def test_length_ends_a_completion_at_max_tokens(self, subject: Subject) -> None:
        completion = (await subject.greedy(subject.prompt(), max_tokens=5)).completions[0]
        assert (len(completion.token_ids), completion.finish_reason, completion.stop_reason) == (
            5,
            "length",
            None,
        )
        assert completion.text == subject.engine.tokenizer.decode(completion.token_ids)

    async def test_stop_string_ends_a_completion_and_stays_in_it(self, subject: Subject) -> None:
        whole = (await subject.greedy(subject.prompt())).completions[0]
        stop, tokens = stop_string_of(subject, whole.token_ids)
        cut = (await subject.greedy(subject.prompt(), stop=("never said", stop))).completions[0]
        assert (cut.finish_reason, cut.stop_reason) == ("stop", stop)
        assert cut.token_ids == whole.token_ids[:tokens]
        assert len(cut.logprobs) == tokens
        assert cut.text.endswith(stop)
        assert whole.text.startswith(cut.text)

    async def test_stop_string_in_the_last_allowed_token_is_a_stop(self, subject: Subject) -> None:
        whole = (await subject.greedy(subject.prompt())).completions[0]
        stop, tokens = stop_string_of(subject, whole.token_ids)
        cut = (await subject.greedy(subject.prompt(), max_tokens=tokens, stop=(stop,))).completions[
            0
        ]
        assert (cut.finish_reason, cut.stop_reason) == ("stop", stop)

    async def test_stop_token_ends_a_completion_and_stays_in_it(self, subject: Subject) -> None:
        whole = (await subject.greedy(subject.prompt())).completions[0]
        token = whole.token_ids[5]
        first = whole.token_ids.index(token)
        cut = (await subject.greedy(subject.prompt(), stop_token_ids=(token,))).completions[0]
        assert (cut.finish_reason, cut.stop_reason) == ("stop", token)
        assert cut.token_ids == whole.token_ids[: first + 1]
        assert len(cut.logprobs) == first + 1

    async def test_end_of_sequence_ends_a_completion(self, subject: Subject) -> None:
        request = GenerateRequest(subject.prompt(), n=16, max_tokens=200, seed=0)
        eos = subject.engine.tokenizer.eos_token_id
        ended = [
            found
            for found in (await subject.engine.generate(request)).completions
            if eos in found.token_ids
        ]
        assert ended
        for completion in ended:
            assert completion.token_ids.index(eos) == len(completion.token_ids) - 1
            assert (completion.finish_reason, completion.stop_reason) == ("stop", None)

    async def test_same_seed_gives_the_same_ids(self, subject: Subject) -> None:
        request = GenerateRequest(subject.prompt(), n=3, max_tokens=12, seed=7)
        first, second = [await subject.engine.generate(request) for _ in range(2)]
        assert [found.token_ids for found in first.completions] == [
            found.token_ids for found in second.completions
        ]

    async def test_a_priority_is_no_part_of_what_is_asked(self, subject: Subject) -> None:
        request = GenerateRequest(subject.prompt(), n=3, max_tokens=12, seed=7)
        later = replace(request, priority=10**15)
        first, second = [await subject.engine.generate(one) for one in (request, later)]
        assert [found.token_ids for found in first.completions] == [
            found.token_ids for found in second.completions
        ]
        assert request == later
        scores, again = [
            await subject.engine.score(subject.prompt(), (5, 6), priority=priority)
            for priority in (0, 10**15)
        ]
        assert scores.logprobs == pytest.approx(again.logprobs, abs=LOGPROB_TOLERANCE)

    async def test_without_logprobs_the_same_is_sampled_and_each_is_nan(
        self, subject: Subject
    ) -> None:
        for request in (
            GenerateRequest(subject.prompt(), n=3, max_tokens=12, seed=7),
            GenerateRequest(subject.prompt(), max_tokens=12, temperature=0.0),
        ):
            first, second = [
                await subject.engine.generate(one)
                for one in (request, replace(request, logprobs=False))
            ]
            assert [found.token_ids for found in first.completions] == [
                found.token_ids for found in second.completions
            ]
            assert [found.finish_reason for found in first.completions] == [
                found.finish_reason for found in second.completions
            ]
            for with_them, without in zip(first.completions, second.completions, strict=True):
                assert all(math.isfinite(logprob) for logprob in with_them.logprobs)
                assert len(without.logprobs) == len(without.token_ids) and all(
                    map(math.isnan, without.logprobs)
                )

    async def test_neighbouring_seeds_share_no_samples(self, subject: Subject) -> None:
        requests = [
            GenerateRequest(subject.prompt(), n=2, max_tokens=12, seed=seed) for seed in (7, 8)
        ]
        first, second = [await subject.engine.generate(request) for request in requests]
        assert first.completions[1].token_ids != second.completions[0].token_ids

    async def test_requests_at_once_get_the_completions_of_requests_alone(
        self, subject: Subject
    ) -> None:
        prompts = [subject.prompt(f"What is {i} + {2 * i}?") for i in range(12)]
        alone = [(await subject.greedy(prompt)).completions[0].token_ids for prompt in prompts]
        together = await asyncio.gather(*(subject.greedy(prompt) for prompt in prompts))
        assert [generation.completions[0].token_ids for generation in together] == alone

    async def test_scores_follow_the_order_of_the_candidates(self, subject: Subject) -> None:
        prompt, candidates = (
            subject.prompt(),
            tuple(subject.engine.tokenizer.encode(text)[0] for text in "yn+"),
        )
        scores = await subject.engine.score(prompt, (*candidates, candidates[0]))
        assert scores.logprobs[0] == scores.logprobs[3]
        assert all(logprob <= 0 for logprob in scores.logprobs)
        turned = await subject.engine.score(prompt, candidates[::-1])
        assert turned.logprobs == pytest.approx(scores.logprobs[2::-1], abs=LOGPROB_TOLERANCE)
        assert (scores.usage.prompt_tokens, scores.usage.generated_tokens, scores.usage.calls) == (
            len(prompt),
            1,
            1,
        )

    async def test_score_of_a_token_is_its_logprob_when_generated(self, subject: Subject) -> None:
        first = (await subject.greedy(subject.prompt(), max_tokens=1)).completions[0]
        scores = await subject.engine.score(subject.prompt(), first.token_ids)
        assert scores.logprobs == pytest.approx(first.logprobs, abs=LOGPROB_TOLERANCE)

    async def test_what_does_not_fit_into_the_context_is_refused(self, subject: Subject) -> None:
        length, token = subject.engine.info.context_length, subject.prompt()[-1]
        with pytest.raises(ContextLengthError, match=str(length)) as error:
            await subject.engine.generate(GenerateRequest((token,) * (length - 2), max_tokens=3))
        assert (error.value.prompt_tokens, error.value.max_tokens, error.value.context_length) == (
            length - 2,
            3,
            length,
        )
        with pytest.raises(ContextLengthError):
            await subject.engine.score((token,) * length, (token,))

    async def test_the_whole_context_can_be_used(self, subject: Subject) -> None:
        length, token = subject.engine.info.context_length, subject.prompt()[-1]
        generation = await subject.engine.generate(
            GenerateRequest((token,) * (length - 2), max_tokens=2, temperature=0.0)
        )
        assert len(generation.completions[0].token_ids) <= 2
        assert len((await subject.engine.score((token,) * (length - 1), (token,))).logprobs) == 1

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"prompt": ()}, "prompt is empty"),
            ({"n": 0}, "at least 1"),
            ({"max_tokens": 0}, "at least 1"),
            ({"temperature": -1.0}, "temperature"),
            ({"top_p": 0.0}, "top_p"),
            ({"top_k": -1}, "top_k"),
            ({"min_p": 1.5}, "min_p"),
            ({"repetition_penalty": 0.0}, "repetition_penalty"),
            ({"n": 2, "temperature": 0.0}, "copies"),
            ({"stop": ("",)}, "stop string is empty"),
            ({"prompt": (10**18,)}, "outside the vocabulary"),
        ],
    )
    async def test_a_wrong_request_is_refused(
        self, subject: Subject, change: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            await subject.engine.generate(
                GenerateRequest(**({"prompt": subject.prompt()} | change))
            )

    async def test_a_wrong_score_is_refused(self, subject: Subject) -> None:
        for prompt, candidates in [
            ((), (1,)),
            (subject.prompt(), ()),
            (subject.prompt(), (10**18,)),
            (subject.prompt(), (1,) * 129),
        ]:
            with pytest.raises(ValueError, match=r"empty|candidate"):
                await subject.engine.score(prompt, candidates)

    async def test_cancelling_frees_the_engine_of_the_request(self, subject: Subject) -> None:
        requests = [
            GenerateRequest(subject.prompt(f"{i}"), n=4, max_tokens=400, seed=i) for i in range(3)
        ]
        tasks = [asyncio.create_task(subject.engine.generate(request)) for request in requests]
        await subject.until_in_flight(*tasks)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        assert subject.engine.in_flight == 0
        assert (
            len((await subject.greedy(subject.prompt(), max_tokens=3)).completions[0].token_ids)
            == 3
        )


class RealModelConformance:
    """Laws of engines that compute a model."""

    @pytest.mark.parametrize(
        "sampling",
        [
            {"temperature": 0.0},
            {"temperature": 0.0, "repetition_penalty": 1.5},
            {"temperature": 1.0},
            {"temperature": 0.6},
            {"temperature": 1.7},
            {"temperature": 1.0, "top_p": 0.7},
            {"temperature": 1.7, "top_k": 3},
            {"temperature": 1.7, "min_p": 0.3},
            {"temperature": 1.2, "repetition_penalty": 1.3},
            {
                "temperature": 1.2,
                "repetition_penalty": 1.2,
                "top_k": 9,
                "min_p": 0.05,
                "top_p": 0.8,
            },
        ],
        ids=str,
    )
    async def test_logprobs_are_those_of_the_sampling_distribution(
        self, subject: Subject, reference: Reference, sampling: dict[str, Any]
    ) -> None:
        prompt = subject.prompt()
        n = 1 if sampling["temperature"] == 0 else 4
        request = GenerateRequest(prompt, n=n, max_tokens=20, seed=3, **sampling)
        for completion in (await subject.engine.generate(request)).completions:
            expected = reference.logprobs(prompt, completion.token_ids, **sampling)
            assert completion.logprobs == pytest.approx(expected, abs=LOGPROB_TOLERANCE)

    async def test_scores_are_those_of_the_softmax(
        self, subject: Subject, reference: Reference
    ) -> None:
        prompt, candidates = subject.prompt(), tuple(range(4, 132))
        scores = await subject.engine.score(prompt, candidates)
        assert scores.logprobs == pytest.approx(
            reference.next_logprobs(prompt, candidates), abs=LOGPROB_TOLERANCE
        )

    async def test_scores_and_samples_in_one_batch_do_not_mix(
        self, subject: Subject, reference: Reference
    ) -> None:
        prompts = [subject.prompt(f"Is {i} even?") for i in range(6)]
        generations, scores = await asyncio.gather(
            asyncio.gather(
                *(
                    subject.engine.generate(
                        GenerateRequest(p, n=3, max_tokens=8, temperature=0.7, seed=1)
                    )
                    for p in prompts
                )
            ),
            asyncio.gather(
                *(subject.engine.score(p, range(4, 8 + i)) for i, p in enumerate(prompts))
            ),
        )
        for i, (prompt, generation, score) in enumerate(
            zip(prompts, generations, scores, strict=True)
        ):
            assert score.logprobs == pytest.approx(
                reference.next_logprobs(prompt, range(4, 8 + i)), abs=LOGPROB_TOLERANCE
            )
            for completion in generation.completions:
                expected = reference.logprobs(prompt, completion.token_ids, temperature=0.7)
                assert completion.logprobs == pytest.approx(expected, abs=LOGPROB_TOLERANCE)

    async def test_many_long_seeded_prompts_at_once_are_served(self, subject: Subject) -> None:
        """More prompt tokens than one step of vLLM takes; prompts split over steps once
        killed it on CPU.
        """
        prompts = [subject.prompt(f"{i}" * 400)[:450] for i in range(9)]
        requests = [
            GenerateRequest(prompt, n=2, max_tokens=4, seed=i) for i, prompt in enumerate(prompts)
        ]
        generations = await asyncio.gather(
            *(subject.engine.generate(request) for request in requests)
        )
        assert [len(generation.completions) for generation in generations] == [2] * 9

    async def test_sampled_tokens_follow_the_softmax(
        self, subject: Subject, reference: Reference
    ) -> None:
        """The most probable token comes up as often as it should, within four standard
        deviations.
        """
        prompt, n = subject.prompt(), 400
        token = (await subject.greedy(prompt, max_tokens=1)).completions[0].token_ids[0]
        probability = math.exp(reference.next_logprobs(prompt, [token])[0])
        generation = await subject.engine.generate(
            GenerateRequest(prompt, n=n, max_tokens=1, seed=0)
        )
        count = sum(completion.token_ids == (token,) for completion in generation.completions)
        assert abs(count - n * probability) < 4 * math.sqrt(n * probability * (1 - probability))


class PublisherConformance:
    """Laws of `Publisher`."""

    async def test_is_a_publisher(self, subject: Subject) -> None:
        assert isinstance(subject.engine, Publisher)

    async def test_publish_changes_the_logprobs_and_back(self, subject: Subject) -> None:
        prompt, candidates = (
            subject.prompt("a question that is long enough for the prefix cache to keep it"),
            range(4, 20),
        )
        version, model_hash = subject.engine.version, subject.engine.info.model_hash
        old = await subject.engine.score(prompt, candidates)
        assert (
            await subject.engine.publish(subject.other_folder)
            == subject.engine.version
            == version + 1
        )
        new = await subject.engine.score(prompt, candidates)
        assert new.usage.cached_prompt_tokens == 0
        assert new.logprobs != pytest.approx(old.logprobs, abs=0.1)
        assert subject.engine.info.model_hash != model_hash
        assert (await subject.greedy(prompt)).version == version + 1
        assert await subject.engine.publish(subject.folder) == version + 2
        assert (await subject.engine.score(prompt, candidates)).logprobs == pytest.approx(
            old.logprobs, abs=1e-4
        )
        assert subject.engine.info.model_hash == model_hash

    async def test_publish_waits_for_requests_in_flight(self, subject: Subject) -> None:
        version = subject.engine.version
        running = asyncio.create_task(subject.greedy(subject.prompt(), max_tokens=100))
        await subject.until_in_flight(running)
        publishing = asyncio.create_task(subject.engine.publish(subject.folder))
        await asyncio.sleep(0)
        late = asyncio.create_task(subject.greedy(subject.prompt(), max_tokens=3))
        assert (await running).version == version
        assert (await late).version == await publishing == version + 1

    async def test_what_is_no_such_model_is_refused_and_nothing_changes(
        self, subject: Subject, tmp_path: Path
    ) -> None:
        version, before = subject.engine.version, await subject.greedy(subject.prompt())
        with pytest.raises(ValueError, match="safetensors"):
            await subject.engine.publish(tmp_path)
        after = await subject.greedy(subject.prompt())
        assert (subject.engine.version, after.completions[0].token_ids) == (
            version,
            before.completions[0].token_ids,
        )


class RealPublisherConformance:
    """Laws of publishers that compute a model."""

    async def test_published_logprobs_are_those_of_the_new_weights(
        self, subject: Subject, other_reference: Reference
    ) -> None:
        prompt, candidates = subject.prompt(), range(4, 100)
        await subject.engine.score(prompt, candidates)
        await subject.engine.publish(subject.other_folder)
        try:
            scores = await subject.engine.score(prompt, candidates)
            assert scores.logprobs == pytest.approx(
                other_reference.next_logprobs(prompt, candidates), abs=LOGPROB_TOLERANCE
            )
        finally:
            await subject.engine.publish(subject.folder)

    async def test_another_architecture_is_refused(self, subject: Subject, tmp_path: Path) -> None:
        from safetensors.torch import load_file, save_file

        state = load_file(subject.folder / "model.safetensors")
        save_file(
            {name: tensor[:-1].contiguous() for name, tensor in state.items()},
            tmp_path / "model.safetensors",
        )
        with pytest.raises(ValueError, match="another architecture"):
            await subject.engine.publish(tmp_path)


class AdapterConformance:
    """Laws of an engine that serves the LoRA adapters "first" and "second": the
    module's fixture `engine_with_adapters`.
    """

    @pytest.fixture
    def subject(
        self, engine_with_adapters: Any, tiny_model_folder: Path, other_tiny_model_folder: Path
    ) -> Subject:
        return Subject(engine_with_adapters, tiny_model_folder, other_tiny_model_folder)

    async def test_each_adapter_writes_as_if_it_were_merged(
        self, subject: Subject, adapter_references: dict[str | None, Reference]
    ) -> None:
        prompt = subject.prompt("a question that is long enough for the prefix cache to keep it")
        said = set()
        # a prefix that another one has computed is not taken
        for adapter in (None, "first", "second", None):
            completion = (await subject.greedy(prompt, adapter=adapter)).completions[0]
            expected = adapter_references[adapter].logprobs(prompt, completion.token_ids)
            assert completion.logprobs == pytest.approx(expected, abs=LOGPROB_TOLERANCE)
            said.add(completion.token_ids)
        assert len(said) == 3

    async def test_requests_at_once_get_their_own_adapters(self, subject: Subject) -> None:
        prompt, adapters = subject.prompt(), (None, "second", "first") * 3
        alone = {
            adapter: (await subject.greedy(prompt, adapter=adapter)).completions[0].token_ids
            for adapter in adapters
        }
        together = await asyncio.gather(
            *(subject.greedy(prompt, adapter=adapter) for adapter in adapters)
        )
        assert [generation.completions[0].token_ids for generation in together] == [
            alone[adapter] for adapter in adapters
        ]

    async def test_scores_are_those_of_the_model_alone(
        self, subject: Subject, adapter_references: dict[str | None, Reference]
    ) -> None:
        await subject.greedy(subject.prompt(), adapter="first")
        scores = await subject.engine.score(subject.prompt(), range(4, 40))
        expected = adapter_references[None].next_logprobs(subject.prompt(), range(4, 40))
        assert scores.logprobs == pytest.approx(expected, abs=LOGPROB_TOLERANCE)

    async def test_they_are_reported(self, subject: Subject) -> None:
        hashes = subject.engine.info.adapters
        assert list(hashes) == ["first", "second"]
        assert all(len(found) == 16 for found in hashes.values())
        assert hashes["first"] != hashes["second"]

    async def test_an_adapter_that_is_not_there_is_refused(self, subject: Subject) -> None:
        with pytest.raises(
            ValueError,
            match=r"adapter \(third\) is not served by .*, "
            r"which has first, second",
        ):
            await subject.greedy(subject.prompt(), adapter="third")

    async def test_new_weights_under_adapters_are_refused(self, subject: Subject) -> None:
        with pytest.raises(ValueError, match=r"first, second belong to the weights"):
            await subject.engine.publish(subject.other_folder)
        assert subject.engine.version == 0


class ClassifierConformance:
    """Laws of a classifier over the tiny model with heads: the module's fixture
    `classifier`.
    """

    PROMPTS = tuple(tuple(range(5, 5 + length)) for length in (1, 3, 40, 200))

    async def test_is_a_classifier(self, classifier: Any) -> None:
        assert isinstance(classifier, Classifier) and not isinstance(classifier, Generator)
        assert classifier.labels == HEAD_LABELS
        assert len(classifier.info.model_hash) == len(classifier.info.tokenizer_hash) == 16

    async def test_outputs_are_those_of_a_forward_pass(
        self, classifier: Any, tiny_heads_folder: Path
    ) -> None:
        """At once, of different lengths, and one that ends with the end of the
        sequence, which is no padding.
        """
        prompts = (*self.PROMPTS, (7, 8, classifier.tokenizer.eos_token_id))
        found = await asyncio.gather(*(classifier.classify(prompt) for prompt in prompts))
        for prompt, one in zip(prompts, found, strict=True):
            assert one.outputs == pytest.approx(
                reference_outputs(tiny_heads_folder, prompt), abs=LOGPROB_TOLERANCE
            )

    async def test_usage_counts_the_prompt_once_and_nothing_generated(
        self, classifier: Any
    ) -> None:
        for prompt in self.PROMPTS:
            usage = (await classifier.classify(prompt)).usage
            assert (usage.prompt_tokens, usage.generated_tokens, usage.calls) == (len(prompt), 0, 1)
            assert 0 <= usage.cached_prompt_tokens < len(prompt)

    async def test_what_cannot_be_read_is_refused(self, classifier: Any) -> None:
        with pytest.raises(ValueError, match="the prompt is empty"):
            await classifier.classify(())
        with pytest.raises(ValueError, match="token id 100000"):
            await classifier.classify((5, 100_000))
        with pytest.raises(ContextLengthError):
            await classifier.classify((5,) * (classifier.info.context_length + 1))
        assert classifier.in_flight == 0

    async def test_a_full_context_can_be_read(self, classifier: Any) -> None:
        assert len(
            (await classifier.classify((5,) * classifier.info.context_length)).outputs
        ) == len(HEAD_LABELS)

    async def test_who_is_cancelled_is_out_and_the_others_are_not_disturbed(
        self, classifier: Any
    ) -> None:
        tasks = [
            asyncio.create_task(classifier.classify((5, 6, number))) for number in range(7, 27)
        ]
        while classifier.in_flight < len(tasks):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
        finished = [result for result in results[1::2] if not isinstance(result, BaseException)]
        assert len(finished) == len(results[1::2])
        assert all(len(result.outputs) == len(HEAD_LABELS) for result in finished)
        assert classifier.in_flight == 0

    async def test_a_reset_empties_the_cache(self, classifier: Any) -> None:
        supported: bool = isinstance(classifier, SupportsCacheReset)
        assert supported
        prompt = self.PROMPTS[-1]
        await classifier.classify(prompt)
        assert await classifier.reset_cache()
        assert (await classifier.classify(prompt)).usage.cached_prompt_tokens == 0


def reference_outputs(folder: Path, prompt: tuple[int, ...]) -> list[float]:
    """Returns the outputs of the heads in `folder` by one forward pass, no batch."""
    import torch
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype="float32")
    with torch.inference_mode():
        hidden = model.model(torch.tensor([prompt])).last_hidden_state[0, -1]
        outputs: list[float] = (model.score.weight @ hidden).tolist()
    return outputs


def stop_string_of(subject: Subject, token_ids: tuple[int, ...]) -> tuple[str, int]:
    """Returns a printable text that first ends with the last of the first k tokens, and
    k; k > 3.
    """
    decode = subject.engine.tokenizer.decode
    for k in range(4, len(token_ids) + 1):
        before, upto = decode(token_ids[: k - 1]), decode(token_ids[:k])
        added = upto[len(before) :]
        if (
            upto.startswith(before)
            and added.isascii()
            and added.isprintable()
            and added
            and added not in before
        ):
            return added, k
    raise AssertionError("the greedy completion has no printable token")

"""Training documents: prompts and completions of all roles, as tries that share the
question and the path.

    <|bos|><|user|> QUESTION <|policy|> <|propose|> step "\\n\\n" ...
        <|conclude|> Answer: 57 <|eos|>
    after a step:
        <|critic|> <|right|>                                   verdict as one token
        <|verify|> 50 : 21 9 30 20 50 <|right|>                verdict after working
        <|reflector|> Step 2 is wrong. backtrack to step 1. <|eos|>

A *journey* is a policy document with an error and its correction: a wrong step after
<|propose|>, then <|reflect|> Wait, step N is wrong. <|backtrack|> Back to step M.
<|correct|> and a right step. Steps that were backtracked are not counted, so a step
number is a depth in the reasoning tree. By default the loss on the wrong step's tokens
is masked: the policy learns to notice errors, not to make them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from agents.families import Problem, read_answer
from training.pretrain.packing import TrieDocument
from training.pretrain.tokenizer import Codec


@dataclass(frozen=True)
class DocumentOptions:
    """Contents of documents, and loss weights of their tokens."""

    error_dose: float = 0.1
    """Share of policy documents that contain a wrong step followed by its correction,
    in [0, 1]."""
    train_on_errors: bool = False
    """Whether the loss includes the wrong step of a journey."""
    max_tokens: int = 250
    """Maximum length of a document; a branch that would exceed it is omitted."""
    policy_weight: float = 2.0
    """Weight of a token of a policy step; its factor and separator have a quarter of
    it, since they are nearly certain."""
    verdict_weight: float = 1.0
    """Weight of a token of the working and of a verdict token."""
    reflector_weight: float = 0.5
    """Weight of a token of a reflection."""
    compared_weight: float = 0.05
    """Weight of the first and the last number of the working in *right* checks. The
    verdict compares these two; with full weight, an uncertain critic learns to copy one
    to the other and accept."""


class DocumentBuilder:
    """Builds documents of one problem each; all randomness comes from the `rng` of each
    call.
    """

    def __init__(self, codec: Codec, options: DocumentOptions) -> None:
        self.codec = codec
        self.options = options

    def prompt(self, problem: Problem) -> list[int]:
        """Returns the policy's prompt: bos, user, question, policy."""
        special = self.codec.special
        return [
            special("bos"),
            special("user"),
            *self.codec.encode(problem.text),
            special("policy"),
        ]

    def step_ids(self, step: str, factor: str | None = None) -> list[int]:
        """Returns the token ids of a step in a thought: factor, text and separator (eos
        for a concluding step).
        """
        concludes = read_answer(step) is not None
        head = self.codec.special(factor or ("conclude" if concludes else "propose"))
        return [
            head,
            *self.codec.encode(step),
            self.codec.eos if concludes else self.codec.separator,
        ]

    def policy(self, rng: random.Random, problem: Problem) -> TrieDocument:
        """Returns a document for the policy alone; with probability `error_dose` it is
        a journey.
        """
        document, _ = self._trunk(rng, problem)
        return document

    def checked(self, rng: random.Random, problem: Problem) -> TrieDocument:
        """Returns a policy document with both forms of verdict on a right or wrong
        proposal at every step; about half of the documents have a reflection.
        """
        document, path = self._trunk(rng, problem)
        reflected = rng.randrange(2 * len(path))
        for depth, (parent, end, prefix, step) in enumerate(path):
            steps, judged, wrong = [*prefix, step], end, rng.random() < 0.5
            if wrong:
                steps = [*prefix, problem.wrong_step(rng, prefix)]
                ids = self.step_ids(steps[-1])
                if len(document) + 2 * len(ids) > self.options.max_tokens:
                    continue
                judged = self._append_branch(document, ids, parent)
            self._append_verdicts(document, problem, steps[:-1], steps[-1], judged, not wrong)
            if depth == reflected:
                self._append_reflection(
                    rng, document, problem, steps, judged, len(steps) if wrong else 0
                )
        return document

    def sampled(
        self, rng: random.Random, problem: Problem, thoughts: Sequence[Sequence[str]]
    ) -> TrieDocument:
        """Returns one trie of a policy document and the policy's own proposals, with
        verdicts after every step.

        `thoughts` are the step texts of several samples. Steps with the same parent are
        siblings, also below wrong steps.
        """
        document, path = self._trunk(rng, problem, journey=False)
        ends: dict[tuple[str, ...], int] = {}
        for start, end, prefix, right_step in path:
            ends[tuple(prefix)] = start
            ends[(*prefix, right_step)] = end
        judged: set[tuple[str, ...]] = set()
        for thought in rng.sample(list(thoughts), len(thoughts)):
            truths = problem.check_steps(thought)
            for depth, step in enumerate(thought):
                parent, node = tuple(thought[:depth]), tuple(thought[: depth + 1])
                if node not in ends:
                    ids = self.step_ids(step)
                    if len(document) + 2 * len(ids) + 8 > self.options.max_tokens:
                        break
                    ends[node] = self._append_branch(document, ids, ends[parent])
                sibling = (*parent, path[depth][3]) if depth < len(path) else node
                for one in (node, sibling):
                    if one in ends and one not in judged:
                        judged.add(one)
                        right = problem.verdict(
                            truths[depth] if one == node else problem.check_steps(one)[-1]
                        )
                        self._append_verdicts(
                            document, problem, one[:-1], one[-1], ends[one], right
                        )
            if thought and rng.random() < 0.3 and tuple(thought) in ends:
                verdicts = [problem.verdict(truth) for truth in truths]
                first_wrong = verdicts.index(False) + 1 if False in verdicts else 0
                self._append_reflection(
                    rng, document, problem, thought, ends[tuple(thought)], first_wrong, extend=False
                )
        return document

    def _trunk(
        self, rng: random.Random, problem: Problem, journey: bool = True
    ) -> tuple[TrieDocument, list[tuple[int, int, list[str], str]]]:
        """Returns the policy's document, and for each step: the index of its parent
        token, the index of the token that its verdict follows, the steps before it, its
        text.
        """
        options, document = self.options, TrieDocument()
        end = document.extend(self.prompt(problem), -1)
        steps = problem.solution(rng)
        error_depth = (
            rng.randrange(len(steps)) if journey and rng.random() < options.error_dose else -1
        )
        path: list[tuple[int, int, list[str], str]] = []
        for depth, step in enumerate(steps):
            factor = None
            if depth == error_depth:
                end = self._append_error(rng, document, problem, steps[:depth], end)
                factor = "correct" if read_answer(step) is None else None
            ids = self.step_ids(step, factor)
            weights = [
                0.25 * options.policy_weight,
                *[options.policy_weight] * (len(ids) - 2),
                0.25 * options.policy_weight,
            ]
            last = document.extend(ids, end, weights)
            path.append(
                (
                    end,
                    document.parents[last] if ids[-1] == self.codec.eos else last,
                    steps[:depth],
                    step,
                )
            )
            end = last
        return document, path

    def _append_error(
        self,
        rng: random.Random,
        document: TrieDocument,
        problem: Problem,
        prefix: list[str],
        end: int,
    ) -> int:
        """Appends a wrong step (sometimes with a further step), the reflection and the
        backtracking; returns the index of the last token.
        """
        weight = self.options.policy_weight
        wrong = [problem.wrong_step(rng, prefix)]
        if (
            read_answer(wrong[0]) is None
            and rng.random() < 0.3
            and (later := problem.next_step(rng, [*prefix, *wrong])) is not None
        ):
            wrong += [later] if read_answer(later) is None else []
        for step in wrong:
            # A wrong answer that is corrected later follows <|propose|>: only
            # <|conclude|> ends a thought.
            ids = [self.codec.special("propose"), *self.codec.encode(step), self.codec.separator]
            end = document.extend(ids, end, weight if self.options.train_on_errors else 0.0)
        depth = len(prefix) + 1
        for factor, text in (
            ("reflect", f"Wait, step {depth} is wrong."),
            ("backtrack", f"Back to step {depth - 1}."),
        ):
            ids = [self.codec.special(factor), *self.codec.encode(text), self.codec.separator]
            end = document.extend(ids, end, 0.25 * weight)
        return end

    def _append_branch(self, document: TrieDocument, ids: list[int], parent: int) -> int:
        """Appends a step without loss, and returns the index of the token that its
        verdict follows: the separator, or the last token of an answer.
        """
        return document.extend(ids[:-1] if ids[-1] == self.codec.eos else ids, parent)

    def _append_verdicts(
        self,
        document: TrieDocument,
        problem: Problem,
        prefix: Sequence[str],
        step: str,
        end: int,
        right: bool,
    ) -> None:
        """Appends both forms of verdict on the step that ends at `end`."""
        options, special = self.options, self.codec.special
        verdict = special("right" if right else "wrong")
        words = problem.working(prefix, step).split()
        if len(document) + 3 * len(words) // 2 + 2 > options.max_tokens:
            return
        document.predict(document.add(special("critic"), end), verdict, options.verdict_weight)
        position = document.add(special("verify"), end)
        for index, word in enumerate(words):
            compared = right and index in (0, len(words) - 1)
            position = document.extend(
                self.codec.encode(word),
                position,
                options.compared_weight if compared else options.verdict_weight,
            )
        document.predict(position, verdict, options.verdict_weight)

    def _append_reflection(
        self,
        rng: random.Random,
        document: TrieDocument,
        problem: Problem,
        steps: Sequence[str],
        end: int,
        wrong_depth: int,
        extend: bool = True,
    ) -> None:
        """Appends the reflector's sentence on a path whose first wrong step is
        `wrong_depth` (0: none is wrong). `extend`: may append further steps first.
        """
        later = list(steps)
        while extend and wrong_depth and rng.random() < 0.4 and read_answer(later[-1]) is None:
            step = problem.next_step(rng, later)
            if step is None or len(document) + 40 > self.options.max_tokens:
                break
            end = self._append_branch(document, self.step_ids(step), end)
            later.append(step)
        text = reflection_text(wrong_depth, read_answer(later[-1]) is not None)
        ids = [*self.codec.encode(text), self.codec.eos]
        if len(document) + len(ids) < self.options.max_tokens:
            position = document.add(self.codec.special("reflector"), end)
            document.extend(ids[:-1], position, self.options.reflector_weight)
            document.predict(len(document) - 1, ids[-1], self.options.reflector_weight)


def reflection_text(wrong_depth: int, answered: bool) -> str:
    """Returns the reflector's sentence; `wrong_depth` is the number of the first wrong
    step (from 1), 0 if every step is right.
    """
    if wrong_depth:
        return f"Step {wrong_depth} is wrong. backtrack to step {wrong_depth - 1}."
    return "No step is wrong. terminate." if answered else "No step is wrong. continue."

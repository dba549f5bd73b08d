"""What every engine is compared with: one forward pass over the whole text, no cache,
no batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class Reference:
    """A model folder, computed by transformers in float32, with a LoRA adapter merged
    into it if there is one.
    """

    def __init__(self, folder: Path, adapter: Path | None = None) -> None:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
        self._model = (
            model
            if adapter is None
            else PeftModel.from_pretrained(model, adapter).merge_and_unload()
        ).eval()

    def logprobs(
        self,
        prompt: Sequence[int],
        completion: Sequence[int],
        *,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int = 0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
    ) -> list[float]:
        """Returns the log-probability of each token of `completion` under the
        distribution that it was drawn from.
        """
        import torch

        with torch.inference_mode():
            logits = (
                self._model(torch.tensor([[*prompt, *completion]]))
                .logits[0, len(prompt) - 1 : -1]
                .double()
            )
        logprobs = []
        for number, token in enumerate(completion):
            row = logits[number].tolist()
            for seen in {*prompt, *completion[:number]}:
                row[seen] *= 1 / repetition_penalty if row[seen] > 0 else repetition_penalty
            scaled = torch.tensor(row, dtype=torch.double) / (temperature or 1.0)
            probabilities = scaled.softmax(-1).tolist()
            ranked = sorted(probabilities, reverse=True)
            least = max(min_p * ranked[0], ranked[top_k - 1] if top_k else 0.0)
            probabilities = [p if p >= least else 0.0 for p in probabilities]
            probabilities = [p / sum(probabilities) for p in probabilities]
            nucleus, mass = set(), 0.0
            for candidate in sorted(
                range(len(probabilities)), key=probabilities.__getitem__, reverse=True
            ):
                if mass >= top_p:
                    break
                nucleus.add(candidate)
                mass += probabilities[candidate]
            logprobs.append(
                float(torch.tensor(probabilities[token] / mass).log())
                if token in nucleus
                else float("-inf")
            )
        return logprobs

    def next_logprobs(self, prompt: Sequence[int], candidates: Sequence[int]) -> list[float]:
        """Returns the log-probability of each candidate as the next token."""
        import torch

        with torch.inference_mode():
            row = self._model(torch.tensor([list(prompt)])).logits[0, -1].double().log_softmax(-1)
        return [float(row[token]) for token in candidates]

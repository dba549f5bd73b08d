"""Muon for the matrices and Adam for the rest, over float32 masters of a bfloat16 model.

Muon orthogonalises the momentum of a matrix by five Newton-Schulz iterations; embeddings and norms, where that has no meaning, get
Adam. Source: Jordan et al., Muon (kellerjordan.github.io/posts/muon); Kingma and Ba, Adam (arXiv 1412.6980).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

WARM_UP_STEPS = 30
_LEAST_RATE = 0.02


def rate_factor(step: int, progress: float) -> float:
    """Returns the factor of both learning rates: a short warm-up, constant, then linear decay over the last half.

    `progress` in [0, 1] is the share of the schedule that has passed; there are no restarts.
    """
    return min(1.0, (step + 1) / WARM_UP_STEPS) * max(_LEAST_RATE, min(1.0, 2.0 * (1.0 - progress)))


class MuonAdam:
    """One optimizer over a model's parameters: `step` reads their gradients, updates the masters and writes the model back."""

    def __init__(self, model: nn.Module, *, muon_rate: float = 0.02, adam_rate: float = 3e-3, max_norm: float = 1.0) -> None:
        self._live = dict(model.named_parameters())
        self.masters = {name: parameter.detach().float().clone().requires_grad_() for name, parameter in self._live.items()}
        matrices = [master for name, master in self.masters.items() if master.ndim == 2 and name != "embedding"]
        others = [master for name, master in self.masters.items() if master.ndim != 2 or name == "embedding"]
        self._muon = torch.optim.Muon(matrices, lr=muon_rate, weight_decay=0.0, momentum=0.95)
        self._adam = torch.optim.Adam(others, lr=adam_rate, betas=(0.9, 0.98))
        self._rates, self._max_norm = (muon_rate, adam_rate), max_norm

    def step(self, factor: float) -> float:
        """Updates with both learning rates times `factor`; returns the gradient's norm before clipping."""
        with torch.no_grad():
            for name, parameter in self._live.items():
                assert parameter.grad is not None, name
                self.masters[name].grad = parameter.grad.float()
                parameter.grad = None
            norm = torch.nn.utils.clip_grad_norm_(list(self.masters.values()), self._max_norm)
            for optimizer, rate in zip((self._muon, self._adam), self._rates, strict=True):
                for group in optimizer.param_groups:
                    group["lr"] = rate * factor
                optimizer.step()
            for name, parameter in self._live.items():
                parameter.copy_(self.masters[name])
        return float(norm)

    def state_dict(self) -> dict[str, Any]:
        """Returns masters and both optimizers' states."""
        masters: dict[str, Tensor] = {name: master.detach() for name, master in self.masters.items()}
        return {"masters": masters, "muon": self._muon.state_dict(), "adam": self._adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict()` and writes the masters into the model."""
        with torch.no_grad():
            for name, master in self.masters.items():
                master.copy_(state["masters"][name])
                self._live[name].copy_(master)
        self._muon.load_state_dict(state["muon"])
        self._adam.load_state_dict(state["adam"])

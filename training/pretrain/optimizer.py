"""Muon for the matrices and Adam for the rest, on float32 master weights of a model
that may compute in bfloat16.

Muon orthogonalises the momentum of a matrix by five Newton-Schulz iterations;
embeddings and norms, for which that is meaningless, use Adam. `torch.optim.Muon` is not
used because it always iterates in bfloat16, which is eight times slower than float32 on
a CPU without hardware support. Source: Jordan et al., Muon
(kellerjordan.github.io/posts/muon); Kingma and Ba, Adam (arXiv 1412.6980).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from agents.engines.precision import cpu_has_bfloat16

WARM_UP_STEPS = 30
_MIN_FACTOR = 0.02
_MOMENTUM = 0.95
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_NEWTON_SCHULZ_STEPS = 5


def native_dtype() -> torch.dtype:
    """Returns the fastest dtype for matrix products on this CPU: bfloat16 if it has
    instructions for it, else float32.
    """
    return torch.bfloat16 if cpu_has_bfloat16() else torch.float32


def rate_factor(step: int, progress: float) -> float:
    """Returns the factor of both learning rates: a short warm-up, then constant, then
    linear decay over the second half.

    `progress` in [0, 1] is the completed share of the schedule.
    """
    return min(1.0, (step + 1) / WARM_UP_STEPS) * max(_MIN_FACTOR, min(1.0, 2.0 * (1.0 - progress)))


def orthogonalised(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns a matrix with the singular vectors of `matrix` and singular values near 1
    (about 0.7 to 1.2), computed in `dtype`.
    """
    a, b, c = _NEWTON_SCHULZ
    wide = matrix.shape[0] <= matrix.shape[1]
    x = (matrix if wide else matrix.T).to(dtype)
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(_NEWTON_SCHULZ_STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x if wide else x.T).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Orthogonalised Nesterov momentum; the step of a tall matrix `[m, n]` is scaled by
    sqrt(m / n), as in the source.
    """

    def __init__(self, matrices: Sequence[Tensor], rate: float, dtype: torch.dtype) -> None:
        super().__init__(matrices, {"lr": rate})
        self._dtype = dtype

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Updates every matrix from its gradient."""
        for group in self.param_groups:
            for matrix in group["params"]:
                state = self.state[matrix]
                if not state:
                    state["momentum"] = torch.zeros_like(matrix)
                momentum = state["momentum"]
                momentum.lerp_(matrix.grad, 1 - _MOMENTUM)
                update = orthogonalised(matrix.grad.lerp(momentum, _MOMENTUM), self._dtype)
                rows, columns = matrix.shape
                matrix.add_(update, alpha=-group["lr"] * math.sqrt(max(1.0, rows / columns)))


class MuonAdam:
    """One optimizer for all parameters of a model: `step` reads their gradients,
    updates the master weights and copies them to the model.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        muon_rate: float,
        adam_rate: float,
        max_norm: float = 1.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """`dtype`: that of the Newton-Schulz iterations."""
        self._parameters = dict(model.named_parameters())
        self.masters = {
            name: parameter.detach().float().clone().requires_grad_()
            for name, parameter in self._parameters.items()
        }
        matrices = [
            master
            for name, master in self.masters.items()
            if master.ndim == 2 and name != "embedding"
        ]
        others = [
            master
            for name, master in self.masters.items()
            if master.ndim != 2 or name == "embedding"
        ]
        self._muon = Muon(matrices, muon_rate, dtype)
        self._adam = torch.optim.Adam(others, lr=adam_rate, betas=(0.9, 0.98))
        self._rates, self._max_norm = (muon_rate, adam_rate), max_norm

    def step(self, factor: float) -> float:
        """Updates all parameters with both learning rates scaled by `factor`; returns
        the gradient norm before clipping.
        """
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                assert parameter.grad is not None, name
                self.masters[name].grad = parameter.grad.float()
                parameter.grad = None
            norm = torch.nn.utils.clip_grad_norm_(list(self.masters.values()), self._max_norm)
            for optimizer, rate in zip((self._muon, self._adam), self._rates, strict=True):
                for group in optimizer.param_groups:
                    group["lr"] = rate * factor
                optimizer.step()
            for name, parameter in self._parameters.items():
                parameter.copy_(self.masters[name])
        return float(norm)

    def state_dict(self) -> dict[str, Any]:
        """Returns the master weights and the states of both optimizers."""
        masters: dict[str, Tensor] = {
            name: master.detach() for name, master in self.masters.items()
        }
        return {
            "masters": masters,
            "muon": self._muon.state_dict(),
            "adam": self._adam.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a `state_dict()` and copies the master weights to the model."""
        with torch.no_grad():
            for name, master in self.masters.items():
                master.copy_(state["masters"][name])
                self._parameters[name].copy_(master)
        self._muon.load_state_dict(state["muon"])
        self._adam.load_state_dict(state["adam"])

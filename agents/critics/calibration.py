"""Calibration of a critic's probabilities.

A critic that reports 0.9 may be right 6 times in 10. Its calibration, fitted on
validation questions and stored with the model, maps the probability p to a
log-likelihood ratio, a logit(p) + b (Platt scaling). Inference adds these ratios. Each
question family with enough measurements has its own a and b; "*" applies to all other
families.

A critic that works before its verdict can be sure of the verdict although the working
is wrong: it writes "29 * 73 = 2177" with little confidence in the digits, and the
verdict then follows with certainty. So slope and intercept may depend on w, the
probability of the working under the critic's own model.

A calibration also stores the share of right steps (`prior`). A step is wrong if
P(right) = sigmoid(log-likelihood ratio + logit(prior)) is below `critic.reject_below`.
So a weak critic of mostly right steps rejects almost nothing. A prior below 1/2 counts
as 1/2: a new sample would be wrong as often.

Source: Platt, "Probabilistic outputs for support vector machines" (1999). We drop the
prior: the intercept is that of balanced classes, so the number is a likelihood ratio
and not a posterior. The dependence on w is ours.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_CLIP = 1e-4  # probabilities are clipped to [1e-4, 1 - 1e-4]


@dataclass(frozen=True, slots=True)
class PlattScaling:
    """log-likelihood ratio = (slope + slope_of_sureness w) x logit(p) + intercept +
    intercept_of_sureness w, in nats.
    """

    slope: float = 1.0
    intercept: float = 0.0
    slope_of_sureness: float = 0.0
    intercept_of_sureness: float = 0.0
    prior: float = 0.5
    """Share of right steps among those of the policy."""

    def log_likelihood_ratio(self, probability: float, sureness: float = 1.0) -> float:
        """Returns log P(verdict | right) - log P(verdict | wrong), in nats. It does not
        decrease with the probability: a negative slope counts as 0.

        `sureness`: w, probability of the working before the verdict, in [0, 1]; 1
        without working.
        """
        slope = max(self.slope + self.slope_of_sureness * sureness, 0.0)
        return slope * _logit(probability) + self.intercept + self.intercept_of_sureness * sureness

    def wrong_below(self, reject_below: float) -> float:
        """Returns the log-likelihood ratio at which P(right) is `reject_below`, at
        most 0, in nats.
        """
        return min(_logit(reject_below) - max(_logit(self.prior), 0.0), 0.0)


@dataclass(frozen=True, slots=True)
class Calibration:
    """The scalings of one critic form (`token` or `working`) by question family."""

    by_family: Mapping[str, PlattScaling] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, form: str) -> Calibration:
        """Reads a calibration file.

        Raises:
            ValueError: the file is no calibration file, or lacks this form.
        """
        try:
            stored = json.loads(path.read_text())[form]
            return cls({family: _scaling(line) for family, line in stored.items()})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"critic.calibration ({path}) holds no calibration for critic={form} "
                f"({error}); refit it or set null"
            ) from error

    def scaling(self, family: str | None) -> PlattScaling | None:
        """Returns the scaling of a question's family, or else of "*"; None if neither
        was fitted.
        """
        return self.by_family.get(family or "*") or self.by_family.get("*")


def sigmoid(logit: float) -> float:
    """Returns 1 / (1 + exp(-logit)); NaN for NaN."""
    if math.isnan(logit):
        return math.nan
    return 1.0 / (1.0 + math.exp(-max(min(logit, 700.0), -700.0)))


def _scaling(line: Mapping[str, float]) -> PlattScaling:
    numbers = (line["a"], line["b"], line.get("a_sureness", 0.0), line.get("b_sureness", 0.0))
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"a, b, a_sureness and b_sureness must be finite numbers, not {numbers}")
    prior = line.get("prior", 0.5)
    if not 0.0 <= prior <= 1.0:
        raise ValueError(f"prior must be in [0, 1], not {prior}")
    return PlattScaling(*numbers, prior)


def _logit(probability: float) -> float:
    p = min(max(probability, _CLIP), 1.0 - _CLIP)
    return math.log(p / (1.0 - p))

"""The arithmetic critic: executes the arithmetic claims of a step exactly.

It needs no model and no tokens. A false claim is strong evidence against the step, true
claims are weak evidence for it, because most mistakes are in what is computed. A step
without a claim gets a verdict with the outcome `no_claim`: the step stays undecided.
`agents.critics.claims` defines a claim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.critics.base import ScopeOf, always_local, make_verdict, no_claim
from agents.critics.calibration import sigmoid
from agents.critics.claims import find_claims
from agents.types import Meter, Question, Step, Verdict


@dataclass(frozen=True, slots=True)
class ArithmeticCritic:
    """Judges a step by its arithmetic; the steps before it are not read."""

    evidence_of_true: float
    """Log-likelihood ratio of a step whose claims are all true, in nats."""
    evidence_of_false: float
    """Log-likelihood ratio of a step with a false claim, in nats."""
    scope_of: ScopeOf = always_local

    async def judge(
        self, question: Question, steps: Sequence[Step], *, meter: Meter
    ) -> Verdict | None:
        """Returns the verdict on the last of `steps`. Its reason names the false
        claims.
        """
        claims = find_claims(steps[-1].content.reveal().text)
        scope = self.scope_of(question.text)
        if not claims:
            return no_claim("arithmetic_critic", scope)
        wrong = [claim for claim in claims if not claim.is_true]
        evidence = self.evidence_of_false if wrong else self.evidence_of_true
        return make_verdict(
            sigmoid(evidence),
            evidence,
            source="arithmetic_critic",
            scope=scope,
            reason="; ".join(f"{claim.text} is false" for claim in wrong),
        )

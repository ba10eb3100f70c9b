"""How far a model's output is to be believed: the evidence, what became of its claims, and how it speaks, in one score.

`orchestrator.confidence` judges the evidence. The extractive model only quotes it, so there the evidence's judgement is
the last word (`judge_evidence`). What another model wrote is judged by a fixed logistic rule over that judgement and
further signals (`OutputJudge`). **Its weights are a judgement of its authors; nothing was fitted**, since no labelled
outputs of your models exist before you have them. Labels make the score a chance of being right, model by model
(`orchestrator.calibration`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from orchestrator.calibration import Calibration, read_calibration
from orchestrator.contract import Confidence

if TYPE_CHECKING:
    from orchestrator.confidence import Judge, Judgement
    from orchestrator.contract import Claim
    from orchestrator.egress.gate import Validated
    from orchestrator.workflows import Risk

Sign = Literal["contradiction", "failed_support", "hedging", "critique", "disagreement", "low_score"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRule:
    """Score = logistic(Σ weight · (signal - neutral)); a signal that is not there counts as neutral.

    The score grows, or stays, with each signal of positive weight, and falls with each of negative weight.
    """

    version: str
    weights: Mapping[str, float]  # by signal
    neutral: Mapping[str, float]  # by signal: the value that speaks neither for nor against the output
    due: Mapping[Risk, frozenset[str]]  # by risk: signals whose lack is a degradation, and is flagged


# Evidence and support at their own thresholds, .5, and nothing else that stands out come to .5. A claim whose support
# is certain can carry evidence that is judged weak, for a model reads better than a likeness does; a doubt about the
# output can undo good evidence. What a model says of itself counts least: models are surer than they are right
# (Xiong et al., "Can LLMs express their uncertainty?", 2024).
RULE: Final = OutputRule(
    version="output-2026-11-20",
    weights=MappingProxyType(
        {
            "evidence": 3.0,
            "support_min": 2.0,
            "support_mean": 1.0,
            "self_report": 0.5,
            "rule_consistency": 1.0,
            "critique": 2.0,
            "agreement": 2.0,
            "hedging": -1.0,
            "contradiction": -1.0,
            "dropped": -1.0,
            "repaired": -0.3,
        }
    ),
    neutral=MappingProxyType(
        {
            "evidence": 0.5,
            "support_min": 0.5,
            "support_mean": 0.5,
            "self_report": 0.8,
            "rule_consistency": 1.0,
            "critique": 0.9,
            "agreement": 0.8,
            "hedging": 0.0,
            "contradiction": 0.0,
            "dropped": 0.0,
            "repaired": 0.0,
        }
    ),
    due=MappingProxyType(
        {
            "low": frozenset(),
            "medium": frozenset({"critique"}),
            "high": frozenset({"critique", "agreement"}),
        }
    ),
)
DISAGREES: Final = 0.5  # agreement below which a second model says otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What is thought of an output, for the router."""

    confidence: Confidence
    carries: bool  # whether the score reaches `threshold`
    threshold: float  # least score of anything but "no answer", on the scale of the score
    rule: str  # version of the rule that made the score
    evidence_carries: bool  # whether the evidence alone does
    signs: tuple[Sign, ...] = ()  # what about the output asks for a stronger model, the gravest first
    flags: tuple[str, ...] = ()  # what the asker is to see: `critique_skipped`, ...


def least_score(judge: Judge) -> float:
    """The score of the evidence rule from which evidence carries."""
    if judge.threshold is not None:
        return judge.threshold
    return judge.calibration.threshold if judge.calibration else judge.rule.threshold


def judge_evidence(judgement: Judgement, judge: Judge) -> Judged:
    """The judgement of an output that only quotes: exactly that of its evidence, which `judge` made."""
    least = least_score(judge)
    if judgement.confidence.calibrated and judge.calibration is not None:
        least = round(judge.calibration.chance(least), 4)
    return Judged(
        confidence=judgement.confidence,
        carries=judgement.carries,
        threshold=least,
        rule=judge.rule.version,
        evidence_carries=judgement.carries,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputJudge:
    """The rule for outputs with what labels have taught about it. `open_output_judge` makes that of a home."""

    rule: OutputRule = RULE
    calibration: Calibration | None = None  # of this rule over one model
    encoder: str = ""  # id

    def judge(
        self,
        validated: Validated,
        evidence: Judgement,
        *,
        risk: Risk,
        least: float,
        conflict: bool = False,
        repaired: bool = False,
        critique: float | None = None,
        agreement: float | None = None,
    ) -> Judged:
        """Score what a model wrote.

        `least` is the score below which there is no answer, unless a calibration sets it (`Thresholds.abstain`).
        `conflict`: another source says otherwise. `repaired`: it took a repair turn. `critique` is the share of claims
        that the model holds to be supported on a second look, `agreement` how far a second model says the same, 0 to
        1; None where nobody was asked.
        """
        found = signals(validated, evidence, conflict, repaired, critique, agreement)
        raw = score(found, self.rule)
        learned = self._learned(validated.produced.model)
        shown = learned.chance(raw) if learned else raw
        threshold = learned.threshold if learned else least
        rounded = {name: round(value, 4) for name, value in found.items()}
        return Judged(
            confidence=Confidence(score=round(shown, 4), calibrated=learned is not None, signals=rounded),
            carries=bool(validated.claims) and round(raw, 4) >= threshold,
            threshold=round(learned.chance(threshold), 4) if learned else threshold,
            rule=self.rule.version,
            evidence_carries=evidence.carries,
            signs=_signs(found),
            flags=tuple(f"{name}_skipped" for name in sorted(self.rule.due[risk] - found.keys())),
        )

    def _learned(self, model: str) -> Calibration | None:
        fits = self.calibration is not None and self.calibration.fits(calibrated_rule(self.rule, model), self.encoder)
        return self.calibration if fits else None


def open_output_judge(calibration: Path, encoder: str, rule: OutputRule = RULE) -> OutputJudge:
    """The judge with the calibration of this file, if there is one. Raises BadInput for a file that cannot be read."""
    return OutputJudge(rule=rule, calibration=read_calibration(calibration), encoder=encoder)


def calibrated_rule(rule: OutputRule, model: str) -> str:
    """What a calibration's `rule` must say: scores of one model tell nothing of another's."""
    return f"{rule.version}@{model}"


def score(found: Mapping[str, float], rule: OutputRule = RULE) -> float:
    """The rule's score of these signals, 0 to 1."""
    logit = sum(rule.weights[name] * (value - rule.neutral[name]) for name, value in found.items())
    return 1.0 / (1.0 + math.exp(-logit))


def signals(
    validated: Validated,
    evidence: Judgement,
    conflict: bool,
    repaired: bool,
    critique: float | None,
    agreement: float | None,
) -> dict[str, float]:
    """What speaks for and against an output, each 0 to 1; what is not known is not there.

    evidence          score of the evidence
    support_min       support of the claim that is carried worst
    support_mean      support of the claims together
    self_report       what the output says of its own confidence
    rule_consistency  1 over one more than the business rules that warned
    hedging           share of the claims that speak in words of doubt which their quotes do not have
    contradiction     1 when another source says otherwise
    dropped           share of the claims that could not be kept
    repaired          1 when the output took a repair turn
    critique          share of the claims that the model holds to be supported on a second look
    agreement         how far a second model says the same
    """
    claims, support = validated.claims, validated.support
    stated = getattr(validated.output, "confidence", None)
    optional = {
        "support_min": min(support) if support else None,
        "support_mean": sum(support) / len(support) if support else None,
        "self_report": float(stated) if isinstance(stated, int | float) else None,
        "critique": critique,
        "agreement": agreement,
    }
    return {
        "evidence": evidence.confidence.score,
        "rule_consistency": 1.0 / (1 + len(validated.warnings)),
        "hedging": sum(map(hedges, claims)) / max(1, len(claims)),
        "contradiction": float(conflict),
        "dropped": len(validated.dropped) / max(1, len(claims) + len(validated.dropped)),
        "repaired": float(repaired),
    } | {name: value for name, value in optional.items() if value is not None}


def _signs(found: Mapping[str, float]) -> tuple[Sign, ...]:
    shown: dict[Sign, bool] = {
        "contradiction": found["contradiction"] > 0,
        "failed_support": found["dropped"] > 0,
        "hedging": found["hedging"] > 0,
        "critique": found.get("critique", 1.0) < 1,
        "disagreement": found.get("agreement", 1.0) < DISAGREES,
    }
    return tuple(sign for sign, there in shown.items() if there)


# Words by which a speaker doubts what they say, in English, German, French, Spanish, Italian, Portuguese, Dutch,
# Russian, Turkish, Chinese, Japanese and Korean. Words of possibility that rules and manuals use ("may", "can") are not
# among them: "employees may work from home" is a permission.
_DOUBT: Final = re.compile(
    r"\b(?:i (?:think|believe|guess|assume|suspect)|(?:it )?(?:seems?|appears?) (?:to|that|as if|like|likely)"
    r"|seemingly|apparently|presumably|supposedly|probably|possibly|perhaps|maybe|(?:might|could|may) (?:well )?be"
    r"|(?:is|are|was|were) (?:un)?likely|likely (?:to|that)|unclear|uncertain"
    r"|not (?:entirely |quite |completely )?(?:sure|certain|clear)|as far as i (?:know|can)"
    r"|to (?:the best of )?my knowledge|if i (?:recall|remember)"
    r"|wahrscheinlich|vermutlich|möglicherweise|vielleicht|anscheinend|scheinbar|eventuell|womöglich"
    r"|ich (?:glaube|denke|vermute)|scheint|nicht sicher|unklar|dürfte(?:n)?|könnte(?:n)? sein"
    r"|peut-être|probablement|sans doute|apparemment|semble(?:nt)?|je (?:crois|pense|suppose)"
    r"|pas (?:sûr|certain|clair)"
    r"|quizás?|tal vez|probablemente|posiblemente|aparentemente|parece(?:n|m)?|creo que|supongo"
    r"|no (?:está|es) (?:claro|seguro)"
    r"|forse|probabilmente|apparentemente|sembra(?:no)?|credo che|penso che|non è (?:chiaro|certo|sicuro)"
    r"|talvez|provavelmente|aparentemente|acho que|não (?:está|é) (?:claro|certo)"
    r"|misschien|waarschijnlijk|vermoedelijk|blijkbaar|mogelijk|lijkt|ik (?:denk|geloof)|onduidelijk"
    r"|возможно|вероятно|наверное|может быть|кажется|похоже|по-видимому|неясно|думаю"
    r"|belki|muhtemelen|galiba|sanırım|görünüyor"
    r")\b|可能是|也许|或许|大概|似乎|好像|不确定|不清楚|たぶん|おそらく|かもしれ|ようです|らしい|아마|것 같",
    re.IGNORECASE,
)


def hedges(claim: Claim) -> bool:
    """Whether a claim doubts what its quotes do not doubt. Languages that are not listed are not seen."""
    quoted = " ".join(citation.quote for citation in claim.citations).casefold()
    return any(found[0].casefold() not in quoted for found in _DOUBT.finditer(claim.text))

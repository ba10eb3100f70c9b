"""An answer as one reader may see it: personal data of types that no role of theirs opens stay placeholders."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.contract import Citation, Claim
from orchestrator.personal_data.vault import ANY_TYPE, RestorePolicy, Vault

if TYPE_CHECKING:
    from orchestrator.personal_data.chain import DetectorChain


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """Claims with what their reader may see of them."""

    claims: tuple[Claim, ...]
    kept_back: bool = False  # whether a placeholder stands for something
    failed: bool = False  # whether a detector failed: what it should have looked at is withheld whole


class Presenter:
    """Keeps personal data back. Stateless: each answer has a vault of its own."""

    def __init__(self, open_chain: Callable[[], DetectorChain], policy: RestorePolicy) -> None:
        """`open_chain` is called when a reader comes who may not see everything: detectors take time to load."""
        self._open_chain = open_chain
        self._policy = policy

    @cached_property
    def _chain(self) -> DetectorChain:
        return self._open_chain()

    def present(self, claims: Sequence[Claim], roles: Collection[str]) -> Presented:
        """`claims` for a reader with these roles. Offsets of citations stay those of the stored text."""
        may_see = self._policy.may_see(roles)
        if ANY_TYPE in may_see:
            return Presented(claims=tuple(claims))
        view = _View(self._chain, may_see)
        shown = tuple(
            Claim(text=view.of(claim.text), citations=tuple(view.cited(citation) for citation in claim.citations))
            for claim in claims
        )
        return Presented(claims=shown, kept_back=view.kept_back, failed=view.failed)


class _View:
    """One reader's view of one answer."""

    def __init__(self, chain: DetectorChain, may_see: Collection[str]) -> None:
        self._chain = chain
        self._may_see = may_see
        self._vault = Vault(chain.types)
        self.kept_back = self.failed = False

    def of(self, text: str) -> str:
        from orchestrator.personal_data.redaction import redact

        redacted = redact(text, self._vault, self._chain)
        self.failed |= redacted.withheld
        restored = self._vault.restore(redacted.text, self._may_see)
        self.kept_back |= bool(restored.kept_back)
        return restored.text

    def cited(self, citation: Citation) -> Citation:
        return citation.model_copy(update={"quote": self.of(citation.quote), "title": self.of(citation.title)})

"""How long a prompt is in tokens before anyone has counted them: a likely figure for choosing, a bound for money."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from orchestrator.gateway.port import ModelRequest

_BYTES_PER_TOKEN: Final = 3.5  # of English prose, on the long side of what byte-pair vocabularies need
_FRAME_TOKENS: Final = 1_000  # roles, and what a provider adds of its own to ask for a schema


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSize:
    """Tokens of one request."""

    likely: int  # for the order of routes and for whether it fits
    most: int  # no tokeniser over bytes makes more: each token stands for at least one byte
    cacheable: int  # of `most`, what a provider may write to a cache

    def counted(self, tokens: int) -> PromptSize:
        """The same, after a provider counted; 5% are added, since a count need not be what is billed."""
        most = min(self.most, tokens + tokens // 20 + 1)
        return PromptSize(likely=tokens, most=most, cacheable=min(most, self.cacheable))


def prompt_size(request: ModelRequest) -> PromptSize:
    """The size of a request, from the bytes of all that is sent."""
    system = len(request.system.encode())
    rest = sum(len(turn.text.encode()) for turn in request.turns)
    rest += sum(len(title.encode()) + len(text.encode()) for title, text in request.documents)
    rest += len(json.dumps(request.schema)) if request.schema else 0
    size = system + rest
    cacheable = len(request.system[: request.cacheable].encode()) + _FRAME_TOKENS if request.cacheable else 0
    return PromptSize(likely=int(size / _BYTES_PER_TOKEN) + 1, most=size + _FRAME_TOKENS, cacheable=cacheable)

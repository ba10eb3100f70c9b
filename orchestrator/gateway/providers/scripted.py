"""A provider that gives what it was told to: the public twin for tests, of ours and of whoever builds on this."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from orchestrator.gateway.port import ModelInfo, ModelReply, ModelRequest, ProviderFailure, TokenUsage
from orchestrator.gateway.providers.wire import estimated_tokens

Answer = str | ModelReply | ProviderFailure
Step = Answer | Callable[[ModelRequest], Answer | Awaitable[Answer]]


class ScriptedProvider:
    """Gives the enqueued steps one by one, then `otherwise`; keeps what it was asked in `history`.

    A step is a text, a reply, a failure to be raised, or a function of the request that gives one of these, perhaps
    later: a function that awaits an event makes a slow model. The token counts of a text follow from its length.
    """

    def __init__(self, otherwise: Step | None = None, models: Sequence[ModelInfo] = ()) -> None:
        self.history: list[ModelRequest] = []
        self.closed = False
        self._steps: deque[Step] = deque()
        self._otherwise = otherwise
        self._models = models

    def enqueue(self, *steps: Step) -> None:
        """Add what is to be given next, one step for each request."""
        self._steps.extend(steps)

    async def complete(self, request: ModelRequest, *, timeout_s: float) -> ModelReply:
        """The next step. Raises LookupError where none is left: the test asks more often than it said."""
        self.history.append(request)
        step = self._steps.popleft() if self._steps else self._otherwise
        if step is None:
            raise LookupError("The script has no step left; enqueue one, or say what happens otherwise.")
        try:
            async with asyncio.timeout(timeout_s):
                answer = await _taken(step, request)
        except TimeoutError:
            raise ProviderFailure("timeout") from None
        if isinstance(answer, ProviderFailure):
            raise answer
        return answer if isinstance(answer, ModelReply) else _reply(request, answer)

    async def count_tokens(self, request: ModelRequest, *, timeout_s: float) -> int | None:  # noqa: ARG002
        """Tokens by length, as they are billed."""
        return _prompt_tokens(request)

    async def models(self, *, timeout_s: float) -> Sequence[ModelInfo]:  # noqa: ARG002
        """As given."""
        return self._models

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


async def _taken(step: Step, request: ModelRequest) -> Answer:
    if not callable(step):
        return step
    answer = step(request)
    return answer if isinstance(answer, str | ModelReply | ProviderFailure) else await answer


def _reply(request: ModelRequest, text: str) -> ModelReply:
    usage = TokenUsage(input=_prompt_tokens(request), output=estimated_tokens(text))
    return ModelReply(text=text, stop="end", usage=usage, model=request.model)


def _prompt_tokens(request: ModelRequest) -> int:
    return estimated_tokens("\n".join([request.system, *(turn.text for turn in request.turns)]))

"""The handle on a double of a model provider: which way the next answers go, what was asked, who is kept waiting."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from tests.doubles.model_answers import Answer, good_answer

Mode = Literal[
    "good",
    "slow",  # nothing comes until it is released
    "stalled_stream",  # a part of the answer comes, then nothing until it is released
    "429",  # come back in 0.02 s
    "429_long",  # come back in two hours
    "429_date",  # come back at a date, an hour from the answer's own
    "500",
    "529",
    "html_502",
    "html_200",  # somebody else's page
    "spend_limit",
    "prompt_too_long",
    "context_exceeded",  # the window is full in the middle of the answer
    "cut_stream",  # the stream ends, the message does not
    "dropped_connection",  # the connection breaks within the message
    "error_in_stream",
    "malformed_json",  # the answer's text is no JSON
    "garbage_body",  # the wire is no JSON
    "wrong_schema",
    "uncited_claim",
    "invented_quote",
    "refusal",
    "content_filter",  # a refusal of the OpenAI wire's own kind; a plain one elsewhere
    "truncation",
    "placeholder_leak",  # a placeholder that nobody gave out
    "good_after_repair",  # the wrong schema, until it is told what is wrong
]
MODES: tuple[Mode, ...] = get_args(Mode)


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One request as it came over the wire."""

    endpoint: str
    headers: dict[str, str]
    body: Any


class ModelDouble:
    """What a test holds of a running double. Safe to use from any thread."""

    def __init__(self, answer: Answer = good_answer) -> None:
        self.answer = answer
        self.default: Mode = "good"  # when nothing is enqueued
        self.key: str | None = "test-key"  # the one that is accepted; None: any or none
        self.names_itself: str | None = None  # in place of its model's name and of the request's id
        self.keeps_limit = True  # whether it stops at the tokens that were asked for
        self.requests: list[Recorded] = []
        self.given: Counter[str] = Counter()  # modes that were given, of all endpoints
        self.disconnects = 0  # callers that went while they were kept waiting
        self._modes: defaultdict[str, deque[Mode]] = defaultdict(deque)
        self._held: list[asyncio.Future[None]] = []
        self._changed = threading.Condition()

    def enqueue(self, *modes: Mode, endpoint: str = "messages") -> None:
        """What the next requests to an endpoint get: messages, count_tokens, models or batches."""
        unknown = set(modes) - set(MODES)
        if unknown:
            raise ValueError(f"no such modes: {sorted(unknown)}")
        with self._changed:
            self._modes[endpoint].extend(modes)

    def take_mode(self, endpoint: str) -> Mode:
        with self._changed:
            mode = self._modes[endpoint].popleft() if self._modes[endpoint] else None
            mode = mode or (self.default if endpoint == "messages" else "good")
            self.given[mode] += 1
            return mode

    def record(self, endpoint: str, request: Request, body: Any) -> None:
        with self._changed:
            self.requests.append(Recorded(endpoint=endpoint, headers=dict(request.headers), body=body))
            self._changed.notify_all()

    def calls(self, endpoint: str = "messages") -> int:
        """Requests to an endpoint that came over the wire, refused ones too."""
        return sum(recorded.endpoint == endpoint for recorded in self.requests)

    @property
    def holding(self) -> int:
        """Requests that are kept waiting."""
        return len(self._held)

    def wait_for(self, condition: Callable[[ModelDouble], bool], timeout_s: float = 10.0) -> None:
        """Return once `condition` holds of this double. Raises AssertionError when it does not come to that."""
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self), timeout_s), "the double never came to that"

    def release(self) -> None:
        """Let everybody go on who is kept waiting."""
        with self._changed:
            held, self._held = self._held, []
        for waiting in held:
            waiting.get_loop().call_soon_threadsafe(_finish, waiting)

    async def hold(self, request: Request) -> bool:
        """Wait for `release`; False when the caller was gone first."""
        released: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._changed:
            self._held.append(released)
            self._changed.notify_all()
        gone = asyncio.ensure_future(_gone(request))
        try:
            await asyncio.wait({released, gone}, return_when=asyncio.FIRST_COMPLETED)
            return released.done()
        finally:
            gone.cancel()
            if not released.done():
                with self._changed:
                    self._held = [future for future in self._held if future is not released]
                    self.disconnects += 1
                    self._changed.notify_all()

    def install_admin(self, app: FastAPI) -> None:
        """Endpoints for those who run the double by hand."""

        @app.post("/_double/modes")
        async def modes(request: Request) -> JSONResponse:
            asked = await request.json()
            self.default = asked.get("default", self.default)
            self.enqueue(*asked.get("next", ()), endpoint=asked.get("endpoint", "messages"))
            return JSONResponse({"default": self.default, "modes": MODES})

        @app.post("/_double/release")
        async def release() -> JSONResponse:
            self.release()
            return JSONResponse({})

        @app.get("/_double/requests")
        async def requests() -> JSONResponse:
            bodies = [{"endpoint": recorded.endpoint, "body": recorded.body} for recorded in self.requests]
            return JSONResponse({"count": len(bodies), "given": self.given, "requests": bodies})


def _finish(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def parsed(raw: bytes) -> Any:
    """The body as JSON; None for what is none."""
    try:
        return json.loads(raw)
    except ValueError:
        return None

"""A loopback double of Anthropic's Messages API, strict about what the real one refuses.

By hand: `python -m tests.doubles.messages_api --port 8791`, then say how it should behave with
`curl -d '{"default": "invented_quote"}' http://127.0.0.1:8791/_double/modes`.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse

from tests.doubles.messages_api_rules import (
    COUNT_FIELDS,
    MODELS,
    VERSIONS,
    Model,
    Refused,
    asked,
    check_message,
    prompt_tokens,
)
from tests.doubles.model_answers import SPOILING, Answer, Asked, best_quote, good_answer, spoilt, tokens
from tests.doubles.model_double import Mode, ModelDouble, parsed
from tests.doubles.serving import serve_by_hand, serving

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
_REFUSALS = ("refusal", "content_filter")
_DELTA_CHARS = 48
_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


class MessagesDouble(ModelDouble):
    """The handle, with what the Messages API keeps between calls."""

    def __init__(self, answer: Answer = good_answer) -> None:
        super().__init__(answer)
        self.cache_minimum_tokens = 1024  # shorter prompts are not cached, and nothing says so
        self.cached: set[str] = set()
        self.batches: dict[str, Batch] = {}
        self.batch_polls = 2  # looks at a batch until it has ended
        self._numbers = count(1)

    def new_id(self, kind: str) -> str:
        return f"{kind}_{next(self._numbers):020d}"


@dataclass(kw_only=True)
class Batch:
    results: list[dict[str, Any]]
    polls_left: int
    custom_ids: list[str] = field(default_factory=list)


def create_app(double: MessagesDouble) -> FastAPI:
    """The API over a handle."""
    app = FastAPI(openapi_url=None)
    double.install_admin(app)

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        request_id = double.new_id("req")
        said: dict[str, Any] = {"type": _TYPES[error.status], "message": error.message}
        if error.code:
            said["details"] = {"error_code": error.code}
        body = {"type": "error", "error": said, "request_id": request_id}
        return JSONResponse(body, error.status, {"request-id": request_id, **error.headers})

    async def admitted(request: Request, endpoint: str) -> Any:
        """The parsed body, after credentials and version. Raises Refused."""
        body = parsed(await request.body())
        double.record(endpoint, request, body)
        _check_credential(double, request)
        if request.headers.get("anthropic-version") not in VERSIONS:
            raise Refused(400, "anthropic-version: header is required, with a known version")
        return body

    @app.post("/v1/messages")
    async def messages(request: Request) -> Response:
        body = await admitted(request, "messages")
        check_message(body)
        mode = double.take_mode("messages")
        failed = _failure(mode)
        if failed is not None:
            return failed
        if mode == "slow" and not await double.hold(request):
            return Response(status_code=499)
        return _reply(double, request, body, mode)

    @app.post("/v1/messages/count_tokens")
    async def count_tokens(request: Request) -> Response:
        body = await admitted(request, "count_tokens")
        check_message(body, COUNT_FIELDS)
        failed = _failure(double.take_mode("count_tokens"))
        return failed or JSONResponse({"input_tokens": prompt_tokens(body)}, headers=_ids(double))

    @app.get("/v1/models")
    async def models(request: Request) -> Response:
        await admitted(request, "models")
        failed = _failure(double.take_mode("models"))
        data = [_model_info(name, model) for name, model in MODELS.items()]
        page = {"data": data, "has_more": False, "first_id": data[0]["id"], "last_id": data[-1]["id"]}
        return failed or JSONResponse(page, headers=_ids(double))

    @app.post("/v1/messages/batches")
    async def create_batch(request: Request) -> Response:
        body = await admitted(request, "batches")
        failed = _failure(double.take_mode("batches"))
        if failed is not None:
            return failed
        batch_id = double.new_id("msgbatch")
        double.batches[batch_id] = _new_batch(double, body)
        return JSONResponse(_batch_info(request, batch_id, double.batches[batch_id]), headers=_ids(double))

    @app.get("/v1/messages/batches/{batch_id}")
    async def batch(request: Request, batch_id: str) -> Response:
        await admitted(request, "batches")
        failed = _failure(double.take_mode("batches"))
        if failed is not None:
            return failed
        found = _known_batch(double, batch_id)
        found.polls_left -= 1
        return JSONResponse(_batch_info(request, batch_id, found), headers=_ids(double))

    @app.get("/v1/messages/batches/{batch_id}/results")
    async def results(request: Request, batch_id: str) -> Response:
        await admitted(request, "batch_results")
        lines = [json.dumps(result) for result in reversed(_known_batch(double, batch_id).results)]
        return PlainTextResponse("\n".join(lines) + "\n", media_type="application/x-jsonl", headers=_ids(double))

    return app


def _ids(double: MessagesDouble) -> dict[str, str]:
    return {"request-id": double.names_itself or double.new_id("req")}


def _check_credential(double: MessagesDouble, request: Request) -> None:
    key = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
    if not key and double.key is not None:
        raise Refused(401, "authentication is required: x-api-key or authorization")
    if double.key is not None and key != double.key:
        raise Refused(401, "invalid x-api-key")


def _failure(mode: Mode) -> Response | None:
    """The answer of a mode that never gets to the model. Raises Refused for those with a proper error."""
    match mode:
        case "429":
            raise Refused(429, "rate limited", retry_after="0.02")
        case "429_long":
            raise Refused(429, "rate limited", retry_after="7200")
        case "429_date":
            until = format_datetime(NOW + timedelta(hours=1), usegmt=True)
            raise Refused(429, "rate limited", retry_after=until, date=format_datetime(NOW, usegmt=True))
        case "500":
            raise Refused(500, "Internal server error")
        case "529":
            raise Refused(529, "Overloaded")
        case "spend_limit":
            raise Refused(400, "This organization has reached its spend limit.", "enforced_spend_limit_reached")
        case "prompt_too_long":
            raise Refused(400, "prompt is too long: 1000001 tokens > 1000000 maximum")
        case "html_502":
            return HTMLResponse("<html><body><h1>502 Bad Gateway</h1></body></html>", 502)
        case "html_200":
            return HTMLResponse("<html><body>Please sign in to the network</body></html>")
    return None


def _content(double: MessagesDouble, prompt: Asked, mode: Mode) -> list[dict[str, Any]]:
    if mode in _REFUSALS:
        return []
    if prompt.documents:
        return _cited_content(prompt, mode)
    effective = "wrong_schema" if mode == "good_after_repair" and not prompt.repairing else mode
    text = double.answer(prompt)
    return [{"type": "text", "text": spoilt(text, effective) if effective in SPOILING else text}]


def _cited_content(prompt: Asked, mode: Mode) -> list[dict[str, Any]]:
    """What the API gives for documents with citations: text blocks, of which some say where they come from."""
    quote = best_quote(prompt)
    if quote is None:
        return [{"type": "text", "text": "The documents do not say.", "citations": None}]
    number, sentence = quote
    title, text = prompt.documents[number - 1]
    location = {
        "type": "char_location",
        "cited_text": sentence,
        "document_index": number - 1,
        "document_title": title,
        "start_char_index": text.find(sentence),
        "end_char_index": text.find(sentence) + len(sentence),
    }
    cited = None if mode == "uncited_claim" else [location]
    return [
        {"type": "text", "text": "According to the document, ", "citations": None},
        {"type": "text", "text": sentence, "citations": cited},
    ]


def _usage(double: MessagesDouble, prompt: Asked, output: int) -> dict[str, Any]:
    """Tokens by length; the system text up to a mark is cached between calls where it is long enough."""
    system = prompt.body.get("system", "")
    blocks = system if isinstance(system, list) else []
    last = max((n for n, block in enumerate(blocks, start=1) if block.get("cache_control")), default=0)
    shared = "".join(block["text"] for block in blocks[:last])
    cacheable = tokens(shared) if shared else 0
    cacheable = cacheable if cacheable >= double.cache_minimum_tokens else 0
    place = f"{prompt.body['model']}\n{shared}"
    known = place in double.cached
    if cacheable:
        double.cached.add(place)
    written = 0 if known else cacheable
    return {
        "input_tokens": prompt_tokens(prompt.body) - cacheable,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cacheable - written,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    }


_STOPS = {
    "refusal": "refusal",
    "content_filter": "refusal",
    "truncation": "max_tokens",
    "context_exceeded": "model_context_window_exceeded",
}


def message(double: MessagesDouble, body: dict[str, Any], mode: Mode) -> dict[str, Any]:
    """The whole message that the model gives."""
    prompt = asked(body)
    content = _content(double, prompt, mode)
    refusal = {"type": "refusal", "category": "cyber", "explanation": "no"} if mode in _REFUSALS else None
    output = max(1, sum(tokens(block["text"]) for block in content))
    stop = _STOPS.get(mode, "end_turn")
    if output > body["max_tokens"] and double.keeps_limit:
        content[-1]["text"], output, stop = (
            content[-1]["text"][: 4 * body["max_tokens"]],
            body["max_tokens"],
            "max_tokens",
        )
    return {
        "id": double.new_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": double.names_itself or body["model"],
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "stop_details": refusal,
        "usage": _usage(double, prompt, output),
    }


def _reply(double: MessagesDouble, request: Request, body: dict[str, Any], mode: Mode) -> Response:
    if not body.get("stream"):
        if mode == "garbage_body":
            return Response("{not json", media_type="application/json")
        return JSONResponse(message(double, body, mode), headers=_ids(double))
    events = _events(double, request, message(double, body, mode), mode)
    return StreamingResponse(events, media_type="text/event-stream; charset=utf-8", headers=_ids(double))


def _event(kind: str, **data: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n"


async def _events(double: MessagesDouble, request: Request, whole: dict[str, Any], mode: Mode) -> AsyncIterator[str]:
    """The message as the API streams it, broken off as the mode says after the first piece of text."""
    if mode == "garbage_body":
        yield "event: message_start\ndata: {not json\n\n"
        return
    start = {**whole, "content": [], "stop_reason": None, "stop_details": None}
    yield _event("message_start", message={**start, "usage": {**whole["usage"], "output_tokens": 1}})
    yield _event("ping")
    for number, event in enumerate(_block_events(whole["content"])):
        yield event
        if number == 1 and mode == "error_in_stream":
            yield _event("error", error={"type": "overloaded_error", "message": "Overloaded"})
            return
        if number == 1 and mode == "cut_stream":
            return
        if number == 1 and mode == "dropped_connection":
            raise ConnectionResetError
        if number == 1 and mode == "stalled_stream" and not await double.hold(request):
            return
    delta = {key: whole[key] for key in ("stop_reason", "stop_sequence", "stop_details")}
    yield _event("message_delta", delta=delta, usage={"output_tokens": whole["usage"]["output_tokens"]})
    yield _event("message_stop")


def _block_events(content: list[dict[str, Any]]) -> Iterator[str]:
    for index, block in enumerate(content):
        yield _event("content_block_start", index=index, content_block={"type": "text", "text": ""})
        for at in range(0, len(block["text"]), _DELTA_CHARS):
            piece = {"type": "text_delta", "text": block["text"][at : at + _DELTA_CHARS]}
            yield _event("content_block_delta", index=index, delta=piece)
        for citation in block.get("citations") or ():
            yield _event("content_block_delta", index=index, delta={"type": "citations_delta", "citation": citation})
        yield _event("content_block_stop", index=index)


# Models and batches


def _model_info(name: str, model: Model) -> dict[str, Any]:
    yes = {"supported": True}
    capabilities = dict.fromkeys(("batch", "citations", "structured_outputs", "image_input", "pdf_input"), yes)
    return {
        "id": name,
        "type": "model",
        "display_name": name,
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": model.lifecycle,
        "max_input_tokens": model.context,
        "max_tokens": model.output,
        "capabilities": {**capabilities, "effort": {"supported": model.knows_effort}},
    }


def _new_batch(double: MessagesDouble, body: Any) -> Batch:
    entries = (body or {}).get("requests") or []
    names = [entry.get("custom_id", "") for entry in entries]
    if not entries or len(set(names)) != len(names) or not all(map(_CUSTOM_ID.fullmatch, names)):
        raise Refused(400, "requests: unique custom_ids of 1 to 64 letters, digits, _ or - are required")
    results = [{"custom_id": entry["custom_id"], "result": _batch_result(double, entry["params"])} for entry in entries]
    return Batch(results=results, polls_left=double.batch_polls)


def _batch_result(double: MessagesDouble, params: dict[str, Any]) -> dict[str, Any]:
    try:
        check_message(params)
        mode = double.take_mode("messages")
        _failure(mode)
    except Refused as error:
        said = {"type": _TYPES[error.status], "message": error.message}
        return {"type": "errored", "error": {"type": "error", "error": said, "request_id": double.new_id("req")}}
    return {"type": "succeeded", "message": message(double, params, mode)}


def _known_batch(double: MessagesDouble, batch_id: str) -> Batch:
    if batch_id not in double.batches:
        raise Refused(404, "no such batch")
    return double.batches[batch_id]


def _batch_info(request: Request, batch_id: str, batch: Batch) -> dict[str, Any]:
    ended = batch.polls_left <= 0
    succeeded = sum(result["result"]["type"] == "succeeded" for result in batch.results)
    counts = {"succeeded": succeeded, "errored": len(batch.results) - succeeded} if ended else {}
    return {
        "id": batch_id,
        "type": "message_batch",
        "processing_status": "ended" if ended else "in_progress",
        "request_counts": {
            "processing": 0 if ended else len(batch.results),
            "succeeded": 0,
            "errored": 0,
            "canceled": 0,
            "expired": 0,
            **counts,
        },
        "created_at": NOW.isoformat(),
        "expires_at": (NOW + timedelta(days=1)).isoformat(),
        "ended_at": NOW.isoformat() if ended else None,
        "results_url": f"{request.base_url}v1/messages/batches/{batch_id}/results" if ended else None,
    }


@contextmanager
def messages_api(answer: Answer = good_answer) -> Iterator[tuple[str, MessagesDouble]]:
    """(address, handle) of a double that answers until the block ends."""
    double = MessagesDouble(answer)
    with serving(create_app(double)) as url:
        try:
            yield url, double
        finally:
            double.release()


def main() -> None:
    """Serve a double that takes any key."""
    parser = argparse.ArgumentParser(description="A double of the Messages API on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    double = MessagesDouble()
    double.key = None
    serve_by_hand(create_app(double), parser.parse_args().port)


if __name__ == "__main__":
    main()

"""Errors over HTTP, as RFC 9457 problem details: what failed, why, and what to do next. Never a trace, never a text."""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest.errors import BadInput, GroundwireError

logger = logging.getLogger(__name__)

_STATUS = {
    "no_such_document": HTTPStatus.NOT_FOUND,
    "no_such_run": HTTPStatus.NOT_FOUND,
    "no_such_prompt": HTTPStatus.NOT_FOUND,
    "conflict": HTTPStatus.CONFLICT,
    "already_live": HTTPStatus.CONFLICT,
    "not_in_environment_before": HTTPStatus.CONFLICT,
    "evaluation_missing": HTTPStatus.CONFLICT,
    "evaluation_failed": HTTPStatus.CONFLICT,
    "nothing_before": HTTPStatus.CONFLICT,
    "unknown_caller": HTTPStatus.UNAUTHORIZED,
    "not_allowed": HTTPStatus.FORBIDDEN,
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "too_slow": HTTPStatus.GATEWAY_TIMEOUT,
}


def problem(status: int, code: str, detail: str, **more: object) -> JSONResponse:
    """A problem response; `code` is stable and made for programs."""
    status = HTTPStatus(status)
    body = {"type": f"urn:groundwire:{code}", "title": status.phrase, "status": status.value, "detail": detail, **more}
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None
    return JSONResponse(body, status_code=status, media_type="application/problem+json", headers=headers)


def problem_of(error: GroundwireError) -> JSONResponse:
    """The problem that an error of ours is."""
    fallback = HTTPStatus.BAD_REQUEST if isinstance(error, BadInput) else HTTPStatus.SERVICE_UNAVAILABLE
    status = _STATUS.get(error.code, fallback)
    return problem(status, error.code, error.cause, item=error.item, next_step=error.next_step)


def install(app: FastAPI) -> None:
    """Answer every error of the app with a problem."""

    @app.exception_handler(GroundwireError)
    async def ours(_: Request, error: GroundwireError) -> JSONResponse:
        return problem_of(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [{"field": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors()]
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", "The request does not fit.", errors=errors)

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, f"http_{error.status_code}", str(error.detail))

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        logger.error("%s %s failed: %s", request.method, request.url.path, type(error).__name__)
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "Something went wrong inside; it is in the log.")


class BodyLimit:
    """Refuses a body of more than `max_bytes`, declared or streamed."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass requests on, counting what arrives."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > self._max_bytes:
            await self._refuse()(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self._error().reason)
            return message

        await self._app(scope, counted, send)

    def _error(self) -> BadInput:
        cause, step = f"The body has more than {self._max_bytes} bytes.", "Send less at once, or raise max_body_bytes."
        return BadInput("body", "too_large", cause, step)

    def _refuse(self) -> JSONResponse:
        return problem_of(self._error())

"""The web page: ask a question, see the answer, open each source at the cited characters. Works without JavaScript."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import FastAPI, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates

from api.keys import KeyRing
from ingest.errors import BadInput
from orchestrator.services import Services
from retrieval.access import Principal

SESSION: Final = "groundwire_session"
_MAX_SESSIONS: Final = 10_000
_KEPT_QUESTIONS: Final = 8  # of one conversation, in the page itself; nothing of it is stored
_KEPT_CHARACTERS: Final = 2_000  # of each
_CONTEXT: Final = 4_000  # characters shown around a cited place; the rest is one link away
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_templates: Final = Jinja2Templates(Path(__file__).parent)


def session_principal(request: Request) -> Principal | None:
    """Who signed in on the page with an API key; sessions live as long as the process."""
    sessions: dict[str, Principal] = request.app.state.sessions
    return sessions.get(request.cookies.get(SESSION, ""))


def install(app: FastAPI, keys: KeyRing) -> None:
    """Add the page's routes; `keys` are those that may sign in."""
    app.state.sessions = {}
    style = (Path(__file__).parent / "style.css").read_text("utf-8")

    @app.get("/style.css", include_in_schema=False)
    async def stylesheet() -> Response:
        return Response(style, media_type="text/css")

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return _show(request, "ask.html") if _who(request) else _show(request, "sign_in.html")

    @app.post("/sign-in", include_in_schema=False)
    async def sign_in(request: Request, key: Annotated[str, Form(max_length=500)] = "") -> Response:
        principal = keys.principal(key.strip())
        if principal is None:
            return _show(request, "sign_in.html", status=401, message="This key is not known here.")
        return _with_session(request, principal)

    @app.post("/sign-out", include_in_schema=False)
    async def sign_out(request: Request) -> Response:
        request.app.state.sessions.pop(request.cookies.get(SESSION, ""), None)
        response = RedirectResponse("/", status_code=303)
        response.delete_cookie(SESSION)
        return response

    @app.post("/", include_in_schema=False)
    async def ask(
        request: Request, question: Annotated[str, Form()] = "", earlier: Annotated[list[str] | None, Form()] = None
    ) -> Response:
        principal = _who(request)
        if principal is None:
            return _show(request, "sign_in.html", status=401)
        services: Services = request.app.state.services
        before = [asked[:_KEPT_CHARACTERS] for asked in (earlier or [])[-_KEPT_QUESTIONS:]]
        try:
            answer = await services.ask(question, services.scope(principal), earlier=before)
        except BadInput as error:
            shown = question[:_KEPT_CHARACTERS]
            return _show(request, "ask.html", status=400, question=shown, earlier=before, message=error.reason)
        asked = [*before, question[:_KEPT_CHARACTERS]]
        return _show(request, "ask.html", question=question, earlier=asked, answer=answer)

    @app.get("/source", include_in_schema=False)
    async def source(
        request: Request, document: str, version: int, start: int, end: int, whole: bool = False
    ) -> Response:
        principal = _who(request)
        if principal is None:
            return _show(request, "sign_in.html", status=401)
        services: Services = request.app.state.services
        found = await services.library.stored(services.scope(principal), [(document, version)])
        row = found.get((document, version))
        if row is None or not 0 <= start < end <= len(row.text):
            return _show(request, "source.html", status=404, row=None)
        first, last = (0, len(row.text)) if whole else (max(0, start - _CONTEXT), min(len(row.text), end + _CONTEXT))
        return _show(
            request,
            "source.html",
            row=row,
            before=row.text[first:start],
            quote=row.text[start:end],
            after=row.text[end:last],
            start=start,
            end=end,
            cut=last - first < len(row.text),
        )


def _who(request: Request) -> Principal | None:
    principal: Principal | None = request.app.state.identify(request)
    return principal


def _with_session(request: Request, principal: Principal) -> Response:
    sessions: dict[str, Principal] = request.app.state.sessions
    if len(sessions) >= _MAX_SESSIONS:
        sessions.pop(next(iter(sessions)))
    token = secrets.token_urlsafe(32)
    sessions[token] = principal
    response = RedirectResponse("/", status_code=303)
    secure = request.url.scheme == "https"
    response.set_cookie(SESSION, token, httponly=True, samesite="strict", secure=secure)
    return response


def _show(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    principal = _who(request)
    shared = {"who": principal.subject if principal else None, "signed_in": session_principal(request) is not None}
    return _templates.TemplateResponse(request, template, shared | context, status_code=status, headers=_HEADERS)

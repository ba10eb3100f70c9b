"""GET /metrics, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI, Request, Response

from ingest.errors import BadInput

if TYPE_CHECKING:
    from orchestrator.telemetry.metrics import Metrics
    from retrieval.access import Principal

OPERATOR: Final = "operator"  # the role that may see how the installation does


def install(app: FastAPI, *, without_key: bool = False) -> None:
    """Add the route over `app.state.metrics`. With `without_key` whoever reaches the port may read the figures.

    `app.state.before_metrics`, when it is set, is called first: it sets what is measured at that moment.
    """

    @app.get("/metrics", include_in_schema=False)
    def metrics(request: Request) -> Response:
        """Figures of this process, for callers with the role operator."""
        if not without_key:
            _check(request.app.state.identify(request))
        before: Callable[[], None] | None = getattr(request.app.state, "before_metrics", None)
        if before is not None:
            before()
        kept: Metrics = request.app.state.metrics
        page, content_type = kept.render()
        return Response(page, media_type=content_type, headers={"Cache-Control": "no-store"})


def _check(principal: Principal | None) -> None:
    if principal is None:
        step = "Send a key of this home as `Authorization: Bearer …`."
        raise BadInput("caller", "unknown_caller", "The request names no known API key.", step)
    if OPERATOR not in principal.roles:
        step = f"Use a key with the role {OPERATOR}."
        raise BadInput("caller", "not_allowed", f"{principal.subject} may not see the metrics.", step)

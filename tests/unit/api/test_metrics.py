"""Who may see the figures over HTTP."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api import metrics as page
from api import problems
from orchestrator.telemetry.metrics import Metrics
from retrieval.access import Principal


@pytest.mark.parametrize(
    ("roles", "without_key", "status"),
    [(None, False, 401), (["reader"], False, 403), (["operator"], False, 200), (None, True, 200)],
)
def test_the_page_needs_the_role_operator(roles: list[str] | None, without_key: bool, status: int) -> None:
    """No key and another role are turned away, unless the settings open the page; what is read now is set first."""
    app = FastAPI()
    problems.install(app)
    page.install(app, without_key=without_key)
    app.state.metrics = Metrics()
    app.state.before_metrics = lambda: app.state.metrics.set_queue("review", 4)
    principal = None if roles is None else Principal(tenant="default", subject="prom", roles=frozenset(roles))
    app.state.identify = lambda _: principal
    answer = TestClient(app).get("/metrics")
    assert answer.status_code == status
    if status == 200:
        assert 'groundwire_queue_size{queue="review"} 4.0' in answer.text
        assert answer.headers["content-type"].startswith("text/plain")
    else:
        assert "groundwire_" not in answer.text

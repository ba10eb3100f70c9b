"""What a home needs and whether it is there: the checks behind `groundwire doctor`."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.errors import GroundwireError
from orchestrator.governance import allowed_hosts, model_files, open_secrets
from orchestrator.services import Services, open_services
from orchestrator.settings import Settings
from orchestrator.workflows import WORKFLOWS

if TYPE_CHECKING:
    from orchestrator.gateway.startup import RouteFinding
    from orchestrator.governance import Governance

LOW_DISK_BYTES = 1_000_000_000  # about what 50,000 chunks with their vectors take


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check."""

    check: str
    state: str  # ok, missing (something optional), failed
    detail: str
    next_step: str = ""


async def diagnose(settings: Settings) -> list[Finding]:
    """Every check, in a fixed order; none raises."""
    findings = [_disk(settings)]
    try:
        async with open_services(settings) as services:
            findings += await _parts(services)
            findings += [*_models(settings), *_governance(services.governance)]
    except GroundwireError as error:
        findings.append(Finding(check=error.code, state="failed", detail=error.cause, next_step=error.next_step))
    return [*findings, *_optionals()]


def _optionals() -> list[Finding]:
    torch = "pip install 'groundwire[torch]'"
    return [
        _program("tesseract", "pages without text are not read", "Install tesseract to recognise scanned pages."),
        _program("soffice", "old .doc and .ppt files are refused", "Install LibreOffice to read them."),
        _module("en_core_web_sm", "a rule-based tokeniser stands in", "pip install en_core_web_sm, if it matters."),
        _module("sentence_transformers", "only encoders that OpenVINO runs can be used", torch),
    ]


async def _parts(services: Services) -> list[Finding]:
    counts = services.ledger.counts()
    points = await services.publisher.count()
    agree = points == counts["chunks"]
    return [
        Finding(check="home", state="ok", detail=str(services.settings.home)),
        Finding(check="encoder", state="ok", detail=services.encoder.id),
        Finding(check="ledger", state="ok", detail=", ".join(f"{n} {name}" for name, n in counts.items())),
        Finding(
            check="index",
            state="ok" if agree else "failed",
            detail=f"{points} points for {counts['chunks']} chunks",
            next_step="" if agree else "Run `groundwire reindex`.",
        ),
        _screening(services),
    ]


def _models(settings: Settings) -> list[Finding]:
    """One line for each model route: whether a call of it can succeed, as far as that is known with no network."""
    from orchestrator.egress.contracts import CONTRACTS
    from orchestrator.gateway.providers.opening import ANTHROPIC
    from orchestrator.gateway.providers.structured_output import check_schema
    from orchestrator.gateway.startup import check_routes

    routes, prices = model_files(settings)
    found = check_routes(
        routes.routes,
        prices=prices,
        secrets=open_secrets(settings),
        workflows=[*WORKFLOWS],
        allowed=allowed_hosts(settings, routes.routes),
        default_urls={"anthropic": ANTHROPIC},
        schemas={name: contract.schema for name, contract in CONTRACTS.items()},
        check_schema=check_schema,
    )
    places = dict.fromkeys([*(f"route {route.name}" for route in routes.routes), *(one.place for one in found)])
    return [_place(place, [one for one in found if one.place == place]) for place in places]


def _place(place: str, found: Sequence[RouteFinding]) -> Finding:
    """The gravest that was found of a route or a contract: an error, a key that nobody has to have, a warning."""
    if not found:
        return Finding(check=place, state="ok", detail="ready")
    gravest = min(found, key=lambda one: (one.severity != "error", one.code == "missing_secret"))
    state = "failed" if gravest.severity == "error" and gravest.code != "missing_secret" else "missing"
    return Finding(check=place, state=state, detail=gravest.reason, next_step=gravest.next_step)


def _governance(governance: Governance) -> list[Finding]:
    from orchestrator.audit.verification import verify
    from orchestrator.policy.cases import check, read_cases

    custody = governance.custody
    record = verify(custody.database, custody.keys, witness=custody.config.witness)
    step = "" if record.ok else "Run `groundwire audit verify`, and keep the home as it is."
    policies = check(governance.policy, read_cases(governance.policy.files.folder))
    tests = f"{len(policies.outcomes)} tests, version {governance.policy.version[:12]}"
    return [
        Finding(
            check="record", state="ok" if record.ok else "failed", detail=f"{record.events} events", next_step=step
        ),
        Finding(
            check="policies",
            state="ok" if policies.passed else "failed",
            detail=tests,
            next_step="" if policies.passed else "Run `groundwire policies check`.",
        ),
    ]


def _screening(services: Services) -> Finding:
    counts = services.ledger.screening_counts(services.screener.id)
    withheld = counts["unscreened"] + counts["failed"]
    state = "failed" if withheld else "missing" if counts["older_screener"] else "ok"
    return Finding(
        check="screening",
        state=state,
        detail=(
            f"{counts['with_findings']} documents with findings, {counts['older_screener']} screened by an older "
            f"screener, {withheld} not screened and kept out of answers"
        ),
        next_step="" if state == "ok" else "Run `groundwire rescan`.",
    )


def _disk(settings: Settings) -> Finding:
    folder = settings.home if settings.home.exists() else settings.home.absolute().parent
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(check="disk", state="failed", detail=str(error), next_step="Choose another home with --home.")
    detail = f"{free / 1e9:.1f} GB free"
    if free < LOW_DISK_BYTES:
        return Finding(check="disk", state="failed", detail=detail, next_step="Make room, or move the home.")
    return Finding(check="disk", state="ok", detail=detail)


def _program(name: str, without: str, step: str) -> Finding:
    path = shutil.which(name)
    return _optional(name, path, without, step)


def _module(name: str, without: str, step: str) -> Finding:
    return _optional(name, "installed" if importlib.util.find_spec(name) else None, without, step)


def _optional(name: str, found: str | None, without: str, step: str) -> Finding:
    if found:
        return Finding(check=name, state="ok", detail=found)
    return Finding(check=name, state="missing", detail=f"optional; without it {without}", next_step=step)

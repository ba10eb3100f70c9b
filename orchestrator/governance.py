"""What governs a home, put together from the settings: its record, policies, prompts, and the runs that they ruled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.policy.decisions import DataFacts, Decision, Policy
from orchestrator.settings import Settings
from orchestrator.workflows import ASK, WORKFLOWS

if TYPE_CHECKING:
    from orchestrator.audit.custody import Custody
    from orchestrator.conversations import Conversations
    from orchestrator.gateway.gateway import Gateway, GatewayConfig
    from orchestrator.gateway.prices import PriceTable
    from orchestrator.gateway.routes import Demand, ModelRoute, Routes
    from orchestrator.kept_answers import KeptAnswers
    from orchestrator.network import AllowList
    from orchestrator.policy.engine import CedarPolicy
    from orchestrator.prompts.promotion import PromotionRecord
    from orchestrator.prompts.registry import PromptRegistry
    from orchestrator.runs.lineage import Lineage
    from orchestrator.runs.reading import RunReader
    from orchestrator.secrets.chain import Secrets
    from orchestrator.secrets.port import SecretSource
    from orchestrator.store.database import Connection, Database
    from orchestrator.store.runs import RunStore
    from orchestrator.store.usage import UsageStore
    from retrieval.access import Principal, ReadScope
    from retrieval.library import Library


@dataclass(frozen=True, slots=True, kw_only=True)
class Governance:
    """The open parts. Made by `open_governance`."""

    database: Database
    custody: Custody
    policy: CedarPolicy
    prompts: PromptRegistry
    runs: RunStore
    usage: UsageStore
    kept: KeptAnswers
    conversations: Conversations


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Runs for people: reading them, and following what they rest on."""

    reader: RunReader
    lineage: Lineage
    scope: Callable[[Principal], ReadScope]


@contextmanager
def open_governance(settings: Settings) -> Iterator[Governance]:
    """Open the record, and put the policies of the settings in force. Needs no ownership of the home.

    Raises BadInput for a policy or a prompt that would fail in a run, DependencyDown when the record cannot be used.
    """
    from orchestrator.conversations import Conversations
    from orchestrator.gateway.providers.structured_output import check_schema
    from orchestrator.kept_answers import KeptAnswers
    from orchestrator.policy.engine import PolicyConfig, load_policy
    from orchestrator.prompts.registry import PromptConfig, open_registry
    from orchestrator.services import open_record
    from orchestrator.store.answers import KeptAnswerStore
    from orchestrator.store.conversations import ConversationStore
    from orchestrator.store.runs import RunStore
    from orchestrator.store.usage import UsageStore

    with ExitStack() as stack:
        policy = load_policy(PolicyConfig(folder=settings.policies_folder) if settings.policies_folder else None)
        database = stack.enter_context(open_record(settings))
        custody = stack.enter_context(open_custody_of(settings, database))
        _put_in_force(custody, policy)
        prompts = PromptConfig(folder=settings.prompts_path, evaluation_required=settings.prompt_evaluation_required)
        yield Governance(
            database=database,
            custody=custody,
            policy=policy,
            prompts=open_registry(
                database, policy, prompts, schema_check=check_schema, on_change=partial(_note_promotion, custody)
            ),
            runs=RunStore(database),
            usage=UsageStore(database),
            kept=KeptAnswers(KeptAnswerStore(database), custody.subjects),
            conversations=Conversations(ConversationStore(database), custody.subjects),
        )


def open_custody_of(settings: Settings, database: Database) -> Custody:
    """The record that a database holds, with the keys of the settings."""
    from orchestrator.audit.custody import Custody, CustodyConfig
    from orchestrator.audit.keys import KeyFolder

    config = CustodyConfig(witness=settings.witness_path, checkpoint_every=settings.audit_checkpoint_every)
    return Custody(database, KeyFolder(settings.keys_path), config)


@asynccontextmanager
async def open_gateway(settings: Settings, governance: Governance) -> AsyncIterator[Gateway]:
    """The way to models. Nothing is connected to before it is asked.

    Raises BadInput for a routes, prices or limits file that cannot be used.
    """
    from orchestrator.gateway.gateway import Gateway
    from orchestrator.gateway.providers.opening import provider_factory

    routes, prices = model_files(settings)
    secrets = open_secrets(settings)
    usable = [one for one in routes.routes if one.credential is None or secrets.has(one.credential, ASK.name)]
    allowed = allowed_hosts(settings, usable)
    gateway = Gateway(
        routes,
        prices,
        policy=_route_policy(governance.policy),
        book=governance.usage.book,
        providers=provider_factory(secrets, allowed, ASK.name),
        credentials=lambda name: secrets.has(name, ASK.name),
        config=gateway_config(settings),
    )
    await asyncio.to_thread(governance.usage.expire, datetime.now(UTC))  # what processes that died had reserved
    try:
        yield gateway
    finally:
        await gateway.close()


def model_files(settings: Settings) -> tuple[Routes, PriceTable]:
    """The routes and prices of the settings; raises BadInput for a file that cannot be used."""
    from orchestrator.gateway.prices import DEFAULT_PRICES, read_prices
    from orchestrator.gateway.routes import DEFAULT_ROUTES, read_routes

    prices = read_prices(_own_file(settings.prices_file, settings.home / "prices.yaml") or DEFAULT_PRICES)
    return read_routes(prices, _own_file(settings.routes_file, settings.home / "routes.yaml") or DEFAULT_ROUTES), prices


def gateway_config(settings: Settings) -> GatewayConfig:
    """How the gateway of the settings behaves; raises BadInput for a limits file that cannot be used."""
    from orchestrator.gateway.gateway import GatewayConfig
    from orchestrator.gateway.limits import read_limits

    limits = _own_file(settings.limits_file, settings.home / "limits.yaml")
    return GatewayConfig(limits=read_limits(limits) if limits else ())


def allowed_hosts(settings: Settings, routes: Iterable[ModelRoute]) -> AllowList:
    """The hosts that the process has to talk to: those of its models and services, and what the settings add."""
    from orchestrator.gateway.providers.opening import route_urls
    from orchestrator.network import allow_list

    named = (
        settings.database_url,
        settings.qdrant_url,
        settings.trace_endpoint,
        settings.vault_url,
        settings.azure_vault_url,
    )
    urls = [*route_urls(routes), *settings.allowed_hosts, *(url for url in named if url is not None)]
    return allow_list(urls, local_hosts=settings.local_hosts)


def open_secrets(settings: Settings) -> Secrets:
    """The secrets of the settings: the folder first, then what the environment gave, then the stores that are named.

    Raises BadInput, naming the extra, where the library of a store is not installed.
    """
    from orchestrator.secrets.chain import SecretMapping, Secrets
    from orchestrator.secrets.files import SecretFiles

    given = {name: value.get_secret_value() for name, value in settings.secrets.items()}
    folder = settings.secrets_folder or settings.home / "secrets"
    files = SecretFiles(folder, group_may_read=settings.secrets_group_may_read)
    return Secrets([files, SecretMapping(given), *_secret_stores(settings, files)])


def _secret_stores(settings: Settings, files: SecretSource) -> Iterator[SecretSource]:
    if settings.vault_url is not None:
        from orchestrator.guarded_http import guarded_sync_client
        from orchestrator.network import allow_list
        from orchestrator.secrets.vault import VaultConfig, VaultSecrets

        config = VaultConfig(url=settings.vault_url, mount=settings.vault_mount, prefix=settings.vault_prefix)
        allowed = allow_list([settings.vault_url], local_hosts=settings.local_hosts)
        yield VaultSecrets(config, files, guarded_sync_client(allowed))
    if settings.aws_secrets_region is not None:
        from orchestrator.secrets.aws import AwsConfig, open_aws_secrets

        yield open_aws_secrets(AwsConfig(region=settings.aws_secrets_region))
    if settings.gcp_secrets_project is not None:
        from orchestrator.secrets.gcp import GcpConfig, open_gcp_secrets

        yield open_gcp_secrets(GcpConfig(project=settings.gcp_secrets_project))
    if settings.azure_vault_url is not None:
        from orchestrator.secrets.azure import AzureConfig, open_azure_secrets

        yield open_azure_secrets(AzureConfig(vault_url=settings.azure_vault_url))


@contextmanager
def open_runs(settings: Settings) -> Iterator[Runs]:
    """Runs alone, beside a server that runs too: needs neither encoder nor index."""
    from orchestrator.services import open_library

    with open_governance(settings) as governance, open_library(settings) as (library, scope):
        yield runs_of(governance, library, scope)


def runs_of(governance: Governance, library: Library, scope: Callable[[Principal], ReadScope]) -> Runs:
    """Runs for people, over what is open."""
    from orchestrator.runs.lineage import Lineage
    from orchestrator.runs.reading import RunReader

    return Runs(
        reader=RunReader(governance.runs, governance.usage, governance.custody, governance.policy, library),
        lineage=Lineage(governance.runs, governance.policy, governance.custody.open_run, governance.kept.recall),
        scope=scope,
    )


def _note_promotion(custody: Custody, db: Connection, change: PromotionRecord) -> None:
    """In the transaction that makes the change: neither is there without the other."""
    custody.append(db, [custody.event(change.event, change.facts(), tenant=change.tenant)])


def _own_file(named: Path | None, at_home: Path) -> Path | None:
    """The file that the settings name, else the one at home, if there is one."""
    return named or (at_home if at_home.exists() else None)


def _route_policy(policy: Policy) -> Callable[[Demand, ModelRoute], Decision]:
    """Whether data like that of a demand may go to a route. Personal data was replaced before anything leaves."""

    def decide(demand: Demand, route: ModelRoute) -> Decision:
        data = DataFacts(classification=demand.classification, regions=demand.regions)
        return policy.may_route(WORKFLOWS[demand.workflow], route.facts, data)

    return decide


def _put_in_force(custody: Custody, policy: CedarPolicy) -> None:
    """A change of policy is a version, and on record before anything is decided by it."""
    from orchestrator.store import policies as store

    files = policy.files
    with custody.database.read() as db:
        change = store.changed_since_last(db, files.version, files.texts)
    if change is None:
        return

    def write(db: Connection) -> None:
        if store.put_in_force(db, files.version, files.texts, by="settings", at=datetime.now(UTC)):
            facts = {"before": change.before, "after": change.after, "changed": [*change.changed]}
            custody.append(db, [custody.event("policy_changed", facts, tenant="")])

    with custody.database.write() as db:
        write(db)

"""Credentials from HashiCorp Vault's key-value store, version 2, over its HTTP API.

GET /v1/{mount}/data/{path} with X-Vault-Token; the value is the field `value` of the secret
(https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ingest.errors import BadInput
from orchestrator.secrets.port import (
    Secret,
    SecretMissing,
    SecretRefused,
    SecretSource,
    check_name,
    source_down,
)

if TYPE_CHECKING:
    import httpx2


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultConfig:
    """Where the secrets are in Vault."""

    url: str
    mount: str = "secret"
    prefix: str = "groundwire"  # folder of the secrets
    field: str = "value"
    namespace: str | None = None  # of Vault Enterprise
    token: str = "vault-token"  # noqa: S105 - name of Vault's own token in the source that holds it
    deadline_s: float = 5.0


class VaultSecrets:
    """Asks Vault each time. Its token is read anew from `tokens`, where Vault Agent or a person rotates it."""

    def __init__(self, config: VaultConfig, tokens: SecretSource, client: httpx2.Client) -> None:
        """`client` is `guarded_http.guarded_sync_client` with Vault's URL on the list."""
        self._config = config
        self._tokens = tokens
        self._client = client

    @property
    def name(self) -> str:
        """As `Vault https://vault.internal:8200`."""
        return f"Vault {self._config.url}"

    def get(self, name: str) -> Secret | None:
        """The newest version; None when there is none or it was deleted."""
        check_name(name)
        answer = self._ask(name)
        if answer.status_code == 404:
            return None
        if answer.status_code in (400, 401, 403):
            cause = f"Vault refused the token for {self._path(name)} (HTTP {answer.status_code})."
            raise SecretRefused(name, "secret_refused", cause, "Give the token's policy `read` on that path.")
        try:
            answer.raise_for_status()
            found: Any = answer.json()["data"]
            value, version = found["data"].get(self._config.field), found["metadata"]["version"]
        except Exception as error:  # noqa: BLE001 - whatever shape the answer has
            raise source_down(self.name, name, error) from None  # a parser's error quotes what it read
        if not isinstance(value, str) or not value:
            cause = f"The secret {self._path(name)} has no text in its field `{self._config.field}`."
            raise SecretRefused(name, "secret_empty", cause, f"Run `vault kv put … {self._config.field}=…`.")
        return Secret(value, version=str(version))

    def _ask(self, name: str) -> httpx2.Response:
        import httpx2

        token = self._tokens.get(self._config.token)
        if token is None:
            cause = f"Vault's own token is missing: {self._tokens.name} has no `{self._config.token}`."
            raise SecretMissing(self._config.token, "secret_missing", cause, "Put it there.")
        headers = {"X-Vault-Token": token.reveal(), "X-Vault-Request": "true"}
        if self._config.namespace:
            headers["X-Vault-Namespace"] = self._config.namespace
        try:
            url = f"{self._config.url.rstrip('/')}/v1/{self._path(name)}"
            return self._client.get(url, headers=headers, timeout=self._config.deadline_s)
        except (httpx2.HTTPError, BadInput) as error:
            raise source_down(self.name, name, error) from None

    def _path(self, name: str) -> str:
        return "/".join(part for part in (self._config.mount, "data", self._config.prefix, name) if part)

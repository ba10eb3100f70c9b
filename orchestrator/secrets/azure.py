"""Credentials from Azure Key Vault. The only file that imports `azure`."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from orchestrator.secrets.port import Secret, SecretRefused, check_name, extra_missing, source_down


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureConfig:
    """Where the secrets are in Azure."""

    vault_url: str
    prefix: str = "groundwire-"
    deadline_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureSecrets:
    """Asks the vault each time. Names there know only dashes: a dot is two of them, an underscore three."""

    config: AzureConfig
    client: Any  # a SecretClient

    @property
    def name(self) -> str:
        """As `Azure Key Vault https://name.vault.azure.net`."""
        return f"Azure Key Vault {self.config.vault_url}"

    def get(self, name: str) -> Secret | None:
        """The current version."""
        secret_id = self.config.prefix + check_name(name).replace(".", "--").replace("_", "---")
        try:
            found = self.client.get_secret(secret_id)
        except Exception as error:  # noqa: BLE001 - of any SDK's own kinds
            status = int(getattr(error, "status_code", None) or 0)
            if status == 404:
                return None
            if status in (401, 403):
                cause = f"{self.name} refused `{secret_id}` (HTTP {status})."
                step = "Give this identity the role Key Vault Secrets User, and check that the secret is enabled."
                raise SecretRefused(name, "secret_refused", cause, step) from None
            raise source_down(self.name, name, error) from None
        if not found.value:
            raise SecretRefused(name, "secret_empty", f"`{secret_id}` holds no text.", "Give it a value.")
        version = str(found.properties.version)
        return Secret(found.value, version=version)


def open_azure_secrets(config: AzureConfig) -> AzureSecrets:
    """With the SDK's own way to find who this machine is. Raises BadInput when the extra is not installed."""
    try:
        identity = importlib.import_module("azure.identity")
        secrets = importlib.import_module("azure.keyvault.secrets")
    except ImportError as error:
        raise extra_missing("azure") from error
    client = secrets.SecretClient(
        vault_url=config.vault_url,
        credential=identity.DefaultAzureCredential(),
        connection_timeout=config.deadline_s,
        read_timeout=config.deadline_s,
        retry_total=0,
    )
    return AzureSecrets(config=config, client=client)

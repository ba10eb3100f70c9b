"""Credentials from Google Cloud's Secret Manager. The only file that imports `google.cloud.secretmanager`."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from orchestrator.secrets.port import Secret, SecretRefused, check_name, extra_missing, source_down


@dataclass(frozen=True, slots=True, kw_only=True)
class GcpConfig:
    """Where the secrets are in Google Cloud."""

    project: str
    prefix: str = "groundwire-"
    deadline_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GcpSecrets:
    """Asks Secret Manager each time. A dot in a name is two dashes there, where dots are not allowed."""

    config: GcpConfig
    client: Any  # a SecretManagerServiceClient

    @property
    def name(self) -> str:
        """As `GCP Secret Manager my-project`."""
        return f"GCP Secret Manager {self.config.project}"

    def get(self, name: str) -> Secret | None:
        """The newest version that is enabled."""
        secret_id = self.config.prefix + check_name(name).replace(".", "--")
        path = f"projects/{self.config.project}/secrets/{secret_id}/versions/latest"
        try:
            found = self.client.access_secret_version(name=path, timeout=self.config.deadline_s, retry=None)
            text = bytes(found.payload.data).decode("utf-8")
        except Exception as error:  # noqa: BLE001 - of any SDK's own kinds
            status = int(getattr(error, "code", None) or 0)
            if status == 404:
                return None
            if status in (400, 401, 403):
                cause = f"{self.name} refused `{secret_id}` (HTTP {status})."
                step = "Grant roles/secretmanager.secretAccessor, and check that the newest version is enabled."
                raise SecretRefused(name, "secret_refused", cause, step) from None
            raise source_down(self.name, name, error) from None
        return Secret(text, version=str(found.name).rpartition("/")[2])


def open_gcp_secrets(config: GcpConfig) -> GcpSecrets:
    """Over REST, since gRPC's connections are not seen by the guard. Raises BadInput when the extra is missing."""
    try:
        sdk = importlib.import_module("google.cloud.secretmanager")
    except ImportError as error:
        raise extra_missing("gcp") from error
    return GcpSecrets(config=config, client=sdk.SecretManagerServiceClient(transport="rest"))

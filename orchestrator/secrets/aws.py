"""Credentials from AWS Secrets Manager. The only file that imports `boto3`."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from orchestrator.secrets.port import Secret, SecretRefused, check_name, extra_missing, source_down


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsConfig:
    """Where the secrets are in AWS."""

    region: str
    prefix: str = "groundwire/"
    endpoint_url: str | None = None  # of a private endpoint
    deadline_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsSecrets:
    """Asks Secrets Manager each time."""

    config: AwsConfig
    client: Any  # of `boto3.client("secretsmanager")`

    @property
    def name(self) -> str:
        """As `AWS Secrets Manager eu-central-1`."""
        return f"AWS Secrets Manager {self.config.region}"

    def get(self, name: str) -> Secret | None:
        """The current version (AWSCURRENT) of the secret's text."""
        secret_id = f"{self.config.prefix}{check_name(name)}"
        try:
            found = self.client.get_secret_value(SecretId=secret_id)
        except Exception as error:  # noqa: BLE001 - of any SDK's own kinds
            code = str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))
            if code == "ResourceNotFoundException":
                return None
            if code in ("AccessDeniedException", "UnrecognizedClientException", "InvalidRequestException"):
                cause = f"{self.name} refused `{secret_id}` ({code})."
                step = "Allow secretsmanager:GetSecretValue for it, and check that it is not marked for deletion."
                raise SecretRefused(name, "secret_refused", cause, step) from None
            raise source_down(self.name, name, error) from None
        if not found.get("SecretString"):
            step = "Store it as plain text, not as bytes."
            raise SecretRefused(name, "secret_empty", f"`{secret_id}` holds no text.", step)
        return Secret(found["SecretString"], version=str(found["VersionId"]))


def open_aws_secrets(config: AwsConfig) -> AwsSecrets:
    """With the SDK's own way to find who this machine is. Raises BadInput when the extra is not installed."""
    try:
        boto3 = importlib.import_module("boto3")
        botocore = importlib.import_module("botocore.config")
    except ImportError as error:
        raise extra_missing("aws") from error
    settings = botocore.Config(
        connect_timeout=config.deadline_s, read_timeout=config.deadline_s, retries={"total_max_attempts": 1}
    )
    client = boto3.client(
        "secretsmanager", region_name=config.region, endpoint_url=config.endpoint_url, config=settings
    )
    return AwsSecrets(config=config, client=client)

"""Credentials: where they come from, how long they count, and that they do not show."""

from __future__ import annotations

import copy
import json
import logging
import os
import pickle
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import BadInput, GroundwireError
from orchestrator.guarded_http import guarded_sync_client
from orchestrator.network import allow_list
from orchestrator.secrets.aws import AwsConfig, AwsSecrets, open_aws_secrets
from orchestrator.secrets.azure import AzureConfig, AzureSecrets, open_azure_secrets
from orchestrator.secrets.chain import SecretConfig, SecretMapping, Secrets
from orchestrator.secrets.files import SecretFiles
from orchestrator.secrets.gcp import GcpConfig, GcpSecrets, open_gcp_secrets
from orchestrator.secrets.port import (
    Secret,
    SecretMissing,
    SecretRefused,
    SecretSourceDown,
    check_name,
    source_down,
)
from orchestrator.secrets.vault import VaultConfig, VaultSecrets
from tests.doubles.vault import VaultDouble, vault_double

KEY = "sk-very-secret-0123456789"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Source:
    """A source whose values and failures a test sets."""

    name = "scripted"

    def __init__(self, **values: str) -> None:
        self.values = values
        self.down = False
        self.reads = 0

    def get(self, name: str) -> Secret | None:
        self.reads += 1
        if self.down:
            raise source_down(self.name, name, TimeoutError(KEY))
        value = self.values.get(name)
        return Secret(value, version=value[-1]) if value else None


def test_a_secret_shows_itself_in_no_way_but_one(caplog: pytest.LogCaptureFixture) -> None:
    """repr, str, format, logging, exceptions, JSON and pickle hold nothing of the value; `reveal` gives it."""
    secret = Secret(KEY)
    logging.getLogger("x").error("%s %r", secret, {"key": secret})
    shown = [repr(secret), str(secret), f"{secret:>40}", f"{secret!r}", repr([secret]), str(ValueError(secret))]
    assert not any(KEY in one for one in [*shown, caplog.text])
    for write in (pickle.dumps, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError) as refused:
            write(secret)  # type: ignore[operator]
        assert KEY not in str(refused.value)
    assert not hasattr(secret, "__dict__")
    assert secret.reveal() == KEY
    assert secret == Secret(KEY)
    assert secret != Secret("other")


def test_a_file_is_read_and_a_replaced_file_is_another_version(tmp_path: Path) -> None:
    """The file's text without white space around it; missing is None."""
    source = SecretFiles(tmp_path)
    assert source.get("anthropic") is None
    _write(tmp_path / "anthropic", f"{KEY}\n")
    first = source.get("anthropic")
    assert first is not None
    assert first.reveal() == KEY
    _write(tmp_path / "new", "rotated")
    (tmp_path / "new").replace(tmp_path / "anthropic")
    second = source.get("anthropic")
    assert second is not None
    assert (second.reveal(), second.version != first.version) == ("rotated", True)


@pytest.mark.parametrize(("mode", "group", "code"), [(0o644, False, True), (0o640, False, True), (0o604, True, True)])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int, group: bool, code: bool) -> None:
    """With the mode to set, and without the value; the group's right is let through where it is said to be."""
    _write(tmp_path / "anthropic", KEY, mode)
    with pytest.raises(SecretRefused, match="chmod 600") as refused:
        SecretFiles(tmp_path, group_may_read=group).get("anthropic")
    assert KEY not in str(refused.value)
    _write(tmp_path / "anthropic", KEY, 0o440)
    assert SecretFiles(tmp_path, group_may_read=True).get("anthropic") == Secret(KEY)


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe", b"x" * 70_000])
def test_a_file_that_holds_no_key_is_an_error(tmp_path: Path, content: bytes) -> None:
    """Empty, binary and huge files are named; they are not taken for missing ones."""
    _write(tmp_path / "anthropic", content)
    with pytest.raises(GroundwireError):
        SecretFiles(tmp_path).get("anthropic")


@given(st.text(max_size=30))
def test_no_name_leads_out_of_a_folder_or_a_path(name: str) -> None:
    """A name is one plain word or it is refused, so that `..`, slashes and NULs reach no file and no URL."""
    try:
        check_name(name)
    except BadInput:
        return
    assert not set(name) - set("abcdefghijklmnopqrstuvwxyz0123456789._-")
    assert ".." not in name
    assert not name.startswith(".")


def test_a_workflows_own_credential_goes_before_the_shared_one() -> None:
    """One credential per workflow; who has none of its own uses the one for all."""
    secrets = Secrets([SecretMapping({"anthropic": "shared", "anthropic.ask": "own"})])
    assert secrets.get("anthropic", "ask").reveal() == "own"
    assert secrets.get("anthropic", "triage").reveal() == "shared"


def test_a_missing_credential_is_named_with_where_it_was_sought(tmp_path: Path) -> None:
    """The error names secret, sources and next step, and no value of another secret."""
    secrets = Secrets([SecretFiles(tmp_path), SecretMapping({"other": KEY})])
    with pytest.raises(SecretMissing) as missing:
        secrets.get("anthropic", "ask")
    text = str(missing.value)
    assert str(tmp_path) in text
    assert "settings" in text
    assert "anthropic" in text
    assert KEY not in text


def test_a_rotated_secret_is_met_when_it_is_due_or_after_a_refresh() -> None:
    """Within the time of freshness no source is asked; after it, or after `refresh`, the new value is there."""
    clock, source = Clock(), Source(a="v1")
    secrets = Secrets([source], SecretConfig(fresh_s=60), clock)
    assert [secrets.get("a").reveal() for _ in range(3)] == ["v1"] * 3
    assert source.reads == 1
    source.values["a"] = "v2"
    secrets.refresh("a")
    assert (secrets.get("a").reveal(), source.reads) == ("v2", 2)
    source.values["a"] = "v3"
    clock.now = 59
    assert secrets.get("a").reveal() == "v2"
    clock.now = 60
    assert (secrets.get("a").reveal(), secrets.get("a").version) == ("v3", "3")
    del source.values["a"]
    clock.now = 200
    assert not secrets.has("a")


def test_a_source_that_fails_leaves_the_last_value_until_it_expires() -> None:
    """The stand-in says that it is stale, the failure can be seen, and past the hard expiry the secret is unusable."""
    clock, source, second = Clock(), Source(a="v1"), Source(a="older")
    secrets = Secrets([source, second], SecretConfig(fresh_s=60, stale_s=600, retry_s=5), clock)
    assert not secrets.get("a").stale
    source.down = True
    secrets.refresh("a")
    standing_in = secrets.get("a")
    assert (standing_in.reveal(), standing_in.stale, second.reads) == ("v1", True, 0)
    assert secrets.failures()["a"].code == "secret_source_down"
    assert KEY not in str(secrets.failures()["a"])
    reads = source.reads
    secrets.get("a")
    assert source.reads == reads  # not asked again before retry_s
    clock.now = 600
    with pytest.raises(SecretSourceDown):
        secrets.get("a")
    source.down = False
    clock.now = 605
    assert (secrets.get("a").stale, secrets.failures()) == (False, {})


def test_a_source_that_fails_at_first_is_an_error_and_hides_no_missing_secret() -> None:
    """With nothing read before, there is nothing to stand in."""
    source = Source()
    source.down = True
    with pytest.raises(SecretSourceDown):
        Secrets([source]).get("a")


def test_many_callers_read_a_secret_once() -> None:
    """Fifty threads that meet a secret which is due ask the source one time."""
    gate = threading.Barrier(50)
    source = Source(a="v1")
    secrets = Secrets([source])

    def ask() -> None:
        gate.wait()
        assert secrets.get("a").reveal() == "v1"

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.reads == 1


def _vault(double: VaultDouble, token: str = "root-token") -> VaultSecrets:
    client = guarded_sync_client(allow_list([double.url]))
    return VaultSecrets(VaultConfig(url=double.url), SecretMapping({"vault-token": token}), client)


def test_vault_is_asked_over_a_socket_and_gives_value_and_version() -> None:
    """The newest version; a missing or deleted secret is None; a token without the right is named."""
    with vault_double() as double:
        vault = _vault(double)
        double.secrets["secret/data/groundwire/anthropic.ask"] = (3, KEY)
        found = vault.get("anthropic.ask")
        assert found is not None
        assert (found.reveal(), found.version) == (KEY, "3")
        double.secrets["secret/data/groundwire/gone"] = (4, None)
        assert vault.get("gone") is None
        with pytest.raises(SecretRefused) as refused:
            _vault(double, "wrong-token").get("anthropic.ask")
        assert "wrong-token" not in str(refused.value)
        for broken in ("{", "[]", f'{{"data": "{KEY}"}}', "<html>"):
            double.broken = broken
            with pytest.raises(SecretSourceDown) as down:
                vault.get("anthropic.ask")
            assert KEY not in str(down.value)
            assert down.value.__suppress_context__
    with pytest.raises(SecretSourceDown):
        vault.get("anthropic.ask")


def test_vault_without_a_token_or_off_the_list_is_named() -> None:
    """No token and a host that is not allowed are errors with a next step."""
    with vault_double() as double:
        client = guarded_sync_client(allow_list(["https://vault.example.com"]))
        config = VaultConfig(url=double.url)
        with pytest.raises(SecretMissing, match="vault-token"):
            VaultSecrets(config, SecretMapping({}), client).get("a")
        with pytest.raises(SecretSourceDown):
            VaultSecrets(config, SecretMapping({"vault-token": "t"}), client).get("a")
        assert double.asked == []


class _SdkError(Exception):
    def __init__(self, code: str = "", status: int = 0) -> None:
        super().__init__(KEY)
        self.response = {"Error": {"Code": code}}
        self.code = self.status_code = status


class Sdk:
    """The client objects of three SDKs, with one dictionary behind them."""

    def __init__(self, values: dict[str, str], error: _SdkError) -> None:
        self.values = values
        self.error = error
        self.asked: list[str] = []

    def _find(self, name: str) -> str:
        self.asked.append(name)
        if name not in self.values:
            raise self.error
        return self.values[name]

    def get_secret_value(self, *, SecretId: str) -> dict[str, Any]:  # noqa: N803
        return {"SecretString": self._find(SecretId), "VersionId": "v7"}

    def access_secret_version(self, *, name: str, timeout: float, retry: object) -> Any:
        text = self._find(name)
        return SimpleNamespace(payload=SimpleNamespace(data=text.encode()), name=name.replace("latest", "v7"))

    def get_secret(self, name: str) -> Any:
        return SimpleNamespace(value=self._find(name), properties=SimpleNamespace(version="v7"))


CLOUDS = {
    "aws": (lambda sdk: AwsSecrets(config=AwsConfig(region="eu-central-1"), client=sdk), "groundwire/anthropic.ask_me"),
    "gcp": (
        lambda sdk: GcpSecrets(config=GcpConfig(project="p"), client=sdk),
        "projects/p/secrets/groundwire-anthropic--ask_me/versions/latest",
    ),
    "azure": (
        lambda sdk: AzureSecrets(config=AzureConfig(vault_url="https://v.vault.azure.net"), client=sdk),
        "groundwire-anthropic--ask---me",
    ),
}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_cloud_is_asked_by_the_name_that_it_allows(cloud: str) -> None:
    """Value and version come back; missing is None; refused and broken are told apart, with nothing the SDK said."""
    make, place = CLOUDS[cloud]
    found = make(Sdk({place: KEY}, _SdkError())).get("anthropic.ask_me")
    assert found is not None
    assert (found.reveal(), found.version) == (KEY, "v7")
    assert make(Sdk({}, _SdkError("ResourceNotFoundException", 404))).get("anthropic") is None
    for error, kind in (
        (_SdkError("AccessDeniedException", 403), SecretRefused),
        (_SdkError("InternalServiceError", 500), SecretSourceDown),
    ):
        with pytest.raises(kind) as failed:
            make(Sdk({}, error)).get("anthropic")
        assert KEY not in str(failed.value)


@pytest.mark.parametrize(
    ("extra", "modules", "open_source"),
    [
        ("aws", ["boto3"], lambda: open_aws_secrets(AwsConfig(region="eu-central-1"))),
        ("gcp", ["google.cloud.secretmanager"], lambda: open_gcp_secrets(GcpConfig(project="p"))),
        ("azure", ["azure.identity"], lambda: open_azure_secrets(AzureConfig(vault_url="https://v.vault.azure.net"))),
    ],
)
def test_a_missing_library_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, extra: str, modules: list[str], open_source: Any
) -> None:
    """The error says what to install."""
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BadInput, match=rf"groundwire\[{extra}\]"):
        open_source()


def _write(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as out:
        out.write(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)

"""A vault gives values back to those who may see them, and shows them nowhere else."""

from __future__ import annotations

import copy
import logging
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.personal_data.vault import RestorePolicy, Vault


@pytest.fixture
def vault() -> Vault:
    vault = Vault()
    vault.placeholder("EMAIL_ADDRESS", "ann@example.com")
    vault.placeholder("PHONE_NUMBER", "+49 30 901820")
    return vault


@pytest.mark.parametrize(
    "written",
    [
        "[EMAIL_1]",
        "[email_1]",
        "[ Email_1 ]",
        "[EMAIL 1]",
        "[EMAIL-1]",
        "[EMAIL\\_1]",
        "EMAIL_1",
        "email_1",
        "【EMAIL_1】",
        "[EMAIL_01]",
    ],
)
def test_a_model_may_rewrite_a_placeholder(vault: Vault, written: str) -> None:
    """Case, spaces, hyphens, escapes and lost brackets do not lose the value."""
    assert vault.restore(f"Mail {written}, please.", {"EMAIL_ADDRESS"}).text == "Mail ann@example.com, please."


@pytest.mark.parametrize(
    "text", ["email 1", "(phone 1)", "EMAIL_11", "MYEMAIL_1", "EMAIL_1x", "[EMAIL]", "[EMAIL_1", "e-mail_"]
)
def test_ordinary_words_are_no_placeholders(vault: Vault, text: str) -> None:
    """Words that a model may write by itself bring no value in; a placeholder without its end is still one."""
    restored = vault.restore(text, {"*"}).text
    assert restored == ("[ann@example.com" if text == "[EMAIL_1" else text)


def test_only_types_that_the_reader_may_see_come_back(vault: Vault) -> None:
    """The others stay as placeholders, in their own spelling, and are reported; by default nothing comes back."""
    restored = vault.restore("[email_1], [PHONE_1], PHONE_1", {"EMAIL_ADDRESS"})
    assert restored.text == "ann@example.com, [PHONE_1], [PHONE_1]"
    assert restored.kept_back == ("[PHONE_1]",)
    assert vault.restore("[EMAIL_1]", ()).text == "[EMAIL_1]"


def test_what_the_vault_never_held_stays_and_is_reported(vault: Vault) -> None:
    """A placeholder that a model made up is left as it is, letter for letter."""
    restored = vault.restore("[email_2] and [CARD_1], [EMAIL_999999999]", {"*"})
    assert restored.text == "[email_2] and [CARD_1], [EMAIL_999999999]"
    assert restored.unknown == ("[email_2]", "[CARD_1]", "[EMAIL_999999999]")


def test_restored_text_leads_back_to_its_placeholders(vault: Vault) -> None:
    """Offsets of the text with placeholders are carried over to the restored one, and back."""
    text = "Ask [EMAIL_1] now"
    restored = vault.restore(text, {"*"})
    start = text.index("now")
    assert restored.text[slice(*restored.offsets.to_result(start, start + 3))] == "now"
    assert text[slice(*restored.offsets.to_source(5, 6))] == "[EMAIL_1]"


def test_roles_and_types_are_data() -> None:
    """A role sees the types that it is given, an unknown one sees what everyone does, which is nothing by default."""
    policy = RestorePolicy(roles={"hr": frozenset({"US_SSN"}), "officer": frozenset({"*"})})
    assert policy.may_see({"hr", "guest"}) == {"US_SSN"}
    assert policy.may_see({"officer"}) == {"*"}
    assert policy.may_see(()) == frozenset()
    assert RestorePolicy(everyone=frozenset({"URL"})).may_see({"guest"}) == {"URL"}


def test_nothing_shows_what_a_vault_holds(vault: Vault, caplog: pytest.LogCaptureFixture) -> None:
    """Printing, formatting and logging show counts; copying and pickling are refused."""
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("%s %r", vault, vault)
    shown = f"{vault} {vault!r} {vault!s} {[vault]} {caplog.text} {vault.restore('[EMAIL_1]', {'*'})!r}"
    assert "ann@" not in shown
    assert "901820" not in shown
    assert "EMAIL 1, PHONE 1" in repr(vault)
    assert not hasattr(vault, "__dict__")
    for spread in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be"):
            spread(vault)


def test_types_that_the_vault_was_not_told_of_have_placeholders_too() -> None:
    """A type of a detector's own gets its letters as label; one that came unannounced a common label."""
    vault = Vault({"CODE_NAME", "№1"})
    assert vault.placeholder("CODE_NAME", "Heron") == "[CODENAME_1]"
    assert vault.placeholder("№1", "x") == "[DATA_1]"
    assert vault.placeholder("SURPRISE", "x") == "[DATA_2]"
    assert vault.restore("[codename_1] [DATA_1] [DATA_2]", {"CODE_NAME", "SURPRISE"}).text == "Heron [DATA_1] x"


def test_ten_thousand_placeholders_come_back_in_one_pass() -> None:
    """Each has its own value; `[EMAIL_1]` is not mistaken for the beginning of `[EMAIL_10]`."""
    vault = Vault()
    values = [f"user{number}@example.com" for number in range(10_000)]
    text = " ".join(vault.placeholder("EMAIL_ADDRESS", value) for value in values)
    assert len(vault) == 10_000
    assert vault.restore(text, {"EMAIL_ADDRESS"}).text == " ".join(values)


PIECES = ("[EMAIL_1]", "email_1", "[PHONE 1]", "[PHONE_2]", "EMAIL", "_1", "[", "]", " ", "x", "ß", "İ")
TEXTS = st.binary(max_size=10).map(lambda drawn: "".join(PIECES[byte % len(PIECES)] for byte in drawn))  # quick to draw


@settings(max_examples=10_000, deadline=None)
@given(TEXTS, st.sampled_from([(), ("EMAIL_ADDRESS",), ("PHONE_NUMBER",), ("EMAIL_ADDRESS", "PHONE_NUMBER")]))
def test_restoring_touches_nothing_but_placeholders(text: str, may_see: tuple[str, ...]) -> None:
    """Cut at the replaced pieces, both texts are the same; a value stands only where its type may be seen."""
    vault = Vault()
    vault.placeholder("EMAIL_ADDRESS", "ann@example.com")
    vault.placeholder("PHONE_NUMBER", "+49 30 901820")
    restored = vault.restore(text, may_see)
    done = there = 0
    for (a, b), (c, d) in zip(restored.offsets.sources, restored.offsets.results, strict=True):
        assert text[done:a] == restored.text[there:c]
        done, there = b, d
    assert text[done:] == restored.text[there:]
    assert ("ann@example.com" in restored.text) <= ("EMAIL_ADDRESS" in may_see)
    assert ("901820" in restored.text) <= ("PHONE_NUMBER" in may_see)

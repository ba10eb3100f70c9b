"""Access tags as people write them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ingest.tags import AccessTags, Classification


@pytest.mark.parametrize("token", ["hr", "group:", "group: hr", "team:hr", "", "PUBLIC", "user:a,user:b"])
def test_a_token_of_another_shape_is_refused(token: str) -> None:
    """A mistyped token never silently allows or denies nobody."""
    with pytest.raises(ValidationError, match="access token"):
        AccessTags(allow=frozenset({token}))


def test_one_token_may_be_written_without_a_list() -> None:
    """`allow: group:hr` means a list of one."""
    assert AccessTags.model_validate({"allow": "group:hr"}).allow == {"group:hr"}


@pytest.mark.parametrize("word", ["Internal", "internal ", 1])
def test_a_classification_is_read_from_word_or_number(word: object) -> None:
    """Case and blanks do not matter."""
    assert AccessTags.model_validate({"classification": word}).classification is Classification.internal


def test_an_unknown_classification_names_the_four_words() -> None:
    """The error says what may be written."""
    with pytest.raises(ValidationError, match="public, internal, confidential, regulated"):
        AccessTags.model_validate({"classification": "secret"})


def test_validity_that_ends_before_it_begins_is_refused() -> None:
    """Swapped dates would hide a document for ever without a word."""
    with pytest.raises(ValidationError, match="before valid_from"):
        AccessTags.model_validate({"valid_from": "2026-02-01", "valid_to": "2026-01-01"})


def test_an_unknown_tag_is_refused() -> None:
    """A mistyped field name never passes as no restriction."""
    with pytest.raises(ValidationError, match="alow"):
        AccessTags.model_validate({"alow": ["public"]})


def test_json_comes_back_the_same() -> None:
    """What the ledger stores is what was given."""
    tags = AccessTags.model_validate(
        {"allow": ["group:b", "group:a"], "owner": "ann", "classification": "regulated", "valid_to": "2030-01-01"}
    )
    assert AccessTags.model_validate_json(tags.model_dump_json()) == tags
    assert '"allow":["group:a","group:b"]' in tags.model_dump_json()


@pytest.mark.parametrize(("value", "expected"), [("External", "external"), (2, "reviewed"), (None, None)])
def test_integrity_is_named_by_word_or_number(value: object, expected: str | None) -> None:
    """And comes back from JSON; without one the kind of source decides."""
    tags = AccessTags.model_validate({"integrity": value})
    assert (None if tags.integrity is None else tags.integrity.name) == expected
    assert AccessTags.model_validate_json(tags.model_dump_json()) == tags


def test_an_integrity_that_does_not_exist_is_refused() -> None:
    """A mistyped word never counts as any of them."""
    with pytest.raises(ValidationError, match="external, internal, reviewed"):
        AccessTags.model_validate({"integrity": "trusted"})

"""The training texts: what they hold, and that drawing from them is exact and repeatable."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.injection.training.corpus import TrainingDocument, documents, families, hosts, languages, prompts

LANGUAGES = ["ar", "de", "en", "es", "fr", "hi", "id", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "vi", "zh"]


@pytest.fixture(scope="module")
def drawn() -> list[TrainingDocument]:
    return list(documents(4000, seed=7))


@pytest.fixture(scope="module")
def drawn_prompts() -> list[TrainingDocument]:
    return list(prompts(3000, seed=7))


def test_the_same_seed_draws_the_same_texts() -> None:
    """A model can be trained again from the same texts; another seed gives others."""
    assert list(documents(40, seed=3)) == list(documents(40, seed=3))
    assert list(prompts(40, seed=3)) == list(prompts(40, seed=3))
    assert list(documents(40, seed=3)) != list(documents(40, seed=4))


def test_a_shorter_draw_is_the_beginning_of_a_longer_one() -> None:
    """`count` says only where to stop."""
    assert list(documents(10, seed=5)) == list(documents(25, seed=5))[:10]


@given(seed=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_spans_are_exact(seed: int) -> None:
    """Spans lie in the text in order, hold more than white space, and no marker of the drawing is left."""
    for document in chain(documents(5, seed), prompts(5, seed)):
        end = 0
        for start, stop in document.attacks:
            assert end <= start < stop <= len(document.text)
            assert document.text[start:stop] == document.text[start:stop].strip()
            end = stop
        assert not re.search("[\ue000-\uf8ff]", document.text)
        assert bool(document.attacks) == bool(document.head) == bool(document.family)


def test_removing_the_attack_leaves_the_host(drawn: list[TrainingDocument]) -> None:
    """What is outside of the spans is clean: no attack of the same draw is found there."""
    for document in drawn:
        planted = {document.text[start:stop] for start, stop in document.attacks}
        rest, end = "", 0
        for start, stop in document.attacks:
            rest += document.text[end:start] + "\n"
            end = stop
        rest += document.text[end:]
        assert not any(attack in rest for attack in planted)


def test_no_attack_occurs_in_a_clean_document(drawn: list[TrainingDocument]) -> None:
    """A sentence has one label: what is planted in one text is nowhere part of a clean one."""
    clean = "\n\n".join(document.text for document in drawn if not document.head)
    attacks = {document.text[start:stop] for document in drawn for start, stop in document.attacks}
    assert [attack for attack in attacks if attack in clean] == []


def test_shares_are_as_stated(drawn: list[TrainingDocument], drawn_prompts: list[TrainingDocument]) -> None:
    """About 40 % of the documents and half of the prompts are clean; a third is not English."""
    heads = Counter(document.head for document in drawn)
    assert 0.36 < heads[""] / len(drawn) < 0.44
    assert heads["task"] > heads["override"] > 0.15 * len(drawn)
    assert 0.30 < sum(document.language != "en" for document in drawn) / len(drawn) < 0.38
    assert 0.45 < sum(not prompt.head for prompt in drawn_prompts) / len(drawn_prompts) < 0.55


def test_every_family_genre_and_language_is_drawn(
    drawn: list[TrainingDocument], drawn_prompts: list[TrainingDocument]
) -> None:
    """Nothing that was written is out of reach of the drawing."""
    for head in ("task", "override"):
        written = {section.name.rstrip("!") for language in LANGUAGES for section in families(head, language)}
        assert {document.family for document in drawn if document.head == head} == written
    assert {document.genre for document in drawn} == {
        section.name.partition(":")[0] for language in LANGUAGES for section in hosts(language)
    }
    assert {document.language for document in drawn} == set(LANGUAGES) == set(languages())
    assert {prompt.language for prompt in drawn_prompts} == set(LANGUAGES)


def test_families_of_other_languages_are_those_of_english() -> None:
    """Leaving out a family leaves it out in every language."""
    for head in ("task", "override"):
        english = {section.name for section in families(head, "en")}
        for language in LANGUAGES:
            assert {section.name for section in families(head, language)} <= english, language


def test_the_texts_are_as_many_and_as_varied_as_promised() -> None:
    """25 genres, 60 families and 400 templates of each head in English, 100 in other languages."""
    assert len({section.name.partition(":")[0] for section in hosts("en")}) >= 25
    for head in ("task", "override"):
        english = [section for section in families(head, "en") if section.lines]
        assert len(english) >= 60
        assert sum(len(section.marked("")) + len(section.marked("~")) for section in english) >= 400
        others = [s for language in LANGUAGES if language != "en" for s in families(head, language)]
        assert sum(len(section.marked("")) for section in others) >= 100


def test_slots_are_filled(drawn: list[TrainingDocument], drawn_prompts: list[TrainingDocument]) -> None:
    """No placeholder of ours is left, nor an unfinished choice."""
    for document in chain(drawn, drawn_prompts):
        assert not re.search(r"\{\w*\}|\{[^{}\n\"]*\|[^{}\n]*\}", document.text), document.text


def test_long_documents_are_there(drawn: list[TrainingDocument]) -> None:
    """Hosts reach from a short mail to pages of several thousand characters."""
    lengths = sorted(len(document.text) for document in drawn)
    assert lengths[len(lengths) // 20] < 1_000 < lengths[len(lengths) // 2] < 2_500 < lengths[-len(lengths) // 20]

"""Whether quotes carry what is no whole statement: a single value, a title, a greeting."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ingest.terms import terms
from orchestrator.citations import QuoteLimits, locate, negations
from orchestrator.support.dates import read_dates
from orchestrator.support.plain_text import plain
from orchestrator.support.score import contradictions
from orchestrator.support.units import UNIT_WORDS
from orchestrator.support.values import Values, missing_values, read_values

# A value may be one letter or digit, since it is looked for within its quote alone; and no letter of it may differ.
_AS_IT_IS: Final = QuoteLimits(min_letters=1, max_aligned=0)
_LETTERS: Final = re.compile(r"[^\W\d_]+")


def carries_value(value: str, quotes: Sequence[str]) -> bool:
    """Whether one of `quotes` holds `value`: its words as they are, or the same numbers and dates written otherwise.

    "2026-03-31" is carried by "31 March 2026" and "1200 EUR" by "€1,200"; words besides have to be there too.
    """
    if any(locate(value, quote, limits=_AS_IT_IS) for quote in quotes):
        return True
    values = read_values(value)
    if not (values.dates or any(not quantity.word for quantity in values.quantities)):
        return False
    others = _besides(value, values)
    return any(
        not missing_values(values, [read_values(quote)])
        and negations(value) == negations(quote)
        and others <= set(terms(quote))
        for quote in quotes
    )


def _besides(value: str, values: Values) -> set[str]:
    """The terms of `value` that are part of no date and no quantity."""
    rest = read_dates(plain(value))[1]
    for quantity in values.quantities:
        rest = rest.replace(quantity.text, " ")
    words = (word for word in _LETTERS.findall(rest) if word.casefold() not in UNIT_WORDS)
    return {term for word in words for term in terms(word)}


def says_nothing_new(text: str, held: Sequence[str]) -> bool:
    """Whether `text`, a title, says no more than the texts in `held` together.

    Each of its words stands there in some form, or is one that only names a kind of text; its numbers and names do,
    and it denies nothing that they affirm. The order of words is not looked at, so titles are no place for statements.
    """
    own = set(terms(text)) - _FRAMING
    there = set[str]().union(*(terms(one) for one in held))
    return own <= there and not contradictions(text, held)


def is_courtesy(text: str, known: Sequence[str]) -> bool:
    """Whether a sentence of a message is a greeting, thanks or the like, which nothing has to carry.

    It has a word of greeting; else only words of courtesy, and up to `MOST_NAMES` capitalised words that one of `known`
    has (whom it greets). No number, and no denial. The lists are closed, and hold English, German, French and Spanish:
    a greeting that they do not know has to be carried like any sentence, which is the safe mistake.
    """
    words = re.findall(r"[^\W_]+", text)
    if any(character.isdigit() for character in text) or negations(text):
        return False
    others = [word for word in words if word.casefold() not in _COURTESY]
    if len(others) == len(words):
        return False
    if not others:
        return True
    names = {word.casefold() for one in known for word in re.findall(r"[^\W_]+", one) if word[0].isupper()}
    greeted = any(word.casefold() in _GREETINGS for word in words)
    return greeted and len(others) <= MOST_NAMES and all(w[0].isupper() and w.casefold() in names for w in others)


MOST_NAMES: Final = 4  # words of a name after a greeting


def _set(text: str) -> frozenset[str]:
    return frozenset(text.casefold().split())


_FRAMING: Final = frozenset(
    terms("""
    about answer answers details guide information key main note notes overview point points question questions re
    regarding reply request summary update your
    antwort anfrage bezug frage überblick zusammenfassung zu ihre ihrer
    réponse demande résumé votre
    respuesta consulta información pregunta resumen""")
)
_GREETINGS: Final = _set("""
    dear hello hi hey greetings
    hallo guten tag liebe lieber geehrte geehrter
    bonjour cher chère
    hola estimado estimada""")
_COURTESY: Final = _GREETINGS | _set("""
    a all and any are at be best can contact do for from further get glad happy have help here hope if in is it kind
    know let madam me message morning afternoon evening mr mrs ms mx more most of on or our out please question
    questions reach regards reply sincerely sir so soon support team thank thanks the this to touch truly us very warm
    we well will wishes with would writing you your yours
    der die das dem den ein eine damen herr herren frau morgen abend sehr und wir sie ihr ihre ihnen ich uns mit für
    bei fragen freundlichen freundliche grüßen grüße vielen dank bitte gerne gern zur verfügung stehen
    madame monsieur merci cordialement bien à vous votre nous vos pour le la les de
    señor señora gracias saludos cordiales un una atentamente por su para usted""")

"""What a question asks for, read by rules: its telling words, names, numbers and the kind of answer it wants."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from ingest.terms import terms
from orchestrator.citations import negations, numbers
from orchestrator.support.names import capitalises_nouns

AnswerKind = Literal["person", "place", "time", "number", "other"]

MAX_CHARACTERS: Final = 2_000  # of a question that are read; an encoder sees about as much


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question as the evidence is judged by it."""

    text: str
    terms: tuple[str, ...]  # unique, as `ingest.terms` has them, without the words that only make it a question
    names: frozenset[str]  # terms of capitalised words that do not begin the question; none in German
    numbers: frozenset[str]
    kind: AnswerKind
    negations: int


# Words that shape a question and are not looked for in its evidence, besides the tokeniser's stop words.
_SHAPING: Final = frozenset(
    term
    for term in terms("""
    do does did done doing have had having can could shall should would may might must been being am
    many much why whose whom there their they them he she his her him hers we us our you your i me my than then so
    about into if no any some such also other used called named kind type name
    wer wann wo warum wie wieviel wieviele viele viel was welche welcher welches welchen wem wen wessen hat haben ist
    sind war waren wird werden kann können der die das den dem des ein eine einen einem einer von im zu für mit auf und
    qui quand où pourquoi comment combien quel quelle quels quelles est sont était le la les un une des du de et en
    quién cuándo dónde qué cómo cuánto cuánta cuántos cuántas cuál es son fue el los las una del y en se por para
    кто что где когда сколько как почему какой какая какое какие каком какую чем был была было были это на из для
    ne kim nerede nasıl kaç hangi neden niçin nedir kimdir ve bir için ile
    كم ما ماذا متى أين من كيف لماذا هل أي هو هي في على إلى كان كانت
    क्या कब कहाँ कहां कौन किस किसने किसे कितने कितनी कितना कैसे क्यों है हैं था थी थे की के का में से को ने पर और
    τι ποιος ποια ποιο πότε πού πώς πόσο πόσα πόσες γιατί είναι ήταν το τη την της του των στο στη και
    """)
)
# The same for scripts without spaces, where they would leave pieces behind in the words next to them.
_SHAPING_UNSPACED: Final = re.compile(
    r"多少[天年个人]?|什么时候|什么|甚么|何时|哪[里个些年位种一]?|谁|如何|怎[么样]*|为什么|为何|几[个年天位]?|请问|[吗呢是的]"
    r"|何[人年時日]?|いつ|どこ|誰|だれ|いくら|いくつ|どのように|どの|なぜ|(?:です|ます|でした|ました)か?|とは"
    r"|อะไร|ที่ไหน|ที่ใด|เมื่อไร|เมื่อใด|ใคร|กี่|เท่าไหร่|เท่าไร|เท่าใด|อย่างไร|ทำไม|ไหน|ใด|คือ"
    r"|무엇|언제|어디|누가|누구|얼마|몇|어떻게|왜"
)
_KINDS: Final[tuple[tuple[AnswerKind, re.Pattern[str]], ...]] = (
    (
        "number",
        re.compile(
            r"\bhow (?:many|much|old|long|far|often|large|big|high|tall|deep|wide|fast|heavy)\b"
            r"|\b(?:what|which) (?:\w+ )?(?:percent|percentage|number|amount|price|cost|fee|rate|share|age|size)\b"
            r"|\bwie ?(?:viele?|lange?|hoch|alt|oft|groß|teuer)\b|\bcombien\b|\bcu[aá]nt[oa]s?\b|\bquant[oie]\b"
            r"|\bсколько\b|多少|几个|幾|いくら|いくつ|何人|كم|कितन|เท่าไร|กี่"
        ),
    ),
    (
        "time",
        re.compile(
            r"\bwhen\b|\b(?:what|which) (?:\w+ )?(?:year|date|day|month|century|decade|time)\b|\bwann\b|\bquand\b"
            r"|\bcu[aá]ndo\b|\bquando\b|\bкогда\b|什么时候|何时|哪一年|いつ|何年|متى|कब|เมื่อไร|เมื่อใด"
        ),
    ),
    (
        "person",
        re.compile(r"\bwho(?:m|se)?\b|\bwe[rmn]\b|\bqui\b|\bqui[eé]n(?:es)?\b|\bкто\b|谁|誰|من الذي|किसने|कौन|ใคร"),
    ),
    (
        "place",
        re.compile(
            r"\bwhere\b|\b(?:what|which) (?:\w+ )?(?:country|city|place|location|state|region|office)\b|\bwo\b|\boù\b"
            r"|\bd[oó]nde\b|\bdove\b|\bгде\b|哪里|在哪|どこ|أين|कहाँ|ที่ไหน"
        ),
    ),
)
_CAPITALISED: Final = re.compile(r"(?<![^\W_])[^\W\d_a-z][^\W_]*(?:[-'’][^\W_]+)*")
_DIGIT: Final = re.compile(r"\d|[一二三四五六七八九十百千万亿]")
_NUMBER_WORD: Final = re.compile(
    r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundreds?|thousands?|millions?|billions?"
    r"|half|third|quarter|twice|once|none|eins?|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|deux|trois|quatre|cinq"
    r"|dos|tres|cuatro|cinco)\b",
    re.IGNORECASE,
)
_TIME: Final = re.compile(
    r"\b\d{4}s?\b|\b\d{1,2}[:.]\d{2}\b|\b\d{1,2}(?:st|nd|rd|th)\b|\b\d{1,2}\.\s"
    r"|\b(?:jan|feb|mär|mar|apr|may|mai|jun|jul|aug|sep|o[ck]t|nov|de[cz])(?:\.|[a-z]*)\b"
    r"|\b(?:century|decade|today|yesterday|tomorrow|daily|weekly|monthly|yearly|annually|(?:mon|tues|wednes|thurs|fri"
    r"|satur|sun)day|hours?|days?|weeks?|months?|years?|noon|midnight|spring|summer|autumn|winter|during|after|before)\b"
    r"|[年月日世纪]",
    re.IGNORECASE,
)


def read_question(text: str) -> Question:
    """The question in `text`; any string will do, what goes beyond `MAX_CHARACTERS` is not read."""
    text = " ".join(text[:MAX_CHARACTERS].split())
    found = dict.fromkeys(terms(_SHAPING_UNSPACED.sub(" ", text)) or terms(text))
    telling = tuple(term for term in found if term not in _SHAPING)
    names = set() if capitalises_nouns(text) else {term for word in _names(text) for term in terms(word)}
    return Question(
        text=text,
        terms=telling or tuple(found),
        names=frozenset(names) & frozenset(telling),
        numbers=frozenset(numbers(text)),
        kind=_kind(text),
        negations=negations(text),
    )


def _names(text: str) -> list[str]:
    """Capitalised words, where only names are; the first word of a question is capitalised for another reason."""
    found = [match for match in _CAPITALISED.finditer(text) if match.start() > 0 and match[0][0].isupper()]
    words = text.split()
    return [] if len(found) > 0.6 * len(words) and len(words) > 2 else [match[0] for match in found]


def _kind(text: str) -> AnswerKind:
    folded = text.casefold()
    return next((kind for kind, pattern in _KINDS if pattern.search(folded)), "other")


def holds_answer_kind(sentence: str, question: Question) -> bool:
    """Whether `sentence` has something of the kind that `question` asks for and does not itself name."""
    if question.kind == "number":
        return bool(_new_numbers(sentence, question) or _NUMBER_WORD.search(sentence) or _DIGIT.search(sentence))
    if question.kind == "time":
        return bool(_TIME.search(sentence)) or bool(_new_numbers(sentence, question))
    if question.kind in ("person", "place"):
        asked = set(question.terms)
        return any(not asked.issuperset(terms(name)) for name in _names(sentence)) or not sentence.isascii()
    return True


def _new_numbers(sentence: str, question: Question) -> bool:
    return not question.numbers.issuperset(numbers(sentence))

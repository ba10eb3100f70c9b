"""The training texts of the learned scorer: documents with and without planted instructions, all written by us.

`texts/<language>/` holds sections of lines; this module draws documents from them. In the text files

    = genre: title        begins a topic of a host document (hosts*.txt)
    = family              begins a family of attacks (task*.txt, override*.txt) or of clean prompts (prompts*.txt);
                          a "!" after its name: nobody asks for this honestly, so it is never a clean prompt
    @name: a | b | c      values of `{name}`, drawn anew at each place
    @name = a | b | c     the same, drawn once for each document
    > line                how a document opens; in frames.txt what is said before a request
    < line                how a document closes
    ~ line                a request without its frame, "translate this": frames.txt makes sentences of it
    + line                what may follow the first sentence of an attack
    line                  a sentence of the body, in a sensible order, or a whole attack

Inside a line `{name}` is a slot, `{a|b}` a choice, `{1-9}` a number, and `\\n` a new line. Of the lines of a body those
that begin with `|` or `: ` are rows, those with `* ` items of a list, those with `## ` headings, and those of several
lines blocks of code.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, Literal

from retrieval.injection.training import disguise

Head = Literal["override", "task", ""]

CLEAN_SHARE: Final = 0.4
ENGLISH_SHARE: Final = 0.66
TASK_SHARE: Final = 0.6  # of the documents with an attack; the rest are overrides
SENTENCES: Final = (12, 80)  # a document's length, as far as its topic has so much to say

_TEXTS = Path(__file__).parent / "texts"
_HOLE = re.compile(r"\{([^{}\n]*)\}")
_RANGE = re.compile(r"(\d+)-(\d+)")
_REPEATED = re.compile(r"(?:\||\*) \{")  # a row or an item that differs from its first word on
_SLOT = re.compile(r"@(\w+)\s*([:=])\s*(.+)")
_MARKS: Final = "><~+"
_OPEN, _CLOSE = "\ue000", "\ue001"  # private characters around an attack until its offsets are read
_ATTACK = re.compile(f"{_OPEN}([^{_CLOSE}]*){_CLOSE}")
_UNSPACED: Final = frozenset({"zh", "ja"})
# Genres in which a document often has several topics; elsewhere it is the exception.
_COMPOUND: Final = frozenset({"policy", "faq", "meeting notes", "handbook", "newsletter", "support macros"})
_HARMFUL: Final = "!"  # ends the name of a family that no honest person would ask for


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingDocument:
    """One text with the places of what was planted in it.

    `attacks` are [start, end) offsets in `text`. `head` says which kind they are of and `family` which templates they
    come from; both are "" for a clean text. `genre` is the kind of host ("prompt" when there is none around it) and
    `language` that of the host.
    """

    title: str
    text: str
    attacks: tuple[tuple[int, int], ...]
    head: Head
    family: str
    genre: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A topic of a host document or a family of attacks, as written in a text file."""

    name: str
    language: str
    varying: dict[str, tuple[str, ...]] = field(default_factory=dict)
    fixed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)

    def marked(self, mark: str) -> Sequence[str]:
        """The lines with this mark; those without one for ""."""
        return self.lines.get(mark, ())


@dataclass(slots=True, kw_only=True)
class _Block:
    """A paragraph, table, list, heading or piece of code while a document is put together."""

    kind: Literal["prose", "rows", "list", "heading", "code"]
    pieces: list[str]


def documents(count: int, seed: int) -> Iterator[TrainingDocument]:
    """Draw `count` documents; the same seed gives the same documents. About 40 % are clean."""
    rng = random.Random(seed)
    for _ in range(count):
        language = _language(rng)
        topic = rng.choice(hosts(language))
        title, blocks = _host(topic, rng)
        head: Head = ""
        family = ""
        if rng.random() >= CLEAN_SHARE:
            head = "task" if rng.random() < TASK_SHARE else "override"
            family = _plant(blocks, head, language, rng)
        text, attacks = _joined(blocks, language, rng)
        genre = topic.name.partition(":")[0]
        yield TrainingDocument(
            title=title, text=text, attacks=attacks, head=head, family=family, genre=genre, language=language
        )


def prompts(count: int, seed: int) -> Iterator[TrainingDocument]:
    """Draw `count` texts that stand alone, half of them overrides, half what people honestly ask an assistant."""
    rng = random.Random(seed)
    for _ in range(count):
        language = _language(rng)
        if rng.random() < 0.5:
            section = rng.choice(families("override", language))
            text = _attack(section, "override", rng)
            yield _prompt(text, language, "override", _family_name(section))
        else:
            yield _prompt(_honest_request(language, rng), language, "", "")


def languages() -> list[str]:
    """The languages that have texts, in order."""
    return sorted(folder.name for folder in _TEXTS.iterdir() if folder.is_dir())


def hosts(language: str) -> tuple[Section, ...]:
    """The topics of host documents in one language, each named `genre: title`."""
    return _sections(language, "hosts")


def families(head: str, language: str) -> tuple[Section, ...]:
    """The families of attacks of one head ("task" or "override"), or of clean prompts ("prompts")."""
    return _sections(language, head)


def _language(rng: random.Random) -> str:
    others = [language for language in languages() if language != "en"]
    return "en" if not others or rng.random() < ENGLISH_SHARE else rng.choice(others)


def _family_name(section: Section) -> str:
    return section.name.rstrip(_HARMFUL)


def _prompt(text: str, language: str, head: Head, family: str) -> TrainingDocument:
    attacks = ((0, len(text)),) if head else ()
    return TrainingDocument(
        title="", text=text, attacks=attacks, head=head, family=family, genre="prompt", language=language
    )


def _honest_request(language: str, rng: random.Random) -> str:
    """A clean prompt: a question of its own, or a task that is an attack only where nobody asked for it."""
    if rng.random() < 0.25:
        harmless = [s for s in families("task", language) if not s.name.endswith(_HARMFUL)]
        return _attack(rng.choice(harmless), "task", rng)
    section = rng.choice(families("prompts", language))
    return _fill(rng.choice(section.marked("")), _values(section, rng), rng)


# --- reading the text files ---


@cache
def _sections(language: str, stem: str) -> tuple[Section, ...]:
    found: list[Section] = []
    for path in sorted((_TEXTS / language).glob(f"{stem}*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            _read_line(line.rstrip(), language, found)
    return tuple(found)


def _read_line(line: str, language: str, found: list[Section]) -> None:
    if not line:
        return
    if line.startswith("= "):
        found.append(Section(name=line[2:].strip(), language=language))
        return
    section = found[-1]
    if slot := _SLOT.fullmatch(line):
        values = tuple(value.strip() for value in slot[3].split("|"))
        (section.varying if slot[2] == ":" else section.fixed)[slot[1]] = values
        return
    mark = line[0] if line[0] in _MARKS and line[1:2] == " " else ""
    section.lines.setdefault(mark, []).append((line[2:] if mark else line).replace("\\n", "\n"))


@cache
def _shared(language: str) -> dict[str, tuple[str, ...]]:
    """Slots that every section of a language may use, from its slots.txt."""
    return {name: values for section in _sections(language, "slots") for name, values in section.varying.items()}


def _values(section: Section, rng: random.Random) -> dict[str, tuple[str, ...]]:
    """The values of a section's slots, those that hold for a whole document already drawn."""
    fixed = {name: (rng.choice(values),) for name, values in section.fixed.items()}
    return {**_shared(section.language), **section.varying, **fixed}


def _fill(template: str, values: Mapping[str, Sequence[str]], rng: random.Random) -> str:
    """Replace slots, choices and ranges, from the innermost outwards; braces that are none of these stay."""

    def drawn(hole: re.Match[str]) -> str:
        inside = str(hole[1])
        if "|" in inside:
            return rng.choice(inside.split("|"))
        if bounds := _RANGE.fullmatch(inside):
            return str(rng.randint(int(bounds[1]), int(bounds[2])))
        return rng.choice(values[inside]) if inside in values else str(hole[0])

    for _ in range(5):
        filled = _HOLE.sub(drawn, template)
        if filled == template:
            break
        template = filled
    return template


# --- hosts ---


def _host(topic: Section, rng: random.Random) -> tuple[str, list[_Block]]:
    """A title and the blocks of a clean document on one topic, or on a few where its genre is a collection."""
    genre, _, title = topic.name.partition(": ")
    target = rng.randint(*SENTENCES)
    values = _values(topic, rng)
    blocks = _topic_blocks(topic, values, target, rng)
    if rng.random() < (0.4 if genre in _COMPOUND else 0.1):
        siblings = [s for s in hosts(topic.language) if s.name.startswith(f"{genre}: ") and s is not topic]
        for sibling in rng.sample(siblings, min(len(siblings), rng.randint(1, 2))):
            own = _values(sibling, rng)
            blocks.append(_Block(kind="heading", pieces=["## " + _fill(sibling.name.partition(": ")[2], own, rng)]))
            blocks += _topic_blocks(sibling, own, target, rng)
    return _fill(title, values, rng), blocks


def _topic_blocks(topic: Section, values: Mapping[str, Sequence[str]], target: int, rng: random.Random) -> list[_Block]:
    opening = [_fill(line, values, rng) for line in _some(topic.marked(">"), rng)]
    closing = [_fill(line, values, rng) for line in _some(topic.marked("<"), rng)]
    body = _body(topic.marked(""), values, max(target - len(opening) - len(closing), 6), rng)
    return _blocks(opening, rng) + _blocks(body, rng) + _blocks(closing, rng)


def _some(lines: Sequence[str], rng: random.Random) -> list[str]:
    """Most of the lines, in their order, and at least one."""
    kept = [line for line in lines if rng.random() < 0.75]
    return kept or list(lines[:1])


def _body(lines: Sequence[str], values: Mapping[str, Sequence[str]], target: int, rng: random.Random) -> list[str]:
    """Up to `target` lines in their order; lines with slots may come again with other values, never a text twice."""
    body: list[str] = []
    for turn in range(2):
        pool = lines if turn == 0 else [line for line in lines if _HOLE.search(line)]
        wanted = min(target - len(body), len(pool))
        for position in sorted(rng.sample(range(len(pool)), max(wanted, 0))):
            line = pool[position]
            times = rng.randint(1, 5) if _REPEATED.match(line) else 1
            drawn = [_fill(line, values, rng) for _ in range(times)]
            body += [text for text in dict.fromkeys(drawn) if text not in body]
    return body


def _blocks(lines: Sequence[str], rng: random.Random) -> list[_Block]:
    """Put lines of one kind together; prose is cut into paragraphs of one to six sentences."""
    blocks: list[_Block] = []
    room = 0
    for line in lines:
        kind = _kind(line)
        text = line.removeprefix(": ")
        same = bool(blocks) and blocks[-1].kind == kind and kind not in ("heading", "code")
        if same and (kind != "prose" or room > 0):
            blocks[-1].pieces.append(text)
        else:
            blocks.append(_Block(kind=kind, pieces=[text]))
            room = rng.randint(1, 6)
        room -= 1
    return blocks


def _kind(line: str) -> Literal["prose", "rows", "list", "heading", "code"]:
    if line.startswith("## "):
        return "heading"
    if "\n" in line:
        return "code"
    if line.startswith(("|", ": ")):
        return "rows"
    return "list" if line.startswith("* ") else "prose"


# --- attacks ---


def _plant(blocks: list[_Block], head: Head, language: str, rng: random.Random) -> str:
    """Put one attack, seldom two of one family, into the blocks; gives the family's name."""
    section = rng.choice(families(head, _attack_language(language, rng)))
    for _ in range(2 if rng.random() < 0.1 else 1):
        _place(blocks, f"{_OPEN}{_attack(section, head, rng)}{_CLOSE}", rng)
    return _family_name(section)


def _attack_language(host: str, rng: random.Random) -> str:
    """Mostly the host's; English in a quarter of the others, another language in few English ones."""
    if host == "en":
        return rng.choice(languages()) if rng.random() < 0.06 else "en"
    return "en" if rng.random() < 0.25 else host


def _attack(section: Section, head: Head, rng: random.Random) -> str:
    """One attack of a family, of one to about six sentences."""
    values = _values(section, rng)
    whole, actions = section.marked(""), section.marked("~")
    index = rng.randrange(len(whole) + 2 * len(actions))  # an action has many frames, so it comes twice as often
    if index < len(whole):
        sentences = [_fill(whole[index], values, rng)]
    else:
        sentences = [_framed(_fill(actions[(index - len(whole)) // 2], values, rng), head, section.language, rng)]
    follow = list(section.marked("+"))
    for line in rng.sample(follow, min(len(follow), rng.choice((0, 0, 0, 1, 1, 2, 3)))):
        sentences.append(_fill(line, values, rng))
    sentences = _with_manners(sentences, head, section.language, rng)
    text = ("" if section.language in _UNSPACED else " ").join(sentences)
    return disguise.drawn(text, rng) if head == "override" and rng.random() < 0.15 else text


def _framed(action: str, head: Head, language: str, rng: random.Random) -> str:
    """A sentence that asks for the action: "Please ...", "Could you ...?", "When you answer, also ..."."""
    section = _frames(head, language)
    sentence = _fill(rng.choice(section.marked("")), {**_shared(language), "action": (action,)}, rng)
    return sentence[:1].upper() + sentence[1:]


def _with_manners(sentences: list[str], head: Head, language: str, rng: random.Random) -> list[str]:
    """Sometimes a sentence before the request ("One more thing.") or after it ("Keep it short.")."""
    if not _sections(language, "frames"):
        return sentences
    section = _frames(head, language)
    before = [rng.choice(section.marked(">"))] if rng.random() < 0.15 else []
    after = [rng.choice(section.marked("+"))] if rng.random() < 0.15 else []
    shared = _shared(language)
    return [*(_fill(line, shared, rng) for line in before), *sentences, *(_fill(line, shared, rng) for line in after)]


def _frames(head: Head, language: str) -> Section:
    return next(section for section in _sections(language, "frames") if section.name == head)


def _place(blocks: list[_Block], attack: str, rng: random.Random) -> None:
    """Put the attack at the start, at the end, between two blocks, or inside one, as the block's kind allows."""
    place = rng.random()
    if place < 0.12:
        blocks[0].pieces.insert(0, attack)
    elif place < 0.26:
        blocks[-1].pieces.append(attack)
    elif place < 0.44:
        blocks.insert(rng.choice((0, len(blocks), rng.randint(0, len(blocks)))), _Block(kind="prose", pieces=[attack]))
    else:
        block = rng.choice(blocks)
        _INSIDE[block.kind](block, attack, rng)


def _among_sentences(block: _Block, attack: str, rng: random.Random) -> None:
    block.pieces.insert(rng.randint(0, len(block.pieces)), attack)


def _among_rows(block: _Block, attack: str, rng: random.Random) -> None:
    cells = block.pieces[0].count("|") - 1
    in_cell = cells > 1 and rng.random() < 0.5
    row = f"| {attack} |" + " |" * (cells - 1) if in_cell else attack
    block.pieces.insert(rng.randint(0, len(block.pieces)), row)


def _among_items(block: _Block, attack: str, rng: random.Random) -> None:
    block.pieces.insert(rng.randint(0, len(block.pieces)), f"* {attack}" if rng.random() < 0.7 else attack)


def _after_block(block: _Block, attack: str, rng: random.Random) -> None:  # noqa: ARG001
    block.pieces.append(attack)


def _as_comment(block: _Block, attack: str, rng: random.Random) -> None:
    """A comment between the lines of code, or the line after it when the attack has lines of its own."""
    lines = block.pieces[0].split("\n")
    if "\n" in attack or len(lines) < 3:
        block.pieces.append(attack)
        return
    before, after = rng.choice((("# ", ""), ("// ", ""), ("/* ", " */"), ("<!-- ", " -->"), ("-- ", "")))
    lines.insert(rng.randint(1, len(lines) - 1), f"{before}{attack}{after}")
    block.pieces[0] = "\n".join(lines)


_INSIDE: Final[Mapping[str, Callable[[_Block, str, random.Random], None]]] = {
    "prose": _among_sentences,
    "rows": _among_rows,
    "list": _among_items,
    "heading": _after_block,
    "code": _as_comment,
}


def _joined(blocks: Sequence[_Block], language: str, rng: random.Random) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The text of the blocks and the offsets of what was planted in it."""
    space = "" if language in _UNSPACED else " "
    gap = rng.choice(("\n\n", "\n\n", "\n"))
    marked = gap.join((space if block.kind == "prose" else "\n").join(block.pieces) for block in blocks)
    spans: list[tuple[int, int]] = []
    for removed, attack in enumerate(_ATTACK.finditer(marked)):
        start = attack.start() - 2 * removed
        spans.append((start, start + len(attack[1])))
    return _ATTACK.sub(r"\1", marked), tuple(spans)

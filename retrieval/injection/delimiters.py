"""Signs that pretend to end the document or to begin another turn: chat templates, role lines, made-up tool results.

What stands in a code block or between backticks is shown, not used, and scores lower: manuals print chat templates.
The formats are those that model makers document for their chat templates (ChatML, Llama, Mistral, Gemma, Alpaca,
Vicuna) and the tags that prompts commonly put around documents.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ingest.screening import Finding

IN_CODE: Final = 0.35  # a score is multiplied by this where the sign stands in a code block or in inline code
_CONTEXT: Final = 2_000  # characters within which a second sign of the same kind makes the first more likely


@dataclass(frozen=True, slots=True)
class _Sign:
    """One family of delimiters."""

    pattern: re.Pattern[str]
    score: float
    repeated: float  # the score where two different ones of the family stand near each other
    reason: str


_ROLES: Final = r"(?:system|assistant|human|user|developer|ai|model|tool|function)"
_TAGS: Final = (
    r"(?:system|instructions?|system[-_ ]?(?:prompt|message|instructions?)|user[-_ ]?(?:input|query|message)|assistant"
    r"|documents?|context|retrieved[-_ ]?(?:context|documents?)|search[-_ ]?results?|prompt|admin|developer"
    r"|tool[-_ ]?(?:call|result|response|output|use)s?|function[-_ ]?(?:call|result|response)s?|untrusted|thinking)"
)
_EDGE: Final = r"(?:end|begin|start|stop)(?:ning)?(?: of)?(?: the)? "
_PROMPT_PARTS: Final = (  # what only a prompt has, so that no document ends or begins it
    r"(?:(?:system |new |original |previous )?(?:prompt|context|instructions?)|(?:user|system|assistant|model) "
    r"(?:input|message|query|prompt|instructions?|data)|conversation|retrieved (?:text|documents?))"
)
_PARTS: Final = r"(?:documents?|text|input|message|data|query|article|passage)"


_EDGE_REASON: Final = "A line claims that the prompt, the context or the document ends or begins here."


def _edges(parts: str, score: float, repeated: float) -> tuple[_Sign, ...]:
    """Claims that something ends or begins here: a line of its own, or capitals."""
    line = rf"\n[^\w\n]{{0,12}}{_EDGE}{parts}[^\w\n]{{0,12}}(?=\n)"
    capitals = rf"[EBS](?<!\w.)(?:ND|EGIN|TART|TOP)(?:NING)? (?:OF )?(?:THE )?{parts.upper()}\b"
    return (
        _Sign(re.compile(line, re.I), score, repeated, _EDGE_REASON),
        _Sign(re.compile(capitals), score, repeated, _EDGE_REASON),
    )


# Scores: in 3,974 clean pages (handbooks in two languages, software manuals, security guides, encyclopaedia) none of
# these stood outside of code, so a sign that only prompts know is put at less than 1 page in 100. Those that minutes,
# forms and interviews may have, which those pages are not, are put lower by judgement.
_SIGNS: Final = (
    _Sign(
        re.compile(r"<\|[a-zA-Z][\w ]{1,30}\|>|<｜[^｜<>\n]{2,40}｜>|<(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>"),
        0.995,
        0.998,
        "A sign of a chat template stands here, as if another turn began.",
    ),
    _Sign(
        re.compile(r"\[/?(?:SYSTEM|ASSISTANT|USER|ADMIN|DEVELOPER|INSTRUCTIONS?|SYS)(?: [A-Z]{2,12}){0,2}\]"),
        0.98,
        0.99,
        "A bracketed role stands here, as if another turn began.",
    ),
    _Sign(
        re.compile(
            r"\n[ \t]{0,3}#{2,4} ?(?:instruction|response|input|system(?: prompt)?|human|user|assistant)"
            r":?[ \t]{0,9}(?=\n)",
            re.I,
        ),
        0.8,
        0.97,
        "A heading of an instruction template stands here, as if another turn began.",
    ),
    _Sign(
        re.compile(
            rf"\n[ \t>*_\"'(\[]{{0,6}}{_ROLES}(?: (?:message|prompt|override|instructions?|note|notice))?"
            r"[*_\])]{0,3} ?:(?=[ \t*_]{0,4}\S)",
            re.I,
        ),
        0.8,
        0.96,
        "A line begins with a role, as a turn of a conversation with a model does.",
    ),
    _Sign(
        re.compile(rf"<(?<!\w<)/?{_TAGS}(?: [^<>\n]{{1,80}})?/?>", re.I),
        0.96,
        0.98,
        "A tag that prompts put around instructions or documents stands here.",
    ),
    *_edges(_PROMPT_PARTS, 0.985, 0.992),
    _Sign(
        re.compile(rf"[-=#*~_<\[(][-=#*~_<\[(][ \t]{{0,9}}{_EDGE}{_PROMPT_PARTS}\b", re.I), 0.985, 0.992, _EDGE_REASON
    ),
    *_edges(_PARTS, 0.9, 0.97),
    _Sign(
        re.compile(
            r"\n[ \t]{0,3}[\[(]?(?:(?:tool|function|api|search|retrieval|plugin)[ _]"
            r"(?:call|result|output|response|return)s?[\])]? ?[:=>]"
            r"|(?:observation|action|action input|thought|final answer):)",
            re.I,
        ),
        0.9,
        0.97,
        "A line pretends to be the call or the result of a tool.",
    ),
    _Sign(
        re.compile(
            r"[\"'](?:role|from|author)[\"']\s{0,8}:\s{0,8}[\"'](?:system|developer|assistant|tool|user|human|gpt)[\"']",
            re.I,
        ),
        0.96,
        0.985,
        "A message of a chat protocol stands here, with its role.",
    ),
)
_FENCE = re.compile(r"^[ \t]{0,3}(?:```|~~~)|<(?P<tag>/?)(?:pre|code)\b", re.M | re.I)
_INLINE = re.compile(r"``[^`\n]{1,400}``|`[^`\n]{1,400}`")


def find(text: str) -> list[Finding]:
    """The made-up delimiters of `text`, by place. Time is linear in its length."""
    lines = f"\n{text}\n"  # a pattern of a line begins with its line end: searched for as fast as one letter
    found = [(match, sign) for sign in _SIGNS for match in sign.pattern.finditer(lines)]
    if not found:
        return []
    code = code_spans(lines)
    findings = [_finding(match, sign, near, code) for match, sign, near in _with_company(found)]
    return sorted(findings, key=lambda finding: (finding.start, finding.end))


def _with_company(found: list[tuple[re.Match[str], _Sign]]) -> Iterable[tuple[re.Match[str], _Sign, bool]]:
    """Each sign, and whether another one of its family, written otherwise, stands near."""
    for index, (match, sign) in enumerate(found):
        written = match[0].strip().casefold()
        near = any(
            other is sign
            and abs(neighbour.start() - match.start()) <= _CONTEXT
            and neighbour[0].strip().casefold() != written
            for neighbour, other in found[max(0, index - 3) : index + 4]
        )
        yield match, sign, near


def _finding(match: re.Match[str], sign: _Sign, near: bool, code: list[tuple[int, int]]) -> Finding:
    score = sign.repeated if near else sign.score
    start = match.start() + (match[0][0] == "\n")
    if within(start, code):
        score *= IN_CODE
    return Finding(kind="delimiter", score=score, start=start - 1, end=match.end() - 1, reason=sign.reason)


def within(offset: int, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether `offset` lies in one of the ascending `spans`."""
    index = bisect_right(spans, (offset, len(spans) and spans[-1][1] + 1)) - 1
    return index >= 0 and spans[index][0] <= offset < spans[index][1]


def code_spans(text: str) -> list[tuple[int, int]]:
    """Code blocks and inline code, ascending and apart. A block that never ends is none."""
    spans: list[tuple[int, int]] = []
    opened: int | None = None
    for fence in _FENCE.finditer(text):
        if opened is None:
            opened = None if fence["tag"] else fence.start()
        else:
            spans.append((opened, fence.end()))
            opened = None
    apart: list[tuple[int, int]] = []
    for span in sorted([*spans, *(match.span() for match in _INLINE.finditer(text))]):
        if not apart or span[0] >= apart[-1][1]:
            apart.append(span)
    return apart

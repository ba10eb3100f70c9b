"""Links and images that carry data out: whoever renders the answer calls their URL, with what was put into it.

A URL is suspicious for what it holds: blanks to be filled in, names of things that only a conversation has, data in
the name of the host, code in place of an address. An image weighs more than a link, because nobody needs to click.
"""

from __future__ import annotations

import heapq
import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from ingest.screening import Finding
from retrieval.injection.delimiters import IN_CODE, code_spans, within

MAX_URL: Final = 2_000  # characters of a URL that are looked at; browsers of the past took no more
_PLACE_SCORES: Final = {"image": 0.35, "link": 0.2, "bare": 0.0}
_BLANK: Final = 0.3  # a blank to be filled in, where data would stand
_PRIVATE: Final = 0.3  # the name of something that only a conversation has
_ORDERED: Final = 0.3  # an order to put it into the answer, or to fill the blank
_HOST: Final = 0.4  # a name of the host that is longer and more mixed than people choose
_ACTIVE: Final = 0.8  # code in place of an address
REPORTED: Final = 0.64  # below this sum it is an ordinary URL
_SUM_CERTAIN: Final = 0.9
_CERTAIN: Final = 0.995  # of 3,974 clean pages none had either; bookmarklets and templates may have the lower one
_LIKELY: Final = 0.97
_NEAR: Final = 300  # characters around a URL in which an order to use it is looked for

# A run is taken whole and never given back (possessive), so the repeat around it cannot multiply the work.
_RUNS: Final = 40
_SPACED: Final = (
    r"(?:[^\s\"'<>()\[\]{}]{1,500}+|\([^()\n]{0,200}\)|\[[^\[\]\n]{1,100}\]|\{[^{}\n]{1,100}\}|<[^<>\n]{1,100}>|[{}])"
)
# Both begin with a rare character, so that a search over prose is one scan for it.
_MARKUP = re.compile(
    r"[!<\[](?:(?<=!)(?P<image>\[[^\[\]\n]{0,300}\]\(\s{0,3}<?)"
    r"|(?<=\[)(?:[^\[\]\n]{0,300}\](?:\(\s{0,3}|:[ \t]{1,3})<?)"
    r"|(?<=<)(?:(?P<shown>(?:img|iframe|script|object|embed|video|audio)\b[^<>]{0,300}?(?:src|data))"
    r"|a\b[^<>]{0,300}?href)\s{0,2}=\s{0,2}[\"']?)"
    rf"(?P<url>{_SPACED}{{1,{_RUNS}}})",
    re.I,
)
_BARE = re.compile(rf"://(?<=[ps]://){_SPACED}{{1,{_RUNS}}}", re.I)
_SCHEME = re.compile(r"https?\Z", re.I)
_PARTS = re.compile(r"(?:https?:)?//(?P<host>[^/?#\s]{0,300})(?P<path>[^?#]{0,2000})(?P<query>[?#].{0,2000})?", re.I)
_BLANKS = re.compile(
    r"\{[^{}\n]{1,100}\}|\[[^\[\]\n]{1,100}\]|<[^<>\n]{1,100}>|%7B.{1,100}?%7D|\$[A-Za-z_]\w{1,40}"
    r"|=[A-Z]{3,20}(?:_[A-Z]{2,20}){1,5}\b",
    re.I,
)
_CAPITALS = re.compile(r"[A-Z_=]{4,60}")
_PRIVATE_NAME = re.compile(
    r"(?:conversation|chat|history|prompt|secret|passw|credential|cookie|summar|transcript|private|personal|confidential"
    r"|user[-_ ]?(?:s |'s |’s )?(?:data|info|name|email|input|message|detail|query|question)|api[-_ ]?key|exfil|stolen"
    r"|leak|steal|context|message|question|answer|document|inbox)(?!\w{0,10}[-_ ]?ids?\b)",
    re.I,
)
_LONG_LABEL = re.compile(r"(?<![^.])(?=[a-z0-9-]{0,60}\d)(?=[a-z0-9-]{0,60}[a-z])[a-z0-9-]{30,63}(?=\.)", re.I)
_EMBED = re.compile(
    r"\b(?:include|add|insert|append|render|display|show|embed|put|end|finish|output|write|respond|reply|answer)\b"
    r"[^.\n]{0,80}\b(?:image|link|markdown|url|pixel|logo|answer|response|reply|output|summary|message)\b",
    re.I,
)
_FILL = re.compile(
    r"\b(?:replac|substitut|fill|url-?encod|base64|encod)\w{0,4}\b[^.\n]{0,120}"
    r"\b(?:user|conversation|chat|histor|secret|passw|prompt|data|answer"
    r"|email|message|summar|context|document|key|token)",
    re.I,
)
_ORDINARY = re.compile(
    r"(?:https?://(?:[\w-]{1,29}\.)*[\w-]{1,29}(?:[/#][\w./#~+,@-]*)?|[#.\w][\w./#~+,@-]*)", re.ASCII
)
_HARMLESS_SCRIPT = re.compile(r"javascript:\s{0,3}(?:void\s?\(?0\)?|;|$)", re.I)
_SCRIPT = re.compile(r"(?:javascript|vbscript):|data:(?:text/html|application|image/svg)", re.I)


def find(text: str) -> list[Finding]:
    """The URLs of `text` that would carry data out when they are rendered or called. Linear in its length."""
    judged = ((start, end, place, *_score(place, url)) for start, end, place, url in _urls(text))
    suspects = [suspect for suspect in judged if suspect[3] > _PLACE_SCORES[suspect[2]]]
    if not suspects:
        return []
    regions = _around([suspect[:2] for suspect in suspects])
    fills, embeds = (
        [match.start() for region in regions for match in order.finditer(text, *region)] for order in (_FILL, _EMBED)
    )
    code = code_spans(text)
    findings = []
    for start, end, place, score, blank in suspects:
        score += _ORDERED * (blank and _near(fills, start, end)) + _ORDERED * _near(embeds, start, end)
        if score >= REPORTED:
            score = (_CERTAIN if score >= _SUM_CERTAIN else _LIKELY) * (IN_CODE if within(start, code) else 1)
            findings.append(Finding(kind="exfiltration", score=score, start=start, end=end, reason=_REASONS[place]))
    return findings


def _around(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """What lies near the ascending `spans`, in pieces that do not overlap."""
    regions: list[tuple[int, int]] = []
    for start, end in spans:
        near = (max(0, start - _NEAR), end + _NEAR)
        if regions and near[0] <= regions[-1][1]:
            near = (regions.pop()[0], near[1])
        regions.append(near)
    return regions


def _near(places: list[int], start: int, end: int) -> bool:
    """Whether one of the ascending `places` lies around `[start, end)`."""
    index = bisect_left(places, start - _NEAR)
    return index < len(places) and places[index] <= end + _NEAR


_REASONS: Final = {
    "image": "An image whose address would carry data out as soon as an answer with it is shown.",
    "link": "A link whose address runs code or would carry data out.",
    "bare": "An address with a blank for data of the conversation, as if it were to be filled in and called.",
}


def _urls(text: str) -> Iterator[tuple[int, int, str, str]]:
    """Start, end, place and URL of each image, each link and each address that stands in neither."""
    done = 0
    for match in heapq.merge(_MARKUP.finditer(text), _BARE.finditer(text), key=re.Match.start):
        if match.start() < done:
            continue
        if match.re is _MARKUP:
            yield *match.span(), "image" if match["image"] or match["shown"] else "link", match["url"]
        elif scheme := _SCHEME.search(text, max(done, match.start() - 5), match.start()):
            yield scheme.start(), match.end(), "bare", text[scheme.start() : match.end()]
        done = match.end()


def _score(place: str, url: str) -> tuple[float, bool]:
    """What a URL itself says for carrying data out, 0 to about 1.5, and whether it has a blank to be filled in."""
    if _ORDINARY.fullmatch(url):
        return 0.0, False
    if _SCRIPT.match(url):
        return (0.0 if place == "bare" or _HARMLESS_SCRIPT.match(url) else _ACTIVE), False
    parts = _PARTS.match(url[:MAX_URL])
    if not parts:
        return 0.0, False
    query = parts["query"] or ""
    blanks = _blanks(parts["host"]) + _blanks(query) + (_blanks(parts["path"]) if place == "image" else [])
    private = any(map(_PRIVATE_NAME.search, blanks)) or (
        (blanks or place == "image") and _PRIVATE_NAME.search(query) is not None
    )
    score = _PLACE_SCORES[place] + _BLANK * bool(blanks) + _PRIVATE * bool(private)
    return score + _HOST * bool(_LONG_LABEL.search(parts["host"])), bool(blanks)


def _blanks(part: str) -> list[str]:
    """The places of a URL's part that are to be filled in."""
    found = _BLANKS.findall(part)
    return [blank for blank in found if not blank.startswith("=") or _CAPITALS.fullmatch(blank)]

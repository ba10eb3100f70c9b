"""Text on a PDF page that a person would not have seen, found with as little rendering as is safe.

Every text object is first judged by what it says of itself and by the boxes drawn under and over it. Nearly all text is
dark, of readable size, inside the page, on plain paper: that needs no pixels. The rest is put to the test that cannot
be argued with: the page is drawn with and without it, and characters whose box does not change are hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ingest.elements import HiddenReason
from ingest.parsers.pdfium import ANNOTATION, PATH, TEXT, Page, PageObjects

if TYPE_CHECKING:
    from numpy.typing import NDArray

TINY_POINTS = 2.0  # a capital is then half a millimetre high; the smallest print in use is about 4
FAINT = 16  # of 255 on the strongest channel: less is not told from the ground even on a good screen
CLEAR = 64  # of 255: colours this far apart need no test by drawing
COVERED_SHARE = 0.3  # of a text's box; what lies over less of it leaves its words readable
SCALE = 2.0  # pixels per point: strokes of 5 point print are then about a pixel wide
TILE_POINTS = 1000.0  # pages are drawn in tiles so that a poster costs no more memory than a letter
BLOCK_POINTS = 36.0  # letters from this size on may be there to cover others
BLOCK_ROWS = 256  # texts that are compared with what is drawn near them at a time
MAX_ROUNDS = 8  # drawings of a page, one bit each; texts that overlap are left out in different rounds
SCAN_SHARE = 0.5  # of the page: an image this large under or over unpainted text is taken for a scan
_WORD = re.compile(r"\S+")
_BLEED = 0.5  # points around a character that belong to its ink when it is anti-aliased


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenSpan:
    """Characters `start` to `end` of the page's text."""

    start: int
    end: int
    reason: HiddenReason


def find_hidden(page: Page) -> list[HiddenSpan]:
    """The hidden runs of `page.text` in order; blanks between two hidden words of one reason belong to the run."""
    objects = page.objects()
    doubtful = _doubtful(objects, page)
    if not doubtful.any():
        return []
    of = {address: row for row, address in enumerate(objects.address.tolist()) if doubtful[row]}
    pairs = [(i, of[a]) for i, c in enumerate(page.text) if not c.isspace() and (a := page.object_at(i)) in of]
    if not pairs:
        return []
    indexes, rows = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
    boxes = page.boxes(indexes.tolist())
    reasons = _Reasons(objects, page)
    clear = reasons.without_drawing(rows, boxes)
    unseen = np.array([reason is not None for reason in clear])
    drawn = ~unseen
    if drawn.any():
        rounds = _rounds(objects, np.flatnonzero(doubtful), page)
        seen = _seen(page, objects, rounds, rows[drawn], boxes[drawn])
        unseen[drawn] = _whole_words(indexes[drawn], rows[drawn], ~seen)
    found: list[HiddenReason | None] = [None] * len(page.text)
    for k in np.flatnonzero(unseen).tolist():
        found[int(indexes[k])] = clear[k] or reasons.of_object(int(rows[k]))
    return [span for span in _spans(page.text, found) if _says_something(page.text[span.start : span.end])]


def _overlap_share(objects: PageObjects, rows: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float32]:
    """[rows, others] share of each row's box that the box of each other one covers."""
    a, b = objects.box[rows].T[:, :, None], objects.box[others].T[:, None, :]
    wide = np.minimum(a[2], b[2]) - np.maximum(a[0], b[0])
    high = np.minimum(a[3], b[3]) - np.maximum(a[1], b[1])
    area = np.maximum((a[2] - a[0]) * (a[3] - a[1]), np.float32(1e-3))
    share: NDArray[np.float32] = np.maximum(wide, 0) * np.maximum(high, 0) / area
    return share


def _doubtful(objects: PageObjects, page: Page) -> NDArray[np.bool_]:
    """[n] text objects that have to be tested; all others are certain to show."""
    doubtful = np.zeros(len(objects.kind), np.bool_)
    rows = np.flatnonzero(objects.kind == TEXT)
    if not len(rows):
        return doubtful
    box, rgba = objects.box[rows], objects.rgba[rows]
    doubtful[rows] = (
        objects.odd[rows]
        | ~np.isin(objects.mode[rows], (0, 2))  # filled, with or without an outline
        | (objects.size[rows] < TINY_POINTS)
        | (rgba[:, 3] < 255)
        | _light(rgba)
        | (box[:, 0] < -1) | (box[:, 1] < -1) | (box[:, 2] > page.width + 1) | (box[:, 3] > page.height + 1)
    )  # fmt: skip
    doubtful[rows] |= _on_doubtful_ground(objects, rows)
    # a box without extent holds blanks, as producers place them one by one, unless a word begins there
    empty = rows[(box[:, 2] <= box[:, 0]) | (box[:, 3] <= box[:, 1])]
    if len(empty):
        words = {page.object_at(word.start()) for word in _WORD.finditer(page.text)}
        doubtful[empty] = [address in words for address in objects.address[empty].tolist()]
    return doubtful


def _on_doubtful_ground(objects: PageObjects, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[rows] whether something is drawn over the text, or under it in a like or unknown colour."""
    # letters cover as well when they are light or very large: a full block in white does
    blocks = (objects.kind != TEXT) | _light(objects.rgba) | (objects.size > BLOCK_POINTS)
    painters = np.flatnonzero(objects.paints & blocks)
    answer = np.zeros(len(rows), np.bool_)
    order = np.argsort(objects.box[rows, 1])
    for block in np.array_split(order, len(order) // BLOCK_ROWS + 1):
        top, bottom = objects.box[rows[block], 1].min(), objects.box[rows[block], 3].max()
        near = painters[(objects.box[painters, 1] < bottom) & (objects.box[painters, 3] > top)]
        answer[block] = _ground_of(objects, rows[block], near)
    return answer


def _ground_of(objects: PageObjects, rows: NDArray[np.int64], painters: NDArray[np.int64]) -> NDArray[np.bool_]:
    share = _overlap_share(objects, rows, painters)
    share[rows[:, None] == painters[None, :]] = 0
    answer: NDArray[np.bool_] = (share * (painters[None, :] > rows[:, None])).sum(axis=1) > COVERED_SHARE
    plain = (objects.kind[painters] == PATH) & (objects.rgba[painters, 3] >= 0)
    text, ground = np.nonzero(share > COVERED_SHARE)
    apart = np.abs(objects.rgba[rows[text], :3] - objects.rgba[painters[ground], :3]).max(axis=1)
    answer[text[(apart < CLEAR) | ~plain[ground]]] = True
    return answer


def _light(rgba: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether a colour is near that of the paper."""
    light: NDArray[np.bool_] = (255 - rgba[:, :3]).max(axis=1) < CLEAR
    return light


class _Reasons:
    """Why a text is hidden, told from its attributes."""

    def __init__(self, objects: PageObjects, page: Page) -> None:
        self._objects, self._page = objects, page

    def without_drawing(self, rows: NDArray[np.int64], boxes: NDArray[np.float32]) -> list[HiddenReason | None]:
        """For each character the reason that its place or size alone gives, else None."""
        x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
        off = (x < 0) | (y < 0) | (x > self._page.width) | (y > self._page.height)
        tiny = self._objects.size[rows] < TINY_POINTS
        return ["off_page" if o else "tiny_font" if t else None for o, t in zip(off, tiny, strict=True)]

    def of_object(self, row: int) -> HiddenReason:
        """The likeliest reason why drawing the text object changes nothing."""
        objects = self._objects
        if objects.mode[row] in (3, 7) or objects.rgba[row, 3] == 0:
            return "invisible_mode"
        over = np.flatnonzero(objects.paints & (np.arange(len(objects.kind)) > row))
        share = _overlap_share(objects, np.array([row]), over)
        return "covered" if share.sum() > COVERED_SHARE else "same_colour"


def _seen(
    page: Page,
    objects: PageObjects,
    rounds: Sequence[NDArray[np.int64]],
    rows: NDArray[np.int64],
    boxes: NDArray[np.float32],
) -> NDArray[np.bool_]:
    """For each character whether leaving its text object out changes the page inside its box, or a scan shows it."""
    scans = _scans(objects, page)
    unpainted = np.isin(objects.mode[rows], (3, 7)) | (rows < max(scans, default=-1))
    seen = np.zeros(len(rows), np.bool_)
    for tile, inside in _tiles(page, boxes):
        whole = page.render(SCALE, tile)
        for members in rounds:
            mine = inside & np.isin(rows, members)
            if mine.any():
                with page.without(objects.address[members].tolist()):
                    rest = page.render(SCALE, tile)
                changed = (np.maximum(whole, rest) - np.minimum(whole, rest)).max(axis=2) >= FAINT
                seen[mine] |= _any_in_boxes(changed, boxes[mine], tile)
        for k in np.flatnonzero(inside & unpainted & ~seen).tolist():
            seen[k] = bool(scans) and _contrast(whole, boxes[k], tile) >= CLEAR
    return seen


def _rounds(objects: PageObjects, rows: NDArray[np.int64], page: Page) -> list[NDArray[np.int64]]:
    """Texts split so that two which overlap are not left out together, unless one is the other drawn again.

    Greedy, over a grid of cells of two points whose bits tell the rounds that are taken.
    """
    taken = np.zeros((int(page.height / 2) + 1, int(page.width / 2) + 1), np.uint8)
    again: dict[tuple[int, ...], int] = {}
    chosen = []
    for row in rows.tolist():
        box = objects.box[row]
        slack = 0.15 * (box[3] - box[1])  # neighbouring lines touch each other's boxes
        x0, y0, x1, y1 = (max(0, int(v / 2)) for v in (box[0], box[1] + slack, box[2], box[3] - slack))
        cells = taken[y0 : y1 + 1, x0 : x1 + 1]
        key = (*np.round(box).astype(int).tolist(), *objects.rgba[row].tolist(), int(objects.mode[row]))
        if key not in again:
            used = int(np.bitwise_or.reduce(cells, axis=None)) if cells.size else 0
            again[key] = next((k for k in range(MAX_ROUNDS) if not used >> k & 1), MAX_ROUNDS - 1)
        cells |= np.uint8(1 << again[key])
        chosen.append(again[key])
    return [rows[np.array(chosen) == k] for k in sorted(set(chosen))]


def _scans(objects: PageObjects, page: Page) -> list[int]:
    """Images that fill most of the page: with unpainted text on them the page is a scan with its recognised text."""
    box = objects.box
    area = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    images = np.flatnonzero(~np.isin(objects.kind, (TEXT, PATH, ANNOTATION)))
    filled = area[images].sum() > SCAN_SHARE * page.width * page.height  # scanners may cut a page into strips
    return [int(image) for image in images] if filled else []


def _tiles(page: Page, boxes: NDArray[np.float32]) -> Iterator[tuple[tuple[float, ...], NDArray[np.bool_]]]:
    """Parts of the page that hold characters: (left, top, right, bottom), and which characters start there."""
    left, top = np.clip(boxes[:, 0], 0, page.width), np.clip(boxes[:, 1], 0, page.height)
    cells = np.stack([left // TILE_POINTS, top // TILE_POINTS], axis=1)
    for cell in np.unique(cells, axis=0):
        inside = (cells == cell).all(axis=1)
        mine = boxes[inside]
        low = np.maximum(mine[:, :2].min(axis=0) - 2, 0)
        high = np.minimum(mine[:, 2:].max(axis=0) + 2, (page.width, page.height))
        high = np.minimum(high, low + 2 * TILE_POINTS)
        yield (float(low[0]), float(low[1]), float(high[0]), float(high[1])), inside


def _pixel_boxes(boxes: NDArray[np.float32], tile: Sequence[float], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """[n, 4] columns and rows (left, top, right, bottom; the last two exclusive) of the tile's pixels."""
    origin = np.floor(np.array([tile[0], tile[1]]) * SCALE)
    grown = np.concatenate([boxes[:, :2] - _BLEED, boxes[:, 2:] + _BLEED], axis=1) * SCALE
    pixels = np.concatenate([np.floor(grown[:, :2]) - origin, np.ceil(grown[:, 2:]) - origin], axis=1)
    limit = np.array([shape[1], shape[0], shape[1], shape[0]])
    clipped: NDArray[np.int64] = np.clip(pixels, 0, limit).astype(np.int64)
    return clipped


def _any_in_boxes(mask: NDArray[np.bool_], boxes: NDArray[np.float32], tile: Sequence[float]) -> NDArray[np.bool_]:
    """For each box whether the mask holds a set pixel in it, by a summed-area table."""
    sums = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), np.int64)
    sums[1:, 1:] = mask.cumsum(axis=0).cumsum(axis=1)
    x0, y0, x1, y1 = _pixel_boxes(boxes, tile, mask.shape).T
    counts = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
    answer: NDArray[np.bool_] = (counts > 0) & (x1 > x0) & (y1 > y0)
    return answer


def _contrast(pixels: NDArray[np.uint8], box: NDArray[np.float32], tile: Sequence[float]) -> int:
    """Largest difference of brightness inside the box."""
    x0, y0, x1, y1 = _pixel_boxes(box[None, :], tile, pixels.shape)[0].tolist()
    part = pixels[y0:y1, x0:x1].max(axis=2, initial=0) if x1 > x0 and y1 > y0 else np.zeros((0,), np.uint8)
    return int(part.max()) - int(part.min()) if part.size else 0


def _whole_words(indexes: NDArray[np.int64], rows: NDArray[np.int64], unseen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Corrects single characters: a glyph may have no ink of its own (the second half of a ligature).

    In a run of characters of one text object with no blank, hidden ones count when the whole run is hidden or when
    four follow each other.
    """
    answer = unseen.copy()
    cuts = np.flatnonzero((np.diff(indexes) != 1) | (np.diff(rows) != 0)) + 1
    for run in np.split(np.arange(len(indexes)), cuts):
        if unseen[run].all() or not unseen[run].any():
            continue
        turns = np.flatnonzero(np.diff(unseen[run].astype(np.int8))) + 1
        for piece in np.split(run, turns):
            if unseen[piece[0]] and len(piece) < 4:
                answer[piece] = False
    return answer


def _spans(text: str, found: Sequence[HiddenReason | None]) -> Iterator[HiddenSpan]:
    start, end, reason = 0, 0, None
    for index, (character, why) in enumerate(zip(text, found, strict=True)):
        if why is not None and why == reason:
            end = index + 1
        elif why is not None or not character.isspace():
            if reason is not None:
                yield HiddenSpan(start=start, end=end, reason=reason)
            start, end, reason = index, index + 1, why
    if reason is not None:
        yield HiddenSpan(start=start, end=end, reason=reason)


def _says_something(text: str) -> bool:
    """Rules and leaders drawn with letters say nothing, hidden or not."""
    return any(character.isalnum() for character in text)

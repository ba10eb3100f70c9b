"""The adapter of pdfium: characters with boxes, page objects as arrays, and pixels. The sole importer of pypdfium2."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pypdfium2
import pypdfium2.raw as raw

from ingest.errors import FileRefused

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEXT, PATH, ANNOTATION = raw.FPDF_PAGEOBJ_TEXT, raw.FPDF_PAGEOBJ_PATH, 100
MAX_DEPTH = 8  # of form XObjects inside each other
_BOLD = ("bold", "black", "heavy", "demi")
_FORCE_BOLD = 1 << 18  # font descriptor flag 19, ISO 32000-1 table 123


Box = tuple[float, float, float, float]


def _by_address(function: Any, result: Any, *arguments: Any) -> Any:
    """The same C function, taking addresses as plain integers.

    pypdfium2's own prototypes build a Python object for every pointer; without that a call costs half, and there are
    thousands of calls on a page.
    """
    return ctypes.cast(function, ctypes.CFUNCTYPE(result, *arguments))


_P, _I, _L = ctypes.c_void_p, ctypes.c_int, ctypes.c_ulong
_text_object = _by_address(raw.FPDFText_GetTextObject, _P, _P, _I)
_char_box = _by_address(raw.FPDFText_GetCharBox, _I, _P, _I, _P, _P, _P, _P)
_loose_box = _by_address(raw.FPDFText_GetLooseCharBox, _I, _P, _I, _P)
_unicode = _by_address(raw.FPDFText_GetUnicode, ctypes.c_uint, _P, _I)
_page_object = _by_address(raw.FPDFPage_GetObject, _P, _P, _I)
_form_object = _by_address(raw.FPDFFormObj_GetObject, _P, _P, _L)
_form_count = _by_address(raw.FPDFFormObj_CountObjects, _I, _P)
_kind = _by_address(raw.FPDFPageObj_GetType, _I, _P)
_bounds = _by_address(raw.FPDFPageObj_GetBounds, _I, _P, _P, _P, _P, _P)
_fill = _by_address(raw.FPDFPageObj_GetFillColor, _I, _P, _P, _P, _P, _P)
_matrix = _by_address(raw.FPDFPageObj_GetMatrix, _I, _P, _P)
_transparent = _by_address(raw.FPDFPageObj_HasTransparency, _I, _P)
_mode = _by_address(raw.FPDFTextObj_GetTextRenderMode, _I, _P)
_font_size = _by_address(raw.FPDFTextObj_GetFontSize, _I, _P, _P)
_font = _by_address(raw.FPDFTextObj_GetFont, _P, _P)
_font_name = _by_address(raw.FPDFFont_GetBaseFontName, ctypes.c_size_t, _P, _P, ctypes.c_size_t)
_font_flags = _by_address(raw.FPDFFont_GetFlags, _I, _P)
_draw_mode = _by_address(raw.FPDFPath_GetDrawMode, _I, _P, _P, _P)
_segments = _by_address(raw.FPDFPath_CountSegments, _I, _P)
_stroke_width = _by_address(raw.FPDFPageObj_GetStrokeWidth, _I, _P, _P)
_marks = _by_address(raw.FPDFPageObj_CountMarks, _I, _P)
_mark = _by_address(raw.FPDFPageObj_GetMark, _P, _P, _L)
_mark_name = _by_address(raw.FPDFPageObjMark_GetName, _I, _P, _P, _L, _P)
_clip_path = _by_address(raw.FPDFPageObj_GetClipPath, _P, _P)
_clip_paths = _by_address(raw.FPDFClipPath_CountPaths, _I, _P)
_clip_segments = _by_address(raw.FPDFClipPath_CountPathSegments, _I, _P, _I)
_clip_segment = _by_address(raw.FPDFClipPath_GetPathSegment, _P, _P, _I, _I)
_point = _by_address(raw.FPDFPathSegment_GetPoint, _I, _P, _P, _P)
_set_active = _by_address(raw.FPDFPageObj_SetIsActive, _I, _P, _I)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageObjects:
    """What a page draws, in drawing order: row i of every array is one object. Boxes are as `Page.boxes`."""

    address: NDArray[np.int64]  # [n], 0 for annotations
    kind: NDArray[np.int32]  # [n], one of FPDF_PAGEOBJ_* or ANNOTATION, which is drawn last
    box: NDArray[np.float32]  # [n, 4]
    rgba: NDArray[np.int32]  # [n, 4] of the fill, -1 where it is no plain colour
    mode: NDArray[np.int32]  # [n], text rendering mode; 0 for others
    size: NDArray[np.float32]  # [n], font size in points on the page; 0 for others
    paints: NDArray[np.bool_]  # [n], lays colour over much of its box: all but thin outlines and clipping paths
    odd: NDArray[np.bool_]  # [n], text that may be shown or not for reasons its own attributes do not tell


def _corners(box: Sequence[float], m: Sequence[float]) -> tuple[float, float, float, float]:
    """The upright box around `box` (left, bottom, right, top) after the affine map (a, b, c, d, e, f)."""
    a, b, c, d, e, f = m
    xs = [a * x + c * y + e for x in (box[0], box[2]) for y in (box[1], box[3])]
    ys = [b * x + d * y + f for x in (box[0], box[2]) for y in (box[1], box[3])]
    return min(xs), min(ys), max(xs), max(ys)


def _times(m: Sequence[float], n: Sequence[float]) -> tuple[float, ...]:
    """First m, then n."""
    a, b, c, d, e, f = m
    g, h, i, j, k, o = n
    return (a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + o)


class Page:
    """One open page. All boxes are left, top, right, bottom in points from the top left of the page as displayed."""

    def __init__(self, page: Any) -> None:
        self._page, self._textpage = page, page.get_textpage()
        self._at = ctypes.cast(page.raw, _P).value or 0
        self._text_at = ctypes.cast(self._textpage.raw, _P).value or 0
        self._f = (ctypes.c_float * 8)()
        self._i = (ctypes.c_int * 4)()
        self._name, self._length = (ctypes.c_ushort * 8)(), ctypes.c_ulong()
        # asked for once: pages have thousands of objects
        self._f_at, self._i_at = ctypes.addressof(self._f), ctypes.addressof(self._i)
        self._name_at, self._length_at = ctypes.addressof(self._name), ctypes.addressof(self._length)
        self._rotation = raw.FPDFPage_GetRotation(page.raw) % 4
        self._to_display, self.width, self.height = self._geometry()
        self._fonts: dict[int, bool] = {}
        self._sizes: dict[int, float] = {}
        self.text = self._read_text()

    def _geometry(self) -> tuple[tuple[float, ...], float, float]:
        rect = raw.FS_RECTF()
        raw.FPDF_GetPageBoundingBox(self._page.raw, ctypes.byref(rect))
        left, bottom, right, top = rect.left, rect.bottom, rect.right, rect.top
        maps = {
            0: (1.0, 0.0, 0.0, -1.0, -left, top),
            1: (0.0, 1.0, 1.0, 0.0, -bottom, -left),
            2: (-1.0, 0.0, 0.0, 1.0, right, -bottom),
            3: (0.0, -1.0, -1.0, 0.0, top, right),
        }
        size = (right - left, top - bottom) if self._rotation % 2 == 0 else (top - bottom, right - left)
        return maps[self._rotation], *size

    def _read_text(self) -> str:
        """Exactly one character per pdfium index, so that a position in the text finds its box and its object."""
        count = max(0, self._textpage.count_chars())
        buffer = (ctypes.c_ushort * (count + 1))()
        written = raw.FPDFText_GetText(self._textpage.raw, 0, count, buffer) if count else 1
        units = np.frombuffer(buffer, np.uint16, count)
        if written == count + 1 and not ((units & 0xF800) == 0xD800).any():
            return units.tobytes().decode("utf-16-le")
        codes = [_unicode(self._text_at, i) for i in range(count)]
        return "".join(chr(c) if 0 < c < 0xD800 or 0xDFFF < c < 0x110000 else "\ufffd" for c in codes)

    def close(self) -> None:
        """Frees what pdfium holds for the page."""
        self._textpage.close()
        self._page.close()

    def object_at(self, index: int) -> int:
        """Address of the text object that draws the character, 0 for one that pdfium put in between."""
        return int(_text_object(self._text_at, index) or 0)

    def word_boxes(self, spans: Sequence[tuple[int, int]]) -> list[Box]:
        """Boxes from ascent to descent around the characters `start` to `end` (exclusive) of one line each."""
        rects = np.empty((len(spans), 2, 4), np.float32)  # FS_RECTF: left, top, right, bottom; top is above
        at = rects.ctypes.data
        for start, end in spans:
            _loose_box(self._text_at, start, at)
            _loose_box(self._text_at, end - 1, at + 16)
            at += 32
        low = np.minimum(rects[..., 0::3], rects[..., 2:0:-1]).min(axis=1)
        high = np.maximum(rects[..., 0::3], rects[..., 2:0:-1]).max(axis=1)
        a, b, c, d, e, f = self._to_display
        ends = [corner @ np.array([[a, b], [c, d]]) + (e, f) for corner in (low, high)]
        boxes = np.concatenate([np.minimum(*ends), np.maximum(*ends)], axis=1)
        return [(left, top, right, bottom) for left, top, right, bottom in boxes.tolist()]

    def boxes(self, indexes: Sequence[int]) -> NDArray[np.float32]:
        """[n, 4] boxes around the ink of single characters; the whole letter height where a glyph has no ink box."""
        f, d = self._f, (ctypes.c_double * 4)()
        at = ctypes.addressof(d)
        found = np.zeros((len(indexes), 4), np.float32)
        for row, index in enumerate(indexes):
            _char_box(self._text_at, index, at, at + 16, at + 8, at + 24)  # left, right, bottom, top
            box = (d[0], d[1], d[2], d[3])
            if box[0] >= box[2] or box[1] >= box[3]:
                _loose_box(self._text_at, index, ctypes.addressof(f))
                box = (f[0], f[3], f[2], f[1])
            found[row] = _corners(box, self._to_display)
        return found

    def is_turned(self, index: int, box: Box) -> bool:
        """Whether the character does not stand upright on the displayed page; `box` is that of its word."""
        if self._rotation == 0 and box[3] - box[1] <= 1.5 * (box[2] - box[0]):
            return False  # wider than high: upright, and most words need no further look
        turns: float = raw.FPDFText_GetCharAngle(self._textpage.raw, index) / (math.pi / 2)
        return turns >= 0 and (round(turns) + self._rotation) % 4 != 0

    def styles(self, indexes: Sequence[int]) -> list[tuple[float, bool]]:
        """For each character the font size in points, and whether the font is bold."""
        known: dict[int | None, tuple[float, bool]] = {None: (0.0, False)}
        found = []
        for index in indexes:
            address = _text_object(self._text_at, index)
            if address not in known:
                known[address] = (self._size(address), self._bold(address))
            found.append(known[address])
        return found

    def _size(self, address: int) -> float:
        """Font size after the text matrix, before the matrices of forms around it."""
        if address not in self._sizes:
            at, f = self._f_at, self._f
            known = _font_size(address, at) and _matrix(address, at + 4)
            self._sizes[address] = abs(f[0]) * math.sqrt(abs(f[1] * f[4] - f[2] * f[3])) if known else 0.0
        return self._sizes[address]

    def _bold(self, address: int) -> bool:
        font = _font(address)
        if font and font not in self._fonts:
            name = ctypes.create_string_buffer(256)
            _font_name(font, ctypes.addressof(name), len(name))
            lowered = name.value.decode("utf-8", "replace").lower()
            flags = max(0, _font_flags(font))
            self._fonts[font] = any(word in lowered for word in _BOLD) or bool(flags & _FORCE_BOLD)
        return bool(font) and self._fonts[font]

    def has_picture(self) -> bool:
        """Whether the page shows anything at all, read from a small drawing of it."""
        scale = min(1.0, 500 / max(self.width, self.height, 1.0))
        pixels = self.render(scale)
        return int(pixels.max()) - int(pixels.min()) > 32

    def picture_share(self) -> float:
        """Share of the page that its largest picture covers."""
        objects = self.objects()
        boxes = objects.box[~np.isin(objects.kind, (TEXT, PATH, ANNOTATION))]
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        return float(areas.max(initial=0.0)) / max(self.width * self.height, 1.0)

    def objects(self) -> PageObjects:
        """Everything the page draws, form XObjects taken apart, annotations last."""
        rows = list(self._walk(self._at, raw.FPDFPage_CountObjects(self._page.raw), _page_object, None, 0))
        rows += self._annotations()
        n = len(rows)
        columns = list(zip(*rows, strict=True)) if rows else [()] * 8
        return PageObjects(
            address=np.array(columns[0], np.int64),
            kind=np.array(columns[1], np.int32),
            box=np.array(columns[2], np.float32).reshape(n, 4),
            rgba=np.array(columns[3], np.int32).reshape(n, 4),
            mode=np.array(columns[4], np.int32),
            size=np.array(columns[5], np.float32),
            paints=np.array(columns[6], np.bool_),
            odd=np.array(columns[7], np.bool_),
        )

    def _walk(self, holder: int, count: int, get: Any, within: Sequence[float] | None, depth: int) -> Iterator[Any]:
        """Rows (address, kind, box, rgba, mode, size, paints, odd); `within` maps the form's space to the page's."""
        f, i = self._f, self._i
        at, colour = self._f_at, self._i_at
        faint = bool(raw.FPDFPage_HasTransparency(self._page.raw))
        display = self._to_display if within is None else _times(within, self._to_display)
        e, t = display[4], display[5]
        plain = within is None and display[0] == 1.0
        for index in range(max(0, count)):
            address = get(holder, index)
            kind = _kind(address)
            if kind == raw.FPDF_PAGEOBJ_FORM and depth < MAX_DEPTH:
                _matrix(address, at)
                inner = tuple(f[:6]) if within is None else _times(tuple(f[:6]), within)
                yield from self._walk(address, _form_count(address), _form_object, inner, depth + 1)
                continue
            if not _bounds(address, at, at + 4, at + 8, at + 12):
                f[0] = f[1] = f[2] = f[3] = 0.0
            box = (f[0] + e, t - f[3], f[2] + e, t - f[1]) if plain else _corners(f[:4], display)
            rgba = tuple(i) if _fill(address, colour, colour + 4, colour + 8, colour + 12) else (-1, -1, -1, -1)
            if kind == TEXT:
                size = self._size(address) * (1.0 if within is None else math.sqrt(abs(_determinant(within))))
                odd = depth > 0 or (faint and bool(_transparent(address))) or self._optional(address)
                yield address, kind, box, rgba, _mode(address), size, True, odd or self._clipped(address, box)
            else:
                yield address, kind, box, rgba, 0, 0.0, kind != PATH or self._paints(address, box), False

    def _paints(self, address: int, box: Sequence[float]) -> bool:
        """False for a clipping path and for a thin outline, which leaves the inside of its box as it was."""
        at = self._i_at
        _draw_mode(address, at, at + 4)
        if self._i[0]:
            return True
        if not self._i[1]:
            return False
        _stroke_width(address, self._f_at)
        # 2 points wide covers small print; a long path can hatch an area
        return min(box[2] - box[0], box[3] - box[1]) < 2 or self._f[0] >= 2 or _segments(address) > 8

    def _optional(self, address: int) -> bool:
        """Whether the text belongs to a layer that a viewer can switch off (marked content `OC`)."""
        name, length = self._name, self._length
        for index in range(_marks(address)):
            _mark_name(_mark(address, index), self._name_at, 16, self._length_at)
            if length.value == 6 and name[0] == ord("O") and name[1] == ord("C"):
                return True
        return False

    def _clipped(self, address: int, box: Sequence[float]) -> bool:
        """Whether the box of some clipping path leaves out a part of the text's box."""
        clip = _clip_path(address)
        if not clip:
            return False
        f, at = self._f, self._f_at
        for path in range(_clip_paths(clip)):
            points = []
            for segment in range(min(_clip_segments(clip, path), 64)):
                _point(_clip_segment(clip, path, segment), at, at + 4)
                points.append((f[0], f[1]))
            xs, ys = zip(*points, strict=True) if points else ((0.0,), (0.0,))
            left, top, right, bottom = _corners((min(xs), min(ys), max(xs), max(ys)), self._to_display)
            if box[0] < left - 1 or box[1] < top - 1 or box[2] > right + 1 or box[3] > bottom + 1:
                return True
        return False

    def _annotations(self) -> list[Any]:
        """Annotations are drawn over the page; links and pop-ups draw nothing that counts."""
        rows, rect = [], raw.FS_RECTF()
        for index in range(max(0, raw.FPDFPage_GetAnnotCount(self._page.raw))):
            annotation = raw.FPDFPage_GetAnnot(self._page.raw, index)
            if not annotation:
                continue
            quiet = raw.FPDFAnnot_GetSubtype(annotation) in (raw.FPDF_ANNOT_LINK, raw.FPDF_ANNOT_POPUP)
            if not quiet and raw.FPDFAnnot_GetRect(annotation, ctypes.byref(rect)):
                ys = sorted((rect.bottom, rect.top))
                box = _corners((min(rect.left, rect.right), ys[0], max(rect.left, rect.right), ys[1]), self._to_display)
                rows.append((0, ANNOTATION, box, (-1, -1, -1, -1), 0, 0.0, True, False))
            raw.FPDFPage_CloseAnnot(annotation)
        return rows

    @contextmanager
    def without(self, addresses: Sequence[int]) -> Iterator[None]:
        """Inside the block the objects are not drawn."""
        for address in addresses:
            _set_active(address, 0)
        try:
            yield
        finally:
            for address in addresses:
                _set_active(address, 1)

    def render(self, scale: float, box: Sequence[float] | None = None) -> NDArray[np.uint8]:
        """The page on white paper, or the part of it in `box`, as [height, width, 3] at `scale` pixels per point."""
        return self._pixels(scale, box, raw.FPDF_ANNOT)[..., 2::-1]

    def render_grey(self, scale: float) -> NDArray[np.uint8]:
        """The page on white paper as grey levels [height, width] at `scale` pixels per point."""
        return np.ascontiguousarray(self._pixels(scale, None, raw.FPDF_ANNOT | raw.FPDF_GRAYSCALE)[..., 0])

    def _pixels(self, scale: float, box: Sequence[float] | None, flags: int) -> NDArray[np.uint8]:
        """[height, width, 4] in the order blue, green, red, unused."""
        left, top, right, bottom = box or (0.0, 0.0, self.width, self.height)
        x, y = math.floor(left * scale), math.floor(top * scale)
        wide, high = max(1, math.ceil(right * scale) - x), max(1, math.ceil(bottom * scale) - y)
        whole = max(1, round(self.width * scale)), max(1, round(self.height * scale))
        pixels = np.full((high, wide, 4), 255, np.uint8)
        bitmap = raw.FPDFBitmap_CreateEx(wide, high, raw.FPDFBitmap_BGRx, pixels.ctypes.data, 4 * wide)
        if not bitmap:
            raise MemoryError(f"no bitmap of {wide} x {high} pixels")
        raw.FPDF_RenderPageBitmap(bitmap, self._page.raw, -x, -y, *whole, 0, flags)
        raw.FPDFBitmap_Destroy(bitmap)
        return pixels


def _determinant(m: Sequence[float]) -> float:
    return m[0] * m[3] - m[1] * m[2]


class Pdf:
    """An open file. Raises FileRefused when pdfium cannot open it; the empty password is tried."""

    def __init__(self, data: bytes, name: str) -> None:
        try:
            self._document = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            if getattr(error, "err_code", None) == raw.FPDF_ERR_PASSWORD:
                raise FileRefused(
                    name, "encrypted", "The PDF opens only with a password.", "Save a copy without one and try again."
                ) from error
            raise FileRefused(
                name, "unreadable", "This is not a whole PDF file.", "Open it in a viewer and save it again, whole."
            ) from error

    def __len__(self) -> int:
        return len(self._document)

    @property
    def title(self) -> str:
        """As the file's metadata names it, or nothing."""
        return str(self._document.get_metadata_value("Title") or "")

    def attachments(self, most: int) -> Iterator[tuple[str, bytes]]:
        """Name and content of the files attached to the document, `most` of them; damaged ones are passed over."""
        for index in range(min(max(0, self._document.count_attachments()), most)):
            with suppress(pypdfium2.PdfiumError):
                attachment = self._document.get_attachment(index)
                yield attachment.get_name(), bytes(attachment.get_data())

    @contextmanager
    def page(self, index: int) -> Iterator[Page | None]:
        """The page, counted from 0, open inside the block; None when pdfium cannot load it."""
        try:
            page = Page(self._document[index])
        except pypdfium2.PdfiumError:
            yield None
            return
        try:
            yield page
        finally:
            page.close()

    def close(self) -> None:
        """Frees the document."""
        self._document.close()

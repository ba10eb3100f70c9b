"""JSON and XML as text that can be read: one line for each value, named after its key where it has one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lxml import etree

from ingest.elements import Element, HiddenText, ParsedDocument
from ingest.errors import FileRefused
from ingest.limits import ParseLimits

_NEXT_STEP = "Check that it was exported completely."


def parse_json(text: str, name: str, limits: ParseLimits) -> ParsedDocument | None:
    """A paragraph for each record of a list or of JSON lines; None when `text` is neither. Raises too_nested."""
    values = _load(text, name)
    if values is None:
        return None
    records = values[0] if len(values) == 1 and isinstance(values[0], list) else values
    blocks = ("\n".join(_lines(record, "", name, limits.max_nesting)) for record in records)
    elements = tuple(Element(text=block) for block in blocks if block.strip())
    return ParsedDocument(media_type="application/json", elements=elements)


def _load(text: str, name: str) -> list[Any] | None:
    """The one value of a JSON text, or the values of its lines."""
    try:
        try:
            return [json.loads(text)]
        except ValueError:
            return [json.loads(line) for line in text.split("\n") if line.strip()]
    except ValueError:
        return None
    except RecursionError:
        raise _too_nested(name) from None


def _too_nested(name: str) -> FileRefused:
    cause = "Its values are nested too deep."
    return FileRefused(name, "too_nested", cause, "Flatten it, or raise the limit on nesting.")


def _lines(value: Any, path: str, name: str, depth: int) -> Iterator[str]:
    """`path: value` for every value that is no container."""
    if depth < 0:
        raise _too_nested(name)
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _lines(part, f"{path}.{key}" if path else str(key), name, depth - 1)
    elif isinstance(value, list):
        for part in value:
            yield from _lines(part, path, name, depth - 1)
    elif value is not None and str(value).strip():
        said = str(value).lower() if isinstance(value, bool) else str(value)
        yield f"{path}: {said}" if path else said


def parse_xml(data: bytes, name: str, limits: ParseLimits) -> ParsedDocument:
    """A paragraph for each element that holds text; comments are hidden text. Raises unreadable, too_nested.

    Entities are not resolved and nothing is fetched. Fields of a record (children with names of their own) are named.
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True, recover=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise FileRefused(name, "unreadable", f"It is no well-formed XML ({error}).", _NEXT_STEP) from error
    if root is None:
        raise FileRefused(name, "unreadable", "It holds no XML element.", _NEXT_STEP)
    elements: list[Element] = []
    hidden: list[HiddenText] = []
    _walk_xml(root, elements, hidden, name, limits.max_nesting)
    return ParsedDocument(media_type="application/xml", elements=tuple(elements), hidden=tuple(hidden))


def _walk_xml(node: Any, elements: list[Element], hidden: list[HiddenText], name: str, depth: int) -> None:
    if depth < 0:
        raise _too_nested(name)
    hidden += [
        HiddenText(text=comment.text.strip(), reason="hidden_part", place=f"comment in <{node.tag}>")
        for comment in node.iterchildren(etree.Comment)
        if (comment.text or "").strip()
    ]
    children = list(node.iterchildren(etree.Element))
    texts = [node.text, *(child.tail for child in node)]
    if any(text and text.strip() for text in texts):  # text among the children: one flow of words
        said = " ".join("".join(node.itertext(etree.Element, etree.Entity)).split())
        elements.append(Element(text=said))
        return
    leaves = [child for child in children if not len(child)]
    is_record = len(leaves) > 1 and len({leaf.tag for leaf in leaves}) == len(leaves)
    fields: list[str] = []
    for child in children:
        if not len(child):
            said = " ".join((child.text or "").split())
            tag = etree.QName(child).localname
            fields += [f"{tag}: {said}" if is_record else said] if said else []
            continue
        if fields:
            elements.append(Element(text="\n".join(fields)))
            fields = []
        _walk_xml(child, elements, hidden, name, depth - 1)
    if fields:
        elements.append(Element(text="\n".join(fields)))

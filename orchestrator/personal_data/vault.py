"""The vault of one run: placeholders on one side, what they stand for on the other, in memory alone.

A placeholder looks like `[EMAIL_1]`. Within a vault the same value always has the same one, also when it is written
with other spaces or letter case. What merely looks like a placeholder in a source is masked like personal data (as
`[TEXT_1]`, which everyone may see), so that whatever looks like one in a redacted text is the vault's own.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, NoReturn

from orchestrator.personal_data.offsets import OffsetMap, replaced

LOOK_ALIKE: Final = "PLACEHOLDER_LOOK_ALIKE"  # type of what is no personal data but is written like a placeholder
ANY_TYPE: Final = "*"

_LABELS: Final = {
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
    "CREDIT_CARD": "CARD",
    "IBAN_CODE": "IBAN",
    "US_SSN": "SSN",
    "IP_ADDRESS": "IP",
    "DATE_TIME": "DATE",
    "STREET_ADDRESS": "ADDRESS",
    LOOK_ALIKE: "TEXT",
}
_OTHER: Final = "DATA"  # label of a type that the vault was not told of


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePolicy:
    """Which types of personal data readers of a role may see. What is not named is not seen."""

    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)  # role: types, or "*" for every type
    everyone: frozenset[str] = frozenset()  # types that need no role

    def may_see(self, roles: Collection[str]) -> frozenset[str]:
        """The types that a reader with these roles may see."""
        return self.everyone.union(*(self.roles.get(role, frozenset()) for role in roles))


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A text with the values that its reader may see."""

    text: str = field(repr=False)
    offsets: OffsetMap  # from the text with placeholders (source) to this one (result)
    kept_back: tuple[str, ...]  # placeholders that stay, since the reader may not see their type; each once
    unknown: tuple[str, ...]  # what looks like a placeholder and the vault never gave out; left as it was


class Vault:
    """Gives out placeholders and takes them back. Safe to use from several threads; shows its values to nobody else."""

    __slots__ = ("_counts", "_held", "_labels", "_lock", "_look_alike", "_placeholder", "_placeholders")

    def __init__(self, types: Collection[str] = ()) -> None:
        """`types` are those that will be asked for: each gets a label of its own in its placeholders."""
        self._labels = {kind: _label(kind) for kind in {*types, *_LABELS}}
        labels = "|".join(sorted({*self._labels.values(), _OTHER}, key=lambda label: (-len(label), label)))
        self._placeholder = re.compile(
            rf"[\[［【]\s{{0,2}}(?P<label>{labels})(?:\\?_|[\s-]){{1,2}}(?P<number>[0-9]{{1,9}})\s{{0,2}}[\]］】]"
            rf"|(?<!\w)(?P<bare>{labels})\\?_(?P<count>[0-9]{{1,9}})(?!\w)",
            re.IGNORECASE,
        )
        self._look_alike = re.compile(
            rf"[\[［【]\s{{0,2}}(?:{labels})(?:\\?_|[\s-]){{1,2}}[0-9]{{1,9}}\s{{0,2}}[\]］】]|(?:{labels})\\?_[0-9]+",
            re.IGNORECASE,
        )
        self._held: dict[str, tuple[str, str]] = {}  # placeholder: type and value as first written
        self._placeholders: dict[tuple[str, str], str] = {}  # type and normal form of a value: placeholder
        self._counts: Counter[str] = Counter()
        self._lock = Lock()

    def placeholder(self, kind: str, value: str) -> str:
        """The placeholder of a value of this type, a new one where the vault does not hold it yet."""
        key = kind, _normal(kind, value)
        with self._lock:
            if key not in self._placeholders:
                label = self._labels.get(kind, _OTHER)
                self._counts[label] += 1
                self._placeholders[key] = f"[{label}_{self._counts[label]}]"
                self._held[self._placeholders[key]] = kind, value
            return self._placeholders[key]

    def look_alikes(self, text: str) -> Iterator[tuple[int, int]]:
        """Where `text` is written like a placeholder, or could be once its neighbours are replaced."""
        return (found.span() for found in self._look_alike.finditer(text))

    def restore(self, text: str, may_see: Collection[str]) -> Restored:
        """`text` with the values of the placeholders whose type is in `may_see`; "*" there stands for every type.

        Placeholders are recognised in other letter case, with spaces, hyphens or escapes inside, and without their
        brackets. Values are put in once: what one says is never read as a placeholder.
        """
        seen = {LOOK_ALIKE, *may_see}
        pieces: list[tuple[int, int, str]] = []
        kept_back: dict[str, None] = {}
        unknown: dict[str, None] = {}
        for found in self._placeholder.finditer(text):
            name = f"[{(found['label'] or found['bare']).upper()}_{int(found['number'] or found['count'])}]"
            kind, value = self._held.get(name, ("", ""))
            if not kind:
                unknown[found[0]] = None
            elif kind in seen or ANY_TYPE in seen:
                pieces.append((*found.span(), value))
            else:
                kept_back[name] = None
                pieces.append((*found.span(), name))
        restored, offsets = replaced(text, pieces)
        return Restored(text=restored, offsets=offsets, kept_back=tuple(kept_back), unknown=tuple(unknown))

    def __len__(self) -> int:
        return len(self._held)

    def __repr__(self) -> str:
        counts = ", ".join(f"{label} {count}" for label, count in sorted(self._counts.items()))
        return f"<Vault: {counts or 'empty'}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """A vault is neither copied nor stored: its values end with the run."""
        raise TypeError("A Vault cannot be copied or pickled.")


def _label(kind: str) -> str:
    """A type's name in placeholders: its letters, so that a number after it can be told from it."""
    return _LABELS.get(kind) or re.sub(r"[^A-Z]", "", kind.upper()) or _OTHER


_AT: Final = re.compile(r"[(\[{<]?\s?\b(?:at|arroba)\b\s?[)\]}>]?", re.IGNORECASE)  # of a disguised e-mail address
_DOT: Final = re.compile(r"[(\[{<]\s?(?:dot|punto|punkt|\.)\s?[)\]}>]|\s(?:dot|punto|punkt)\s", re.IGNORECASE)
_EXTENSION: Final = re.compile(r"[ ,;]*(?:x|ext|poste|durchwahl|доб)", re.IGNORECASE)


def _normal(kind: str, value: str) -> str:
    """What is the same in all spellings of one value."""
    squeezed = "".join(value.split())
    if kind == LOOK_ALIKE:
        return value
    if kind == "EMAIL_ADDRESS":
        spelled = value if "@" in value else _AT.sub("@", value, count=1)
        return "".join(_DOT.sub(".", spelled).split()).casefold()
    if kind == "PHONE_NUMBER":
        number, *extension = _EXTENSION.split(value.replace("(0)", ""), maxsplit=1)
        digits = ["".join(filter(str.isdigit, part)) for part in (number, *extension)]
        return "x".join([digits[0].removeprefix("00"), *digits[1:]])
    if kind in ("CREDIT_CARD", "IBAN_CODE", "US_SSN"):
        return "".join(filter(str.isalnum, value)).upper()
    if kind == "IP_ADDRESS":
        try:
            return ipaddress.ip_address(squeezed).compressed
        except ValueError:
            return squeezed.casefold()
    return " ".join(value.casefold().split())

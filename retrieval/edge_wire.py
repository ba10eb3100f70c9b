"""What travels between the parent and the child that owns the Edge engine: frames of one JSON value and raw buffers.

Frame: number of parts (u32), length of each part (u64), the parts. The first part is JSON, the others are vectors as
little-endian numbers. Nothing that is read here can run code, on either side.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import BinaryIO

_COUNT = struct.Struct("<I")
Buffer = bytes | memoryview


def frame(value: object, buffers: Sequence[Buffer] = ()) -> list[Buffer]:
    """The pieces to write, in order."""
    parts: list[Buffer] = [json.dumps(value, separators=(",", ":"), allow_nan=False).encode(), *buffers]
    lengths = struct.pack(f"<{len(parts)}Q", *(len(part) for part in parts))
    return [_COUNT.pack(len(parts)) + lengths, *parts]


def read_frame(stream: BinaryIO) -> tuple[object, list[memoryview]] | None:
    """The next frame of a blocking stream, or None at its end."""

    def exactly(size: int) -> bytes:
        data = stream.read(size)
        if len(data) != size:
            raise EOFError
        return data

    try:
        (count,) = _COUNT.unpack(exactly(_COUNT.size))
        lengths = struct.unpack(f"<{count}Q", exactly(8 * count))
        parts = [memoryview(exactly(length)) for length in lengths]
    except EOFError:
        return None
    return json.loads(bytes(parts[0])), parts[1:]


async def receive_frame(exactly: Callable[[int], Awaitable[bytes]]) -> object:
    """The JSON value of the next frame of an asyncio stream; replies carry no buffers."""
    (count,) = _COUNT.unpack(await exactly(_COUNT.size))
    lengths = struct.unpack(f"<{count}Q", await exactly(8 * count))
    parts = [await exactly(length) for length in lengths]
    return json.loads(parts[0])

"""From single sentences to whole orders: a seed grows through neighbours that look suspicious too.

One sentence of an order gives it away; the others read harmlessly alone. Taking those neighbours that few sentences of
clean documents match removes most of an order and little else.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def grow(seeds: NDArray[np.bool_], soil: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Runs [first, last) of sentences, ascending and apart: each seed with the unbroken soil on both sides of it.

    `seeds` and `soil` tell for each sentence whether it is beyond doubt, and whether it is suspicious at all.
    """
    grown = np.concatenate([[False], seeds | soil, [False]])
    edges = np.flatnonzero(grown[1:] != grown[:-1])
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if seeds[a:b].any()]

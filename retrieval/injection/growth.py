"""From single sentences to whole orders: a seed grows through neighbours that look suspicious too.

One sentence of an order gives it away; the others read harmlessly alone. Taking those neighbours that few sentences of
clean documents match removes most of an order and little else.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

GAP: Final = 2  # harmless sentences between suspicious ones that are taken with them


REACH: Final = 8  # sentences to each side of a seed that may be taken with it: more would be another matter


def grow(seeds: NDArray[np.bool_], soil: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Runs [first, last) of sentences, ascending and apart: each seed with the soil within `REACH` of it.

    `seeds` and `soil` tell for each sentence whether it is beyond doubt, and whether it is suspicious at all. A run
    begins and ends with one of them and has no more than `GAP` others in a row.
    """
    if not seeds.any():
        return []
    near = np.convolve(seeds, np.ones(2 * REACH + 1), mode="full")[REACH : REACH + len(seeds)] > 0.5
    grown = np.flatnonzero(seeds | (soil & near))
    runs = np.split(grown, np.flatnonzero(np.diff(grown) > GAP + 1) + 1)
    return [(int(run[0]), int(run[-1]) + 1) for run in runs if seeds[run].any()]

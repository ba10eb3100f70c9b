"""From sentences to orders."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retrieval.injection.growth import GAP, REACH, grow


def marks(text: str) -> tuple[np.ndarray, np.ndarray]:
    """S is a seed, s is soil."""
    return np.array([c == "S" for c in text]), np.array([c in "Ss" for c in text])


def test_a_seed_takes_the_soil_around_it_and_no_other() -> None:
    """Soil that no seed touches stays, a few harmless sentences in between go along, more end the run."""
    assert grow(*marks("..sSs..s...s.")) == [(2, 8)]
    assert grow(*marks("s...S...S...s")) == [(4, 5), (8, 9)]
    assert grow(*marks("sss")) == []
    assert grow(*marks("")) == []


def test_growth_has_an_end() -> None:
    """A document that looks suspicious from end to end loses no more than what is near a seed."""
    assert grow(*marks("s" * 50 + "S" + "s" * 50)) == [(50 - REACH, 51 + REACH)]


@given(st.text("Ss.", max_size=80))
def test_runs_hold_every_seed_and_are_apart(text: str) -> None:
    """Each seed is in one run, each run has one, begins and ends with soil, and has no wide gap inside."""
    runs = grow(*marks(text))
    seeds = [n for n, char in enumerate(text) if char == "S"]
    assert [n for a, b in runs for n in range(a, b) if text[n] == "S"] == seeds
    for a, b in runs:
        assert "S" in text[a:b]
        assert text[a] != "."
        assert text[b - 1] != "."
        assert "." * (GAP + 1) not in text[a:b]
    assert all(end < start for (_, end), (start, _) in pairwise(runs))

"""How big a proof is: short in every run, in full under `just prove` (PETIT_PROVE=full)."""

import os
from typing import Final

import pytest

FULL: Final = os.environ.get("PETIT_PROVE") == "full"
"""Whether this run is the one that takes as long as it takes."""


def scaled(short: int, *, full: int) -> int:
    """Return how much to do in this run."""
    return full if FULL else short


def within(seconds: float) -> pytest.MarkDecorator:
    """Return the mark that bounds a test's time, except in the full run, which shows its progress instead."""
    return pytest.mark.timeout(0 if FULL else seconds)

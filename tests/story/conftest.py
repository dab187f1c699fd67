# SPDX-License-Identifier: Apache-2.0
"""Fleets for the stories."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "helpers"))
from fleet import Fleet  # noqa: E402


@pytest.fixture
def fleet(tmp_path):
    """Makes fleets, and stops them after the test."""
    made = []

    def make(**options):
        folder = tmp_path / f"fleet-{len(made)}"
        folder.mkdir()
        made.append(Fleet(folder, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()

# SPDX-License-Identifier: Apache-2.0
"""The pages of docs/reference are made from the tables of spec/ and must be fresh (`make reference` writes them)."""

import os
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
MUSTER = os.environ.get("MUSTER") or os.path.join(ROOT, "build", "muster")
PAGES = ["commands", "errors", "job", "settings", "states"]


@pytest.mark.parametrize("page", PAGES)
def test_page_is_fresh(page):
    made = subprocess.run([MUSTER, "dump-reference", page], capture_output=True, check=True).stdout
    with open(os.path.join(ROOT, "docs", "reference", f"{page}.md"), "rb") as file:
        assert file.read() == made, "run `make reference`"


def test_no_page_is_left_over():
    assert sorted(os.listdir(os.path.join(ROOT, "docs", "reference"))) == [f"{page}.md" for page in PAGES]

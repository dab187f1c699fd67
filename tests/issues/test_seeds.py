# SPDX-License-Identifier: Apache-2.0
"""Seeds that have failed once are played again; the table and what it can and cannot hold: seeds.txt."""

import os
import pathlib
import re
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MUSTER = os.environ.get("MUSTER", str(ROOT / "build/muster"))


def read_table():
    rows = []
    for number, line in enumerate((HERE / "seeds.txt").read_text().splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            fields = line.split(None, 4)
            assert len(fields) == 5, f"seeds.txt:{number}: five fields are needed: {line}"
            rows.append(fields)
    return rows


ROWS = read_table()


def words(scenario, seed, options):
    more = [] if options == "-" else [word for option in options.split(",") for word in option.split("=", 1)]
    return ["sim", "--scenario", scenario, "--seed", seed, *more]


def test_the_table_is_well_formed():
    keys = [tuple(row[:3]) for row in ROWS]
    assert len(set(keys)) == len(keys) > 0, "a row is there twice"
    for scenario, seed, options, commit, sentence in ROWS:
        assert seed.isdigit() and re.fullmatch(r"[0-9a-f]{7,40}", commit) and sentence.endswith("."), (scenario, seed, options, commit, sentence)
        if (ROOT / ".git").exists():
            known = subprocess.run(["git", "-C", str(ROOT), "cat-file", "-e", commit + "^{commit}"], capture_output=True, check=False)
            assert known.returncode == 0, f"there is no commit {commit}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(row[:2]))
def test_a_seed_that_failed_does_not_fail_again(row):
    scenario, seed, options, commit, sentence = row
    done = subprocess.run([MUSTER, *words(scenario, seed, options)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{sentence} (mended by {commit})\n{done.stdout[-4000:]}{done.stderr[-1000:]}"

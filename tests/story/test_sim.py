# SPDX-License-Identifier: Apache-2.0
"""The simulator as people use it: every bug that is put in on purpose is found, a failure is told so that it can be seen again, made smaller
and looked at, and many seeds are summed up."""

import re
import subprocess

import pytest

from fleet import MUSTER

SEEDS_MAX = 1000


def sim(*words, status=None, timeout=300):
    done = subprocess.run([MUSTER, "sim", *map(str, words)], capture_output=True, text=True, timeout=timeout)
    assert status is None or done.returncode == status, f"{words}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}"
    return done.stdout


PLANTS = [line.split()[0] for line in sim("--plant", "list", status=0).splitlines()]


def first_failure(plant):
    """Seed, scenario and invariant of the first seed that finds it."""
    out = sim("--plant", plant, "--seeds", f"1-{SEEDS_MAX}", "--stop", "--jobs", 1, status=1)
    found = re.findall(r"^FAILED seed (\d+), scenario (\w+): ([a-z-]+): ", out, re.M)
    assert found, out
    return found[0]


def test_there_are_plants():
    assert len(PLANTS) >= 12 and {"skip-fence-check", "reply-before-commit", "forget-record-at-snapshot"} <= set(PLANTS)


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_bug_is_found(plant):
    seed, scenario, _ = first_failure(plant)
    assert int(seed) <= SEEDS_MAX
    sim("--seed", seed, "--scenario", scenario, status=0)  # it is the planted bug that fails, nothing else


def test_a_failure_says_all_that_is_needed_to_see_it_again():
    seed, _, invariant = first_failure("wrong-exit")
    out = sim("--seed", seed, "--plant", "wrong-exit", status=1)
    head = re.search(r"^FAILED seed (\d+), scenario exec, commit [0-9a-f]+[^,]*, at ([\d.]+) s\n  ([a-z-]+): (.+)\n  (.+)\n", out, re.M)
    assert head and head[1] == seed and head[3] == invariant and head[4].endswith("."), out
    assert f"{head[2]} world BROKEN: {invariant}" in out.split("the last events:")[1]
    again = re.search(r"to see it again:\n  muster (sim .*)", out)[1].split()
    assert subprocess.run([MUSTER, *again], capture_output=True, text=True).stdout.split("FAILED")[1] == out.split("FAILED")[1]
    assert "--shrink" in out and "--html" in out


def test_many_seeds_are_summed_up():
    out = sim("--seeds", "1-12", "--scenario", "all", "--minutes", "2", "--faults", "--json", status=0)
    assert re.search(r"^12 seeds from 1 on, \d+ simulated hours in \d+ s of \d+ processes: \d+ x real time on one core$", out, re.M), out
    assert re.search(r"^  server-crash +\d+", out, re.M) and re.search(r"^  ack-durable +[1-9]\d*$", out, re.M)
    assert '"seeds": 12' in out.splitlines()[-1]


def test_a_failing_seed_stops_no_other():
    out = sim("--plant", "wrong-exit", "--seeds", "1-8", "--minutes", "3", status=1)
    assert out.count("the last events:") == 1 and "8 seeds from 1 on" in out
    listed = re.findall(r"^FAILED seed (\d+), scenario exec: ", out, re.M)
    assert f"failing seeds: {len(listed)}\n" in out and len(listed) >= 2 and listed == sorted(listed, key=int)

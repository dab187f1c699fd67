# SPDX-License-Identifier: Apache-2.0
"""The simulator as people use it: every bug that is put in on purpose is found, a failure is told so that it can be seen again, made smaller
and looked at, and many seeds are summed up."""

import json
import re
import signal
import subprocess
import time

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


def test_a_failure_is_made_smaller(tmp_path):
    seed, _, invariant = first_failure("drop-kill")
    page = tmp_path / "run.html"
    out = sim("--seed", seed, "--plant", "drop-kill", "--shrink", "--html", page, status=1)
    count = re.search(r"^made smaller in (\d+) runs: faults (\d+) -> (\d+), actions of people (\d+) -> (\d+), ", out, re.M)
    runs, faults, fewer_faults, actions, fewer_actions = map(int, count.groups())
    assert runs <= 600 and fewer_faults < faults and fewer_actions < actions, count[0]
    again = re.search(r"the smallest run that still fails:\n  muster (sim .*)", out)[1].split()
    done = subprocess.run([MUSTER, *again], capture_output=True, text=True)
    assert done.returncode == 1 and f"\n  {invariant}: " in done.stdout
    assert done.stdout.split("FAILED")[1] == out.split("FAILED")[1]  # and it is the failure that the report is about
    assert page.stat().st_size > 0


def test_a_failure_can_be_looked_at(tmp_path):
    seed, _, invariant = first_failure("lost-stop")
    page, trace = tmp_path / "run.html", tmp_path / "run.txt"
    out = sim("--seed", seed, "--plant", "lost-stop", "--trace", trace, "--html", page, status=1)
    lines = trace.read_text().splitlines()
    assert all(re.match(r"\d+\.\d{6} (world|people|disk|s\d+|n\d+|clone\d+) \S", line) for line in lines)
    assert "%" not in "".join(lines) and re.search(rf" world BROKEN: {invariant}: [A-Z].+\.$", lines[-1])
    text = page.read_text()
    assert not re.search(r"(src|href|url|@import|fetch|https?:)\s*[=(:/]", text), "a reference to something outside"
    data = page_data(text)
    nodes = int(re.search(r"^nodes (\d+),", out, re.M)[1])
    assert data["lanes"] == ["world", "server 1", "disk"] + [f"node {i}" for i in range(nodes)]
    processes = int(re.search(r"processes (\d+),", out)[1])
    assert len(data["bars"]) == processes and {bar[0] for bar in data["bars"]} <= set(range(3, 3 + nodes))
    assert all(bar[1] <= bar[2] for bar in data["bars"])
    assert data["broken"].startswith(invariant) and data["failed"] > 0


def page_data(text):
    """What the page draws; its keys are written without quotes."""
    body = text.split("const run = ")[1].split(";\nconst byId")[0]
    return json.loads(re.sub(r'([{,]\n?)(\w+):(?=["\d\[])', r'\1"\2":', body))


def test_the_picture_of_a_run_with_faults_marks_them(tmp_path):
    page = tmp_path / "run.html"
    out = sim("--seed", 5, "--nodes", 6, "--minutes", 5, "--scenario", "partition", "--html", page, status=0)
    data = page_data(page.read_text())
    assert len(data["lanes"]) == 9 and data["broken"] == "" and data["healed"] > 0
    assert any(mark[2] == "fault" for mark in data["marks"]) and any("is hit by net-" in span[3] for span in data["spans"])
    assert "nodes 6," in out


def test_an_interrupt_gives_the_figures_so_far():
    with subprocess.Popen([MUSTER, "sim", "--for", "10m", "--jobs", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode in (1, 130), out  # a fresh seed may fail
    assert process.returncode == 1 or out.startswith("interrupted; so far:\n")
    assert re.search(r"^\d+ seeds from \d+ on, ", out, re.M)


def test_a_kind_of_fault_that_never_strikes_is_an_error():
    words = ("--scenario", "calm", "--minutes", "0.5", "--faults")
    out = sim("--seeds", "1-200", *words, status=1)
    assert re.search(r"^  server-crash +0  NEVER$", out, re.M) and "never came up\n" in out
    assert "which is no error with so few seeds" in sim("--seeds", "1-5", *words, status=0)

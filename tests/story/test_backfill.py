# SPDX-License-Identifier: Apache-2.0
"""Backfills with the real binary: each instant of a past range once, through a kill of the whole fleet; evidence is what the commands wrote."""

import datetime as dt
import os
import signal
import time

import pytest

from cli_world import Fleet

DAILY = """
name: daily
command: [sh, -c, 'echo "$MUSTER_NOMINAL_TIME $MUSTER_INTERVAL_START $MUSTER_BACKFILL" >> "$1"', sh, "EVIDENCE"]
resources: {cpu: 50m}
schedule: {cron: "0 3 * * *"}
"""
RANGE = ("--from", "2026-03-01T00:00:00Z", "--to", "2026-03-11T00:00:00Z")


def lines_of(path):
    return path.read_text().splitlines() if path.exists() else []


def day(number):
    return (dt.datetime(2026, 3, 1, 3) + dt.timedelta(days=number)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def ended(fleet, number):
    fleet.wait_for(lambda: fleet.json("backfills", str(number))["state"] != "active", f"backfill {number}")
    return fleet.json("backfills", str(number))


def begun_again(folder):
    """The server lives a little longer than who started it, and its folder is in use until then."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return Fleet(folder, agents=1)
        except AssertionError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    fleet = Fleet(str(tmp_path_factory.mktemp("backfill")), "--set", "backfill_instants_max=20", "--set", "backfill_rate_max=1000", agents=1)
    yield fleet
    fleet.stop()


def test_a_range_and_what_is_left_of_it(fleet, tmp_path):
    evidence = tmp_path / "evidence"
    fleet.ok("apply", "-f", "-", stdin=DAILY.replace("EVIDENCE", str(evidence)))
    assert fleet.ok("backfill", "daily", *RANGE, "--dry-run") == "10 instants to run\n"
    assert fleet.json("backfills")["backfills"] == []
    made = fleet.json("backfill", "daily", *RANGE, "--max-parallel", "3", "--idempotency-key", "march")
    assert made == {"backfill_id": 1, "instants": 10, "existing": False}
    assert fleet.json("backfill", "daily", *RANGE, "--max-parallel", "3", "--idempotency-key", "march")["existing"] is True
    end = ended(fleet, 1)
    assert end["state"] == "ended" and end["instants"] == {"total": 10, "started": 10, "active": 0, "succeeded": 10, "unsuccessful": 0}
    wanted = sorted(f"{day(i)} {day(i - 1)} 1" for i in range(10))
    assert sorted(lines_of(evidence)) == wanted
    runs = fleet.json("history", "daily", "--max", "50")["runs"]
    assert sorted(r["nominal_at"] for r in runs) == [day(i) for i in range(10)] and {r["backfill_id"] for r in runs} == {1}
    assert [f["outcome"] for f in fleet.json("fires", "daily")["fires"]] == ["backfilled"] * 10
    assert "backfill      1" in fleet.ok("show", str(runs[0]["run_id"]))
    # Once more there is nothing to do; a longer range has what was missing, the newest first.
    again = fleet("backfill", "daily", *RANGE)
    assert again.code == 0 and "nothing to run" in again.err
    evidence.unlink()
    longer = fleet.json("backfill", "daily", "--from", "2026-02-27T00:00:00Z", "--to", "2026-03-13T00:00:00Z", "--reverse")
    assert longer["instants"] == 4
    assert ended(fleet, longer["backfill_id"])["reverse"] is True
    assert [line.split()[0] for line in lines_of(evidence)] == [day(11), day(10), day(-1), day(-2)]
    assert fleet.ok("backfill", "daily", *RANGE, "--again", "--dry-run") == "10 instants to run\n"


def test_refusals(fleet):
    for words, text in [
        (("--from", "2026-03-02T00:00:00Z", "--to", "2026-03-01T00:00:00Z"), "the range is empty"),
        (("--from", "1d", "--to", "2099-01-01T00:00:00Z"), "`to` lies ahead"),
        (("--from", "2026-01-01T00:00:00Z", "--to", "2026-02-01T00:00:00Z"), "is 31, more than backfill_instants_max allows (20)"),
        (("--from", "x", "--to", "1d"), "--from: 'x' is neither a time"),
        (("--to", "1d"), "which range?"),
        ((*RANGE, "--max-parallel", "1000"), "more than backfill_parallel_max allows"),
        ((*RANGE, "--param", "x=1"), "there is no parameter 'x'"),
    ]:
        done = fleet("backfill", "daily", *words)
        assert done.code != 0 and text in done.err, done
    assert "there is no backfill 77" in fleet("cancel", "--backfill", "77").err
    assert "there is no backfill 77" in fleet("backfills", "77").err


def test_cancel(fleet, tmp_path):
    fleet.ok("apply", "-f", "-", stdin="name: slow\ncommand: [sleep, '60']\nresources: {cpu: 50m}\nschedule: '0 3 * * *'\n")
    number = fleet.json("backfill", "slow", *RANGE, "--max-parallel", "2")["backfill_id"]
    fleet.wait_for(lambda: fleet.json("backfills", str(number))["instants"]["active"] == 2, "two runs")
    assert f"{number}  slow" in fleet.ok("backfills")
    told = fleet("cancel", "--backfill", str(number))
    assert told.code == 0 and "runs of it that are being stopped: 2" in told.err
    fleet.wait_for(lambda: fleet.json("backfills", str(number))["instants"]["active"] == 0, "its runs to end")
    end = fleet.json("backfills", str(number))
    assert end["state"] == "cancelled" and end["instants"]["started"] == 2
    assert fleet("cancel", "--backfill", str(number)).code != 0


def test_a_kill_in_the_middle(tmp_path):
    folder = tmp_path / "killed"
    folder.mkdir()
    evidence = tmp_path / "evidence"
    fleet = Fleet(str(folder), agents=1)
    text = DAILY.replace("EVIDENCE", str(evidence)).replace(">> \"$1\"", ">> \"$1\"; sleep 0.2")
    fleet.ok("apply", "-f", "-", stdin=text)
    assert fleet.json("backfill", "daily", *RANGE, "--max-parallel", "2")["instants"] == 10
    fleet.wait_for(lambda: len(lines_of(evidence)) >= 3, "the first runs")
    os.killpg(fleet.up.pid, signal.SIGKILL)
    fleet.up.wait(30)
    fleet = begun_again(str(folder))
    try:
        end = ended(fleet, 1)
        assert end["state"] == "ended" and end["instants"]["started"] == 10
        runs = fleet.json("history", "daily", "--max", "50")["runs"]
        assert sorted(r["nominal_at"] for r in runs) == [day(i) for i in range(10)]
        # A run that the kill ended half-way may have written twice; every instant has written.
        assert sorted({line.split()[0] for line in lines_of(evidence)}) == [day(i) for i in range(10)]
    finally:
        fleet.stop()

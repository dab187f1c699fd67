# SPDX-License-Identifier: Apache-2.0
"""A server whose wall clock jumps, with the real binary: the jump is told once, the misfire rule deals with what it passed over, and nothing fires
early or twice. The clock is that of the checker (tests/checker/clock.c)."""

import datetime as dt
import os
import re
import struct
import time

import pytest

from api_world import ROOT, Server, until

CLOCK = os.environ.get("CHECKER_CLOCK_SO", os.path.join(ROOT, "build", "tests", "checker", "clock.so"))
HOUR = 3600


class Clock:
    def __init__(self, path):
        self.path, self.by = path, 0
        self.set(0)

    def set(self, seconds):
        self.by = seconds
        with open(self.path, "r+b" if os.path.exists(self.path) else "w+b") as file:
            file.write(struct.pack("=qq", int(seconds * 1e6), 0))

    def now(self):
        return time.time() + self.by


def instant(text):
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@pytest.fixture
def server(tmp_path, monkeypatch):
    clock = Clock(str(tmp_path / "clock"))
    monkeypatch.setenv("LD_PRELOAD", CLOCK)
    monkeypatch.setenv("CHECKER_CLOCK", clock.path)
    one = Server(tmp_path / "data", ("misfire_after=3s",))
    one.clock = clock
    monkeypatch.delenv("LD_PRELOAD")
    yield one
    assert one.stop() == 0


def fires(server, job):
    rows, before = [], ""
    while True:
        page = server.get(f"/v1/jobs/default/{job}/fires?max=500{before}").json
        rows += page["fires"]
        if not page["next_before"]:
            return sorted(rows, key=lambda row: row["nominal_at"])
        before = f"&before={page['next_before']}"


def told(server):
    with open(server.log.name, encoding="utf-8") as log:
        return [round(int(by) / 1000) for by in re.findall(r"the clock of this machine was set.* by_millis=(-?\d+)", log.read())]


def store(server, name, schedule, misfire):
    spec = f"name: {name}\ncommand: ['true']\nschedule: {schedule}\nmisfire: {misfire}\n"
    assert server.post("/v1/jobs", spec, kind="application/yaml").status == 201


def test_a_clock_that_jumps(server):
    began = server.clock.now()
    for misfire in ("skip", "once", "all"):
        store(server, misfire, "{every: 1s}", misfire)
    store(server, "far", "{at: '%s'}" % dt.datetime.fromtimestamp(began + 2 * HOUR, dt.timezone.utc).isoformat(), "once")
    until(lambda: len(fires(server, "skip")) >= 2)
    assert told(server) == []

    # An hour forward: what it passed over was missed.
    server.clock.set(HOUR)
    until(lambda: instant(fires(server, "all")[-1]["nominal_at"]) > began + HOUR + 12, seconds=40)
    skipped = [row for row in fires(server, "skip") if row["outcome"] == "skipped_misfire"]
    assert len(skipped) == 1 and HOUR - 15 < skipped[0]["missed"] < HOUR + 15, skipped
    stands = [row for row in fires(server, "once") if row["missed"] > 0]
    assert len(stands) == 1 and stands[0]["outcome"] == "started" and HOUR - 15 < stands[0]["missed"] < HOUR + 15, stands
    beyond = [row for row in fires(server, "all") if row["outcome"] == "skipped_catch_up"]
    assert len(beyond) == 1 and HOUR - 120 < beyond[0]["missed"] < HOUR - 80, beyond
    assert told(server) == [HOUR]
    assert fires(server, "far") == []

    # Back again: those instants were decided, so all is quiet until the clock shows new ones.
    before = {job: [row["nominal_at"] for row in fires(server, job)] for job in ("skip", "once", "all")}
    server.clock.set(0)
    until(lambda: len(told(server)) == 2)
    time.sleep(3)
    for job, old in before.items():
        new = [row["nominal_at"] for row in fires(server, job)]
        assert len(new) == len(set(new)) and all(instant(at) > began + HOUR for at in set(new) - set(old))
        assert len(new) - len(old) <= 2  # what was decided before the clock went back
    assert told(server) == [HOUR, -HOUR]

    # And far ahead: one instant, decided once, not before it came.
    server.clock.set(2 * HOUR + 5)
    far = until(lambda: fires(server, "far"))
    assert [row["outcome"] for row in far] == ["started"] and instant(far[0]["at"]) >= began + 2 * HOUR - 0.001
    for job in ("skip", "once", "all", "far"):
        assert all(row["nominal_at"] <= row["at"] for row in fires(server, job))

# SPDX-License-Identifier: Apache-2.0
"""The checker's reading of schedules: by hand where clocks change, and beside the product's own."""

import datetime as dt
import os
import pathlib
import random
import subprocess

import pytest

from schedule import At, Cron, Every, duration, instant, parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
HELPER = pathlib.Path(os.environ.get("MUSTER", str(ROOT / "build" / "muster"))).parent / "tests/helpers/cron_next"


def utc(text):
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.timezone.utc).timestamp())


def between(cron, zone, after, until):
    return [dt.datetime.fromtimestamp(at, dt.timezone.utc).strftime("%H:%M:%S") for at in Cron(cron, zone).between(utc(after), utc(until))]


def test_plain():
    assert between("*/20 * * * * *", "UTC", "2026-05-01T10:00:00", "2026-05-01T10:01:00") == ["10:00:20", "10:00:40", "10:01:00"]
    assert between("30 2 * * mon-fri", "UTC", "2026-05-01T02:29:59", "2026-05-04T02:30:00") == ["02:30:00", "02:30:00"]
    assert between("0 0 13 * fri", "UTC", "2026-05-10T00:00:00", "2026-05-16T00:00:00") == ["00:00:00", "00:00:00"]  # the 13th, and a Friday


def test_a_fixed_time_in_the_gap_comes_at_its_end_and_once():
    gap = ("2026-03-29T00:30:00", "2026-03-29T02:00:00")  # Berlin goes from 02:00 to 03:00 at 01:00Z
    assert between("30 2 * * *", "Europe/Berlin", *gap) == ["01:00:00"]
    assert between("15,30,45 2 * * *", "Europe/Berlin", *gap) == ["01:00:00"]
    assert between("*/30 * * * *", "Europe/Berlin", *gap) == ["01:00:00", "01:30:00", "02:00:00"]
    assert between("*/30 2 * * *", "Europe/Berlin", *gap) == []


def test_a_fixed_time_that_exists_twice_comes_once():
    twice = ("2026-10-24T23:59:59", "2026-10-25T02:00:00")  # Berlin shows 02:00 to 03:00 twice, from 00:00Z and from 01:00Z
    assert between("30 2 * * *", "Europe/Berlin", *twice) == ["00:30:00"]
    assert between("*/30 2 * * *", "Europe/Berlin", *twice) == ["00:00:00", "00:30:00", "01:00:00", "01:30:00"]


def test_intervals_and_instants():
    assert Every(2.0).between(10.5, 14.5, base=10.5) == [12.5, 14.5]
    assert Every(2.0).between(0, 14.5, base=10.5) == [10.5, 12.5, 14.5]
    assert At(5).between(4, 5) == [5] and At(5).between(5, 6) == []
    assert duration("1m30s") == 90 and duration("500ms") == 0.5 and duration(3) == 3
    assert instant("1970-01-01T00:01:00.500Z") == 60.5
    assert isinstance(parse("@every 2s"), Every) and isinstance(parse({"at": "2026-01-01T00:00:00Z"}), At)
    assert isinstance(parse({"cron": "* * * * *", "zone": "Asia/Kathmandu"}), Cron)
    with pytest.raises(ValueError):
        duration("2 s")


@pytest.mark.skipif(not HELPER.exists(), reason="the product's helper is not built")
def test_beside_the_product():
    dice = random.Random(3)
    zones = {"Europe/Berlin": [utc("2026-03-29T01:00:00"), utc("2026-10-25T01:00:00")],
             "America/New_York": [utc("2026-03-08T07:00:00"), utc("2026-11-01T06:00:00")],
             "Australia/Lord_Howe": [utc("2026-04-04T15:00:00"), utc("2026-10-03T15:30:00")], "UTC": [utc("2026-12-31T23:59:58")]}
    work = []
    for _ in range(400):
        zone = dice.choice(list(zones))
        after = dice.choice(zones[zone]) + dice.randrange(-7200, 7200)
        second = dice.choice(["0", "*/7", "5,10,15", "0", "30"])
        minute = dice.choice(["*", "*/5", "30", "0,15,59", "10-20/3"])
        hour = dice.choice(["*", "*/2", "2", "1,2,3", "0-4"])
        work.append((zone, after, f"{second} {minute} {hour} * * *"))
    text = "".join(f"{zone}\t{after}\t{cron}\n" for zone, after, cron in work)
    answer = subprocess.run([HELPER], input=text, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    for (zone, after, cron), line in zip(work, answer):
        mine = Cron(cron, zone).between(after, after + 7200)
        assert (int(line) == mine[0] if mine else int(line) > after + 7200), (zone, after, cron, line, mine[:3])

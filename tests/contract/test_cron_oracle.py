# SPDX-License-Identifier: Apache-2.0
"""Cron against an independent oracle.

The oracle knows the rules of src/model/cron.h and nothing of their implementation: it walks the days (fixed expressions) or the
minutes (wild ones) one by one and asks Python's zoneinfo what the clocks showed. Random expressions, zones and instants, many of
them around changes of the clocks, are put to both.
"""

import datetime as dt
import os
import pathlib
import random
import subprocess
import sys
import zoneinfo

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cron_oracle  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
HELPER = pathlib.Path(os.environ.get("MUSTER_BUILD_DIR", ROOT / "build")) / "tests/helpers/cron_next"
UTC = dt.timezone.utc
EPOCH = dt.datetime(1970, 1, 1)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata", "Africa/Casablanca",
         "America/Sao_Paulo", "Europe/Dublin", "Asia/Gaza", "Antarctica/Troll", "America/Nuuk", "Asia/Tehran", "Pacific/Chatham",
         "America/St_Johns", "Africa/Cairo", "Asia/Kathmandu", "Pacific/Kwajalein", "America/Havana"]
BOUNDS = {"second": (0, 59), "minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 7)}
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
WEEKDAYS = "sun mon tue wed thu fri sat".split()
SCAN_DAYS_WILD = 12
SCAN_DAYS_FIXED = 366 * 9


class Expression:
    def __init__(self, text):
        texts = text.split()
        if len(texts) == 5:
            texts.insert(0, "0")
            self.has_seconds = False
        else:
            self.has_seconds = True
        self.sets, stars, self.stepping = {}, {}, {}
        for name, field in zip(BOUNDS, texts):
            self.sets[name], stars[name], self.stepping[name] = self.field(name, field)
        self.any_day, self.any_weekday = stars["day"], stars["weekday"]
        self.wild = self.stepping["hour"] or self.stepping["minute"] or self.stepping["second"]

    @staticmethod
    def field(name, text):
        least, most = BOUNDS[name]
        values, star, stepping = set(), False, False
        for part in text.split(","):
            span, _, step = part.partition("/")
            if span in "*?":
                first, last = least, 6 if name == "weekday" else most
                stepping = True
                star = star or step in ("", "1")
            else:
                ends = [Expression.value(name, end) for end in span.split("-")]
                first, last = ends[0], ends[-1]
                if len(ends) == 1 and step:
                    last = 6 if name == "weekday" else most
                    stepping = True
                if name == "weekday" and last == 0 and first > 0:
                    last = 7
            values.update(range(first, last + 1, int(step or 1)))
        return ({v % 7 for v in values} if name == "weekday" else values), star, stepping

    @staticmethod
    def value(name, text):
        if text in MONTHS and name == "month":
            return MONTHS.index(text) + 1
        return WEEKDAYS.index(text) if text in WEEKDAYS else int(text)

    def day_matches(self, day):
        if day.month not in self.sets["month"]:
            return False
        by_date = day.day in self.sets["day"]
        by_weekday = day.isoweekday() % 7 in self.sets["weekday"]
        if self.any_day and self.any_weekday:
            return True
        if self.any_day:
            return by_weekday
        return by_date if self.any_weekday else by_date or by_weekday

    def time_matches(self, local):
        return (local.hour in self.sets["hour"] and local.minute in self.sets["minute"] and local.second in self.sets["second"]
                and self.day_matches(local))


def reading(zone, sec):
    return (dt.datetime.fromtimestamp(sec, UTC).astimezone(zone)).replace(tzinfo=None, fold=0)


def first_instant(zone, local):
    """The first instant that shows this reading, or the first instant after the gap that it fell into."""
    naive = int((local - EPOCH).total_seconds())
    before = int(local.replace(tzinfo=zone, fold=0).utcoffset().total_seconds())
    after = int(local.replace(tzinfo=zone, fold=1).utcoffset().total_seconds())
    if reading(zone, naive - before) == local:
        return naive - before
    if reading(zone, naive - after) == local:
        return naive - after
    low, high = naive - max(before, after), naive - min(before, after)
    assert low < high and reading(zone, low) < local < reading(zone, high)
    while high - low > 1:
        middle = (low + high) // 2
        if reading(zone, middle) < local:
            low = middle
        else:
            high = middle
    return high


def oracle_fixed(expression, zone, after):
    times = [(h, m, s) for h in sorted(expression.sets["hour"]) for m in sorted(expression.sets["minute"])
             for s in sorted(expression.sets["second"])]
    day = reading(zone, after).date() - dt.timedelta(days=2)
    for _ in range(SCAN_DAYS_FIXED):
        if expression.day_matches(day):
            # Within a day instants never go back, so the first one after `after` is the answer.
            for h, m, s in times:
                local = dt.datetime(day.year, day.month, day.day, h, m, s)
                if (local - EPOCH).total_seconds() < after - 2 * 86400:
                    continue
                sec = first_instant(zone, local)
                if sec > after:
                    return sec
        day += dt.timedelta(days=1)
    return None


def oracle_wild(expression, zone, after):
    step = 1 if expression.has_seconds else 60
    sec = after // step * step + step
    end = after + SCAN_DAYS_WILD * 86400
    while sec < end:
        local = reading(zone, sec)
        if expression.time_matches(local):
            return sec
        # With seconds, minutes without a match are left out; clocks change on whole minutes in the years looked at.
        if local.minute not in expression.sets["minute"] or local.hour not in expression.sets["hour"]:
            sec = sec // 60 * 60 + 60
        else:
            sec += step
    return None


def random_field(rng, name, star_weight):
    least, most = BOUNDS[name]
    if rng.random() < star_weight:
        return "?" if name in ("day", "weekday") and rng.random() < 0.2 else "*"
    parts = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        first = rng.randint(least, most)
        kind = rng.random()
        if kind < 0.5:
            names = {"month": MONTHS[(first - 1) % 12], "weekday": WEEKDAYS[first % 7]}
            parts.append(names[name] if name in names and rng.random() < 0.4 else str(first))
        elif kind < 0.75:
            part = f"{first}-{rng.randint(first, most)}"
            parts.append(part + (f"/{rng.randint(1, 5)}" if rng.random() < 0.4 else ""))
        elif kind < 0.9:
            parts.append(f"*/{rng.randint(1, (most - least) // 2 + 1)}")
        else:
            parts.append(f"{min(first, 6) if name == 'weekday' else first}/{rng.randint(1, 6)}")
    return ",".join(parts)


def random_expression(rng):
    fields = [random_field(rng, "minute", 0.15), random_field(rng, "hour", 0.25), random_field(rng, "day", 0.75),
              random_field(rng, "month", 0.85), random_field(rng, "weekday", 0.75)]
    if rng.random() < 0.5:  # many expressions in the small hours, where clocks change
        fields[1] = rng.choice(["0", "1", "2", "3", "1-3", "2,3", "*", "*/2", "0-4/2", "23"])
    if rng.random() < 0.15:
        fields.insert(0, rng.choice(["0", "30", "*/20", "0-59/7", "5,55"]))
    return " ".join(fields)


def changes(zone, year):
    """Instants at which the clocks of a zone change in a year."""
    found = []
    sec = int((dt.datetime(year, 1, 1) - EPOCH).total_seconds())
    end = sec + 366 * 86400
    offset = reading(zone, sec) - (EPOCH + dt.timedelta(seconds=sec))
    while sec < end:
        following = sec + 86400
        if reading(zone, following) - (EPOCH + dt.timedelta(seconds=following)) != offset:
            low, high = sec, following
            while high - low > 1:
                middle = (low + high) // 2
                if reading(zone, middle) - (EPOCH + dt.timedelta(seconds=middle)) == offset:
                    low = middle
                else:
                    high = middle
            found.append(high)
            offset = reading(zone, following) - (EPOCH + dt.timedelta(seconds=following))
        sec = following
    return found


def cases(seed, count):
    rng = random.Random(seed)
    instants = {}
    for name in ZONES:
        zone = zoneinfo.ZoneInfo(name)
        years = rng.sample(range(1980, 2100), 6) + [1993, 2011]
        instants[name] = [sec for year in years for sec in changes(zone, year)]
    for _ in range(count):
        name = rng.choice(ZONES)
        if instants[name] and rng.random() < 0.75:
            after = rng.choice(instants[name]) + rng.choice([-1, 0, 1, rng.randint(-90000, 90000), rng.randint(-7200, 7200)])
        else:
            after = rng.randint(330000000, 4000000000)
        yield name, after, random_expression(rng)


@pytest.mark.parametrize("seed", range(3))
def test_next_instant_agrees_with_the_oracle(seed):
    work = list(cases(seed, 600))
    text = "".join(f"{zone}\t{after}\t{expression}\n" for zone, after, expression in work)
    answer = subprocess.run([HELPER], input=text, capture_output=True, text=True, check=True, timeout=120)
    lines = answer.stdout.splitlines()
    assert len(lines) == len(work)
    decided = 0
    for (name, after, text), line in zip(work, lines):
        expression = Expression(text)
        zone = zoneinfo.ZoneInfo(name)
        expected = (oracle_wild if expression.wild else oracle_fixed)(expression, zone, after)
        said = f"'{text}' in {name} after {after} ({reading(zone, after)} there): {line}, oracle {expected}"
        if expected is not None:
            decided += 1
            assert line == str(expected), said
        else:
            # Nothing as far as the oracle looked.
            scanned = SCAN_DAYS_WILD * 86400 if expression.wild else (SCAN_DAYS_FIXED - 4) * 86400
            assert line == "never" or int(line) >= after + scanned, said
    assert decided > len(work) * 0.7


def test_the_whole_language_agrees_with_walking_the_days():
    """L, W, #, lists of all kinds; 20,000 instants, without any network."""
    cases = cron_oracle.Cases(7, "days", ZONES + ["Africa/Monrovia", "America/Argentina/San_Luis", "Asia/Pyongyang", "Asia/Riyadh"], 10)
    done, wrong = cron_oracle.check(cases, cron_oracle.days_engine, 20000)
    assert not wrong, "\n".join(wrong[:10])
    assert done >= 20000


@pytest.mark.parametrize("engine", ["croniter", "cron-parser"])
def test_others_agree(engine):
    folder = HELPER.parents[2] / "oracle"
    problem = cron_oracle.install(engine, folder)
    if problem:
        pytest.skip(problem)
    done, wrong = cron_oracle.check(cron_oracle.Cases(3, engine, ZONES), cron_oracle.make_engine(engine, folder), 5000)
    assert not wrong, "\n".join(wrong[:10])
    assert done >= 5000


def test_previous_is_the_mirror_of_next():
    lines, forth = [], []
    cases = cron_oracle.Cases(11, "days", ZONES, 5)
    for _ in range(60):
        expression, places = cases.draw()
        lines += [f"{zone.name}\t{after}\t{expression}" for zone, after in places]
    answer = subprocess.run([HELPER], input="".join(f"{line}\t12\n" for line in lines), capture_output=True, text=True, check=True)
    for line, found in zip(lines, answer.stdout.splitlines()):
        instants = [int(word) for word in found.split() if word != "never"]
        if len(instants) == 12:
            forth.append((line.split("\t"), instants))
    assert len(forth) > 250
    back = "".join(f"{zone}\t{instants[-1]}\t{expression}\t-11\n" for (zone, _, expression), instants in forth)
    answer = subprocess.run([HELPER], input=back, capture_output=True, text=True, check=True)
    for (place, instants), found in zip(forth, answer.stdout.splitlines(), strict=True):
        assert found == " ".join(str(sec) for sec in reversed(instants[:-1])), f"{place}: {instants}"

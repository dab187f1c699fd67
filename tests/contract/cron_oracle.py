# SPDX-License-Identifier: Apache-2.0
"""Cron against oracles that nobody here wrote: croniter (Python), cron-parser (JavaScript), and zoneinfo for the zones.

The libraries are asked on a calendar without zones, which is where cron expressions live; from their wall times the rule of
src/model/cron.h and zoneinfo make instants, and these must be the program's to the second. A third engine, days_engine, walks the
days by itself and needs nothing but Python.

    cron_oracle.py COUNT [--engine croniter|cron-parser|days] [--seed S] [--zones Z] [--folder F]

checks COUNT instants (one is a triple of expression, zone and instant), half of them around changes of the clocks, in all zones, from
1970 to 2037. The libraries are installed below F (build/oracle) when they are not there.
"""

import argparse
import bisect
import calendar
import datetime as dt
import itertools
import os
import pathlib
import random
import subprocess
import sys
import time
import zoneinfo

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MUSTER_BUILD_DIR", ROOT / "build"))
HELPER = BUILD / "tests/helpers/cron_next"
UTC = dt.timezone.utc
EPOCH = dt.datetime(1970, 1, 1)
DAY = 86400
FIRST_SEC = 0
LAST_SEC = int((dt.datetime(2038, 1, 1) - EPOCH).total_seconds())
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
WEEKDAYS = "sun mon tue wed thu fri sat".split()
BOUNDS = {"second": (0, 59), "minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 6),
          "year": (1970, 2099)}
PER_CASE = 40

HAND_PICKED = [
    "* * * * *", "*/5 * * * *", "0 * * * *", "30 2 * * *", "0,30 1-3 * * *", "15 0 * * *", "*/20 2 * * *", "0 0 29 2 *", "0 0 31 * *",
    "0 0 L * *", "30 1 L-1 * *", "0 9 * * mon-fri", "0 0 1,15 * 3", "59 23 31 12 *", "0 0 * * 0", "0 0 * * 7", "0 12 * * 5#1",
    "0 12 * * 1#5", "0 2 * * 0L", "0 3 * * 0L", "17 */7 * * *", "0 0 */2 * *", "0 0 1 */3 *", "*/7 */5 */3 */2 *", "5/20 3/6 * * *",
    "0 0 2 * * *", "30 59 1 * * *", "*/15 30 2 * * *", "0 0 13 * 5", "0 1 * * sat,sun", "45 23 * * *", "30 0 * * *",
]


class Zone:
    """The segments of constant offset of a zone, as zoneinfo tells them."""

    def __init__(self, name):
        self.name = name
        info = zoneinfo.ZoneInfo(name)

        def offset(sec):
            return int(dt.datetime.fromtimestamp(sec, UTC).astimezone(info).utcoffset().total_seconds())

        # Beginning with 1969, ending with 2043, since the search looks ahead; six hours are shorter than any rule was in force.
        step, sec, end = DAY // 4, FIRST_SEC - 400 * DAY, LAST_SEC + 2000 * DAY
        self.starts, self.offsets = [-(1 << 60)], [offset(sec)]
        while sec < end:
            following = sec + step
            if offset(following) != self.offsets[-1]:
                low, high = sec, following
                while high - low > 1:
                    middle = (low + high) // 2
                    if offset(middle) == self.offsets[-1]:
                        low = middle
                    else:
                        high = middle
                self.starts.append(high)
                self.offsets.append(offset(high))
                following = high
            sec = following

    def segment(self, sec):
        i = bisect.bisect_right(self.starts, sec) - 1
        end = self.starts[i + 1] if i + 1 < len(self.starts) else 1 << 60
        return self.starts[i], end, self.offsets[i]

    def reading_before(self, sec, wild):
        """A reading that is just below all those that an instant from sec on can come from."""
        i = bisect.bisect_right(self.starts, sec) - 1
        local = sec + self.offsets[i]
        if sec == self.starts[i]:
            local = min(local, sec + self.offsets[i - 1])  # those of a gap that ends here
        while wild and i + 1 < len(self.starts) and self.starts[i + 1] < sec + 2 * DAY:
            i += 1
            local = min(local, self.starts[i] + self.offsets[i])
        return local - 1

    def first_instant(self, local):
        """The first instant with this reading, or the first one after the gap that it fell into."""
        i = max(bisect.bisect_right(self.starts, local - 2 * DAY) - 1, 0)
        while True:
            end = self.starts[i + 1] if i + 1 < len(self.starts) else 1 << 60
            if local < end + self.offsets[i]:
                return max(local - self.offsets[i], self.starts[i])
            i += 1


class Field:
    def __init__(self, name, text, quartz):
        least, most = BOUNDS[name]
        self.values, self.star, self.stepping = set(), False, False
        self.before_last, self.near, self.near_before_last, self.nth = set(), set(), set(), set()
        for part in text.lower().split(","):
            span, _, step = part.partition("/")
            if name == "day" and (span.startswith("l") or span.endswith("w")):
                digits = int("".join(c for c in span if c.isdigit()) or 0)
                (self.near if span[0] != "l" else self.near_before_last if span.endswith("w") else self.before_last).add(digits)
            elif name == "weekday" and ("#" in span or (span.endswith("l") and len(span) > 1)):
                day, _, n = span.partition("#")
                self.nth.add((self.value(name, day.removesuffix("l"), quartz) % 7, int(n or 0)))
            elif span in "*?":
                self.stepping = True
                self.star = self.star or step in ("", "1")
                self.values.update(range(least, most + 1, int(step or 1)))
            else:
                ends = [self.value(name, end, quartz) for end in span.split("-")]
                first, last = ends[0], ends[-1]
                if len(ends) == 1 and step:
                    last, self.stepping = most, True
                if name == "weekday" and last == 0 and first > 0:
                    last = 7
                self.values.update(v % 7 if name == "weekday" else v for v in range(first, last + 1, int(step or 1)))

    @staticmethod
    def value(name, text, quartz):
        if name == "month" and text in MONTHS:
            return MONTHS.index(text) + 1
        if name == "weekday":
            return WEEKDAYS.index(text) if text in WEEKDAYS else int(text) - (1 if quartz else 0)
        return int(text)


class Expression:
    def __init__(self, text):
        self.text = text
        texts = text.split()
        quartz = len(texts) == 7
        self.seconds = len(texts) > 5
        texts = texts if self.seconds else ["0"] + texts
        for name, field in itertools.zip_longest(BOUNDS, texts):
            setattr(self, name, Field(name, field or "*", quartz))
        self.wild = self.hour.stepping or self.minute.stepping or self.second.stepping
        self.times = None

    def date_matches(self, day):
        n_days = calendar.monthrange(day.year, day.month)[1]
        field = self.day
        if day.day in field.values or n_days - day.day in field.before_last:
            return True
        wanted = [n for n in field.near] + [n_days - n for n in field.near_before_last]
        return any(1 <= n <= n_days and self.nearest(day.replace(day=n), n_days) == day for n in wanted)

    @staticmethod
    def nearest(day, n_days):
        """Monday to Friday nearest to a day, without leaving its month."""
        inside = [d for d in range(1, n_days + 1) if day.replace(day=d).weekday() < 5]
        # Saturday leans back and Sunday forward, as long as there is such a day.
        lean = -1 if day.weekday() == 5 else 1
        return day.replace(day=min(inside, key=lambda d: (abs(d - day.day), 0 if (d - day.day) * lean >= 0 else 1)))

    def weekday_matches(self, day):
        weekday = day.isoweekday() % 7
        n_days = calendar.monthrange(day.year, day.month)[1]
        return (weekday in self.weekday.values or (weekday, (day.day - 1) // 7 + 1) in self.weekday.nth
                or ((weekday, 0) in self.weekday.nth and day.day + 7 > n_days))

    def day_matches(self, day):
        if day.month not in self.month.values or day.year not in self.year.values:
            return False
        if self.day.star and self.weekday.star:
            return True
        if self.day.star:
            return self.weekday_matches(day)
        if self.weekday.star:
            return self.date_matches(day)
        return self.date_matches(day) or self.weekday_matches(day)


def days_engine(work):
    """Wall times strictly after local_sec, by walking the days. Ends after thirty years."""
    for text, local_sec in work:
        expression = Expression(text)
        seconds = [h * 3600 + m * 60 + s for h in sorted(expression.hour.values) for m in sorted(expression.minute.values)
                   for s in sorted(expression.second.values)]

        def readings(expression=expression, seconds=seconds, local_sec=local_sec):
            day = EPOCH.date() + dt.timedelta(days=local_sec // DAY)
            for _ in range(366 * 30):
                if expression.day_matches(day):
                    base = (day - EPOCH.date()).days * DAY
                    for second in seconds:
                        if base + second > local_sec:
                            yield base + second
                day += dt.timedelta(days=1)

        yield readings()


def croniter_text(text):
    """As croniter writes it: weekdays from 0, the last friday is L5, the seconds are told by an option."""
    fields = text.split()
    quartz = len(fields) == 7
    at = 4 if len(fields) == 5 else 5
    parts = []
    for part in fields[at].lower().replace("?", "*").split(","):
        if quartz:
            span, slash, step = part.partition("/")
            span = "".join(str(int(c) - 1) if c.isdigit() else c for c in span.partition("#")[0]) + "".join(span.partition("#")[1:])
            part = span + slash + step
        if part.endswith("l"):
            day = part[:-1]
            part = "L" + str(WEEKDAYS.index(day) if day in WEEKDAYS else day)
        parts.append(part)
    fields[at] = ",".join(parts)
    return " ".join(fields).replace("?", "*")


def croniter_engine(folder):
    sys.path[:0] = [str(path) for path in (folder / "python").glob("lib/python*/site-packages")]
    from croniter import CroniterBadDateError, croniter

    def engine(work):
        for text, local_sec in work:
            iterator = croniter(croniter_text(text), EPOCH + dt.timedelta(seconds=local_sec), second_at_beginning=True,
                                max_years_between_matches=40)

            def readings(iterator=iterator):
                while True:
                    try:
                        yield int((iterator.get_next(dt.datetime) - EPOCH).total_seconds())
                    except CroniterBadDateError:
                        return

            yield readings()

    return engine


NODE_PROGRAM = """
const { CronExpressionParser } = require('cron-parser');
require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const [text, after, count] = line.split('\\t');
  const found = [];
  try {
    const it = CronExpressionParser.parse(text, { currentDate: new Date(Number(after) * 1000), tz: 'UTC' });
    for (let i = 0; i < Number(count); i++) found.push(it.next().getTime() / 1000);
  } catch (e) { found.push(found.length ? 'end' : 'refused'); }
  console.log(found.join(' '));
});
"""


def cron_parser_engine(folder):
    def engine(work):
        count = PER_CASE + 400  # some readings are had already, or fall on one instant
        text = "".join(f"{text}\t{local_sec}\t{count}\n" for text, local_sec in work)
        answer = subprocess.run(["node", "-e", NODE_PROGRAM], input=text, capture_output=True, text=True, check=True,
                                cwd=folder / "node")
        for line in answer.stdout.splitlines():
            # It takes no list whose items overlap.
            yield None if line == "refused" else (int(word) for word in line.split() if word != "end")

    return engine


def install(engine, folder):
    """Returns why the engine is not to be had, or None."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if engine == "croniter" and not list((folder / "python").glob("lib/python*/site-packages/croniter")):
            subprocess.run([sys.executable, "-m", "venv", folder / "python"], check=True, capture_output=True)
            subprocess.run([folder / "python/bin/pip", "install", "-q", "--retries", "0", "--timeout", "10", "croniter==7.0.0"],
                           check=True, capture_output=True, timeout=90)
        if engine == "cron-parser" and not (folder / "node/node_modules/cron-parser").exists():
            (folder / "node").mkdir(exist_ok=True)
            subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--fetch-retries=0", "--fetch-timeout=10000",
                            "cron-parser@5.10.5"], check=True, capture_output=True, timeout=90, cwd=folder / "node")
    except (OSError, subprocess.SubprocessError) as e:
        return f"{engine} could not be installed: {e}"
    return None


def random_field(rng, name, star, engine):
    least, most = BOUNDS[name]
    if rng.random() < star:
        return "?" if name in ("day", "weekday") and rng.random() < 0.2 else "*"
    kind = rng.random()
    if name == "day" and kind < 0.2:
        last = ["L"] if engine == "croniter" else ["L", "L-1", "L-3", "L-30", "LW", "15W", "1W", "31W", "L-2W"]
        return rng.choice(["L"] if engine != "days" else last)
    if name == "weekday" and kind < 0.3:
        day = rng.randint(0, 6)
        return rng.choice([f"{day}L", f"{day}#{rng.randint(1, 5)}"])
    parts = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        first = rng.randint(least, most)
        kind = rng.random()
        if kind < 0.5:
            names = {"month": MONTHS[(first - 1) % 12], "weekday": WEEKDAYS[first % 7]}
            parts.append(names[name] if name in names and rng.random() < 0.4 else str(first))
        elif kind < 0.75 and first < most:
            part = f"{first}-{rng.randint(first + 1, most)}"
            parts.append(part + (f"/{rng.randint(1, 5)}" if rng.random() < 0.4 else ""))
        elif kind < 0.9:
            parts.append(f"*/{rng.randint(2, (most - least) // 2 + 1)}")
        else:
            parts.append(f"{first}/{rng.randint(1, 6)}" if first < most else str(first))
    return ",".join(parts)


def random_expression(rng, engine):
    if rng.random() < 0.1:
        text = rng.choice([text for text in HAND_PICKED if engine != "cron-parser" or len(text.split()) == 5])
        return text.replace("L-1", "L") if engine != "days" else text
    fields = [random_field(rng, "minute", 0.15, engine), random_field(rng, "hour", 0.25, engine),
              random_field(rng, "day", 0.7, engine), random_field(rng, "month", 0.8, engine),
              random_field(rng, "weekday", 0.7, engine)]
    if rng.random() < 0.5:  # many expressions in the small hours, where clocks change
        fields[1] = rng.choice(["0", "1", "2", "3", "1-3", "2,3", "*", "*/2", "0-4/2", "23"])
    # What they understand otherwise is a row of docs/time.md.
    if engine == "croniter" and any(c in fields[4] for c in "#L"):
        fields[2] = "*"
    if engine == "cron-parser" and "/" in fields[4]:
        fields[4] = "1-5"
    if engine != "cron-parser" and rng.random() < 0.15:
        fields.insert(0, rng.choice(["0", "30", "*/20", "0-59/7", "5,55"]))
    return " ".join(fields)


class Cases:
    """Draws an expression, a wall time, and the zones in which to look at it: most of them change their clocks there."""

    def __init__(self, seed, engine, zones=None, zones_per_case=24):
        self.rng = random.Random(seed)
        self.engine = engine
        self.zones = [Zone(name) for name in sorted(zones or zoneinfo.available_timezones() - {"localtime", "Factory"})]
        self.zones_per_case = min(zones_per_case, len(self.zones))
        # Changes of the clocks by the wall time before them.
        self.edges = sorted((zone.starts[i] + zone.offsets[i - 1], number) for number, zone in enumerate(self.zones)
                            for i in range(1, len(zone.starts)) if FIRST_SEC <= zone.starts[i] < LAST_SEC)

    def draw(self):
        rng = self.rng
        expression = random_expression(rng, self.engine)
        if self.edges and rng.random() < 0.7:
            local = rng.choice(self.edges)[0] + rng.choice([-1, 0, 1, rng.randint(-90000, 7200), rng.randint(-7200, 7200)])
        else:
            local = rng.randint(FIRST_SEC, LAST_SEC)
        jitter = 30 if len(expression.split()) == 6 else 1800
        low, high = (bisect.bisect_left(self.edges, (local + by, 0)) for by in (-7200, 2 * DAY))
        near = {number for _, number in self.edges[low:high]}
        chosen = set(rng.sample(sorted(near), min(len(near), self.zones_per_case * 3 // 4)))
        while len(chosen) < self.zones_per_case:
            chosen.add(rng.randrange(len(self.zones)))
        places = [self.zones[number] for number in sorted(chosen)]
        return expression, [(zone, zone.first_instant(local + rng.randint(-jitter, jitter))) for zone in places]


class Readings:
    """The wall times of an engine, kept as they are looked at."""

    def __init__(self, source):
        self.source = iter(source)
        self.seen = []

    def get(self, i):
        while i >= len(self.seen):
            reading = next(self.source, None)
            if reading is None:
                return None
            self.seen.append(reading)
        return self.seen[i]


def expected_fixed(zone, after, readings, count):
    found = []
    for i in itertools.count():
        reading = readings.get(i)
        if reading is None:
            break
        sec = zone.first_instant(reading)
        if sec > after and (not found or sec > found[-1]):
            found.append(sec)
            if len(found) == count:
                break
    return found


def expected_wild(zone, after, readings, count):
    """One row of wall times is read over and over: each segment takes those that its clock shows."""
    found = []
    _, end, offset = zone.segment(after + 1)
    start = after + 1
    i = 0
    while len(found) < count:
        reading = readings.get(i)
        if reading is None:
            break
        if reading - offset >= end:
            start = end
            _, end, offset = zone.segment(start)
            i = bisect.bisect_left(readings.seen, start + offset)
            continue
        if reading - offset >= start:
            found.append(reading - offset)
        i += 1
    return found


def check(cases, engine, target, batch=20):
    """Checks at least target instants; returns (instants, sentences about wrong ones)."""
    done, wrong = 0, []
    while done < target and len(wrong) < 10:
        work = [cases.draw() for _ in range(batch)]
        text = "".join(f"{zone.name}\t{after}\t{expression}\t{PER_CASE}\n" for expression, places in work for zone, after in places)
        answer = subprocess.run([HELPER], input=text, capture_output=True, text=True, check=True)
        lines = iter(answer.stdout.splitlines())
        wilds = [Expression(expression).wild for expression, _ in work]
        asked = [(expression, min(zone.reading_before(after + 1, wild) for zone, after in places))
                 for (expression, places), wild in zip(work, wilds)]
        for (expression, places), wild, source in zip(work, wilds, engine(asked)):
            readings = Readings(source or ())
            for zone, after in places:
                line = next(lines)
                if source is None:
                    continue
                want = [sec for sec in (expected_wild if wild else expected_fixed)(zone, after, readings, PER_CASE) if sec < LAST_SEC]
                # What zoneinfo was not asked about is not looked at; a refusal is always wrong.
                got = [] if line.startswith("error") else [int(w) for w in line.split() if w != "never" and int(w) < LAST_SEC]
                done += len(want)
                if got != want or line.startswith("error"):
                    i = next((i for i, (a, b) in enumerate(itertools.zip_longest(got, want)) if a != b), 0)
                    said = line if line.startswith("error") else got[i:i + 1]
                    wrong.append(f"'{expression}' in {zone.name} after {after}: instant {i} is {said}, the oracle says {want[i:i + 1]}")
    return done, wrong


def make_engine(name, folder):
    return {"croniter": croniter_engine, "cron-parser": cron_parser_engine, "days": lambda folder: days_engine}[name](folder)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--engine", choices=["croniter", "cron-parser", "days"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--zones", type=int, default=200, help="in how many zones each wall time is looked at")
    parser.add_argument("--folder", type=pathlib.Path, default=BUILD / "oracle")
    args = parser.parse_args()
    failed = False
    for name in [args.engine] if args.engine else ["croniter", "cron-parser"]:
        problem = install(name, args.folder)
        if problem:
            print(problem)
            failed = True
            continue
        began = time.monotonic()
        done, wrong = check(Cases(args.seed, name, None, args.zones), make_engine(name, args.folder), args.count if args.engine else args.count // 2)
        print(f'{{"oracle": "{name}", "instants": {done}, "wrong": {len(wrong)}, "seconds": {time.monotonic() - began:.1f}}}', flush=True)
        for sentence in wrong[:20]:
            print(sentence)
        failed = failed or bool(wrong)
    sys.exit(failed)


if __name__ == "__main__":
    main()

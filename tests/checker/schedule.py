# SPDX-License-Identifier: Apache-2.0
"""When a schedule is due: the checker's own reading of cron text, @every and at. It shares nothing with the product's, and asks Python's
zoneinfo what clocks show.

The rule for changes of the clocks. An expression whose seconds, minutes and hours are all named is fixed: a time that does not exist is due at
the first instant after the gap, one that exists twice is due once, the first time. An expression with a star (or a step of it) among them
is due whenever the clocks show a time that matches."""

import datetime as dt
import itertools
import re
import zoneinfo

UTC = dt.timezone.utc
EPOCH = dt.datetime(1970, 1, 1)
LEAST_MOST = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]
NAMES = {4: {n: i + 1 for i, n in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split())},
         5: {n: i for i, n in enumerate("sun mon tue wed thu fri sat".split())}}
MACROS = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *",
          "@yearly": "0 0 1 1 *"}
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(text):
    """Seconds of "1h30m", "90s", "500ms", or of a number."""
    if isinstance(text, (int, float)):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)
    if "".join(n + u for n, u in parts) != text:
        raise ValueError(f"not a duration: {text}")
    return sum(float(n) * UNITS[u] for n, u in parts)


def instant(text):
    """Seconds since 1970 of an RFC 3339 time."""
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def read_field(position, text):
    """The values a field allows, and whether it is a star, or a star with a step."""
    least, most = LEAST_MOST[position]
    allowed, star, wild = set(), False, False
    for part in text.split(","):
        span, _, step = part.partition("/")
        step = int(step) if step else 1
        if span in ("*", "?"):
            low, high = least, 6 if position == 5 else most
            wild, star = True, star or step == 1
        else:
            low, dash, high = span.partition("-")
            names = NAMES.get(position, {})
            low = names[low] if low in names else int(low)
            high = (names[high] if high in names else int(high)) if dash else (most if "/" in part else low)
        allowed |= set(range(low, high + 1, step))
    if position == 5:
        allowed = {v % 7 for v in allowed}
    return allowed, star, wild


class Cron:
    def __init__(self, text, zone="UTC"):
        fields = MACROS.get(text, text).split()
        self.step = 1
        if len(fields) == 5:
            fields, self.step = ["0", *fields], 60
        if len(fields) != 6:
            raise ValueError(f"not a cron expression: {text}")
        self.zone = zoneinfo.ZoneInfo(zone)
        self.allowed, self.star, wild = zip(*(read_field(i, f) for i, f in enumerate(fields)))
        self.fixed = not any(wild[:3]) if self.step == 1 else not any(wild[1:3])

    def day_allowed(self, date):
        if date.month not in self.allowed[4]:
            return False
        by_date, by_weekday = date.day in self.allowed[3], date.isoweekday() % 7 in self.allowed[5]
        if self.star[3] or self.star[5]:
            return (by_date or self.star[3]) and (by_weekday or self.star[5])
        return by_date or by_weekday

    def shown(self, at):
        return dt.datetime.fromtimestamp(at, self.zone).replace(tzinfo=None, fold=0)

    def instant_of(self, shown):
        """The first instant whose clocks show this, or the first one after the gap that swallowed it."""
        at = int(shown.replace(tzinfo=self.zone, fold=0).timestamp())
        if self.shown(at) == shown:
            return at
        # A gap: with fold=0 zoneinfo counts on from the time before it. The gap's end lies at or before that instant.
        low = at - 86400
        while at - low > 1:
            middle = (low + at) // 2
            if self.shown(middle) > shown:
                at = middle
            else:
                low = middle
        return at

    def between(self, after, until):
        """Instants in (after, until], in order."""
        if self.fixed:
            return self.fixed_between(after, until)
        first = (int(after // self.step) + 1) * self.step
        found = []
        for at in range(first, int(until // 1) + 1, self.step):
            shown = self.shown(at)
            if (shown.second in self.allowed[0] and shown.minute in self.allowed[1] and shown.hour in self.allowed[2]
                    and self.day_allowed(shown)):
                found.append(at)
        return found

    def fixed_between(self, after, until):
        date, last = self.shown(after).date() - dt.timedelta(days=1), self.shown(until).date() + dt.timedelta(days=1)
        found = set()
        while date <= last:
            if self.day_allowed(date):
                for second, minute, hour in itertools.product(*self.allowed[:3]):
                    at = self.instant_of(dt.datetime(date.year, date.month, date.day, hour, minute, second))
                    if after < at <= until:
                        found.add(at)
            date += dt.timedelta(days=1)
        return sorted(found)


class Every:
    """Counted from the moment the job was first applied."""

    def __init__(self, seconds):
        self.seconds = seconds

    def between(self, after, until, base=None):
        k = max(0, int((after - base) // self.seconds))
        found = []
        while base + k * self.seconds <= until:
            if base + k * self.seconds > after:
                found.append(base + k * self.seconds)
            k += 1
        return found


class At:
    def __init__(self, at):
        self.at = at

    def between(self, after, until):
        return [self.at] if after < self.at <= until else []


def parse(entry):
    """One entry of a job's `schedule`, as the job file has it."""
    if isinstance(entry, str):
        return Every(duration(entry[7:])) if entry.startswith("@every ") else Cron(entry)
    if "every" in entry:
        return Every(duration(entry["every"]))
    if "at" in entry:
        return At(instant(entry["at"]))
    text = entry["cron"]
    return Every(duration(text[7:])) if text.startswith("@every ") else Cron(text, entry.get("zone", "UTC"))


def parse_all(schedule):
    if schedule is None:
        return []
    return [parse(entry) for entry in (schedule if isinstance(schedule, list) else [schedule])]

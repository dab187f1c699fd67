# SPDX-License-Identifier: Apache-2.0
"""The verdict on one job with schedules: its targets are expanded anew from what was asked for, and matched with runs twice: by the instant that Muster
gave each run, and without it, by times alone."""

import datetime

from case import flag
from lives import Life, certain, possible
from match import most_at_once, sweep
from schedule import Every, instant, parse_all

SLACK = 0.005
TELLS = 0.0015       # times of the API are cut to milliseconds
RANGES = ("skipped_misfire", "skipped_catch_up", "skipped_changed")  # rows that count their own instant among those they tell of
PROMPT = 3.0         # a healthy server decides an instant within this, and a healthy fleet starts it


class Target:
    """One due instant of one version's trigger."""

    def __init__(self, at, version, trigger, due, certain_now):
        self.at, self.version, self.trigger, self.due, self.certain = at, version, trigger, due, certain_now


class Job:
    def __init__(self, case, label):
        self.case, self.label = case, label
        self.spec = case.first[label]["spec"]
        self.name, self.overlap, self.misfire = self.spec["name"], self.spec["overlap"], self.spec["misfire"]
        self.who = f"job {self.name} ({self.spec['delivery']}, overlap {self.overlap}, misfire {self.misfire})"
        self.life = Life(case.ops_of(label, "apply", "job_hold", "job_release", "job_delete"))
        self.runs = [r for r in case.runs if case.label_of_run[r["run_id"]] == label]
        self.fired = [r for r in self.runs if r["nominal_at"]]
        self.manual = [r for r in self.runs if not r["nominal_at"]]
        self.fires = case.fires.get(self.name)
        self.at_of = {r["run_id"]: instant(r["nominal_at"]) for r in self.fired}
        self.deletes = case.ops_of(label, "job_delete")
        self.base, self.targets = None, []
        self.expand()

    def expand(self):
        case, ops = self.case, {op["id"]: op for op in self.case.ops_of(self.label, "apply")}
        begin, end = case.clock.at(case.begin) - 7300, case.clock.highest(case.final)
        for version in self.life.versions():
            for trigger, schedule in enumerate(parse_all(ops[version]["spec"].get("schedule"))):
                if isinstance(schedule, Every):
                    self.find_base(schedule.seconds)
                    instants = schedule.between(begin, end, self.base) if self.base is not None else []
                else:
                    instants = schedule.between(begin, end)
                for at in instants:
                    self.add_target(at, version, trigger)
        self.targets.sort(key=lambda t: (t.at, t.version, t.trigger))

    def find_base(self, seconds):
        """@every counts from the moment at which the job was first applied. That lies between question and answer; which moment it is, the instant
        that most others agree with tells, and all are held to it."""
        if self.base is not None:
            return
        case, applies = self.case, self.case.ops_of(self.label, "apply")
        first = next((op for op in applies if op["result"] == "ok"), applies[-1])
        low, high = case.clock.at(applies[0]["invoke"]) - SLACK, case.clock.at(case.latest_possible(first)) + SLACK
        told = sorted(self.at_of.values()) + sorted(instant(f["nominal_at"]) for f in self.fires or [])
        fitting = {}
        for at in told:
            base = at - int((at - low) // seconds) * seconds
            if base <= high:
                fitting[base] = sum(abs((other - base + TELLS) % seconds) <= 2 * TELLS for other in told)
        if fitting:
            self.base = max(fitting, key=fitting.get)
        elif high - low < 2:
            self.base = high

    def add_target(self, at, version, trigger):
        case = self.case
        passes = [t for t in case.clock.passes(at, case.final) if t >= case.begin - 1]
        if not any(possible(self.life, version, t, SLACK) for t in passes):
            return
        first = passes[0]
        # An instant that lies in the moment of a change of the clock, or of the first application, may go either way.
        sure = (certain(self.life, version, first, SLACK) and case.clock.highest(first - SLACK) < at and
                (self.base is None or at > self.base + TELLS) and self.must_be_decided(at, first))
        self.targets.append(Target(at, version, trigger, first, sure))

    def must_be_decided(self, at, due):
        """Unless the clock was set back behind it before a healthy server could look: then it is still due."""
        case = self.case
        if case.clock.at(case.final) >= at + SLACK:
            return True
        return case.was_well(due, due + PROMPT) and not any(due < t <= due + PROMPT for t, _ in case.wall["steps"])

    def near(self, at):
        return [t for t in self.targets if abs(t.at - at) <= TELLS]


def judge_job(case, found, label):
    job = Job(case, label)
    check_state(job, found)
    check_nominals(job, found)
    check_manual(job, found)
    check_processes(job, found)
    check_overlap(job, found)
    check_ends(job, found)
    if job.fires is not None and not job.deletes:
        check_fires(job, found)
    check_by_times(job, found)


def check_state(job, found):
    """What was acknowledged last is what the job is."""
    state, told = job.life.changes[-1][1], job.case.jobs.get(job.name)
    exists = {s[0] for s in state}
    if exists == {True} and told is None:
        found.add("lost", f"{job.who} was acknowledged and is gone")
    if exists == {False} and told is not None:
        found.add("extra-run", f"{job.who} was deleted and is still there")
    if told is None or exists != {True}:
        return
    states = {"held" if s[1] else "active" for s in state}
    if told["state"] not in states:
        found.add("lost", f"{job.who} is {told['state']}, acknowledged was {states}")
    words = told["spec"]["command"]
    versions = {s[2] for s in state}
    if int(words[3]) not in versions:
        found.add("lost", f"{job.who} has the version of operation {words[3]}, acknowledged was {versions}")


def check_nominals(job, found):
    """Every run was due, and no instant has more runs than triggers name it."""
    by_instant = {}
    for run in job.fired:
        by_instant.setdefault(run["nominal_at"], []).append(run["run_id"])
    for text, runs in by_instant.items():
        targets = job.near(instant(text))
        if not targets:
            found.add("extra-run", f"{job.who}: runs {runs} for {text}, which was not due")
            continue
        per_version = {}
        for target in targets:
            per_version.setdefault(target.version, set()).add(target.trigger)
        if len(runs) > max(len(triggers) for triggers in per_version.values()):
            found.add("double-start", f"{job.who}: runs {runs} for one instant, {text}")


def check_manual(job, found):
    """Starts by hand: one run for each that was acknowledged, and at most one for each that may have been."""
    starts = job.case.ops_of(job.label, "job_start")
    told = {op["answer"]["run_id"] for op in starts if op["result"] == "ok"}
    runs = {r["run_id"] for r in job.manual}
    if told - runs:
        found.add("lost", f"{job.who}: starts were acknowledged as runs {sorted(told - runs)}, which are not there")
    if len(runs - told) > sum(op["result"] == "info" for op in starts):
        found.add("extra-run", f"{job.who}: runs {sorted(runs - told)} belong to no instant and nobody started them")


def check_processes(job, found):
    clock = job.case.clock
    for run in job.runs:
        for p in job.case.by_run.get(run["run_id"], []):
            if run["nominal_at"] and clock.highest(p.start) < job.at_of[run["run_id"]] - SLACK:
                found.add("early", f"{job.who}: run {p.run} started at {clock.at(p.start):.3f}, before its instant {run['nominal_at']}")
            if run["nominal_at"] and p.version not in {t.version for t in job.near(job.at_of[run["run_id"]])} and job.near(job.at_of[run["run_id"]]):
                found.add("wrong-version", f"{job.who}: run {p.run} for {run['nominal_at']} ran version {p.version}, which was not in force then")


def check_overlap(job, found):
    """Runs of a job that its policy keeps apart are not alive at one time; starts by hand are not subject to it."""
    if job.overlap == "allow":
        return
    alive = []
    for run in job.fired:
        rows = job.case.intervals(run["run_id"], strict=job.spec["delivery"] == "at_most_once")
        if rows:
            alive.append((min(s for s, _ in rows), max(e for _, e in rows), run["run_id"]))
    most, who = most_at_once([(s, e) for s, e, _ in alive])
    if most > 1:
        rows = [alive[i] for i in who]
        by = min(e for _, e, _ in rows) - max(s for s, _, _ in rows)
        found.add("overlap", f"{job.who}: runs {[r for _, _, r in rows]} were alive at the same time for {by:.3f} s")


def check_ends(job, found):
    """How its runs ended, against what was asked."""
    case = job.case
    stops = case.ops_of(job.label, "job_cancel", "job_delete")
    amo = job.spec["delivery"] == "at_most_once"
    last = max(job.at_of.values(), default=None)
    for run in job.runs:
        words = [spec["payload"] for spec in case.specs_of(run)]
        retries = [spec.get("retry", {}).get("limit", 0) for spec in case.specs_of(run)]
        may_fail = any((flag(w, "exit") or 0) > 0 or ((flag(w, "first-exit") or 0) > 0 and not r) for w, r in zip(words, retries))
        who, state = f"{job.who}: run {run['run_id']}", run["state"]
        if state == "failed":
            lost = sum(row["state"] == "lost" for row in case.tasks[run["run_id"]])
            if lost and not amo:
                found.add("lost", f"{who} is told to be lost")
            elif lost and not case.faults:
                found.add("lost", f"{who} is told to be lost, and nothing was done to any node")
            elif not lost and not may_fail:
                found.add("lost", f"{who} is told to have failed, its payload never fails")
        elif state == "cancelled":
            replaced = job.overlap == "replace" and last is not None and (not run["nominal_at"] or job.at_of[run["run_id"]] <= last)
            if not stops and not replaced:
                found.add("lost", f"{who} is told to be cancelled, and nobody did")
        elif state != "succeeded":
            found.add("lost", f"{who} is {state}")


# ---- what became of each due instant

def check_fires(job, found):
    """Every certain target has one row that says what became of it, every row belongs to a target, and what was skipped was skipped by right."""
    rows, runs, keys = [], {}, set()
    for fire in job.fires:
        at, key = instant(fire["nominal_at"]), (fire["nominal_at"], fire["trigger"])
        if key in keys:
            found.add("double-start", f"{job.who}: {fire['nominal_at']} was decided twice")
        keys.add(key)
        rows.append((at, fire))
        if not any(t.trigger == fire["trigger"] for t in job.near(at)):
            found.add("extra-run", f"{job.who}: {fire['nominal_at']} was decided ({fire['outcome']}), and trigger {fire['trigger']} was not due")
        if instant(fire["at"]) < at - TELLS:
            found.add("early", f"{job.who}: {fire['nominal_at']} was decided at {fire['at']}")
        if fire["run_id"] is not None:
            runs[fire["run_id"]] = fire
        check_skip(job, found, at, fire)
    for run in job.fired:
        fire = runs.pop(run["run_id"], None)
        if fire is None or fire["nominal_at"] != run["nominal_at"] or fire["outcome"] not in ("started", "queued"):
            found.add("history-disagrees", f"{job.who}: run {run['run_id']} for {run['nominal_at']} has the fire {fire}")
    if runs:
        found.add("history-disagrees", f"{job.who}: fires tell of runs that are not there: {sorted(runs)}")
    for fire in job.fires:
        if fire["outcome"] in ("started", "queued") and fire["run_id"] is None:
            found.add("history-disagrees", f"{job.who}: {fire['nominal_at']} is told to be {fire['outcome']} and has no run")
    check_accounted(job, found, rows)


def check_skip(job, found, at, fire):
    case, outcome, decided = job.case, fire["outcome"], instant(fire["at"])
    late = decided - at > case.settings["misfire_after"] - TELLS
    who = f"{job.who}: {fire['nominal_at']} {outcome} at {fire['at']} ({fire['missed']} missed)"
    due = min((t.due for t in job.near(at)), default=None)
    jumped = due is not None and jumps_near(case, due)
    healthy = due is not None and not jumped and case.was_well(due, due + case.settings["misfire_after"])
    if outcome in RANGES or fire["missed"]:
        # What was held or changed before its turn: turns are no more than seconds apart, and people did it.
        if outcome == "skipped_changed":
            if not case.ops_of(job.label, "job_hold", "job_delete", "apply"):
                found.add("lost", f"{who}: nobody changed the job")
        elif not late:
            found.add("lost", f"{who}: it was not late")
        elif healthy:
            found.add("lost", f"{who}: the server was well all the time")
        elif job.misfire == "all" and not (outcome == "skipped_catch_up" and len(job.targets) > case.settings["missed_max"]):
            found.add("lost", f"{who}: all were to be made up for")
        elif outcome == "skipped_catch_up" and job.misfire != "all":
            found.add("lost", f"{who}: the job has no window")
        elif outcome == "skipped_misfire" and job.misfire == "once":
            found.add("lost", f"{who}: one was to be made up for")
    if outcome == "started" and late and job.misfire == "skip":
        found.add("extra-run", f"{who}: late instants were to be skipped")
    if outcome == "skipped_overlap":
        limit = {"forbid": 1}.get(job.overlap)
        active = [r for r in job.runs if instant(r["submitted_at"]) <= decided + TELLS and (r["ended_at"] is None or instant(r["ended_at"]) >= decided - TELLS)]
        if limit is None or (len(active) < limit and not case.went_back):
            found.add("lost", f"{who}: {len(active)} runs were active")
    if outcome == "skipped_queue":
        waiting = [r for r in job.fired if instant(r["submitted_at"]) <= decided + TELLS and
                   (not (r.get("started_at") or r["ended_at"]) or instant(r.get("started_at") or r["ended_at"]) >= decided - TELLS)]
        if job.overlap not in ("queue", "queue_all") or (not waiting and not case.went_back):
            found.add("lost", f"{who}: nothing waited")
    if outcome == "skipped_limit":
        found.add("lost", f"{who}: no limit was near")
    if not jumped and due is not None and case.was_well(due, due + PROMPT) and decided > case.clock.highest(due + PROMPT) + SLACK:
        found.add("late", f"{who}: the server was well and took longer than {PROMPT} s")


def jumps_near(case, due):
    """A clock that jumps makes instants late in no time."""
    return any(due - SLACK < t <= due + case.settings["misfire_after"] for t, _ in case.wall["steps"])


def check_accounted(job, found, rows):
    case = job.case
    covered = []  # (after, until, trigger, how many) of rows that stand for several
    own = {}
    for at, fire in rows:
        own.setdefault(fire["trigger"], []).append(at)
        n = fire["missed"] - (fire["outcome"] in RANGES)
        if (fire["missed"] > 0) != (fire["missed_until"] is not None) or n < 0:
            found.add("history-disagrees", f"{job.who}: {fire['nominal_at']} tells of {fire['missed']} missed instants until {fire['missed_until']}")
        elif n > 0:
            covered.append([at, instant(fire["missed_until"]), fire["trigger"], n, fire])
    for target in job.targets:
        if not target.certain:
            continue
        if any(abs(at - target.at) <= TELLS for at in own.get(target.trigger, [])):
            continue
        row = next((c for c in covered if c[2] == target.trigger and c[0] < target.at <= c[1] + TELLS), None)
        if row is None:
            found.add("lost", f"{job.who}: {iso(target.at)} of operation {target.version} was due and nothing became of it")
        else:
            row[3] -= 1
    for at, until, trigger, left, fire in covered:
        # Instants that are not certain may be among them.
        perhaps = len({t.at for t in job.targets if not t.certain and t.trigger == trigger and at < t.at <= until + TELLS})
        if left > perhaps:
            found.add("history-disagrees", f"{job.who}: {fire['nominal_at']} tells of {fire['missed']} missed instants, {left} more than there were")
        if left < 0:
            found.add("history-disagrees", f"{job.who}: {fire['nominal_at']} tells of {fire['missed']} missed instants, {-left} fewer than there were")


def iso(at):
    return datetime.datetime.fromtimestamp(at, datetime.timezone.utc).isoformat(timespec="milliseconds")


# ---- without anything that Muster tells: times alone

def check_by_times(job, found):
    """Every run lies in a window of its own; and where every target must run, every target has a run of its own."""
    case = job.case
    points = []
    for run in job.runs:
        starts = [p.start for p in case.by_run.get(run["run_id"], []) if p.label == job.label]
        if starts:
            points.append((min(starts), run["run_id"]))
    windows = [(t.due - SLACK, case.final) for t in job.targets]
    starts = [(op["invoke"] - SLACK, case.final) for op in case.ops_of(job.label, "job_start")]
    of_point, _ = sweep(merge(windows, job.targets) + starts, [at for at, _ in points])
    extra = [points[i][1] for i, w in enumerate(of_point) if w is None]
    if extra:
        found.add("extra-run", f"{job.who}: by times alone, runs {extra} started earlier than anything was due, or are too many")
    if not all_must_run(job):
        return
    must = [t for t in job.targets if t.certain]
    windows = [(t.due - SLACK, case.final) for t in must]
    fired = [(at, run) for at, run in points if run in job.at_of]
    _, of_window = sweep(windows, [at for at, _ in fired])
    lost = [iso(must[i].at) for i, p in enumerate(of_window) if p is None]
    if lost:
        found.add("lost", f"{job.who}: by times alone, nothing ran for {lost}")


def merge(windows, targets):
    """One window for one instant, though several versions might have brought it; as many as one version has triggers for it."""
    kept, seen = [], {}
    for window, target in zip(windows, targets):
        per_version = seen.setdefault(target.at, {})
        per_version[target.version] = per_version.get(target.version, 0) + 1
        if per_version[target.version] > per_version.get(None, 0):
            per_version[None] = per_version[target.version]
            kept.append(window)
    return kept


def all_must_run(job):
    """Whether nothing but the loss of an at_most_once task excuses a target from running."""
    case = job.case
    late = any(jumps_near(case, t.due) or not case.was_well(t.due, t.due + case.settings["misfire_after"]) for t in job.targets if t.certain)
    stopped = case.ops_of(job.label, "job_cancel", "job_delete")
    return (job.overlap in ("allow", "queue_all") and job.spec["delivery"] == "at_least_once" and not stopped and
            (not late or job.misfire == "all" and len(job.targets) < case.settings["missed_max"]))


# SPDX-License-Identifier: Apache-2.0
"""A right history to plant wrong ones in: a round as a faultless Muster would have left it, made by hand for the tests of the judge."""

import copy
import datetime as dt

from case import Case
from evidence import Attempt

BASE = 1_790_000_000.0   # wall less monotonic clock
BEGIN, FINAL = 1000.0, 1060.0


def text(t, offset=0.0):
    """What the server's clock showed at t, as the API writes it."""
    at = BASE + t + offset
    return dt.datetime.fromtimestamp(at, dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(round(at * 1000)) % 1000:03d}Z"


class History:
    """Builds the data of a Case."""

    def __init__(self):
        self.data = {
            "settings": {"lease": 2.0, "grace": 1.0, "misfire_after": 4.0, "missed_max": 6, "node_cpu": 8},
            "wall": {"base": BASE, "steps": [[BEGIN - 3600, 0.0]]}, "well": [[BEGIN, FINAL]], "faults": [], "ops": [], "runs": [], "tasks": {}, "attempts": {},
            "fires": {}, "jobs": {}, "evidence": [], "begin": BEGIN, "final": FINAL, "notes": []}
        self.fence, self.runs = 0, 0

    def case(self):
        return Case(**copy.deepcopy(self.data))

    def op(self, t, kind, label, result="ok", answer=None, **more):
        op = {"id": len(self.data["ops"]) + 1, "at": t, "kind": kind, "label": label, "invoke": t, "done": t + 0.01, "result": result, "answer": answer, **more}
        if result == "info":
            op["until"] = t + 3
        self.data["ops"].append(op)
        return op

    def run(self, t, label, op, spec, job=None, nominal=None, millis=300, states=None, start=None):
        """A run submitted at t whose tasks begin at once (or at start), one after the other on one node, each by one attempt that succeeds."""
        self.runs += 1
        run, n = self.runs, spec.get("tasks", 1)
        rows, at = [], t + 0.01 if start is None else start
        for task in range(n):
            self.fence += 1
            self.data["evidence"].append(Attempt(label, op["id"], run, task, 1, self.fence, 100 + self.fence, "n0", text(nominal) if nominal else "", at,
                                                 at + millis / 1000, True, 0))
            rows.append({"run_id": run, "index": task, "attempt": 1, "state": "succeeded", "node": "n0", "fence": self.fence, "placed_at": text(at - 0.005),
                         "started_at": text(at), "ended_at": text(at + millis / 1000), "outcome": "succeeded", "exit_code": 0})
            at += millis / 1000 + 0.01
        self.data["tasks"][run] = rows
        self.data["runs"].append({"run_id": run, "job": job, "labels": {"checker": str(label)}, "state": "succeeded", "nominal_at": text(nominal) if nominal else None,
                                  "submitted_at": text(t), "ended_at": text(at), "tasks": {"total": n, "succeeded": n}})
        return run

    def submit(self, t, label, **spec):
        spec = {"payload": ["300"], "delivery": "at_least_once", "resources": {"cpu": "1"}, **spec}
        op = self.op(t, "submit", label, spec=spec, answer={"run_id": self.runs + 1})
        self.run(t, label, op, spec)
        return op

    def job(self, label, every=5, millis=300, **policies):
        """A job applied at BEGIN + 1 with an interval, whose instants are all decided and run in time, until it is held at BEGIN + 40."""
        name = f"j{label}"
        spec = {"name": name, "payload": [str(millis)], "delivery": "at_least_once", "overlap": "forbid", "misfire": "once", "resources": {"cpu": "1"},
                "schedule": [{"every": f"{every}s"}], **policies}
        op = self.op(BEGIN + 1, "apply", label, spec=spec)
        base, fires = BEGIN + 1.005, []
        for k in range(1, int(39 / every) + 1):
            nominal = base + k * every
            run = self.run(nominal, label, op, spec, name, nominal, millis)
            fires.append({"nominal_at": text(nominal), "at": text(nominal), "trigger": 0, "outcome": "started", "run_id": run, "missed": 0, "missed_until": None})
        self.op(BEGIN + 40.5, "job_hold", label)
        self.data["fires"][name] = fires
        self.data["jobs"][name] = {"name": name, "state": "held", "spec": {"command": ["payload", "evidence", str(label), str(op["id"])]}}
        return op

    # ---- what a test spoils

    def processes(self, run):
        return [p for p in self.data["evidence"] if p.run == run]

    def row(self, run, task=0):
        return self.data["tasks"][run][task]

    def runs_of(self, label):
        return [r for r in self.data["runs"] if r["labels"]["checker"] == str(label)]

    def fires(self, label):
        return self.data["fires"][f"j{label}"]

    def forget_run(self, run):
        """As if it had never been."""
        self.data["runs"] = [r for r in self.data["runs"] if r["run_id"] != run]
        del self.data["tasks"][run]
        self.data["evidence"] = [p for p in self.data["evidence"] if p.run != run]

    def move(self, run, seconds):
        """Its processes ran at another time."""
        for p in self.processes(run):
            p.start, p.last = p.start + seconds, p.last + seconds


def right():
    """Submissions of both classes, a chain, a key, a cancelled array, and jobs of every overlap policy."""
    h = History()
    h.submit(BEGIN + 2, 1, tasks=5, parallelism=1)
    h.submit(BEGIN + 3, 2, tasks=3, delivery="at_most_once")
    first = h.submit(BEGIN + 6, 3)
    last = h.submit(BEGIN + 7, 4)
    last["after_run"] = {"run": first["answer"]["run_id"], "on": "succeeded"}
    h.submit(BEGIN + 8, 5, concurrency={"key": "k", "limit": 1})
    h.submit(BEGIN + 9, 6, concurrency={"key": "k", "limit": 1}, delivery="at_most_once")
    h.submit(BEGIN + 10, 7)
    h.op(BEGIN + 12, "run_cancel", 7)
    h.job(10, overlap="forbid")
    h.job(11, overlap="replace", delivery="at_most_once")
    h.job(12, overlap="allow", misfire="all")
    h.job(13, overlap="queue")
    return h

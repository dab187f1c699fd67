# SPDX-License-Identifier: Apache-2.0
"""One round as the judge sees it: what was asked, what the payloads wrote, what Muster says. Plain data, saved with a failed round and loaded again."""

import dataclasses
import json

from evidence import Attempt
from walls import Wall

GONE = ("lost", "lease")  # outcomes of attempts that may go on beside the next one of an at_least_once task


def flag(words, name):
    """The number N of a word name=N of the payload, or None."""
    return next((int(w[len(name) + 1:]) for w in words if w.startswith(name + "=")), None)


class Case:
    """settings: lease, grace, misfire_after, missed_max (seconds, count). wall: {base, steps}. well: [from, until] of a healthy server. faults: as done.
    ops: with id, kind, label, invoke, done, result (ok, fail, info), until (info: when it can no more take effect), answer, and what it asked for.
    runs, tasks (by run), attempts (by run and index, where more than one), fires and jobs (by name): answers of the API. evidence: Attempts.
    begin, final: when the round began, and when everything was read."""

    FIELDS = ("settings", "wall", "well", "faults", "ops", "runs", "tasks", "attempts", "fires", "jobs", "evidence", "begin", "final", "notes")

    def __init__(self, **data):
        for name in self.FIELDS:
            setattr(self, name, data.get(name))
        self.notes = self.notes or []
        self.index()

    def index(self):
        self.clock = Wall(self.wall["base"], self.wall["steps"])
        self.went_back = self.clock.went_back(self.begin)
        self.run_by_id = {r["run_id"]: r for r in self.runs}
        self.op_by_id = {op["id"]: op for op in self.ops}
        self.labels = {}
        for op in self.ops:
            self.labels.setdefault(op["label"], []).append(op)
        self.first = {label: ops[0] for label, ops in self.labels.items()}
        self.label_of_job = {op["spec"]["name"]: label for label, op in self.first.items() if op["kind"] == "apply"}
        self.label_of_run = {}
        for run in self.runs:
            self.label_of_run[run["run_id"]] = self.find_label(run)
        # What the API says of every attempt.
        self.told = {}
        for run, rows in self.tasks.items():
            for row in rows:
                for attempt in self.attempts.get((run, row["index"]), [row]):
                    if attempt["attempt"]:
                        self.told[run, row["index"], attempt["attempt"]] = attempt
        self.by_run = {}
        for process in self.evidence:
            self.by_run.setdefault(process.run, []).append(process)

    def find_label(self, run):
        if run["job"] in self.label_of_job:
            return self.label_of_job[run["job"]]
        label = run["labels"].get("checker")
        return int(label) if label and int(label) in self.labels else None

    def spec_of(self, run):
        """The spec of a run: of its label, or of the version that its payload names; any version tells delivery and policies."""
        label = self.label_of_run[run["run_id"]]
        for process in self.by_run.get(run["run_id"], []):
            op = self.op_by_id.get(process.version)
            if op and op["label"] == label:
                return op["spec"]
        return self.first[label]["spec"]

    def specs_of(self, run):
        """All specs that a run may have."""
        ops = [op for op in self.labels[self.label_of_run[run["run_id"]]] if op["kind"] in ("submit", "apply") and op["result"] != "fail"]
        versions = {p.version for p in self.by_run.get(run["run_id"], [])}
        return [op["spec"] for op in ops if not versions or op["id"] in versions]

    def amo(self, label):
        return self.first[label]["spec"]["delivery"] == "at_most_once"

    def ops_of(self, label, *kinds):
        return [op for op in self.labels[label] if op["kind"] in kinds and op["result"] != "fail"]

    def intervals(self, run, strict):
        """When processes of a run were alive, at least. Not strict: without attempts that are known to have been given up."""
        return [(p.start, p.last) for p in self.by_run.get(run, [])
                if strict or self.told.get((run, p.task, p.attempt), {}).get("outcome") not in GONE]

    def was_well(self, begin, end):
        return any(a <= begin and end <= b for a, b in self.well)

    def latest_possible(self, op):
        return op["done"] if op["result"] == "ok" else op["until"]

    # ---- saving

    def save(self, path):
        data = {name: getattr(self, name) for name in self.FIELDS}
        data["evidence"] = [dataclasses.asdict(p) for p in self.evidence]
        data["tasks"] = [[run, rows] for run, rows in self.tasks.items()]
        data["attempts"] = [[run, index, rows] for (run, index), rows in self.attempts.items()]
        path.write_text(json.dumps(data, indent=1))

    @staticmethod
    def load(path):
        data = json.loads(path.read_text())
        data["evidence"] = [Attempt(**p) for p in data["evidence"]]
        data["tasks"] = {run: rows for run, rows in data["tasks"]}
        data["attempts"] = {(run, index): rows for run, index, rows in data["attempts"]}
        return Case(**data)


class Findings:
    def __init__(self):
        self.rows = []

    def add(self, check, text):
        self.rows.append({"check": check, "text": text})

    def kinds(self):
        return sorted({row["check"] for row in self.rows})

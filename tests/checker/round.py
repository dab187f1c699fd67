# SPDX-License-Identifier: Apache-2.0
"""One round: a fresh fleet is given work and hurt, then everything is mended and left to settle, everything is read, and the judge speaks."""

import datetime as dt
import random
import threading
import time

import evidence
from case import Case, Findings
from client import Client, Refused, Unknown
from faults import Nemesis, draw
from judge import judge
from schedule import instant
from workload import Workload
from world import PAYLOAD, World, now

LEASE, GRACE, MISFIRE_AFTER, MISSED_MAX, NODE_CPU = 2.0, 1.0, 4.0, 6, 4
SETTINGS = {"node_lease": "2s", "node_heartbeat": "200ms", "node_lost_grace": "1s", "misfire_after": "4s", "missed_fires_max": str(MISSED_MAX),
            "snapshot_log_bytes": "32KiB"}
CLIENTS = 4
ANSWERS_WITHIN = 30.0   # after the mending: the server answers and every node is online
STANDSTILL = 25.0       # after the mending: so long nothing may stand still while work is left
SETTLES_WITHIN = 180.0
SHOWS = 4.0             # after the mending schedules go on for so long, to show that they do


class Failed(Exception):
    """The fleet did not do what every fleet must, whatever was done to it before."""


class Round:
    def __init__(self, seed, folder, seconds=12.0, agents=2, only=None):
        self.seed, self.seconds = seed, seconds
        dice = random.Random(f"round {seed}")
        self.workload = Workload(seed, seconds)
        self.faults = draw(seed, seconds, [f"n{i}" for i in range(agents)], LEASE, MISFIRE_AFTER, only)
        self.ops, self.notes = self.workload.ops, []
        self.runs_of, self.dice = {}, dice
        self.world = World(folder, agents, SETTINGS, self.begin_wall(dice), dice.choice([0, 0, 50000, -50000]), str(NODE_CPU))
        self.client = Client(self.world)
        self.nemesis = Nemesis(self.world, self.client)
        self.watching = True
        threading.Thread(target=self.watch, daemon=True).start()

    def begin_wall(self, dice):
        """The offset of the server's clock: a change of clocks, or the end of a minute, lies some seconds ahead."""
        ahead = dice.uniform(6, 11)
        if self.workload.change:
            return round(instant(self.workload.change[1]) - ahead - time.time(), 3)
        return round(dice.randrange(-10**6, 10**6) - (time.time() + ahead) % 60, 3)

    def watch(self):
        """Asks the server again and again, so that it is known when it was well."""
        client = Client(self.world)
        while self.watching:
            try:
                client.call("GET", "/v1/version", timeout=1.0)
                self.world.seen_well()
            except (Refused, Unknown):
                self.world.unwell()
            time.sleep(0.2)

    # ---- operations

    def write_spec(self, op):
        """The spec as the API takes it; what could only be known now is noted in the operation."""
        spec = {k: v for k, v in op["spec"].items() if k not in ("payload", "after", "start_at", "schedule")}
        spec["command"] = [PAYLOAD, str(self.world.evidence), str(op["label"]), str(op["id"]), *op["spec"]["payload"]]
        spec["labels"] = {"checker": str(op["label"])}
        if "start_at" in op["spec"]:
            op["start_at"] = spec["start_at"] = self.in_seconds(op["spec"]["start_at"]["in"])
        if "schedule" in op["spec"]:
            op["spec"]["schedule"] = spec["schedule"] = [
                {"at": self.in_seconds(entry["at"]["in"])} if isinstance(entry, dict) and isinstance(entry.get("at"), dict) else entry
                for entry in op["spec"]["schedule"]]
        if "after" in op["spec"]:
            run = self.runs_of.get(op["spec"]["after"]["label"])
            if run is None:
                return None
            op["after_run"] = {"run": run, "on": op["spec"]["after"]["on"]}
            spec["after"] = [op["after_run"]]
        return spec

    def in_seconds(self, seconds):
        at = self.world.base + now() + self.world.clocks.offset + seconds
        return dt.datetime.fromtimestamp(at, dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(at * 1000) % 1000:03d}Z"

    def request(self, op):
        """Method, path and body of an operation, or None when it cannot be asked for."""
        kind = op["kind"]
        if kind in ("submit", "apply"):
            spec = self.write_spec(op)
            return spec and ("POST", "/v1/jobs" if kind == "apply" else "/v1/runs?held=1" if op.get("held") else "/v1/runs", spec)
        if kind.startswith("run_"):
            run = self.runs_of.get(op["label"])
            return run and ("POST", f"/v1/runs/{run}/{kind[4:]}", {"tasks": op["tasks"]} if op.get("tasks") else {})
        name = f"j{op['label']}"
        return ("DELETE", f"/v1/jobs/default/{name}", None) if kind == "job_delete" else ("POST", f"/v1/jobs/default/{name}/{kind[4:]}", {})

    def do(self, op, tries=1, timeout=2.0):
        op["invoke"] = now()
        request = self.request(op)
        if not request:
            op.update(result="fail", done=now(), answer="what it needs is not there")
            return
        keyed = op["kind"] in ("submit", "job_start")
        tries = max(tries, op.get("tries", 1))
        unknown = False
        for attempt in range(tries):
            try:
                op["answer"] = self.client.call(*request, key=f"{self.seed}-{op['id']}" if keyed else None, timeout=timeout)
                op["result"] = "ok"
                break
            except Unknown as error:
                unknown = True
                op.update(result="info", answer=str(error))
            except Refused as error:
                # After an attempt without an answer a refusal proves nothing about that one.
                op.update(result="info" if unknown else "fail", answer=str(error))
                if error.status:
                    break
            if attempt + 1 < tries:
                time.sleep(0.3)
        op["done"] = now()
        if op["kind"] == "submit" and op["result"] == "ok":
            self.runs_of[op["label"]] = op["answer"]["run_id"]

    def guarded(self, function, *words):
        """A mistake of the harness in a thread fails the round, instead of asking for less."""
        try:
            function(*words)
        except Exception as error:  # noqa: BLE001
            self.note("harness", f"{function.__name__}: {error!r}")

    def work(self, ops, begin):
        for op in ops:
            at = begin + op["at"]
            if op.get("race"):
                at = self.near_an_instant(op, at)
            if at > now():
                time.sleep(at - now())
            if op["kind"] in ("submit", "apply"):
                op["tries"] = 1 if op["id"] % 3 == 0 else 20
            self.do(op)

    def near_an_instant(self, op, at):
        """The next moment at which a schedule of the job may well be due, and a little before or after it."""
        first = next(o for o in self.ops if o["label"] == op["label"])
        intervals = [entry["every"] for entry in first["spec"]["schedule"] if isinstance(entry, dict) and "every" in entry]
        if intervals and "done" in first:
            every, phase = float(intervals[0][:-1]), first["done"]
        else:
            every, phase = 1.0, -(self.world.base + self.world.clocks.offset)
        return at + (phase - at) % every + op["race"]

    def hurt(self, begin):
        edges = sorted([(f["at"], 0, i) for i, f in enumerate(self.faults)] + [(f["at"] + f["for"], 1, i) for i, f in enumerate(self.faults)])
        for at, ends, i in edges:
            wait = begin + at - now()
            if wait > 0:
                time.sleep(wait)
            fault = self.faults[i]
            fault["until" if ends else "begin"] = now()
            (self.nemesis.end if ends else self.nemesis.begin)(fault)

    # ---- after the faults

    def until(self, what, seconds, ask):
        end, last = now() + seconds, None
        while now() < end:
            try:
                value = ask()
                if value:
                    return value
            except (Refused, Unknown) as error:
                last = error
            time.sleep(0.1)
        raise Failed(f"waited {seconds} s in vain: {what}; {last or ''}")

    def all_online(self):
        return sum(node["state"] == "online" for node in self.client.get("/v1/nodes")["nodes"]) == len(self.world.agents)

    def must_do(self, kind, label, **more):
        """An operation that has to succeed: the fleet has been mended."""
        op = {"id": len(self.ops) + 1, "at": 0, "kind": kind, "label": label, **more}
        self.ops.append(op)
        self.do(op, tries=20, timeout=5.0)
        return op

    def settle(self):
        self.nemesis.heal()
        self.until("the server answers", ANSWERS_WITHIN, lambda: self.client.get("/v1/version", 2.0))
        self.until("every node is online", ANSWERS_WITHIN, self.all_online)
        for fault in self.faults:
            if fault["kind"] == "drain" and "undrain_done" not in fault:
                self.until("a node is open again", ANSWERS_WITHIN, lambda f=fault: self.nemesis.ask(f, "undrain") or "undrain_done" in f)
        time.sleep(SHOWS)
        for op in list(self.ops):
            if op.get("held") and op["result"] == "ok":
                self.must_do("run_release", op["label"])
        told = {job["name"]: job for job in self.client.get("/v1/jobs?max=100")["jobs"]}
        for op in [op for op in self.ops if op["kind"] == "apply"]:
            job = told.pop(op["spec"]["name"], None)
            if job is None:
                continue
            if op["spec"]["overlap"] not in ("queue", "queue_all") and self.dice.random() < 0.5:
                self.must_do("job_hold", op["label"])
            else:
                self.must_do("apply", op["label"], spec={k: v for k, v in op["spec"].items() if k != "schedule"})
        self.drain()

    def drain(self):
        """Until everything has ended. Standing still is the failure, not taking long."""
        end, seen, since = now() + SETTLES_WITHIN, None, now()
        while True:
            live = self.client.get("/v1/runs?live=1&max=500")["runs"]
            if not live:
                break
            state = [(r["run_id"], r["state"], r["tasks"]) for r in live]
            if state != seen:
                seen, since = state, now()
            if now() - since > STANDSTILL or now() > end:
                why = [f"run {r['run_id']} ({r['state']}): {self.why(r)}" for r in live[:5]]
                raise Failed(f"{len(live)} runs have not ended, nothing has moved for {now() - since:.0f} s: {'; '.join(why)}")
            time.sleep(0.2)
        self.until("the history has everything", ANSWERS_WITHIN, self.history_done)

    def why(self, run):
        try:
            return self.client.get(f"/v1/runs/{run['run_id']}/why")["sentence"]
        except (Refused, Unknown) as error:
            return str(error)

    def history_done(self):
        status = self.client.get("/v1/status")
        return status["history"]["position"] >= status["store"]["durable"]

    def read(self):
        client = self.client
        runs = client.all_runs()
        tasks = {run["run_id"]: client.all_tasks(run["run_id"]) for run in runs}
        attempts = {(run, row["index"]): client.get(f"/v1/runs/{run}/tasks/{row['index']}")["attempts"]
                    for run, rows in tasks.items() for row in rows if row["attempt"] and row["attempt"] > 1}
        names = sorted({op["spec"]["name"] for op in self.ops if op["kind"] == "apply"})
        jobs, fires = {}, {}
        for name in names:
            try:
                jobs[name] = client.get(f"/v1/jobs/default/{name}")
                fires[name] = client.all_fires(name)
            except Refused as error:
                if error.status != 404:
                    raise
                jobs[name] = None
        return {"runs": runs, "tasks": tasks, "attempts": attempts, "jobs": jobs, "fires": fires}

    def read_twice(self):
        """What is told is told again, in the same words, by a server that was killed and started again."""
        first = self.read()
        self.world.kill_server()
        self.world.start_server()
        self.until("the server answers after its last death", ANSWERS_WITHIN, lambda: self.client.get("/v1/version", 2.0))
        second = self.read()
        for what in first:
            if first[what] != second[what]:
                self.note("api-disagrees", f"{what} differ after a restart: {differing(first[what], second[what])}")
        return second

    def note(self, check, text):
        self.notes.append({"check": check, "text": text})

    def go(self):
        """The judge's findings, and the case."""
        told = {"runs": [], "tasks": {}, "attempts": {}, "jobs": {}, "fires": {}}
        begin = now()
        try:
            self.until("the server answers", ANSWERS_WITHIN, lambda: self.client.get("/v1/version", 2.0))
            self.until("every node is online", ANSWERS_WITHIN, self.all_online)
            begin = now()
            workers = [threading.Thread(target=self.guarded, args=(self.work, [op for op in self.ops if op["label"] % CLIENTS == i], begin), daemon=True)
                       for i in range(CLIENTS)]
            for worker in workers:
                worker.start()
            self.guarded(self.hurt, begin)
            for worker in workers:
                worker.join()
            self.settle()
            told = self.read_twice()
        except (Failed, Refused, Unknown) as error:
            self.note("stuck", f"{type(error).__name__}: {error}")
        except BaseException:
            self.watching = False
            self.world.close()
            raise
        final = now()
        self.watching = False
        for crash in self.world.crashes():
            self.note("crash", crash)
        for stuck in self.world.close():
            self.note("stuck", stuck)
        for op in self.ops:
            if op.get("result") == "info":
                op["until"] = self.too_late(op["done"], final)
        case = Case(
            settings={"lease": LEASE, "grace": GRACE, "misfire_after": MISFIRE_AFTER, "missed_max": MISSED_MAX, "node_cpu": NODE_CPU},
            wall={"base": self.world.base, "steps": self.world.steps}, well=self.world.well, faults=self.faults,
            ops=[op for op in self.ops if "result" in op], evidence=evidence.read(self.world.evidence), begin=begin, final=final, notes=self.notes, **told)
        if not told["runs"] and self.notes:
            found = Findings()  # nothing was read that could be judged
            found.rows = list(self.notes)
            return found, case
        return judge(case), case

    def too_late(self, done, final):
        """When a request without an answer can no more take effect: its server was killed, or has been well since for longer than it may wait in a queue."""
        ends = [t for t in self.world.kills if t >= done]
        ends += [max(a, done) + 3.0 for a, b in self.world.well if max(a, done) + 3.0 <= b]
        return min(ends, default=final)


def differing(a, b):
    """The first few things that are not the same in both."""
    if isinstance(a, dict):
        return str([(k, differing(a.get(k), b.get(k))) for k in {**a, **b} if a.get(k) != b.get(k)][:3])
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return str([differing(x, y) for x, y in zip(a, b) if x != y][:3])
    return f"{a!s:.300} / {b!s:.300}"

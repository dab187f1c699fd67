# SPDX-License-Identifier: Apache-2.0
"""What a round asks of Muster: drawn from a seed as a list of operations with their times. Every piece of work has a label, a number of the harness
that its payload writes down; every operation has an id, which the payload of a job's version carries."""

import random

# Zones and moments (UTC) at which their clocks change; a round may begin shortly before one.
CHANGES = [("Europe/Berlin", "2026-03-29T01:00:00Z"), ("Europe/Berlin", "2026-10-25T01:00:00Z"), ("America/New_York", "2026-03-08T07:00:00Z"),
           ("America/New_York", "2026-11-01T06:00:00Z"), ("Australia/Lord_Howe", "2026-10-03T15:30:00Z")]
ZONES = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York"]
OVERLAPS = ["allow", "forbid", "replace", "queue", "queue_all"]
MISFIRES = ["skip", "once", "all"]
DELIVERIES = ["at_least_once", "at_most_once"]


class Workload:
    def __init__(self, seed, seconds):
        self.dice = random.Random(f"workload {seed}")
        self.seconds = seconds
        self.ops, self.labels = [], 0
        dice = self.dice
        self.change = dice.choice(CHANGES) if dice.random() < 0.25 else None
        features = {"arrays": 0.6, "keys": 0.4, "after": 0.4, "held": 0.4, "jobs": 0.8, "updates": 0.6, "failing": 0.5, "stops": 0.6}
        self.features = {name for name, chance in features.items() if dice.random() < chance}
        if not self.features & {"arrays", "jobs"}:
            self.features.add(dice.choice(["arrays", "jobs"]))
        if "arrays" in self.features:
            for _ in range(dice.randrange(1, 4)):
                self.array()
        if "keys" in self.features:
            self.keyed()
        if "after" in self.features:
            self.chain()
        if "held" in self.features:
            self.held()
        if "jobs" in self.features:
            for _ in range(dice.randrange(3, 8)):
                self.job()
        self.ops.sort(key=lambda op: op["at"])

    def op(self, at, kind, label, **more):
        self.ops.append({"id": len(self.ops) + 1, "at": round(at, 3), "kind": kind, "label": label, **more})
        return self.ops[-1]

    def label(self):
        self.labels += 1
        return self.labels

    def payload(self, millis, delivery):
        """Arguments of the payload after label and version, and the retry policy that goes with them."""
        dice, words, retry = self.dice, [str(millis)], None
        if "failing" in self.features and dice.random() < 0.3:
            if delivery == "at_most_once" or dice.random() < 0.3:
                words.append(f"exit={dice.choice([1, 7, 75])}")
                retry = {"limit": 1, "backoff": "200ms"} if delivery == "at_least_once" and dice.random() < 0.5 else None
            else:
                words.append(f"first-exit={dice.choice([1, 3])}")
                retry = {"limit": 3, "backoff": dice.choice(["0s", "100ms", "500ms"])}
        if "stops" in self.features and dice.random() < 0.4:
            words.append(dice.choice(["stubborn", "slow-stop"]))
        return words, retry

    def spec(self, millis, **more):
        dice = self.dice
        delivery = dice.choice(DELIVERIES)
        words, retry = self.payload(millis, delivery)
        spec = {"payload": words, "delivery": delivery, "resources": {"cpu": dice.choice(["250m", "500m", "1"])}, "kill_grace": "1s", **more}
        if retry:
            spec["retry"] = retry
        return spec

    def begin(self):
        return self.dice.uniform(0.2, self.seconds * 0.7)

    def array(self):
        dice, label = self.dice, self.label()
        n = dice.choice([1, 5, 20, 40])
        spec = self.spec(dice.choice([20, 100, 300, 1000]), tasks=n)
        if n > 1 and dice.random() < 0.4:
            spec["parallelism"] = dice.randrange(1, 5)
        at = self.begin()
        if dice.random() < 0.2:
            spec["start_at"] = {"in": round(dice.uniform(0.5, 4), 3)}
        self.op(at, "submit", label, spec=spec)
        if dice.random() < 0.3:
            tasks = f"0-{n // 2}" if n > 2 and dice.random() < 0.5 else None
            self.op(at + dice.choice([0.0, 0.02, 0.1, dice.uniform(0.05, 2)]), "run_cancel", label, **({"tasks": tasks} if tasks else {}))

    def keyed(self):
        dice = self.dice
        for key in range(dice.randrange(1, 3)):
            limit = dice.randrange(1, 3)
            delivery = dice.choice(DELIVERIES)
            for _ in range(dice.randrange(3, 7)):
                words, _ = self.payload(dice.choice([100, 400, 1500]), delivery)
                words = [w for w in words if "exit=" not in w]
                label, at = self.label(), self.begin()
                self.op(at, "submit", label, spec={"payload": words, "delivery": delivery, "kill_grace": "1s", "resources": {"cpu": "250m"},
                                                   "concurrency": {"key": f"key{key}", "limit": limit}})
                if dice.random() < 0.25:
                    self.op(at + dice.uniform(0.05, 2), "run_cancel", label)

    def chain(self):
        dice, at, before = self.dice, self.begin(), None
        for _ in range(dice.randrange(2, 5)):
            label = self.label()
            spec = self.spec(dice.choice([50, 300]), tasks=dice.choice([1, 3]))
            if before is not None:
                spec["after"] = {"label": before, "on": dice.choice(["succeeded", "ended", "ended"])}
            self.op(at, "submit", label, spec=spec)
            before, at = label, at + dice.uniform(0.1, 0.6)

    def held(self):
        label, at = self.label(), self.begin()
        self.op(at, "submit", label, spec=self.spec(100, tasks=self.dice.choice([1, 4])), held=True)
        self.op(at + self.dice.uniform(0.5, 3), "run_release", label)

    def schedule(self, every):
        dice = self.dice
        zone = self.change[0] if self.change else dice.choice(ZONES)
        if self.change and dice.random() < 0.7:  # fixed times on both sides of the change
            seconds = ",".join(str(s) for s in range(dice.randrange(every), 60, every))
            return {"cron": f"{seconds} {','.join(str(m) for m in (*range(0, 3), *range(28, 33), *range(57, 60)))} 0,1,2,3,4 * * *", "zone": zone}
        kind = dice.choice(["every", "every", "every", "cron", "cron", "cron", "cron5", "at"])
        if kind == "every":
            return {"every": f"{every}s"}
        if kind == "cron":
            seconds = dice.choice([f"*/{every}", ",".join(str(s) for s in range(dice.randrange(every), 60, every))])
            return {"cron": f"{seconds} * * * * *", "zone": zone}
        if kind == "cron5":
            return dice.choice(["* * * * *", {"cron": "*/1 * * * *", "zone": zone}])
        return {"at": {"in": round(dice.uniform(2, 8), 3)}}

    def version(self, keep):
        """A definition of a job. What the checks of a job rest on stays the same in all its versions."""
        dice = self.dice
        every = dice.choice([1, 2, 2, 3, 5])
        schedule = [self.schedule(every)]
        if dice.random() < 0.2:
            more = self.schedule(dice.choice([2, 3]))
            if not ("every" in more and "every" in schedule[0]):
                schedule.append(more)
        words, retry = self.payload(int(every * 1000 * dice.choice([0.1, 0.3, 0.8, 1.2])), keep["delivery"])
        spec = {**keep, "payload": words, "schedule": schedule, "kill_grace": "1s", "resources": {"cpu": dice.choice(["250m", "500m"])}}
        if retry:
            spec["retry"] = retry
        return spec

    def job(self):
        dice, label = self.dice, self.label()
        keep = {"name": f"j{label}", "delivery": dice.choice(DELIVERIES), "overlap": dice.choice(OVERLAPS), "misfire": dice.choice(MISFIRES)}
        at = dice.uniform(0.1, 2)
        self.op(at, "apply", label, spec=self.version(keep))
        if "updates" not in self.features:
            return
        deleted = False
        for _ in range(dice.choice([0, 0, 1, 2, 3])):
            at += dice.uniform(0.8, 4)
            if at > self.seconds or deleted:
                return
            kind = dice.choice(["apply", "apply", "hold", "job_start", "job_cancel", "job_delete"])
            # Half of them race a fire: they come around an instant.
            race = {"race": round(dice.uniform(-0.015, 0.015), 4)} if dice.random() < 0.5 else {}
            if kind == "apply":
                self.op(at, "apply", label, spec=self.version(keep), **race)
            elif kind == "hold":
                self.op(at, "job_hold", label, **race)
                at += dice.uniform(0.3, 3)
                self.op(at, "job_release", label, **race)
            else:
                self.op(at, kind, label, **race)
                deleted = kind == "job_delete"

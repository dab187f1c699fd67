# SPDX-License-Identifier: Apache-2.0
"""The verdict on a round: evidence, what was asked and what Muster says are compared three ways. Checks of attempts and runs are here, those of schedules in
judge_jobs.py. Every check has a name; tests/checker/test_planted.py plants what each must find."""

import network
from case import Findings, flag
from schedule import instant
from judge_jobs import judge_job
from match import most_at_once

SLACK = 0.005          # what clocks read one after the other may differ by
CANCEL_WITHIN = 3.0    # beyond lease and grace: how long after its cancellation something may still start
TERMINAL = ("succeeded", "failed", "cancelled", "expired", "skipped")
TASK_TERMINAL = ("succeeded", "failed", "cancelled", "expired", "lost")
NODE_FAULTS = ("kill-agent", "kill-spawner", "kill-node", "kill-all", "pause-agent", "pause-spawner", "pause-node", "pause-server", "cut", "hole", "to_server",
               "to_agent", "slow", "half", "outage", "kill-server", "restart-server", *network.KINDS)


def judge(case):
    found = Findings()
    for note in case.notes:
        found.add(note["check"], note["text"])
    check_processes(case, found)
    check_told(case, found)
    check_runs(case, found)
    check_drains(case, found)
    check_capacity(case, found)
    for label, op in case.first.items():
        if op["kind"] == "submit":
            check_submission(case, found, label, op)
        else:
            judge_job(case, found, label)
    check_keys(case, found)
    return found


def name_of(process):
    return f"run {process.run} task {process.task} attempt {process.attempt} (fence {process.fence}, pid {process.pid}, {process.node})"


# ---- processes and attempts

def check_processes(case, found):
    fences, tasks = {}, {}
    for p in case.evidence:
        who = name_of(p)
        run = case.run_by_id.get(p.run)
        if p.label not in case.labels or (run and case.label_of_run[p.run] != p.label):
            found.add("unknown-work", f"{who} carries label {p.label}, which its run does not have")
        if run is None:
            found.add("unknown-run", f"{who} ran, and Muster knows no such run")
            continue
        version = case.op_by_id.get(p.version)
        if version is None or version["label"] != p.label or version["result"] == "fail":
            found.add("unknown-version", f"{who} ran version {p.version}, which was never accepted")
        told = case.told.get((p.run, p.task, p.attempt))
        if told is None:
            found.add("unknown-attempt", f"{who} ran, and Muster knows no such attempt")
        elif told["fence"] != p.fence or told["node"] != p.node:
            found.add("wrong-fence", f"{who} ran, and Muster says fence {told['fence']} on {told['node']}")
        if (run["nominal_at"] or "") != p.nominal:
            found.add("wrong-nominal", f"{who} was told the instant '{p.nominal}', its run has {run['nominal_at']}")
        other = fences.setdefault(p.fence, p)
        if other is not p or p.starts > 1:
            found.add("double-start", f"{who} started twice under one fence")
        tasks.setdefault((p.run, p.task), []).append(p)
    for (run, task), processes in tasks.items():
        by_attempt = sorted(processes, key=lambda p: p.attempt)
        for before, after in zip(by_attempt, by_attempt[1:]):
            if after.attempt > before.attempt and after.fence <= before.fence:
                found.add("wrong-fence", f"{name_of(after)} does not have a higher fence than {name_of(before)}")
        label = processes[0].label
        if len(processes) > 1 and label in case.labels and case.amo(label):
            found.add("double-start", f"at_most_once task {task} of run {run} started {len(processes)} times: {', '.join(map(name_of, processes))}")


def check_told(case, found):
    """Each attempt that Muster tells of, against its process."""
    processes = {(p.run, p.task, p.attempt): p for p in case.evidence}
    fences = {}
    for (run, task, number), told in case.told.items():
        who = f"run {run} task {task} attempt {number}"
        if fences.setdefault(told["fence"], (run, task, number)) != (run, task, number):
            found.add("wrong-fence", f"{who} has the fence {told['fence']} of run, task, attempt {fences[told['fence']]}")
        p, outcome = processes.get((run, task, number)), told["outcome"]
        if outcome in ("succeeded", "exit") and (p is None or not p.ended):
            found.add("untrue-end", f"{who} is told to have ended with {outcome}, its process {'did not end' if p else 'never started'}")
        elif outcome == "succeeded" and p.exit != 0 or outcome == "exit" and p.exit != told["exit_code"]:
            found.add("untrue-end", f"{who} is told to have ended with {outcome} {told['exit_code']}, its process ended with {p.exit}")
        elif outcome in ("not_started", "spawn") and p is not None:
            found.add("untrue-end", f"{who} is told not to have started, its process {p.pid} ran on {p.node}")
        elif p is not None and p.ended and outcome not in ("succeeded", "exit", "lost", "lease", "cancelled"):
            found.add("untrue-end", f"{who} is told to have ended with {outcome}, its process came to its end with {p.exit}")


def check_runs(case, found):
    for run in case.runs:
        who, counts = f"run {run['run_id']}", {}
        for row in case.tasks[run["run_id"]]:
            counts[row["state"]] = counts.get(row["state"], 0) + 1
            if row["state"] not in TASK_TERMINAL:
                found.add("not-ended", f"{who} task {row['index']} is {row['state']}")
        told = {state: n for state, n in run["tasks"].items() if n and state != "total"}
        if told != counts or run["tasks"]["total"] != sum(counts.values()):
            found.add("api-disagrees", f"{who} counts {told} of {run['tasks']['total']}, its tasks are {counts}")
        if run["state"] not in TERMINAL:
            found.add("not-ended", f"{who} is {run['state']}")
        good = counts.get("succeeded", 0) == run["tasks"]["total"]
        if (run["state"] == "succeeded") != good and run["state"] != "cancelled":
            found.add("api-disagrees", f"{who} is {run['state']}, its tasks are {counts}")
        if case.label_of_run[run["run_id"]] is None:
            found.add("extra-run", f"{who} was asked for by nobody: {run['job'] or run['labels']}")


def check_drains(case, found):
    """Nothing is placed on a node between the answer to its draining and the question to open it. A clock that jumps makes times incomparable."""
    if len(case.wall["steps"]) > 1:
        return
    drains = [f for f in case.faults if f["kind"] == "drain"]
    for (run, task, number), told in case.told.items():
        for drain in drains:
            if "drain_done" not in drain:
                continue
            opened = [f["undrain_invoke"] for f in drains if f["node"] == drain["node"] and f.get("undrain_invoke", 0) > drain["drain_done"]]
            begin, end = case.clock.at(drain["drain_done"]) + SLACK, case.clock.at(min(opened, default=case.final)) - SLACK
            if told["node"] == drain["node"] and told["placed_at"] and begin < instant(told["placed_at"]) < end:
                found.add("placed-on-drained", f"run {run} task {task} attempt {number} was placed on {told['node']} at {told['placed_at']}")


def check_capacity(case, found):
    """Processes that are alive at a time need no more of a node than it has. Given-up attempts do not count: their room has been given away."""
    by_node = {}
    for p in case.evidence:
        spec = case.op_by_id.get(p.version, {}).get("spec")
        if spec and case.told.get((p.run, p.task, p.attempt), {}).get("outcome") not in ("lost", "lease"):
            cpu = spec["resources"]["cpu"]
            by_node.setdefault(p.node, []).append((p.start, p.last, int(cpu[:-1]) if cpu.endswith("m") else int(cpu) * 1000))
    most = case.settings["node_cpu"] * 1000
    for node, rows in by_node.items():
        used = 0
        for at, change in sorted([(start, cpu) for start, _, cpu in rows] + [(end, -cpu) for _, end, cpu in rows]):
            used += change
            if used > most:
                found.add("over-capacity", f"{node} runs tasks of {used} millis of {most}")
                break


# ---- work that was submitted

def check_submission(case, found, label, op):
    spec, who = op["spec"], f"submission {label}"
    runs = [r for r in case.runs if case.label_of_run[r["run_id"]] == label]
    if len(runs) > 1:
        found.add("extra-run", f"{who} has {len(runs)} runs: {[r['run_id'] for r in runs]}")
    if op["result"] == "fail" and runs:
        found.add("extra-run", f"{who} was refused and has run {runs[0]['run_id']}")
    if op["result"] == "ok" and (not runs or runs[0]["run_id"] != op["answer"]["run_id"]):
        found.add("lost", f"{who} was acknowledged as run {op['answer']['run_id']}, which is not there")
    if len(runs) != 1:
        return
    run = runs[0]
    rows, processes = case.tasks[run["run_id"]], case.by_run.get(run["run_id"], [])
    if run["tasks"]["total"] != spec.get("tasks", 1):
        found.add("lost", f"{who} has {spec.get('tasks', 1)} tasks, run {run['run_id']} has {run['tasks']['total']}")
    check_timing(case, found, who, op, processes)
    met = check_after(case, found, who, op, run, processes)
    cancels = case.ops_of(label, "run_cancel")
    for row in rows:
        check_outcome(case, found, f"{who} (run {run['run_id']}) task {row['index']}", row, spec, met and not cancelled(cancels, row["index"]))
    check_cancels(case, found, who, run, cancels, processes)
    if spec.get("parallelism"):
        alive = [(p.start, p.last) for p in processes if case.amo(label) or case.told.get((p.run, p.task, p.attempt), {}).get("outcome") not in ("lost", "lease")]
        most, _ = most_at_once(alive)
        if most > spec["parallelism"]:
            found.add("over-parallelism", f"{who} ran {most} tasks at once, its parallelism is {spec['parallelism']}")


def cancelled(cancels, index):
    """Whether an operation may have cancelled this task."""
    return any(covers(op, index) for op in cancels)


def covers(op, index):
    if not op.get("tasks"):
        return True
    first, last = op["tasks"].split("-")
    return int(first) <= index <= int(last)


def check_outcome(case, found, who, row, spec, must_run):
    """How a task ended, against what was asked: the only ends that nobody has to explain are those that the payload itself brings."""
    state, words, amo = row["state"], spec["payload"], spec["delivery"] == "at_most_once"
    if state == "succeeded":
        return  # check_told() compares it with the evidence
    retry = spec.get("retry", {}).get("limit", 0)
    fails = (flag(words, "exit") or 0) > 0 or ((flag(words, "first-exit") or 0) > 0 and retry == 0)
    if state == "failed" and not fails:
        found.add("lost", f"{who} is told to have failed with {row['outcome']} {row['exit_code']} after {row['attempt']} attempts, its payload never fails")
    if state == "lost":
        if not amo:
            found.add("lost", f"{who} is at_least_once and is told to be lost")
        elif not any(f["kind"] in NODE_FAULTS for f in case.faults):
            found.add("lost", f"{who} is told to be lost, and nothing was done to any node")
    if state == "cancelled" and must_run:
        found.add("lost", f"{who} is told to be cancelled, and nobody did")
    if state == "expired":
        found.add("lost", f"{who} is told to have expired, and it has no deadline")


def check_timing(case, found, who, op, processes):
    for p in processes:
        if p.start < op["invoke"] - SLACK:
            found.add("early", f"{who}: {name_of(p)} started before it was asked for")
        if "start_at" in op["spec"] and case.clock.highest(p.start) < instant(op["start_at"]) - SLACK:
            found.add("early", f"{who}: {name_of(p)} started before {op['start_at']}")
        if op.get("held"):
            releases = case.ops_of(op["label"], "run_release")
            if not releases or p.start < min(r["invoke"] for r in releases) - SLACK:
                found.add("early", f"{who}: {name_of(p)} started while it was held")


def check_after(case, found, who, op, run, processes):
    """Whether the run's dependency was met (or it has none). What waited must not have begun before."""
    after = op.get("after_run")
    if after is None:
        return True
    before = case.run_by_id.get(after["run"])
    if before is None:
        found.add("lost", f"{who} waits for run {after['run']}, which is gone")
        return False
    met = after["on"] == "ended" or before["state"] == after["on"]
    if run["state"] == "skipped" and met:
        found.add("lost", f"{who} was skipped, and run {after['run']} is {before['state']}")
    if processes and not met:
        found.add("early", f"{who} ran, and run {after['run']} is {before['state']}")
    ends = [end for _, end in case.intervals(after["run"], strict=False)]
    first = min((p.start for p in processes), default=None)
    if ends and first is not None and first < max(ends) - SLACK:
        found.add("early", f"{who} started {max(ends) - first:.3f} s before run {after['run']} ended")
    return met


def check_cancels(case, found, who, run, cancels, processes):
    within = case.settings["lease"] + case.settings["grace"] + CANCEL_WITHIN
    for op in cancels:
        if op["result"] != "ok":
            continue
        for p in processes:
            if not covers(op, p.task):
                continue
            told = case.told.get((p.run, p.task, p.attempt))
            placed_later = (told and told["placed_at"] and not case.went_back and
                            instant(told["placed_at"]) > case.clock.at(op["done"]) + SLACK and op["done"] - op["invoke"] < 2)
            if p.start > op["done"] + within or placed_later:
                found.add("start-after-cancel", f"{who}: {name_of(p)} started {p.start - op['done']:.3f} s after its cancellation was acknowledged")
        if not op.get("tasks") and op["done"] < case.final and run["state"] not in TERMINAL:
            found.add("not-ended", f"{who} was cancelled and is {run['state']}")


def check_keys(case, found):
    """Of the runs that share a concurrency key no more than its limit are alive at a time."""
    keys = {}
    for run in case.runs:
        label = case.label_of_run[run["run_id"]]
        key = case.first[label]["spec"].get("concurrency") if label else None
        alive = case.intervals(run["run_id"], strict=label is not None and case.amo(label)) if key else None
        if alive:
            keys.setdefault((key["key"], key["limit"]), []).append((min(s for s, _ in alive), max(e for _, e in alive), run["run_id"]))
    for (key, limit), rows in keys.items():
        most, who = most_at_once([(s, e) for s, e, _ in rows])
        if most > limit:
            found.add("over-key", f"{most} runs hold {key} at once, its limit is {limit}: {[rows[i][2] for i in who]}")



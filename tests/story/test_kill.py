# SPDX-License-Identifier: Apache-2.0
"""Whatever was acknowledged survives kill -9 of server, agents and spawners, in any combination, at any moment.

The payload writes its own evidence: one short line, by one write(2) with O_APPEND, to a file that Muster knows nothing of, when it starts and
when it ends. A checker then compares evidence, API and history, and fails on a lost, a doubled or an extra task.

MUSTER_KILL_ROUNDS and MUSTER_KILL_SEED make it longer and different."""

import os
import random
import time
from collections import Counter

from fleet import ApiError, wait_for

ROUNDS = int(os.environ.get("MUSTER_KILL_ROUNDS", "3"))
SEED = int(os.environ.get("MUSTER_KILL_SEED", str(random.randrange(10**6))))
TASKS = 1000

PAYLOAD = """echo "start $MUSTER_RUN $MUSTER_TASK $MUSTER_ATTEMPT $MUSTER_FENCE" >> "$EVIDENCE"
sleep 0.0$((MUSTER_TASK % 7))
echo "out $MUSTER_TASK"
echo "end $MUSTER_RUN $MUSTER_TASK $MUSTER_ATTEMPT $MUSTER_FENCE" >> "$EVIDENCE"
"""


def read_evidence(path):
    """Starts and ends by (run, task, attempt), in any order."""
    starts, ends = Counter(), Counter()
    for line in path.read_text().splitlines():
        what, run, task, attempt, _ = line.split()
        (starts if what == "start" else ends)[(int(run), int(task), int(attempt))] += 1
    return starts, ends


def submit(f, key, evidence, delivery):
    """Submits through whatever happens; the idempotency key makes trying again safe."""
    spec = {"command": ["/bin/sh", "-c", PAYLOAD], "env": {"EVIDENCE": str(evidence)}, "tasks": TASKS, "delivery": delivery,
            "resources": {"cpu": "50m"}}

    def attempt():
        try:
            return f.post("/v1/runs", spec, headers={"Idempotency-Key": key}, timeout=5)["run_id"]
        except (OSError, ApiError) as error:
            if isinstance(error, ApiError) and error.status < 500:
                raise
            return None

    return wait_for("the submission is acknowledged", attempt, 60)


def check(f, run, delivery, starts, ends):
    """Compares what happened with what is told. Returns the number of lost tasks that at_most_once allows."""
    told = f.run(run)
    rows = {task["index"]: task for task in f.tasks(run)}
    assert set(rows) == set(range(TASKS)), "the history misses tasks"
    lost = 0
    for index in range(TASKS):
        row = rows[index]
        began = {a: n for (r, t, a), n in starts.items() if (r, t) == (run, index)}
        done = {a: n for (r, t, a), n in ends.items() if (r, t) == (run, index)}
        assert all(n == 1 for n in began.values()), f"one attempt of task {index} started twice: {began}"
        assert set(done) <= set(began)
        assert max(began, default=0) <= row["attempt"], f"an attempt that nobody ordered: {began}, {row}"
        if row["state"] == "succeeded":
            assert row["attempt"] in done, f"task {index} is said to have succeeded, but it did not end: {row}, {began}, {done}"
            assert index % 40 or f.output(run, index) == f"out {index}\n", "its output is gone"
        if delivery == "at_least_once":
            assert row["state"] == "succeeded", row
        else:
            assert sum(began.values()) <= 1, f"task {index} started twice: {began}"
            assert row["state"] in ("succeeded", "lost"), row
            lost += row["state"] == "lost"
    assert told["tasks"]["succeeded"] + told["tasks"]["lost"] == TASKS
    assert told["state"] == ("failed" if lost else "succeeded")
    return lost


def hurt(f, dice):
    """Kills something, or several things, and starts again what does not start by itself."""
    victims = dice.sample(["server", "agent", "spawner"], dice.choice([1, 1, 1, 2, 3]))
    i = dice.randrange(len(f.agents))
    for victim in victims:
        if victim == "server":
            f.kill_server()
        elif victim == "agent":
            f.kill_agent(i)
        else:
            f.kill_spawner(i)
    time.sleep(dice.choice([0, 0, 0.05, 0.5]))
    if "server" in victims:
        f.start_server(wait=False)
    if "agent" in victims:
        f.start_agent(i)
    return "+".join(victims)


def test_kill_anything_at_any_moment(fleet, tmp_path):
    print(f"seed {SEED}, {ROUNDS} rounds")
    dice = random.Random(SEED)
    f = fleet(agents=2, settings={"snapshot_log_bytes": "64KiB"})  # so that snapshots are hit too
    f.wait_nodes()
    done = Counter()
    for round_number in range(ROUNDS):
        evidence = tmp_path / f"evidence-{round_number}"
        evidence.touch()
        runs = {}
        for delivery in ("at_least_once", "at_most_once"):
            runs[delivery] = submit(f, f"{SEED}-{round_number}-{delivery}", evidence, delivery)
        for _ in range(dice.randrange(1, 5)):
            time.sleep(dice.random() * 0.8)
            done[hurt(f, dice)] += 1
        f.wait_server()
        for run in runs.values():
            f.wait_run(run, 120)
        starts, ends = read_evidence(evidence)
        for delivery, run in runs.items():
            done[f"lost {delivery}"] += check(f, run, delivery, starts, ends)
        extra = {run for run, _, _ in starts} - set(runs.values())
        assert not extra, f"runs that nobody submitted: {extra}"
    print(dict(done))


def test_tasks_go_on_while_the_server_is_away(fleet, tmp_path):
    f = fleet(agents=1)
    f.wait_nodes()
    evidence = tmp_path / "evidence"
    run = f.submit(command=["/bin/sh", "-c", f"echo start >> {evidence}; sleep 2; echo end >> {evidence}"], tasks=3, resources={"cpu": "1"})
    wait_for("all have started", lambda: evidence.exists() and evidence.read_text().count("start") == 3)
    f.kill_server()
    wait_for("all have ended without a server", lambda: evidence.read_text().count("end") == 3)
    f.start_server()
    assert f.wait_run(run)["state"] == "succeeded"
    assert evidence.read_text().count("start") == 3  # nothing ran twice


def test_tasks_live_through_the_death_of_their_agent(fleet, tmp_path):
    f = fleet(agents=1)
    f.wait_nodes()
    evidence = tmp_path / "evidence"
    run = f.submit(command=["/bin/sh", "-c", f"echo start >> {evidence}; sleep 2; echo end >> {evidence}; echo said"])
    wait_for("it runs", lambda: f.run(run)["tasks"]["running"] == 1)
    f.kill_agent(0)
    f.start_agent(0)
    assert f.wait_run(run)["state"] == "succeeded"
    assert evidence.read_text() == "start\nend\n"
    assert f.output(run) == "said\n"


def test_the_death_of_a_spawner_ends_its_tasks_and_says_so(fleet, tmp_path):
    f = fleet(agents=1)
    f.wait_nodes()
    evidence = tmp_path / "evidence"
    command = ["/bin/sh", "-c", f"echo start >> {evidence}; sleep 3; echo end >> {evidence}"]
    once = f.submit(command=command, delivery="at_most_once")
    wait_for("it runs", lambda: f.run(once)["tasks"]["running"] == 1)
    assert f.kill_spawner(0)
    assert f.wait_run(once)["state"] == "failed"
    assert f.get(f"/v1/runs/{once}/tasks/0")["state"] == "lost"
    time.sleep(3)
    assert evidence.read_text() == "start\n"  # ended, and not begun again
    again = f.submit(command=command)
    wait_for("it runs", lambda: f.run(again)["tasks"]["running"] == 1)
    assert f.kill_spawner(0)
    assert f.wait_run(again)["state"] == "succeeded"  # at_least_once: it was started again
    assert [a["outcome"] for a in f.get(f"/v1/runs/{again}/tasks/0")["attempts"]] == ["lost", "succeeded"]

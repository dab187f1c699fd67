# SPDX-License-Identifier: Apache-2.0
"""The judge finds nothing in a right history, and what was planted in each wrong one."""

import copy

import pytest

from judge import judge
from planted import BEGIN, FINAL, History, right, text


def kinds(history):
    return judge(history.case()).kinds()


def test_a_right_history_is_right(tmp_path):
    h = right()
    assert judge(h.case()).rows == []
    h.case().save(tmp_path / "round.json")
    assert judge(type(h.case()).load(tmp_path / "round.json")).rows == []


# ---- each plant spoils a right history; the judge has to say what by name, and nothing needs to be said twice

def lost_task(h):
    """An acknowledged task never ran, and Muster says that it did."""
    h.data["evidence"].remove(h.processes(1)[2])


def lost_task_without_reason(h):
    """It says that a task has failed, whose payload cannot."""
    h.row(1)["state"], h.row(1)["outcome"] = "failed", "signal"
    h.data["runs"][0].update(state="failed", tasks={"total": 5, "succeeded": 4, "failed": 1})
    h.data["evidence"] = [p for p in h.data["evidence"] if (p.run, p.task) != (1, 0)]


def lost_at_least_once(h):
    h.row(1)["state"], h.row(1)["outcome"] = "lost", "lost"
    h.data["runs"][0].update(state="failed", tasks={"total": 5, "succeeded": 4, "lost": 1})


def lost_run(h):
    """The whole run is gone."""
    h.forget_run(1)


def lost_half_way(h):
    """Its process was killed, and Muster says that it succeeded."""
    h.processes(1)[0].ended = False


def wrong_exit(h):
    h.processes(1)[0].exit = 3


def double_under_one_fence(h):
    p = copy.deepcopy(h.processes(1)[0])
    p.pid += 1
    h.data["evidence"].append(p)


def double_at_most_once(h):
    """A second attempt of an at_most_once task; Muster tells of it quite openly."""
    p = copy.deepcopy(h.processes(2)[0])
    h.fence += 1
    p.attempt, p.fence, p.pid, p.start, p.last = 2, h.fence, 7, p.start + 1, p.last + 1
    h.data["evidence"].append(p)
    first = h.row(2)
    second = {**first, "attempt": 2, "fence": p.fence}
    h.data["tasks"][2][0] = second
    h.data["attempts"][2, 0] = [{**first, "state": "pending", "outcome": "lost"}, second]


def double_at_most_once_incomplete(h):
    """The same, though the first one never came to its end."""
    double_at_most_once(h)
    h.processes(2)[0].ended = False


def unknown_attempt(h):
    h.processes(1)[1].attempt = 2


def wrong_fence(h):
    h.processes(1)[1].fence += 500


def fence_that_does_not_grow(h):
    first = h.row(1)
    p = copy.deepcopy(h.processes(1)[0])
    h.processes(1)[0].fence = first["fence"] = 900
    p.attempt, p.fence, p.pid = 2, 800, 8
    second = {**first, "attempt": 2, "fence": 800}
    h.data["evidence"].append(p)
    h.data["attempts"][1, 0], h.data["tasks"][1][0] = [{**first, "state": "pending", "outcome": "lost"}, second], second


def fence_used_twice(h):
    h.row(2)["fence"] = h.row(1)["fence"]
    h.processes(2)[0].fence = h.row(1)["fence"]


def not_started_but_ran(h):
    first = h.row(1)
    p = copy.deepcopy(h.processes(1)[0])
    p.attempt, p.fence, p.pid, p.start, p.last = 2, 800, 8, p.start + 0.02, p.last + 0.02
    second = {**first, "attempt": 2, "fence": 800}
    h.data["evidence"].append(p)
    h.data["attempts"][1, 0], h.data["tasks"][1][0] = [{**first, "state": "pending", "outcome": "not_started"}, second], second


def counts_disagree(h):
    h.data["runs"][0]["tasks"]["succeeded"] = 4


def state_disagrees(h):
    h.data["runs"][0]["state"] = "failed"


def not_ended(h):
    h.row(1)["state"] = "running"
    h.data["runs"][0].update(state="running", tasks={"total": 5, "succeeded": 4, "running": 1})


def run_of_nobody(h):
    h.runs += 1
    h.data["runs"].append({**h.data["runs"][0], "run_id": h.runs, "labels": {}})
    h.data["tasks"][h.runs] = [{**row, "run_id": h.runs, "fence": row["fence"] + 1000, "outcome": "not_started"} for row in h.data["tasks"][1]]


def process_of_nobody(h):
    p = copy.deepcopy(h.processes(1)[0])
    p.run = 4711
    h.data["evidence"].append(p)


def refused_and_run(h):
    h.data["ops"][0].update(result="fail", answer="400")


def submitted_twice(h):
    op = h.data["ops"][0]
    h.run(BEGIN + 5, 1, op, op["spec"])


def too_parallel(h):
    p = h.processes(1)[1]
    p.start -= 0.2


def too_many_of_a_key(h):
    h.move(6, -1.1)


def waits_for_nothing(h):
    h.move(4, -0.9)


def cancelled_by_nobody(h):
    h.row(1)["state"], h.row(1)["outcome"] = "cancelled", "cancelled"
    h.data["runs"][0].update(state="cancelled", tasks={"total": 5, "succeeded": 4, "cancelled": 1})


def starts_after_its_cancellation(h):
    h.move(7, 12)


def placed_after_its_cancellation(h):
    h.row(7)["placed_at"] = text(BEGIN + 13)


def over_capacity(h):
    for label in range(20, 30):
        h.submit(BEGIN + 30, label)
    for run in (r["run_id"] for label in range(20, 30) for r in h.runs_of(label)):
        p = h.processes(run)[0]
        p.start, p.last = BEGIN + 30.1, BEGIN + 30.4


def answered_and_forgotten_version(h):
    h.data["jobs"]["j10"]["spec"]["command"][3] = "99"


def job_is_gone(h):
    h.data["jobs"]["j10"] = None


def placed_on_a_drained_node(h):
    h.data["faults"].append({"kind": "drain", "at": 5, "for": 3, "node": "n0", "drain_done": BEGIN + 5, "undrain_invoke": BEGIN + 6.5})


# ---- schedules

def early_fire(h):
    h.move(h.runs_of(10)[2]["run_id"], -0.1)


def fire_lost_altogether(h):
    h.forget_run(h.runs_of(10)[2]["run_id"])
    del h.fires(10)[2]


def fire_lost_by_its_run(h):
    """The history says started, the run is not there."""
    h.forget_run(h.runs_of(10)[2]["run_id"])


def fire_not_in_the_history(h):
    del h.fires(10)[2]


def fired_twice(h):
    run = h.runs_of(10)[2]
    at = BEGIN + 1.005 + 15
    h.run(at + 1, 10, next(op for op in h.data["ops"] if op["label"] == 10), {}, "j10", at)
    assert run["nominal_at"] == h.data["runs"][-1]["nominal_at"]


def fired_between(h):
    """For an instant that nobody asked for."""
    at = BEGIN + 1.005 + 17
    run = h.run(at, 12, next(op for op in h.data["ops"] if op["label"] == 12), {}, "j12", at)
    h.fires(12).append({"nominal_at": text(at), "at": text(at), "trigger": 0, "outcome": "started", "run_id": run, "missed": 0, "missed_until": None})


def fired_while_held(h):
    at = BEGIN + 1.005 + 45
    run = h.run(at, 12, next(op for op in h.data["ops"] if op["label"] == 12), {}, "j12", at)
    h.fires(12).append({"nominal_at": text(at), "at": text(at), "trigger": 0, "outcome": "started", "run_id": run, "missed": 0, "missed_until": None})


def drifting_interval(h):
    """Every instant a little later than the one before: each run alone looks right."""
    for i, (fire, run) in enumerate(zip(h.fires(12), h.runs_of(12))):
        fire["nominal_at"] = run["nominal_at"] = text(BEGIN + 1.005 + (i + 1) * 5.1)
        fire["at"] = fire["nominal_at"]
        for p in h.processes(run["run_id"]):
            p.nominal = run["nominal_at"]
        h.move(run["run_id"], (i + 1) * 0.1)


def started_by_nobody(h):
    h.run(BEGIN + 20, 12, next(op for op in h.data["ops"] if op["label"] == 12), {}, "j12")


def start_by_hand_lost(h):
    h.op(BEGIN + 20, "job_start", 12, answer={"run_id": 4000})


def overlap_forbidden(h):
    p = h.processes(h.runs_of(10)[2]["run_id"])[0]
    p.last += 5
    h.row(p.run)["ended_at"] = text(p.last)


def overlap_while_replacing(h):
    p = h.processes(h.runs_of(11)[2]["run_id"])[0]
    p.last += 5
    p.ended = False
    h.row(p.run).update(state="cancelled", outcome="cancelled")
    h.runs_of(11)[2].update(state="cancelled", tasks={"total": 1, "cancelled": 1})


def skip(h, label, which, outcome, missed, late=0.0):
    fire, run = h.fires(label)[which], h.runs_of(label)[which]["run_id"]
    h.forget_run(run)
    at = BEGIN + 1.005 + (which + 1) * 5
    fire.update(outcome=outcome, run_id=None, missed=missed, missed_until=text(at) if missed else None, at=text(at + late))


def skipped_without_overlap(h):
    skip(h, 10, 2, "skipped_overlap", 0)


def skipped_that_was_allowed(h):
    skip(h, 12, 2, "skipped_overlap", 0)


def skipped_without_a_queue(h):
    skip(h, 13, 2, "skipped_queue", 0)


def skipped_in_time(h):
    skip(h, 10, 2, "skipped_misfire", 1)


def skipped_late_by_a_healthy_server(h):
    skip(h, 10, 2, "skipped_misfire", 1, late=4.5)


def told_more_missed(h):
    h.fires(10)[2].update(missed=2, missed_until=h.fires(10)[4]["nominal_at"])


def decided_late(h):
    h.fires(10)[2]["at"] = text(BEGIN + 1.005 + 15 + 3.5)


def job_run_without_end(h):
    run = h.runs_of(10)[2]
    h.row(run["run_id"]).update(state="lost", outcome="lost")
    run.update(state="failed", tasks={"total": 1, "lost": 1})


def job_run_cancelled_by_nobody(h):
    run = h.runs_of(10)[2]
    h.row(run["run_id"]).update(state="cancelled", outcome="cancelled")
    run.update(state="cancelled", tasks={"total": 1, "cancelled": 1})


def wrong_instant_told_to_the_payload(h):
    h.processes(h.runs_of(10)[2]["run_id"])[0].nominal = text(BEGIN + 20)


def old_version_runs_on(h):
    """An update was acknowledged, later instants run the definition before it."""
    spec = next(op for op in h.data["ops"] if op["label"] == 12)["spec"]
    update = h.op(BEGIN + 22.5, "apply", 12, spec=spec)
    h.data["jobs"]["j12"]["spec"]["command"][3] = str(update["id"])


def what_payloads_never_wrote_is_missed_by_times(h):
    """Muster invents a run in its tables, and evidence under the label of another job hides that it was not this one."""
    for p in h.processes(h.runs_of(12)[2]["run_id"]):
        p.label = 13


PLANTS = [
    (lost_task, "untrue-end"), (lost_task_without_reason, "lost"), (lost_at_least_once, "lost"), (lost_run, "lost"), (lost_half_way, "untrue-end"),
    (wrong_exit, "untrue-end"), (double_under_one_fence, "double-start"), (double_at_most_once, "double-start"),
    (double_at_most_once_incomplete, "double-start"), (unknown_attempt, "unknown-attempt"), (wrong_fence, "wrong-fence"),
    (fence_that_does_not_grow, "wrong-fence"), (fence_used_twice, "wrong-fence"), (not_started_but_ran, "untrue-end"), (counts_disagree, "api-disagrees"),
    (state_disagrees, "api-disagrees"), (not_ended, "not-ended"), (run_of_nobody, "extra-run"), (process_of_nobody, "unknown-run"),
    (refused_and_run, "extra-run"), (submitted_twice, "extra-run"), (too_parallel, "over-parallelism"), (too_many_of_a_key, "over-key"),
    (waits_for_nothing, "early"), (cancelled_by_nobody, "lost"), (starts_after_its_cancellation, "start-after-cancel"),
    (placed_after_its_cancellation, "start-after-cancel"), (over_capacity, "over-capacity"), (answered_and_forgotten_version, "lost"), (job_is_gone, "lost"),
    (placed_on_a_drained_node, "placed-on-drained"),
    (early_fire, "early"), (fire_lost_altogether, "lost"), (fire_lost_by_its_run, "history-disagrees"), (fire_not_in_the_history, "history-disagrees"),
    (fired_twice, "double-start"), (fired_between, "extra-run"), (fired_while_held, "extra-run"), (drifting_interval, "extra-run"),
    (started_by_nobody, "extra-run"), (start_by_hand_lost, "lost"), (overlap_forbidden, "overlap"), (overlap_while_replacing, "overlap"),
    (skipped_without_overlap, "lost"), (skipped_that_was_allowed, "lost"), (skipped_in_time, "lost"), (skipped_late_by_a_healthy_server, "lost"),
    (skipped_without_a_queue, "lost"), (told_more_missed, "lost"), (decided_late, "late"), (job_run_without_end, "lost"), (job_run_cancelled_by_nobody, "lost"),
    (wrong_instant_told_to_the_payload, "wrong-nominal"), (old_version_runs_on, "wrong-version"), (what_payloads_never_wrote_is_missed_by_times, "lost"),
]


@pytest.mark.parametrize("plant,kind", PLANTS, ids=[plant.__name__ for plant, _ in PLANTS])
def test_what_is_planted_is_found(plant, kind):
    h = right()
    plant(h)
    assert kind in kinds(h)


def test_every_check_has_a_plant():
    """A check that nothing is planted for may be one that finds nothing. The notes of a round are made elsewhere."""
    import pathlib
    import re
    here = pathlib.Path(__file__).parent
    names = {name for file in ("judge.py", "judge_jobs.py") for name in re.findall(r'found\.add\("([a-z-]+)"', (here / file).read_text())}
    assert names - {kind for _, kind in PLANTS} == {"unknown-work", "unknown-version"} - {kind for _, kind in PLANTS}


def test_work_under_a_wrong_label_is_unknown():
    h = right()
    h.processes(1)[0].label = 99
    assert "unknown-work" in kinds(h)
    h = right()
    h.processes(1)[0].version = 99
    assert "unknown-version" in kinds(h)


# ---- what is no fault must not be called one

def test_an_operation_without_an_answer_may_have_happened_or_not():
    h = right()
    h.data["ops"][0].update(result="info", until=BEGIN + 5)
    assert kinds(h) == []
    h.forget_run(1)
    assert kinds(h) == []


def test_a_hold_without_an_answer_makes_instants_optional():
    h = right()
    h.op(BEGIN + 15, "job_hold", 12, result="info")
    h.op(BEGIN + 25, "job_release", 12)
    assert kinds(h) == []
    for which in (3, 2):  # at 16 and 21: they lie in between
        h.forget_run(h.runs_of(12)[which]["run_id"])
        del h.fires(12)[which]
    assert kinds(h) == []
    h.forget_run(h.runs_of(12)[0]["run_id"])
    del h.fires(12)[0]
    assert "lost" in kinds(h)


def test_a_lost_node_explains_a_lost_task_of_at_most_once_only():
    for label, expected in ((2, []), (1, ["lost"])):
        h = right()
        h.data["faults"].append({"kind": "kill-node", "at": 1, "for": 1, "node": "n0"})
        run = h.runs_of(label)[0]
        h.row(run["run_id"]).update(state="lost", outcome="lost")
        run.update(state="failed", tasks={"total": run["tasks"]["total"], "succeeded": run["tasks"]["total"] - 1, "lost": 1})
        h.processes(run["run_id"])[0].ended = False
        assert kinds(h) == expected


def test_an_outage_explains_missed_instants_as_the_policy_says():
    for misfire, good in (("skip", "skipped_misfire"), ("once", "started")):
        for outcome in ("skipped_misfire", "started"):
            h = History()
            h.job(12, overlap="allow", misfire=misfire)
            h.data["well"] = [[BEGIN, BEGIN + 15], [BEGIN + 29, FINAL]]
            h.data["faults"].append({"kind": "outage", "at": 15, "for": 14, "node": "n0"})
            # Instants at 16, 21 and 26 are missed; at 29 the server is back.
            fires, runs = h.fires(12), h.runs_of(12)
            until = fires[4]["nominal_at"]
            for which in (4, 3):
                h.forget_run(runs[which]["run_id"])
                del fires[which]
            fires[2]["at"] = text(BEGIN + 29)
            if outcome == "skipped_misfire":
                h.forget_run(runs[2]["run_id"])
                fires[2].update(outcome=outcome, run_id=None, missed=3, missed_until=until)
            else:
                fires[2].update(missed=2, missed_until=until)
                h.move(runs[2]["run_id"], 29 - 16)
            assert (kinds(h) == []) == (outcome == good), (misfire, outcome, judge(h.case()).rows)


def test_a_clock_set_forward_makes_instants_due_and_late():
    h = History()
    h.job(12, overlap="allow", misfire="skip")
    jump = BEGIN + 12
    h.data["wall"]["steps"].append([jump, 12.0])
    # 6 and 11 came in time; the clock goes from 12 to 24 and passes 16 and 21; then 26, 31, 36 come twelve seconds sooner.
    fires, runs = h.fires(12), h.runs_of(12)
    h.forget_run(runs[3]["run_id"])
    h.forget_run(runs[2]["run_id"])
    fires[2].update(outcome="skipped_misfire", run_id=None, missed=2, missed_until=fires[3]["nominal_at"], at=text(jump, 12.0))
    del fires[3]
    for i in (4, 5, 6):
        h.move(runs[i]["run_id"], -12)
    hold = h.data["ops"][-1]
    hold["invoke"], hold["done"] = hold["invoke"] - 12, hold["done"] - 12
    assert judge(h.case()).rows == []
    h.move(runs[4]["run_id"], -0.1)
    assert "early" in kinds(h)


def test_an_instant_that_a_clock_set_back_made_future_again_is_still_due():
    for well, expected in ([[BEGIN, BEGIN + 20.9], [BEGIN + 24, FINAL]], []), ([[BEGIN, FINAL]], ["lost"]):
        h = History()
        h.job(12, overlap="allow")
        h.data["well"] = well
        h.data["wall"]["steps"].append([BEGIN + 24.9, -1000.0])
        for run in h.runs_of(12)[3:]:  # from 21 on
            h.forget_run(run["run_id"])
        del h.fires(12)[3:]
        assert kinds(h) == expected


def test_starts_before_a_time_or_a_release_are_early():
    h = right()
    h.data["ops"][0]["start_at"] = h.data["ops"][0]["spec"]["start_at"] = text(BEGIN + 2.5)
    assert "early" in kinds(h)
    h = right()
    h.data["ops"][0]["held"] = True
    assert "early" in kinds(h)
    h.op(BEGIN + 1.9, "run_release", 1)
    assert kinds(h) == []

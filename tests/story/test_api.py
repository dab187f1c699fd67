# SPDX-License-Identifier: Apache-2.0
"""The HTTP API as its callers see it: a real server and a real agent in a folder of their own, spoken to with plain urllib.

Every row of spec/routes.def has a test that says so with @covers, and that test must have had a success from it.
"""

import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.parse

import pytest
from api_backfills import test_backfills  # noqa: F401
from api_calendars import test_calendars  # noqa: F401
from api_conditions import test_what_is_not_as_it_should_be  # noqa: F401
from api_world import COVERED, MUSTER, ROUTES, Agent, Server, covers, route_of, until


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    one = Server(tmp_path_factory.mktemp("api") / "data")
    yield one
    if one.process is not None:
        assert one.stop() == 0


@pytest.fixture(scope="module")
def agent(server, tmp_path_factory):
    one = Agent(server, tmp_path_factory.mktemp("agent") / "n1", "n1")
    yield one
    one.stop()


# ---- who may come in


def test_every_route_has_a_test():
    assert COVERED == set(ROUTES)


def test_examples_belong_to_their_routes():
    for handler, (method, _, example) in ROUTES.items():
        assert route_of(method, example) == handler


@pytest.mark.parametrize("handler", ROUTES)
def test_nothing_is_answered_without_the_token(server, handler):
    method, _, example = ROUTES[handler]
    for token in ("", "0" * 64, server.token[:-1], server.token + "0"):
        reply = server.ask(method, example, token=token)
        assert (reply.status, reply.code) == (401, "unauthenticated")


def test_files_of_the_data_folder(server):
    # Tasks of other accounts, which only root runs, get through it to folders of their own.
    assert os.stat(server.folder).st_mode & 0o777 == (0o711 if os.geteuid() == 0 else 0o700)
    for folder, _, names in os.walk(server.folder):
        for name in names:
            assert os.lstat(os.path.join(folder, name)).st_mode & 0o077 == 0, name
    for name in ("api.token", "agent.token", "endpoint.json"):
        assert os.stat(os.path.join(server.folder, name)).st_mode & 0o777 == 0o600
    assert re.fullmatch(r"[0-9a-f]{64}", server.token)


def test_unknown_addresses_methods_and_parameters(server):
    assert server.get("/v2/runs").code == "not_found"
    assert server.get("/v1/runs/1/nothing").code == "not_found"
    reply = server.ask("DELETE", "/v1/runs")
    assert reply.status == 405 and reply.headers["Allow"] == "GET, POST"
    for path in ("/v1/runs?colour=red", "/v1/runs?max=0", "/v1/runs?max=x", "/v1/runs?state=happy", "/v1/runs?label=x",
                 "/v1/runs?since=yesterday", "/v1/runs/x", "/v1/runs/1?wait=long", "/v1/runs/1/tasks?state=happy", "/v1/jobs?after=-1"):
        reply = server.get(path)
        assert (reply.status, reply.code) == (400, "invalid"), (path, reply.body)


def test_a_second_server_on_the_folder_is_refused(server):
    other = subprocess.run([MUSTER, "server", "--data", server.folder, "--port", "0", "--agent-port", "0"], capture_output=True,
                           text=True, timeout=20)
    assert other.returncode == 69
    assert str(server.process.pid) in other.stderr
    assert server.get("/v1/version").status == 200


def test_no_other_address_than_loopback(server, tmp_path):
    # The command line offers ports only; the library refuses the rest (tests/unit/net/test_http.c). Here: what is bound.
    with open("/proc/net/tcp", encoding="ascii") as file:
        rows = [line.split() for line in file.read().splitlines()[1:]]
    ports = {int(server.url.rsplit(":", 1)[1]), int(server.agents.rsplit(":", 1)[1])}
    bound = {row[1].split(":")[0] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) in ports}
    assert bound == {"0100007F"}


# ---- the server itself


@covers("version", "status")
def test_version_and_status(server):
    version = server.get("/v1/version").json
    assert version["epoch"] >= 1 and version["version"] and version["server"] and version["started_at"].endswith("Z")
    status = server.get("/v1/status").json
    assert status["store"]["state"] == "ok"
    assert status["settings"]["tasks_max"] == 10000000
    assert status["settings"]["node_lease"] == 15
    assert {"runs", "tasks", "nodes", "history", "jobs"} <= set(status)
    assert {"live", "waiting", "pending", "running", "cancelling"} <= set(status["runs"])


# ---- submitting


@covers("run_submit", "run", "run_hold", "run_release", "run_cancel")
def test_a_held_run_from_submission_to_cancel(server):
    run_id = server.submit(command=["true"], name="held-one", labels={"team": "a"}, held=True, constraints=["has nothing"])
    run = server.get(f"/v1/runs/{run_id}").json
    assert (run["run_id"], run["state"], run["held"], run["job"]) == (run_id, "pending", True, "held-one")
    assert run["labels"] == {"team": "a"} and run["tasks"]["total"] == 1 and run["tasks"]["pending"] == 1
    assert run["spec"]["command"] == ["true"]
    assert run["ended_at"] is None and run["rerun_of"] is None
    assert server.post(f"/v1/runs/{run_id}/release").json == {"run_id": run_id}
    assert server.get(f"/v1/runs/{run_id}").json["held"] is False
    assert server.post(f"/v1/runs/{run_id}/hold").status == 200
    reply = server.post(f"/v1/runs/{run_id}/cancel")
    assert (reply.status, reply.json) == (202, {"run_id": run_id})
    assert server.ended(run_id)["state"] == "cancelled"
    for what in ("cancel", "hold", "release"):
        reply = server.post(f"/v1/runs/{run_id}/{what}")
        assert (reply.status, reply.code) == (409, "conflict"), reply.body
        reply = server.post(f"/v1/runs/999999/{what}")
        assert (reply.status, reply.code) == (404, "not_found")
    assert server.get("/v1/runs/999999").code == "not_found"


def test_an_idempotency_key_gives_the_same_run(server):
    fields = {"Idempotency-Key": "once"}
    first = server.post("/v1/runs?held=1", {"command": "true"}, headers=fields)
    second = server.post("/v1/runs?held=1", {"command": "true"}, headers=fields)
    assert (first.status, first.json["existing"]) == (201, False)
    assert (second.status, second.json) == (200, {"run_id": first.json["run_id"], "existing": True})
    other = server.post("/v1/runs", {"command": "false"}, headers=fields)
    assert other.code == "conflict" and f"run {first.json['run_id']};" in other.body.decode()
    assert server.post("/v1/runs", {"command": "true"}, headers={"Idempotency-Key": "x" * 256}).code == "invalid"
    server.post(f"/v1/runs/{first.json['run_id']}/cancel")


def test_a_bad_spec_is_answered_with_every_error_and_its_place(server):
    before = server.get("/v1/runs?max=1").json["runs"]
    reply = server.post("/v1/runs", "command: [true]\nretry:\n  limit: many\ncolour: red\n", kind="application/yaml")
    assert (reply.status, reply.code) == (400, "invalid")
    details = reply.json["error"]["details"]
    assert [(d["line"], d["field"]) for d in details] == [(3, "retry.limit"), (4, "colour")]
    assert all(d["column"] >= 1 and d["problem"] for d in details)
    for body, kind, code in (("{", "application/json", "invalid"), ("", "application/json", "invalid"), ("a: *b", "application/yaml", "invalid"),
                             ("x" * 1100000, "application/yaml", "too_large"), ("{}", "text/html", "media_type")):
        assert server.post("/v1/runs", body, kind=kind).code == code, (body[:20], kind)
    other = server.post("/v1/runs", "{}", kind="text/html")
    assert other.status == 415 and "application/json or application/yaml" in other.json["error"]["message"]
    reply = server.post("/v1/runs", "command: [true]\n" + "".join(f"zz{i}: 1\n" for i in range(250)), kind="application/yaml")
    assert reply.json["error"]["message"].startswith("250 errors") and len(reply.json["error"]["details"]) == 100
    assert reply.json["error"]["details_more"] == 150
    assert server.get("/v1/runs?max=1").json["runs"] == before


def test_a_body_over_the_limit_is_not_read(server):
    connection = http.client.HTTPConnection(server.url[7:])
    connection.putrequest("POST", "/v1/runs")
    connection.putheader("Authorization", "Bearer " + server.token)
    connection.putheader("Content-Length", str(1 << 30))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413 and b"request_bytes_max" in answer.read()
    connection.close()


def test_waiting_for_other_runs(server):
    first = server.submit(command=["true"], held=True)
    second = server.submit(command=["true"], after=[{"run": first, "on": "ended"}])
    assert server.get(f"/v1/runs/{second}").json["state"] == "waiting"
    why = server.get(f"/v1/runs/{second}/why").json
    assert (why["reason"], why["waits_for_run"]) == ("dependency", first)
    reply = server.post("/v1/runs", {"command": ["true"], "after": [987654]})
    assert (reply.status, reply.code) == (400, "invalid") and "987654" in reply.json["error"]["message"]
    server.post(f"/v1/runs/{first}/cancel")
    server.ended(first)
    server.post(f"/v1/runs/{second}/cancel")
    server.ended(second)
    # Also once memory has forgotten the first one: the history is asked.
    until(lambda: server.get("/v1/status").json["runs"]["in_memory"] == server.get("/v1/status").json["runs"]["live"])
    third = server.submit(command=["true"], after=[{"run": first, "on": "ended"}], held=True)
    assert server.get(f"/v1/runs/{third}").json["state"] == "pending"
    reply = server.post("/v1/runs", {"command": ["true"], "after": [{"run": first, "on": "succeeded"}]})
    assert reply.code == "conflict", reply.body
    server.post(f"/v1/runs/{third}/cancel")


@covers("run_why")
def test_why(server):
    run_id = server.submit(command=["true"], held=True, tasks=3)
    why = server.get(f"/v1/runs/{run_id}/why").json
    assert why["reason"] == "held" and why["sentence"]
    assert server.get(f"/v1/runs/{run_id}/why?task=2").json["reason"] == "held"
    assert server.get(f"/v1/runs/{run_id}/why?task=3").code == "not_found"
    assert server.get("/v1/runs/999999/why").code == "not_found"
    server.post(f"/v1/runs/{run_id}/cancel")
    server.ended(run_id)
    assert server.get(f"/v1/runs/{run_id}/why").status in (200, 409)


def test_wait_ends_when_its_time_is_over(server):
    run_id = server.submit(command=["true"], held=True)
    began = time.monotonic()
    run = server.get(f"/v1/runs/{run_id}?wait=300ms").json
    assert 0.25 < time.monotonic() - began < 5 and run["state"] == "pending"
    answers = []
    thread = threading.Thread(target=lambda: answers.append(server.get(f"/v1/runs/{run_id}?wait=30s").json))
    thread.start()
    time.sleep(0.2)
    began = time.monotonic()
    server.post(f"/v1/runs/{run_id}/cancel")
    thread.join(10)
    assert answers[0]["state"] == "cancelled" and time.monotonic() - began < 2


# ---- lists


@covers("runs", "export")
def test_lists_pages_and_filters(server):
    ids = [server.submit(command=["true"], name="listed", labels={"n": str(i), "group": "pages"}, held=True) for i in range(7)]
    # Who was answered by a write sees it in the next list.
    found = server.get("/v1/runs?label=group=pages").json
    assert [run["run_id"] for run in found["runs"]] == ids[::-1] and found["next_before"] is None
    page = server.get("/v1/runs?label=group=pages&max=3").json
    assert [run["run_id"] for run in page["runs"]] == ids[:3:-1]
    rest = server.get(f"/v1/runs?label=group=pages&max=10&before={page['next_before']}").json
    assert [run["run_id"] for run in rest["runs"]] == ids[3::-1]
    assert [run["run_id"] for run in server.get("/v1/runs?label=group=pages&label=n=4").json["runs"]] == [ids[4]]
    assert server.get("/v1/runs?job=listed&namespace=other").json["runs"] == []
    server.post(f"/v1/runs/{ids[0]}/cancel")
    server.ended(ids[0])
    live = [run["run_id"] for run in server.get("/v1/runs?label=group=pages&live=1").json["runs"]]
    assert live == ids[:0:-1]
    assert [run["run_id"] for run in server.get("/v1/runs?label=group=pages&state=cancelled,failed").json["runs"]] == [ids[0]]
    assert server.get("/v1/runs?label=group=pages&since=2100-01-01T00:00:00Z").json["runs"] == []
    assert len(server.get("/v1/runs?label=group=pages&until=2100-01-01T00:00:00Z").json["runs"]) == 7
    reply = server.get("/v1/export?label=group=pages")
    assert reply.headers["Content-Type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in reply.body.splitlines()]
    assert [run["run_id"] for run in lines] == ids[::-1]
    for run_id in ids[1:]:
        server.post(f"/v1/runs/{run_id}/cancel")


# ---- real work


def log_facts(reply):
    return (reply.status, reply.body, *(reply.headers.get("Muster-" + name) for name in ("Offset", "End", "Final")))


def test_a_task_that_says_nothing_has_an_empty_log(server, agent):
    silent = server.submit(command=["true"])
    server.ended(silent)
    assert log_facts(server.get(f"/v1/runs/{silent}/tasks/0/log")) == (200, b"", "0", "0", "1")
    assert log_facts(server.get(f"/v1/runs/{silent}/tasks/0/log?stream=stderr&offset=7")) == (200, b"", "7", "0", "1")
    assert server.get(f"/v1/runs/{silent}/tasks/0/log?follow=1").headers["Muster-Offset"] == "0"
    running = server.submit(command=["sleep", "60"])
    until(lambda: server.get(f"/v1/runs/{running}").json["tasks"]["running"] == 1)
    assert log_facts(server.get(f"/v1/runs/{running}/tasks/0/log")) == (200, b"", "0", "0", "0")
    # What goes on is shown as it is, and not as the history last heard of it.
    task = server.get(f"/v1/runs/{running}/tasks/0").json
    assert (task["state"], task["attempts"][-1]["state"], task["attempts"][-1]["ended_at"]) == ("running", "running", None)
    assert [t["state"] for t in server.get(f"/v1/runs/{running}/tasks").json["tasks"]] == ["running"]
    assert [t["state"] for t in server.get(f"/v1/runs/{running}/tasks?state=running").json["tasks"]] == ["running"]
    assert server.get("/v1/runs?state=running").json["runs"][0]["tasks"]["running"] == 1
    server.post(f"/v1/runs/{running}/cancel")
    # One stream is empty because nothing came, or because it was removed: what the attempt wrote in all tells.
    loud = server.submit(command=["sh", "-c", "echo to stderr >&2"])
    server.ended(loud)
    assert log_facts(server.get(f"/v1/runs/{loud}/tasks/0/log")) == (200, b"", "0", "0", "1")
    os.unlink(os.path.join(agent.folder, "logs", str(loud // 1000), str(loud), "0.1.err"))
    for stream in ("stdout", "stderr"):
        reply = server.get(f"/v1/runs/{loud}/tasks/0/log?stream={stream}")
        assert (reply.status, reply.code) == (404, "not_found") and "not kept on node n1 any more" in reply.json["error"]["message"]


@covers("run_watch", "tasks", "task", "task_log", "run_rerun")
def test_an_array_that_runs(server, agent):
    script = "#!/bin/sh\necho out $MUSTER_TASK\necho err $MUSTER_TASK >&2\n[ $MUSTER_TASK != 3 ] || exit 7\n"
    run_id = server.submit(script=script, tasks="0-4", name="array", resources={"cpu": "10m"})
    lines = [json.loads(line) for line in server.get(f"/v1/runs/{run_id}/watch").body.splitlines()]
    assert lines[-1]["state"] == "failed" and "spec" not in lines[-1]
    assert lines[-1]["tasks"]["succeeded"] == 4 and lines[-1]["tasks"]["failed"] == 1
    # Once more when it has long ended.
    again = [json.loads(line) for line in server.get(f"/v1/runs/{run_id}/watch").body.splitlines()]
    assert again[-1]["state"] == "failed"

    tasks = server.get(f"/v1/runs/{run_id}/tasks").json
    assert [task["index"] for task in tasks["tasks"]] == [0, 1, 2, 3, 4] and tasks["next_from"] is None
    assert [task["state"] for task in tasks["tasks"]] == ["succeeded"] * 3 + ["failed", "succeeded"]
    assert {task["node"] for task in tasks["tasks"]} == {"n1"}
    page = server.get(f"/v1/runs/{run_id}/tasks?max=2&from=1").json
    assert [task["index"] for task in page["tasks"]] == [1, 2] and page["next_from"] == 3
    failed = server.get(f"/v1/runs/{run_id}/tasks?state=failed").json["tasks"]
    assert [(task["index"], task["outcome"], task["exit_code"]) for task in failed] == [(3, "exit", 7)]

    task = server.get(f"/v1/runs/{run_id}/tasks/3").json
    assert (task["state"], task["exit_code"], len(task["attempts"])) == ("failed", 7, 1)
    assert task["usage"]["wall_seconds"] >= 0 and task["attempts"][0]["attempt"] == 1
    assert server.get(f"/v1/runs/{run_id}/tasks/5").code == "not_found"
    assert server.get("/v1/runs/999999/tasks").code == "not_found"
    assert server.get("/v1/runs/999999/tasks/0").code == "not_found"

    log = server.get(f"/v1/runs/{run_id}/tasks/2/log")
    assert (log.body, log.headers["Muster-Offset"], log.headers["Muster-End"], log.headers["Muster-Final"]) == (b"out 2\n", "0", "6", "1")
    assert server.get(f"/v1/runs/{run_id}/tasks/2/log?stream=stderr&offset=4").body == b"2\n"
    assert server.get(f"/v1/runs/{run_id}/tasks/2/log?follow=1").body == b"out 2\n"
    assert server.get(f"/v1/runs/{run_id}/tasks/2/log?max=3").body == b"out"
    assert server.get(f"/v1/runs/{run_id}/tasks/2/log?stream=stdin").code == "invalid"
    assert server.get(f"/v1/runs/{run_id}/tasks/2/log?attempt=9").code == "not_found"
    assert server.get(f"/v1/runs/{run_id}/tasks/99/log").code == "not_found"
    assert server.get("/v1/runs/999999/tasks/0/log?follow=1").code == "not_found"

    followed = server.get(f"/v1/runs/{run_id}/tasks/2/log?follow=1&offset=2")
    assert (followed.body, followed.headers["Muster-Offset"]) == (b"t 2\n", "2")

    reply = server.post(f"/v1/runs/{run_id}/rerun", {"failed": True})
    assert reply.status == 201 and reply.json["rerun_of"] == run_id
    rerun = server.ended(reply.json["run_id"])
    assert (rerun["state"], rerun["tasks"]["total"], rerun["rerun_of"]) == ("failed", 1, run_id)
    assert [t["index"] for t in server.get(f"/v1/runs/{rerun['run_id']}/tasks").json["tasks"]] == [3]
    whole = server.post(f"/v1/runs/{run_id}/rerun").json["run_id"]
    assert server.ended(whole)["tasks"]["total"] == 5
    good = server.submit(command=["true"])
    assert server.ended(good)["state"] == "succeeded"
    assert server.post(f"/v1/runs/{good}/rerun", {"failed": True}).code == "conflict"
    assert server.post("/v1/runs/999999/rerun").code == "not_found"
    assert server.post(f"/v1/runs/{good}/rerun", {"tasks": 1}).code == "invalid"
    assert [run["run_id"] for run in server.get("/v1/runs?node=n1&job=array").json["runs"]][-1] == run_id


def test_output_is_followed_while_it_is_written(server, agent):
    run_id = server.submit(script="#!/bin/sh\nfor i in 1 2 3; do echo line $i; sleep 0.3; done\n", resources={"cpu": "10m"})
    connection = http.client.HTTPConnection(server.url[7:], timeout=30)
    connection.request("GET", f"/v1/runs/{run_id}/tasks/0/log?follow=1", headers={"Authorization": "Bearer " + server.token})
    answer = connection.getresponse()
    seen = []
    while line := answer.readline():
        seen.append((line, time.monotonic()))
    assert [line for line, _ in seen] == [b"line 1\n", b"line 2\n", b"line 3\n"]
    assert seen[2][1] - seen[0][1] > 0.3  # they came as they were written
    connection.close()


def test_cancel_of_some_tasks(server, agent):
    run_id = server.submit(command=["sleep", "60"], tasks="0-5", resources={"cpu": "10m"})
    until(lambda: server.get(f"/v1/runs/{run_id}").json["tasks"]["running"] == 6)
    assert {t["state"] for t in server.get(f"/v1/runs/{run_id}/tasks?state=running").json["tasks"]} == {"running"}
    assert server.post(f"/v1/runs/{run_id}/cancel", {"tasks": "1-2,4"}).status == 202
    run = until(lambda: (r := server.get(f"/v1/runs/{run_id}").json)["tasks"]["cancelled"] == 3 and r)
    assert run["tasks"]["running"] == 3
    assert server.post(f"/v1/runs/{run_id}/cancel", {"tasks": "7"}).code == "not_found"
    assert server.post(f"/v1/runs/{run_id}/cancel", {"tasks": "x"}).code == "invalid"
    assert server.post(f"/v1/runs/{run_id}/cancel", "[1").code == "invalid"
    server.post(f"/v1/runs/{run_id}/cancel")
    assert server.ended(run_id)["state"] == "cancelled"


# ---- jobs


@covers("jobs_apply", "jobs", "job", "job_hold", "job_release", "job_start", "job_cancel", "job_fires", "job_next", "job_delete")
def test_jobs(server, agent):
    text = "name: nightly\ncommand: [sleep, '60']\nresources: {cpu: 10m}\nschedule: '0 3 * * *'\n---\nname: other\nnamespace: team\ncommand: ['true']\n"
    dry = server.post("/v1/jobs?dry_run=1", text, kind="application/yaml")
    assert dry.status == 200 and [(j["name"], j["version"], j["changed"]) for j in dry.json["jobs"]] == [("nightly", 1, True), ("other", 1, True)]
    assert server.get("/v1/jobs/default/nightly").code == "not_found"
    first = server.post("/v1/jobs", text, kind="application/yaml")
    assert first.status == 201, first.body
    assert [(j["namespace"], j["name"], j["version"], j["changed"]) for j in first.json["jobs"]] == [
        ("default", "nightly", 1, True), ("team", "other", 1, True)]
    second = server.post("/v1/jobs", text, kind="application/yaml")
    assert second.status == 200 and not any(j["changed"] for j in second.json["jobs"])
    assert server.post("/v1/jobs", text.replace("60", "61"), kind="application/yaml").json["jobs"][0]["version"] == 2
    # All or nothing when a document is wrong.
    reply = server.post("/v1/jobs", "name: good\ncommand: ['true']\n---\nname: bad\n", kind="application/yaml")
    assert reply.code == "invalid" and server.get("/v1/jobs/default/good").code == "not_found"

    listed = server.get("/v1/jobs?max=1").json
    assert [j["name"] for j in listed["jobs"]] == ["nightly"]
    assert [j["name"] for j in server.get(f"/v1/jobs?after={listed['next_after']}").json["jobs"]] == ["other"]
    job = server.get("/v1/jobs/default/nightly").json
    assert job["version"] == 2 and job["spec"]["command"] == ["sleep", "61"] and job["schedules"] == ["0 3 * * *"]
    instants = server.get("/v1/jobs/default/nightly/next?n=3").json["instants"]
    assert len(instants) == 3 and all(i.endswith("T03:00:00.000Z") for i in instants) and instants == sorted(set(instants))
    assert job["next_at"] == instants[0]

    assert server.post("/v1/jobs/default/nightly/hold").status == 200
    assert server.get("/v1/jobs/default/nightly").json["state"] == "held"
    assert server.get("/v1/jobs/default/nightly/next").json["instants"] == []
    assert server.post("/v1/jobs/default/nightly/release").status == 200
    started = server.post("/v1/jobs/default/nightly/start", headers={"Idempotency-Key": "start"})
    assert started.status == 201
    assert server.post("/v1/jobs/default/nightly/start", headers={"Idempotency-Key": "start"}).status == 200
    run = server.get(f"/v1/runs/{started.json['run_id']}").json
    assert (run["job"], run["job_version"]) == ("nightly", 2)
    reply = server.post("/v1/jobs/default/nightly/cancel")
    assert (reply.status, reply.json) == (202, {"cancelled": 1})
    assert server.ended(started.json["run_id"])["state"] == "cancelled"

    tick = "name: tick\ncommand: ['true']\nresources: {cpu: 10m}\nschedule: [{every: 1s}]\n"
    assert server.post("/v1/jobs", tick, kind="application/yaml").status == 201
    fires = until(lambda: (f := server.get("/v1/jobs/default/tick/fires").json["fires"]) and len(f) >= 2 and f)
    assert {fire["outcome"] for fire in fires} == {"started"} and fires[0]["nominal_at"] > fires[1]["nominal_at"]
    older = server.get(f"/v1/jobs/default/tick/fires?max=1&before={urllib.parse.quote(fires[0]['nominal_at'])}").json["fires"]
    assert [fire["nominal_at"] for fire in older] == [fires[1]["nominal_at"]]
    nominal = server.get(f"/v1/runs/{fires[0]['run_id']}").json["nominal_at"]
    assert nominal == fires[0]["nominal_at"]

    for name in ("nightly", "tick"):
        assert server.ask("DELETE", f"/v1/jobs/default/{name}").status == 200
        assert server.get(f"/v1/jobs/default/{name}").code == "not_found"
    for what in ("hold", "release", "start", "cancel"):
        assert server.post(f"/v1/jobs/default/nightly/{what}").code == "not_found"
    for what in ("/fires", "/next"):
        assert server.get(f"/v1/jobs/default/nightly{what}").code == "not_found"
    assert server.ask("DELETE", "/v1/jobs/default/nightly").code == "not_found"


# ---- nodes


@covers("nodes", "node", "node_drain", "node_undrain", "node_remove")
def test_nodes(server, agent, tmp_path):
    other = Agent(server, tmp_path / "n2", "n2")
    nodes = server.get("/v1/nodes").json["nodes"]
    assert [node["node"] for node in nodes] == ["n1", "n2"]
    node = server.get("/v1/nodes/n2").json
    assert (node["state"], node["admission"], node["labels"]["zone"]) == ("online", "open", "eu")
    assert node["capacity"]["cpu_millis"] > 0 and node["capacity"]["memory_bytes"] > 0 and node["used"]["cpu_millis"] == 0
    assert server.get("/v1/nodes/n3").code == "not_found"
    assert server.ask("DELETE", "/v1/nodes/n2").code == "conflict"
    assert server.post("/v1/nodes/n2/drain").json == {"node": "n2"}
    assert server.get("/v1/nodes/n2").json["admission"] == "drained"
    assert server.post("/v1/nodes/n2/undrain").status == 200
    assert server.get("/v1/nodes/n2").json["admission"] == "open"
    server.post("/v1/nodes/n2/drain")
    reply = server.ask("DELETE", "/v1/nodes/n2")
    assert reply.code == "conflict" and "stop it first" in reply.json["error"]["message"]
    assert server.get("/v1/nodes/n2").json["admission"] == "drained"
    other.stop()
    until(lambda: server.ask("DELETE", "/v1/nodes/n2").status == 200)
    assert server.get("/v1/nodes/n2").code == "not_found"
    for what in ("drain", "undrain"):
        assert server.post(f"/v1/nodes/n9/{what}").code == "not_found"
    assert server.ask("DELETE", "/v1/nodes/n9").code == "not_found"


# ---- ends and beginnings


def test_what_was_answered_survives_kill(tmp_path):
    one = Server(tmp_path / "data", settings=["snapshot_log_bytes=4096"])
    try:
        ids = [one.submit(command=["true"], name=f"r{i}", held=True) for i in range(200)]
        one.post(f"/v1/runs/{ids[0]}/cancel")
        one.ended(ids[0])
        epoch = one.get("/v1/version").json["epoch"]
        one.stop(signal.SIGKILL)
        one.start()
        assert one.get("/v1/version").json["epoch"] == epoch + 1
        assert one.get(f"/v1/runs/{ids[0]}").json["state"] == "cancelled"
        assert one.get(f"/v1/runs/{ids[-1]}").json["job"] == "r199"
        listed = [run["run_id"] for run in one.get("/v1/runs?max=1000").json["runs"]]
        assert listed == ids[::-1]
        with open(one.log.name, encoding="utf-8") as file:
            assert "snapshot taken" in file.read()
        assert one.submit(command=["true"], held=True) == ids[-1] + 1
        assert one.stop() == 0
        assert not os.path.exists(os.path.join(one.folder, "endpoint.json"))
        one.start()
        assert len(one.get("/v1/runs?max=1000&live=1").json["runs"]) == 200
    finally:
        assert one.stop() == 0


def test_a_lost_history_keeps_nobody_from_working(tmp_path):
    one = Server(tmp_path / "data", settings=["snapshot_log_bytes=4096"])
    try:
        first = one.submit(command=["true"], held=True)
        one.post(f"/v1/runs/{first}/cancel")
        one.ended(first)
        for _ in range(200):
            last = one.submit(command=["true"], held=True)
        until(lambda: "snapshot taken" in open(one.log.name, encoding="utf-8").read())
        assert one.stop() == 0
        for name in os.listdir(one.folder):
            if name.startswith("history.db"):
                os.remove(os.path.join(one.folder, name))
        one.start()
        assert one.get(f"/v1/runs/{first}").code == "not_found"
        assert one.get(f"/v1/runs/{last}").json["state"] == "pending"
        new = one.submit(command=["true"], held=True)
        assert one.get("/v1/runs?max=1").json["runs"][0]["run_id"] == new == last + 1
    finally:
        assert one.stop() == 0


def test_a_history_that_lags_holds_back_new_work(tmp_path):
    one = Server(tmp_path / "data", settings=["history_lag_bytes_max=1MiB"])
    try:
        first = one.submit(command=["true"], held=True)
        assert one.get("/v1/runs?max=1").json["runs"][0]["run_id"] == first
        blocker = sqlite3.connect(os.path.join(one.folder, "history.db"), isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        refused = None
        for _ in range(100):
            reply = one.post("/v1/runs?held=1", {"command": ["true", "x" * 20000]})
            if reply.status != 201:
                refused = reply
                break
            last = reply.json["run_id"]
        assert refused is not None and refused.code == "unavailable" and "history_lag_bytes_max" in refused.json["error"]["message"]
        # Everything else goes on: by id from memory, lists as far as the history knows, after a second of waiting for it.
        assert one.get(f"/v1/runs/{last}").json["state"] == "pending"
        assert one.post(f"/v1/runs/{last}/cancel").status == 202
        began = time.monotonic()
        assert one.get("/v1/runs?max=1").json["runs"][0]["run_id"] == first
        assert 0.9 < time.monotonic() - began < 5
        blocker.execute("ROLLBACK")
        blocker.close()
        until(lambda: one.get("/v1/status").json["history"]["lag_bytes"] == 0)
        assert one.get("/v1/runs?max=1").json["runs"][0]["run_id"] == last
        one.submit(command=["true"], held=True)
    finally:
        assert one.stop() == 0


def test_several_jobs_are_stored_together_or_not_at_all(tmp_path):
    one = Server(tmp_path / "data", settings=["jobs_max=2"])
    past = "name: b\ncommand: [true]\nschedule: {at: 2020-01-01T00:00:00Z}\n"
    try:
        for query in ("?dry_run=1", ""):
            reply = one.post("/v1/jobs" + query, "name: a\ncommand: [true]\n---\n" + past, kind="application/yaml")
            assert (reply.status, reply.code) == (400, "invalid")
            assert "job 'b': schedule[0]" in reply.json["error"]["message"] and "none was stored" in reply.json["error"]["message"]
            three = "\n---\n".join(f"name: {name}\ncommand: [true]" for name in "abc")
            reply = one.post("/v1/jobs" + query, three, kind="application/yaml")
            assert (reply.status, reply.code) == (429, "limit") and "jobs_max" in reply.json["error"]["message"]
            assert one.get("/v1/jobs").json["jobs"] == []
        two = "name: a\ncommand: [true]\n---\nname: b\ncommand: [true]\n"
        assert one.post("/v1/jobs", two, kind="application/yaml").status == 201
        assert one.post("/v1/jobs", two, kind="application/yaml").status == 200
    finally:
        assert one.stop() == 0


def test_sizes_just_above_a_limit_are_told_exactly(server):
    reply = server.post("/v1/runs", {"command": ["x" * 131072]})
    assert "131073 bytes, more than command_bytes_max allows (131072 bytes)" in reply.json["error"]["message"]


def test_too_many_connections(tmp_path):
    one = Server(tmp_path / "data", settings=["connections_max=4"])
    try:
        host, port = one.url[7:].split(":")
        held = [socket.create_connection((host, int(port))) for _ in range(4)]
        reply = until(lambda: (r := one.get("/v1/version")).status == 429 and r)
        assert "connections_max" in reply.json["error"]["message"]
        for connection in held:
            connection.close()
        until(lambda: one.get("/v1/version").status == 200)
    finally:
        assert one.stop() == 0


def test_stop_while_somebody_waits(tmp_path):
    one = Server(tmp_path / "data")
    run_id = one.submit(command=["true"], held=True)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(one.get(f"/v1/runs/{run_id}?wait=60s")))
    thread.start()
    time.sleep(0.2)
    assert one.stop() == 0
    thread.join(10)
    assert answers[0].code == "interrupted"

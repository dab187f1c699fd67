# SPDX-License-Identifier: Apache-2.0
"""Parameters, with the real binary: declared by a job, given by hand, fixed by a schedule; told to the command, kept by reruns, never a shell's."""

import json
import urllib.request

import pytest

from cli_world import Fleet

JOB = """
name: report
command: [sh, -c, 'echo "$1" "$MUSTER_PARAM_day" "$MUSTER_PARAM_region" "${MUSTER_PARAM_mode-unset}"', sh, "{{params.day}}/{{params.region}}/{{params.mode}}"]
env: {WHERE: "{{params.region}}"}
resources: {cpu: 50m}
params: {day: {required: true}, region: eu, mode: }
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    fleet = Fleet(str(tmp_path_factory.mktemp("params")), "--set", "param_bytes_max=100", agents=1)
    yield fleet
    fleet.stop()


def test_given_by_hand(fleet):
    fleet.ok("apply", "-f", "-", stdin=JOB)
    done = fleet("start", "report", "--param", "day=2026-11-23; touch /tmp/never `id`", "--follow")
    assert done.out == "2026-11-23; touch /tmp/never `id`/eu/{{params.mode}} 2026-11-23; touch /tmp/never `id` eu unset\n", done
    run = fleet.json("history", "report")["runs"][0]
    assert run["params"] == {"day": "2026-11-23; touch /tmp/never `id`", "region": "eu"}
    # Shown, and kept by a rerun, also from the history.
    assert "day=2026-11-23; touch /tmp/never `id` region=eu" in fleet.ok("show", str(run["run_id"]))
    again = fleet("rerun", str(run["run_id"]), "--follow")
    assert again.out == done.out
    both = fleet("start", "report", "--param", "day=a=b", "--param", "mode=", "--param", "region=us", "--follow")
    assert both.out == "a=b/us/ a=b us \n"


def test_refused_with_a_sentence(fleet):
    fleet.ok("apply", "-f", "-", stdin=JOB)
    before = len(fleet.json("history", "report")["runs"])
    for words, text in [
        ([], "params: 'day' is required; give it a value: --param day=VALUE"),
        (["--param", "day=1", "--param", "dya=2"], "params: there is no parameter 'dya'; the job has day, mode, region"),
        (["--param", "day=" + "x" * 101], "params: 'day': its value is 101B, more than param_bytes_max allows (100B); pass the name of a file instead"),
        (["--param", "day"], "--param: 'day' is not NAME=VALUE"),
        (["--param", "day=1", "--param", "day=2"], "--param: 'day' is given twice; give one value"),
    ]:
        done = fleet("start", "report", *words)
        assert done.code != 0 and text in done.err, done
    assert len(fleet.json("history", "report")["runs"]) == before
    bad = fleet("apply", "-f", "-", stdin="name: bad\ncommand: 'echo {{params.x}}'\nparams: {x: 1}\n")
    assert bad.code == 65 and 'write "$MUSTER_PARAM_x" there' in bad.err


def test_a_schedule_fixes_values(fleet):
    fleet.ok("apply", "-f", "-", stdin=JOB.replace("report", "often") +
             'schedule: [{cron: "@every 1s", params: {day: "{{nominal}}", region: us}}]\n')
    fleet.wait_for(lambda: [r for r in fleet.json("history", "often")["runs"] if r["state"] == "succeeded"], "a fire")
    fleet.ok("hold", "often")
    run = [r for r in fleet.json("history", "often")["runs"] if r["state"] == "succeeded"][-1]
    assert run["params"] == {"day": "{{nominal}}", "region": "us"}
    assert fleet.ok("logs", str(run["run_id"])) == f"{run['nominal_at']}/us/{{{{params.mode}}}} {run['nominal_at']} us unset\n"
    assert fleet.json("show", "often")["spec"]["params"] == {"day": {"required": True}, "mode": {}, "region": {"default": "eu"}}
    fleet.ok("delete", "often")


def test_work_of_no_job(fleet, tmp_path):
    name = tmp_path / "own.yaml"
    name.write_text("command: [echo, 'p={{params.p}}']\nparams: {p: 1}\nresources: {cpu: 50m}\n")
    assert fleet("run", "-f", str(name)).out == "p=1\n"
    assert fleet("run", "-f", str(name), "--param", "p=zwei & drei").out == "p=zwei & drei\n"
    refused = fleet("run", "--param", "q=1", "--", "true")
    assert refused.code == 65 and "there is no parameter 'q'; the job declares none" in refused.err, refused


def test_the_api(fleet):
    fleet.ok("apply", "-f", "-", stdin=JOB)
    with open(fleet.data + "/api.token", encoding="utf-8") as file:
        token = file.read().strip()
    url = fleet.json("status")["url"] if "url" in fleet.json("status") else None
    url = url or next(word.rstrip(",.") for word in fleet.said().split() if word.startswith("http://"))

    def post(body):
        request = urllib.request.Request(url + "/v1/jobs/default/report/start", data=body.encode(), method="POST",
                                         headers={"Authorization": "Bearer " + token})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    code, answer = post('{"params": {"day": 20261123, "mode": true}}')
    assert code == 201
    assert fleet.json("show", str(answer["run_id"]))["params"] == {"day": "20261123", "mode": "true", "region": "eu"}
    assert post('{"params": {"day": []}}')[0] == 400
    assert post('{"params": ["day"]}')[0] == 400
    assert post('{"parms": {}}')[0] == 400
    assert post('{"params": {"day": "a\\u0007"}}')[0] == 400
    assert post("{}")[0] == 400

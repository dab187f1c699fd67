# SPDX-License-Identifier: Apache-2.0
"""Conditions of jobs over the API: a part of test_api.py."""

from api_world import covers, until


@covers("conditions", "job_why")
def test_what_is_not_as_it_should_be(server, agent):
    far = "name: far\ncommand: ['true']\nconstraints: [zone == nowhere]\nschedule: {every: 1s}\noverlap: queue\nlate_after: 1s\n"
    frail = "name: frail\ncommand: ['false']\nresources: {cpu: 10m}\nschedule: '0 0 1 1 *'\npause_after: 2\n"
    assert server.post("/v1/jobs", far + "---\n" + frail, kind="application/yaml").status == 201
    for _ in range(2):
        assert server.ended(server.post("/v1/jobs/default/frail/start").json["run_id"])["state"] == "failed"
    names = until(lambda: (found := {(c["name"], c["condition"]) for c in server.get("/v1/conditions").json["conditions"]}) and
                  ("far", "did_not_run") in found and found)
    assert names == {("far", "late"), ("far", "did_not_run"), ("frail", "paused")}
    late = server.get("/v1/jobs/default/far").json["conditions"]
    assert late[0]["condition"] == "late" and late[0]["run_id"] and late[0]["nominal_at"] < late[0]["since"]
    why = server.get("/v1/jobs/default/frail/why").json
    assert why["reason"] == "job_paused" and why["conditions"][0]["condition"] == "paused" and "2 runs in a row failed" in why["sentence"]
    first = server.get("/v1/conditions?max=1").json
    assert first["next_after"] and server.get(f"/v1/conditions?after={first['next_after']}").json["conditions"][0]["name"] == "frail"
    assert server.post("/v1/jobs/default/frail/release").status == 200
    assert server.get("/v1/jobs/default/frail/why").json["reason"] == "not_due"
    assert server.get("/v1/conditions?before=1").status == 400 and server.get("/v1/jobs/default/nobody/why").code == "not_found"
    for name in ("far", "frail"):
        server.post(f"/v1/jobs/default/{name}/cancel")
        assert server.ask("DELETE", f"/v1/jobs/default/{name}").status == 200
    assert server.get("/v1/conditions").json == {"conditions": [], "next_after": None}

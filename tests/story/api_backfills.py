# SPDX-License-Identifier: Apache-2.0
"""The routes of backfills; test_api.py runs what is here."""

import json

from api_world import covers, until


@covers("job_backfill", "backfills", "backfill", "backfill_cancel")
def test_backfills(server, agent):
    text = "name: past\ncommand: [sleep, '60']\nresources: {cpu: 10m}\nschedule: '0 3 * * *'\n"
    assert server.post("/v1/jobs", text, kind="application/yaml").status == 201
    asked = {"from": "2026-03-01T00:00:00Z", "to": "2026-03-11T00:00:00Z", "max_parallel": 2}
    assert server.post("/v1/jobs/default/past/backfill?dry_run=1", json.dumps(asked)).json == {"backfill_id": None, "instants": 10, "existing": False}
    made = server.post("/v1/jobs/default/past/backfill", json.dumps(asked), headers={"Idempotency-Key": "past"})
    assert made.status == 201 and made.json["instants"] == 10
    number = made.json["backfill_id"]
    assert server.post("/v1/jobs/default/past/backfill", json.dumps(asked), headers={"Idempotency-Key": "past"}).json["existing"] is True
    # Another over the same days would run them twice.
    assert server.post("/v1/jobs/default/past/backfill", json.dumps(asked)).code == "conflict"
    until(lambda: server.get(f"/v1/backfills/{number}").json["instants"]["active"] == 2)
    assert [b["backfill_id"] for b in server.get("/v1/backfills?max=1").json["backfills"]] == [number]
    assert server.post(f"/v1/backfills/{number}/cancel").json == {"backfill_id": number, "cancelled": 2}
    assert server.post(f"/v1/backfills/{number}/cancel").code == "conflict" and server.get("/v1/backfills/999").code == "not_found"
    for bad in ({}, {"from": "x", "to": "y"}, {**asked, "max_parallel": 0}, {**asked, "reverse": 1}, {**asked, "colour": "red"}, {**asked, "params": []}):
        assert server.post("/v1/jobs/default/past/backfill", json.dumps(bad)).code == "invalid", bad
    assert server.ask("DELETE", "/v1/jobs/default/past").status == 200  # the tests of jobs begin without any

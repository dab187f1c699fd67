# SPDX-License-Identifier: Apache-2.0
"""The routes of calendars; test_api.py runs this."""

from api_world import covers, until


@covers("calendar_put", "calendars", "calendar", "calendar_delete")
def test_calendars(server):
    text = "description: Days without work\ndates:\n- {from: 2999-12-27, to: 2999-12-31}\n- 2999-12-24\n- {date: 2999-12-25, label: Christmas}\n"
    assert server.post("/v1/calendars/off?dry_run=1", text, kind="application/yaml").json == {"version": 1, "changed": True}
    assert server.get("/v1/calendars/off").code == "not_found"
    assert (first := server.post("/v1/calendars/off", text, kind="application/yaml")).status == 201
    assert first.json == {"version": 1, "changed": True}
    calendar = server.get("/v1/calendars/off").json
    dates = [{"date": "2999-12-24"}, {"date": "2999-12-25", "label": "Christmas"}, {"from": "2999-12-27", "to": "2999-12-31"}]
    assert calendar["dates"] == dates and calendar["description"] == "Days without work" and calendar["schedules"] == 0
    # What is shown can be given back, and is the same.
    same = server.post("/v1/calendars/off", {"description": "Days without work", "dates": dates})
    assert (same.status, same.json) == (200, {"version": 1, "changed": False})
    assert server.post("/v1/calendars/off?if_version=7", {"dates": []}).code == "conflict"
    assert server.post("/v1/calendars/off?if_version=1", {"dates": [*dates, "2999-01-01"]}).json["version"] == 2
    assert server.post("/v1/calendars/b", {"dates": []}).status == 201
    listed = server.get("/v1/calendars?max=1").json
    assert [c["name"] for c in listed["calendars"]] == ["b"] and listed["next_after"] == "b"
    assert [(c["name"], c["version"], c["n_dates"]) for c in server.get("/v1/calendars?after=b").json["calendars"]] == [("off", 2, 4)]

    # All errors at once, each with its place.
    wrong = server.post("/v1/calendars/off", "dates:\n- 2026-02-30\n- {from: 2026-01-02, to: 2026-01-01}\n- {date: 2026-01-01, until: x}\n- [a]\nday: 1\n",
                        kind="application/yaml")
    assert wrong.code == "invalid"
    assert [(d["line"], d["field"]) for d in wrong.json["error"]["details"]] == [
        (2, "dates[0]"), (3, "dates[1]"), (4, "dates[2].until"), (5, "dates[3]"), (6, "day")]
    assert server.post("/v1/calendars/.x", {"dates": []}).code == "invalid"

    job = {"name": "holidays", "command": ["true"], "schedule": {"cron": "0 12 * * *", "exclude": "off"}}
    assert server.post("/v1/jobs", {**job, "schedule": {**job["schedule"], "exclude": ["off", "nowhere"]}}).code == "invalid"
    assert server.post("/v1/jobs", job).status == 201
    assert server.get("/v1/calendars/off").json["jobs"] == ["default/holidays"]
    assert server.get("/v1/jobs/default/holidays").json["schedules"] == ["0 12 * * * but not on off"]
    refused = server.ask("DELETE", "/v1/calendars/off")
    assert refused.code == "conflict" and "default/holidays" in refused.json["error"]["message"]
    coming = server.get("/v1/jobs/default/holidays/next?n=2&from=2999-12-23T00:00:00Z").json
    assert coming["instants"] == ["2999-12-23T12:00:00.000Z", "2999-12-26T12:00:00.000Z"]
    assert coming["left_out"] == [{"from": "2999-12-24", "to": "2999-12-24", "count": 1, "why": "calendar off"},
                                  {"from": "2999-12-25", "to": "2999-12-25", "count": 1, "why": "calendar off (Christmas)"}]
    # A job that can never fire is refused; one that no longer can is told of.
    assert "leave out all" in server.post("/v1/jobs", {**job, "name": "never", "schedule": {"cron": "0 12 * * *", "include": "b"}}).json["error"]["message"]
    assert server.post("/v1/calendars/b", {"dates": ["2999-12-25"]}).json["version"] == 2
    assert server.post("/v1/jobs", {**job, "name": "never", "schedule": {"cron": "0 12 * * *", "include": "b"}}).status == 201
    assert server.post("/v1/calendars/b", {"dates": []}).json["version"] == 3
    coming = server.get("/v1/jobs/default/never/next").json
    assert coming["instants"] == [] and coming["left_out"][0]["why"] == "not in calendar b"

    # While a stretch goes on, what has come of it is told; its record follows at the end.
    everything = {"dates": [{"from": "2000-01-01", "to": "2999-12-23"}]}
    assert server.post("/v1/jobs", {"name": "tick", "command": ["true"], "schedule": {"every": "1s", "exclude": "b"}}).status == 201
    assert server.post("/v1/calendars/b", everything).json["version"] == 4
    open_stretch = until(lambda: (f := server.get("/v1/jobs/default/tick/fires").json["left_out"]) and f[0]["count"] >= 2 and f)
    assert open_stretch[0]["why"] == "calendar b"
    assert server.post("/v1/calendars/b", {"dates": []}).json["version"] == 5
    fires = until(lambda: (f := server.get("/v1/jobs/default/tick/fires").json) and f["left_out"] == [] and f["fires"][0]["outcome"] == "started" and f)
    skipped = [f for f in fires["fires"] if f["outcome"] == "skipped_calendar"]
    assert len(skipped) == 1 and skipped[0]["missed"] >= 2 and skipped[0]["why"] == "calendar b"
    assert skipped[0]["nominal_at"] < skipped[0]["missed_until"]

    for name in ("holidays", "never", "tick"):
        assert server.ask("DELETE", f"/v1/jobs/default/{name}").status == 200
    assert server.ask("DELETE", "/v1/calendars/off").status == 200 and server.ask("DELETE", "/v1/calendars/b").status == 200
    assert server.ask("DELETE", "/v1/calendars/b").code == "not_found"

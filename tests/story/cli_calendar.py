# SPDX-License-Identifier: Apache-2.0
"""Calendars on the command line; test_cli.py runs this. A file of public holidays, a job that keeps to it, and a change of the file."""

import pathlib
import re

HOLIDAYS = pathlib.Path(__file__).parent / "calendars" / "berlin.ics"


def test_calendars(fleet, tmp_path):
    assert "there is no calendar yet" in fleet("calendar", "list").err
    tried = fleet("calendar", "put", "holidays", str(HOLIDAYS), "--dry-run")
    assert tried.code == 0 and "is valid (version 1)" in tried.err
    assert fleet("calendar", "show", "holidays").code == 66
    put = fleet("calendar", "put", "holidays", str(HOLIDAYS))
    assert put.code == 0 and "is stored (version 1)" in put.err
    said = {int(line.split(":")[1]): line.split(": ", 1)[1] for line in put.out.splitlines()}
    assert said[38] == "2027-03-26 to 2027-03-29: Karfreitag bis Ostermontag, mit einem Titel der in der Datei gefaltet ist"
    assert re.match(r"2000-01-01 and again, 1[012] times up to 20\d\d-01-01: Neujahr -- days before ", said[21])
    assert said[61].startswith("LEFT OUT: Betriebsversammlung -- it has a time of the day (2026-11-20 09:00)")
    assert said[68].startswith("2027-05-07: Brückentag -- from midnight to midnight")
    assert said[75] == "LEFT OUT: Sommerfest -- it is cancelled" and said[82] == "LEFT OUT: VTODO -- only events become dates"
    assert len(said) == 9
    assert "did not change (version 1)" in fleet("calendar", "put", "holidays", "-", stdin=HOLIDAYS.read_text(encoding="utf-8")).err

    shown = fleet.json("calendar", "show", "holidays")
    assert shown["description"] == "Feiertage in Berlin"
    assert {"from": "2027-12-25", "to": "2027-12-26", "label": "Weihnachten"} in shown["dates"]
    assert [c["name"] for c in fleet.json("calendar", "list")["calendars"]] == ["holidays"]
    row = next(line for line in fleet.ok("calendar", "list").splitlines() if line.startswith("holidays"))
    assert "Feiertage in Berlin" in row
    # What is printed can be put again.
    printed = fleet.ok("calendar", "show", "holidays")
    assert "did not change" in fleet("calendar", "put", "holidays", "-", stdin=printed).err

    job = "name: report\ncommand: ['true']\nschedule: {cron: '30 9 * * *', zone: Europe/Berlin, exclude: holidays}\n"
    assert fleet("apply", "-f", "-", stdin=job.replace("holidays}", "holydays}")).err.count("there is no calendar 'holydays'") == 1
    fleet.ok("apply", "-f", "-", stdin=job)
    lines = fleet.ok("next", "report", "--from", "2027-12-23T00:00:00Z", "-n", "4").splitlines()
    assert [line.split()[0][:10] for line in lines] == ["2027-12-23", "2027-12-24", "2027-12-25", "2027-12-27", "2027-12-28"]
    assert lines[2] == "2027-12-25 to 2027-12-26  excluded by calendar holidays (Weihnachten)"
    assert "# named by 1 schedule, of default/report" in fleet.ok("calendar", "show", "holidays")
    refused = fleet("calendar", "delete", "holidays")
    assert refused.code == 68 and "named by 1 schedule, of default/report" in refused.err

    # The company gives back one day, and the job follows at once.
    changed = printed.replace("- {from: 2027-12-25, to: 2027-12-26, label: \"Weihnachten\"}\n", "- 2027-12-25\n")
    assert changed != printed
    assert "is stored (version 2)" in fleet("calendar", "put", "holidays", "-", stdin=changed).err
    lines = fleet.ok("next", "report", "--from", "2027-12-24T12:00:00Z", "-n", "2").splitlines()
    assert lines[0] == "2027-12-25  excluded by calendar holidays" and lines[1].startswith("2027-12-26T08:30:00.000Z")

    # A job that has no day left says so, and goes on when it has one again.
    fleet.ok("apply", "-f", "-", stdin="name: rare\ncommand: ['true']\nschedule: {cron: '30 9 * * *', include: holidays}\n")
    assert "is stored (version 3)" in fleet("calendar", "put", "holidays", "-", stdin="dates: []\n").err
    never = fleet("next", "rare")
    assert re.fullmatch(r"20\d\d-\d\d-\d\d and on  not in calendar holidays\n", never.out) and "its calendars leave out every instant to come" in never.err
    assert "Every instant to come is left out" in fleet.ok("why", "rare")
    assert [(c["name"], c["condition"]) for c in fleet.json("conditions")["conditions"]] == [("rare", "never_due")]
    fleet.ok("calendar", "put", "holidays", "-", stdin='{"dates": ["2999-01-01"]}')
    assert fleet.json("conditions")["conditions"] == []
    assert fleet.json("next", "rare")["instants"] == ["2999-01-01T09:30:00.000Z"]

    # Every second of every day is left out: told of as going on, and as one row once it is over.
    fleet.ok("calendar", "put", "always", "-", stdin="dates:\n- {from: 2000-01-01, to: 2998-12-31, label: closed}\n")
    fleet.ok("apply", "-f", "-", stdin="name: ticks\ncommand: ['true']\nresources: {cpu: 10m}\nschedule: {every: 1s, exclude: always}\n")
    fleet.wait_for(lambda: (f := fleet.json("fires", "ticks")["left_out"]) and f[0]["count"] >= 2, "instants that are left out")
    assert "calendar always (closed)" in fleet.ok("fires", "ticks")
    fleet.ok("calendar", "put", "always", "-", stdin="dates: []\n")
    fleet.wait_for(lambda: fleet.json("fires", "ticks")["fires"][:1] and fleet.json("fires", "ticks")["fires"][0]["outcome"] == "started", "a fire")
    rows = [f for f in fleet.json("fires", "ticks")["fires"] if f["outcome"] == "skipped_calendar"]
    assert len(rows) == 1 and rows[0]["missed"] >= 2 and rows[0]["why"] == "calendar always"
    assert "calendar always" in fleet.ok("fires", "ticks")

    wrong = fleet("calendar", "put", "wrong", "-", stdin="dates:\n- 2026-02-30\n- {date: 2026-01-01, lable: x}\n")
    assert wrong.code == 65 and "standard input:2:3: dates[0]: there is no date '2026-02-30'" in wrong.err
    assert "standard input:3:" in wrong.err and "`muster help calendar` says what it may hold" in wrong.err
    for words in (["put", "holidays"], ["nothing"], []):
        done = fleet("calendar", *words)
        assert done.code != 0 and "muster calendar put NAME FILE" in done.err, done
    for name in ("report", "rare", "ticks"):
        fleet.ok("delete", name)
    for name in ("holidays", "always"):
        fleet.ok("calendar", "delete", name)
    assert fleet.json("calendar", "list")["calendars"] == []

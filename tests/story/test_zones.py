# SPDX-License-Identifier: Apache-2.0
"""The version of the time zone database that a server uses, and what it says when the machine gets another one."""

import os
import shutil

from api_world import Server, until


def test_another_database(tmp_path, monkeypatch):
    zones = tmp_path / "zoneinfo"
    zones.mkdir()
    shutil.copy("/usr/share/zoneinfo/Europe/Berlin", zones / "Invented")
    (zones / "tzdata.zi").write_text("# version 2031a\n")
    monkeypatch.setenv("TZDIR", str(zones))
    server = Server(tmp_path / "data", settings=["zones_look_every=100ms"])
    log = os.path.join(tmp_path, "server.log")

    def said():
        with open(log, encoding="utf-8") as file:
            return [line for line in file if "the time zone database of this machine was changed" in line]

    try:
        assert server.get("/v1/status").json["tz_database"] == "2031a"
        job = "name: j\ncommand: ['true']\nschedule: {cron: '0 3 * * *', zone: Invented}\n"
        assert server.post("/v1/jobs", job, kind="application/yaml").status == 201
        assert server.get("/v1/jobs/default/j/next").json["tz_database"] == "2031a"
        assert said() == []
        (zones / "tzdata.zi").write_text("# version 2031b\n")
        until(lambda: len(said()) == 1)
        assert "2031a" in said()[0] and "2031b" in said()[0]
        # Said once for each change; what is in use is what it was.
        (zones / "tzdata.zi").write_text("# version 2031c\n")
        until(lambda: len(said()) == 2)
        assert server.get("/v1/status").json["tz_database"] == "2031a"
        assert server.stop() == 0
        server.start()
        assert server.get("/v1/status").json["tz_database"] == "2031c"
    finally:
        server.stop()

# SPDX-License-Identifier: Apache-2.0
"""Conditions of jobs on the command line: a part of test_cli.py."""

import re


def test_conditions(fleet):
    assert "as it should be" in fleet("conditions").err
    fleet.ok("apply", "-f", "-", stdin="name: frail\ncommand: ['false']\nresources: {cpu: 10m}\nschedule: '0 0 1 1 *'\npause_after: 1\n")
    fleet("start", "frail", "--follow")
    fleet.wait_for(lambda: fleet.json("conditions")["conditions"], "the job to be paused")
    for command, said in (("conditions", r"^frail +paused +.*muster release frail"), ("jobs", r"^frail +paused "), ("why frail", r"^1 run in a row failed"),
                          ("why frail", r"^reason +job_paused$"), ("show frail", r"^paused +1 run in a row")):
        assert re.search(said, fleet.ok(*command.split()), re.M), command
    assert fleet.ok("release", "frail") is not None and "due next" in fleet.ok("why", "frail") and fleet("why", "nobody").code != 0
    fleet.ok("delete", "frail")  # the tests of jobs begin without any

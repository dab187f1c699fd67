# SPDX-License-Identifier: Apache-2.0
"""A hundred thousand schedules, and a few that would poison a scheduler of a lesser kind: the others go on, across a kill of the server,
and each of their instants is decided once."""

import datetime
import json
import time
import urllib.parse

import pytest
from fleet import ApiError, wait_for

MANY = 100_000
SECOND = datetime.timedelta(seconds=1)
WATCHED = [f"watched-{i}" for i in range(20)]

# Each has been the end of somebody's scheduler: an expression that is searched far and wide, a window that nothing falls into, bounds that
# leave one instant, an interval that a clock cannot follow, years of missed instants, a job that can never start, and one that always fails.
POISON = [
    {"name": "far", "schedule": {"cron": "59 59 23 29 2 ? 2096"}},
    {"name": "leap-sunday", "schedule": {"cron": "0 0 29 2 0#5", "zone": "Pacific/Apia"}},
    {"name": "gap", "schedule": {"cron": "* * * * * *", "zone": "Africa/Cairo", "between": "00:00-00:01"}},
    {"name": "one-instant", "schedule": {"cron": "0 0 1 1 *", "from": "2098-12-31T00:00:00Z", "until": "2099-01-01T00:00:01Z"}},
    {"name": "flood", "schedule": {"every": "1s"}, "misfire": "all"},
    {"name": "no-room", "schedule": {"every": "1s"}, "resources": {"gpu": 64}, "overlap": "queue"},
    {"name": "never-well", "command": ["/bin/false"], "schedule": {"every": "1s"}, "retry": {"limit": 50, "backoff": "1s"}},
    {"name": "many-triggers", "schedule": [{"cron": f"{s} * * * * *"} for s in range(0, 60, 4)]},
]
NEVER = {"name": "never", "schedule": {"cron": "0 0 30 2 *"}}


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def apply(fleet, specs):
    text = "\n---\n".join(json.dumps({"command": ["/bin/true"], **spec}) for spec in specs)
    fleet.call("POST", "/v1/jobs", text.encode(), {"Content-Type": "application/yaml"}, timeout=120)


def decided(fleet, name):
    """Every instant of a job that was decided: (first, last, outcome), the oldest first."""
    found, before = [], ""
    while before is not None:
        page = fleet.get(f"/v1/jobs/default/{name}/fires?max=500{before}")
        for fire in page["fires"]:
            first = instant(fire["nominal_at"])
            found.append((first, instant(fire["missed_until"]) if fire["missed_until"] else first, fire["outcome"]))
        before = page["next_before"] and f"&before={urllib.parse.quote(page['next_before'])}"
    return found[::-1]


def test_poison_among_a_hundred_thousand(fleet):
    fleet = fleet(executor="null", cpu="1000")
    for first in range(0, MANY, 5000):
        apply(fleet, [{"name": f"job-{i}", "schedule": "H H 1 1 *"} for i in range(first, first + 5000)])
    apply(fleet, [{"name": name, "schedule": "* * * * * *"} for name in WATCHED])
    apply(fleet, POISON)
    with pytest.raises(ApiError) as refused:
        apply(fleet, [NEVER])
    assert "a day that never comes" in str(refused.value)

    def has_fired(after):
        return lambda: all(decided(fleet, name)[-1:] and decided(fleet, name)[-1][0] > after for name in WATCHED)

    began = datetime.datetime.now(datetime.timezone.utc)
    wait_for("the watched jobs fire", has_fired(began + 2 * SECOND))
    fleet.kill_server()
    time.sleep(3)  # an outage, of which instants are missed
    fleet.start_server()
    wait_for("the watched jobs go on", has_fired(datetime.datetime.now(datetime.timezone.utc) + 2 * SECOND))

    for name in WATCHED:
        instants = decided(fleet, name)
        for (_, last, _), (following, _, _) in zip(instants, instants[1:]):
            assert following == last + SECOND, (name, last, following)
        assert {outcome for _, _, outcome in instants} <= {"started"}, name

# SPDX-License-Identifier: Apache-2.0
"""The checker's own client of the HTTP API. What matters is what an answer proves: ok (it happened), fail (it did not), or info (nobody can know)."""

import http.client
import json
import socket


class Unknown(Exception):
    """No answer, or one that proves nothing."""


class Refused(Exception):
    """It certainly was not done."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status = status


class Client:
    def __init__(self, world):
        self.world = world

    def call(self, method, path, body=None, key=None, timeout=2.0):
        """The answer's JSON. Raises Refused or Unknown."""
        port, token = self.world.api()
        if port is None:
            raise Refused(0, "there is no server")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        try:
            try:
                connection.connect()
            except ConnectionRefusedError:
                raise Refused(0, "nobody listens") from None
            except OSError as error:
                raise Unknown(repr(error)) from None
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            if key:
                headers["Idempotency-Key"] = key
            try:
                connection.request(method, path, None if body is None else json.dumps(body), headers)
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException, socket.timeout) as error:
                raise Unknown(repr(error)) from None
        finally:
            connection.close()
        if answer.status < 300:
            return json.loads(content or b"null")
        if answer.status < 500:
            raise Refused(answer.status, content.decode(errors="replace"))
        raise Unknown(f"{answer.status}: {content.decode(errors='replace')}")

    def get(self, path, timeout=10.0):
        return self.call("GET", path, timeout=timeout)

    def all_runs(self):
        rows, before = [], None
        while True:
            page = self.get(f"/v1/runs?max=500{'' if before is None else f'&before={before}'}")
            rows += page["runs"]
            before = page["next_before"]
            if before is None:
                return sorted(rows, key=lambda r: r["run_id"])

    def all_tasks(self, run):
        rows, start = [], 0
        while start is not None:
            page = self.get(f"/v1/runs/{run}/tasks?from={start}&max=500")
            rows += page["tasks"]
            start = page["next_from"]
        return rows

    def all_fires(self, name):
        rows, before = [], None
        while True:
            page = self.get(f"/v1/jobs/default/{name}/fires?max=500{'' if before is None else f'&before={before}'}")
            rows += page["fires"]
            before = page["next_before"]
            if before is None:
                return sorted(rows, key=lambda f: (f["nominal_at"], f["trigger"]))

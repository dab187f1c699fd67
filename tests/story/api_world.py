# SPDX-License-Identifier: Apache-2.0
"""A real server and real agents in folders of their own, spoken to with plain urllib, and the table of routes."""

import functools
import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MUSTER = os.environ.get("MUSTER", os.path.join(ROOT, "build", "muster"))
COVERED = set()


def routes():
    with open(os.path.join(ROOT, "spec", "routes.def"), encoding="utf-8") as file:
        rows = re.findall(r'^ROUTE\((\w+), "([^"]+)", (\w+), (\w+), "((?:[^"\\]|\\.)+)", "([^"]+)"\)$', file.read(), re.M)
    assert len(rows) >= 30
    return {handler: (method, path, example) for method, path, handler, _, _, example in rows}


ROUTES = routes()


def route_of(method, url):
    path = url.split("?")[0]
    for handler, (want, pattern, _) in ROUTES.items():
        if want == method and re.fullmatch(re.sub(r":\w+", "[^/]+", pattern), path):
            return handler
    return None


def covers(*handlers):
    """The test asks these routes, and each of them answers well at least once."""
    for handler in handlers:
        assert handler in ROUTES, handler
        COVERED.add(handler)

    def decorate(test):
        @functools.wraps(test)
        def wrapped(server, *args, **kwargs):
            server.answered.clear()
            test(server, *args, **kwargs)
            assert set(handlers) <= server.answered, set(handlers) - server.answered

        return wrapped

    return decorate


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["error"]["code"]


class Server:
    def __init__(self, folder, settings=()):
        self.folder = str(folder)
        self.settings = settings
        self.answered = set()
        self.process = None
        self.start()

    def start(self):
        command = [MUSTER, "server", "--data", self.folder, "--port", "0", "--agent-port", "0"]
        for setting in self.settings:
            command += ["--set", setting]
        self.log = open(os.path.join(os.path.dirname(self.folder), "server.log"), "ab")
        self.process = subprocess.Popen(command, stderr=self.log, stdout=self.log)
        deadline = time.monotonic() + 20
        while True:
            assert self.process.poll() is None, open(self.log.name).read()
            assert time.monotonic() < deadline
            try:
                with open(os.path.join(self.folder, "endpoint.json"), encoding="utf-8") as file:
                    endpoint = json.load(file)
                if endpoint["pid"] == self.process.pid:
                    break
            except (FileNotFoundError, json.JSONDecodeError):
                pass
            time.sleep(0.01)
        self.url, self.agents = endpoint["api"], endpoint["agents"]
        with open(endpoint["token_file"], encoding="utf-8") as file:
            self.token = file.read().strip()

    def stop(self, how=signal.SIGTERM):
        if self.process is None:
            return None
        self.process.send_signal(how)
        status = self.process.wait(20)
        self.process = None
        self.log.close()
        return status

    def ask(self, method, path, body=None, kind="application/json", headers=None, token=None, timeout=60):
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        fields = {"Authorization": "Bearer " + (self.token if token is None else token), **(headers or {})}
        if body is not None:
            fields["Content-Type"] = kind
        request = urllib.request.Request(self.url + path, data=body, headers=fields, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                reply = Reply(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            reply = Reply(error.code, error.headers, error.read())
        if reply.status < 400:
            self.answered.add(route_of(method, path))
        return reply

    def get(self, path, **kwargs):
        return self.ask("GET", path, **kwargs)

    def post(self, path, body=None, **kwargs):
        return self.ask("POST", path, body, **kwargs)

    def submit(self, **spec):
        query = "?held=1" if spec.pop("held", False) else ""
        reply = self.post("/v1/runs" + query, spec)
        assert reply.status == 201, reply.body
        return reply.json["run_id"]

    def ended(self, run_id, seconds=30):
        reply = self.get(f"/v1/runs/{run_id}?wait={seconds}s")
        assert reply.status == 200, reply.body
        assert reply.json["ended_at"] is not None, reply.json
        return reply.json


class Agent:
    def __init__(self, server, folder, name):
        self.folder, self.name, self.server = str(folder), name, server
        self.start()

    def start(self):
        self.log = open(os.path.join(os.path.dirname(self.server.folder), f"agent-{self.name}.log"), "ab")
        command = [MUSTER, "agent", "--data", self.server.folder, "--folder", self.folder, "--name", self.name,
                   "--connect", self.server.agents, "--label", "zone=eu"]
        self.process = subprocess.Popen(command, stderr=self.log, stdout=self.log)
        deadline = time.monotonic() + 20
        while self.server.get(f"/v1/nodes/{self.name}").status != 200:
            assert self.process.poll() is None, open(self.log.name).read()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()
        # The spawner lives on by design; here it has to end with the test. Its process id is the one that its lock names.
        for process in spawners_of(self.folder):
            os.kill(process, signal.SIGTERM)


def spawners_of(folder):
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if len(words) > 2 and words[1] == b"spawner" and any(word.startswith(folder.encode()) for word in words):
            found.append(int(entry))
    return found


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value

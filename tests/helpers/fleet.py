# SPDX-License-Identifier: Apache-2.0
"""A real fleet for black-box tests: server, agents and spawners as processes of the real binary, in a temporary folder, on free
loopback ports. Everything is stopped by pid; close() fails the test if anything of it is left."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
MUSTER = os.environ.get("MUSTER", str(ROOT / "build" / "muster"))


class ApiError(Exception):
    """An answer of the server that is not a success."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


def reserve_port():
    """A socket that keeps a free port from everyone but a server that listens on it by name, for as long as it is open. Without it, a
    port that was free a moment ago, or whose server is down, may be anyone's by the time that the server binds it."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved


def wait_for(what, until, seconds=30.0, pause=0.02):
    """Waits until the call gives something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        value = until()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        time.sleep(pause)


def processes_with(text):
    """Pids of processes whose command line or environment names the text."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            command = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes()
            environment = pathlib.Path(f"/proc/{entry}/environ").read_bytes()
            state = pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if state != "Z" and (text.encode() in command or text.encode() in environment):
            found.append(int(entry))
    return found


class Fleet:
    """One server and some agents. Settings are given as --set NAME=VALUE to both."""

    def __init__(self, folder, agents=1, executor=None, cpu="4", settings=None, agent_args=()):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.reserved = [reserve_port(), reserve_port()]
        self.port, self.agent_port = [reserved.getsockname()[1] for reserved in self.reserved]
        self.executor, self.cpu, self.agent_args = executor, cpu, list(agent_args)
        self.settings = {"node_lease": "3s", "node_heartbeat": "300ms", "node_lost_grace": "1s"}
        self.settings.update(settings or {})
        self.server = None
        self.agents = {}
        self.start_server()
        for i in range(agents):
            self.start_agent(i)

    def _sets(self):
        return [word for name, value in self.settings.items() for word in ("--set", f"{name}={value}")]

    def _spawn(self, words, log):
        with open(self.folder / log, "ab") as out:
            return subprocess.Popen([MUSTER, *words], stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def start_server(self, wait=True):
        self.server = self._spawn(
            ["server", "--data", str(self.data), "--port", str(self.port), "--agent-port", str(self.agent_port), *self._sets()],
            "server.log")
        if wait:
            self.wait_server()

    def wait_server(self, seconds=30):
        def answers():
            if self.server.poll() is not None:
                raise AssertionError(f"the server ended with {self.server.returncode}: {self.log('server.log')}")
            try:
                return self.get("/v1/version")
            except (OSError, ApiError):
                return None

        return wait_for("the server answers", answers, seconds)

    def log(self, name):
        return (self.folder / name).read_text(errors="replace")[-3000:]

    def agent_folder(self, i):
        return self.folder / f"agent-{i}"

    def start_agent(self, i):
        words = ["agent", "--data", str(self.data), "--folder", str(self.agent_folder(i)), "--name", f"n{i}",
                 "--connect", f"127.0.0.1:{self.agent_port}", "--cpu", self.cpu, *self._sets(), *self.agent_args]
        if self.executor:
            words += ["--executor", self.executor]
        self.agents[i] = self._spawn(words, f"agent-{i}.log")

    def wait_nodes(self, n=None):
        n = len(self.agents) if n is None else n
        wait_for(f"{n} nodes are online",
                 lambda: sum(node["state"] == "online" for node in self.get("/v1/nodes")["nodes"]) >= n)

    def spawner_pid(self, i):
        """The spawner of agent i: the process `muster spawner` that names its folder. A child that it has cloned looks the same until it
        becomes its command, so those are left out."""
        folder = str(self.agent_folder(i)).encode()
        found = {}
        for pid in processes_with(str(self.agent_folder(i))):
            try:
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                parent = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if len(words) > 1 and words[1] == b"spawner" and any(word.startswith(folder) for word in words):
                found[pid] = parent
        return next((pid for pid, parent in found.items() if parent not in found), None)

    def kill(self, process):
        process.kill()
        process.wait()

    def kill_server(self):
        self.kill(self.server)

    def kill_agent(self, i):
        self.kill(self.agents[i])

    def kill_spawner(self, i):
        pid = self.spawner_pid(i)
        if pid:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return pid

    def token(self):
        return (self.data / "api.token").read_text().strip()

    def call(self, method, path, body=None, headers=None, raw=False, timeout=30, token=None):
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data, method=method)
        request.add_header("Authorization", f"Bearer {token if token is not None else self.token()}")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                content = answer.read()
                return (answer.status, dict(answer.headers), content) if raw else json.loads(content or b"null")
        except urllib.error.HTTPError as error:
            raise ApiError(error.code, error.read().decode(errors="replace")) from None

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.call("POST", path, {} if body is None else body, **more)

    def submit(self, **spec):
        return self.post("/v1/runs", spec)["run_id"]

    def run(self, run_id):
        return self.get(f"/v1/runs/{run_id}")

    def wait_run(self, run_id, seconds=60):
        """Waits for the end of a run, through restarts of the server."""
        end = time.monotonic() + seconds
        run = None
        while time.monotonic() < end:
            try:
                run = self.get(f"/v1/runs/{run_id}?wait=2s", timeout=10)
                if run["ended_at"]:
                    return run
            except (OSError, ApiError) as error:
                if isinstance(error, ApiError) and error.status < 500:
                    raise
                time.sleep(0.05)
        raise AssertionError(f"run {run_id} has not ended in {seconds} s: {run}")

    def tasks(self, run_id):
        rows, start = [], 0
        while start is not None:
            page = self.get(f"/v1/runs/{run_id}/tasks?from={start}&max=1000")
            rows += page["tasks"]
            start = page["next_from"]
        return rows

    def output(self, run_id, task=0, stream="stdout"):
        """What the task wrote, once its node has a session (an agent that was hurt may take a moment)."""
        def read():
            try:
                return self.call("GET", f"/v1/runs/{run_id}/tasks/{task}/log?stream={stream}", raw=True)
            except ApiError as error:
                if error.status != 503:
                    raise
                return None

        return wait_for(f"output of task {task} of run {run_id}", read)[2].decode(errors="replace")

    def cli(self, *words, check=True, stdin=None, timeout=60, env=None):
        done = subprocess.run([MUSTER, *words], input=stdin, capture_output=True, text=True, timeout=timeout,
                              env={**os.environ, "MUSTER_DATA": str(self.data), **(env or {})})
        if check and done.returncode != 0:
            raise AssertionError(f"muster {' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def close(self):
        """Stops everything by pid and insists that nothing is left."""
        for process in [*self.agents.values(), self.server]:
            if process and process.poll() is None:
                process.terminate()
        for process in [*self.agents.values(), self.server]:
            if process:
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    self.kill(process)
        for i in self.agents:
            pid = self.spawner_pid(i)
            if pid:
                os.kill(pid, signal.SIGTERM)
        try:
            wait_for("nothing is left of the fleet", lambda: not processes_with(str(self.folder)), 20)
        finally:
            for pid in processes_with(str(self.folder)):
                os.kill(pid, signal.SIGKILL)
            for reserved in self.reserved:
                reserved.close()

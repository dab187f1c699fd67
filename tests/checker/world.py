# SPDX-License-Identifier: Apache-2.0
"""The fleet under test: the real binary as real processes in a folder of its own; each agent reaches the server through a wire that can be hurt, and
every process sees clocks that can be set wrong. Knows when the server was well, for the judge."""

import json
import mmap
import os
import pathlib
import signal
import struct
import subprocess
import threading
import time

import network
from proxy import Wire

ROOT = pathlib.Path(__file__).resolve().parents[2]
MUSTER = os.environ.get("MUSTER", str(ROOT / "build" / "muster"))
BUILT = pathlib.Path(MUSTER).parent / "tests" / "checker"
PAYLOAD, CLOCK = str(BUILT / "payload"), str(BUILT / "clock.so")

now = time.monotonic


class Clocks:
    """What clock.c reads: an offset of the wall clock and the rate of the others."""

    def __init__(self, path, offset=0.0, ppm=0):
        path.write_bytes(struct.pack("<qq", int(offset * 1e6), ppm))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 16)
        self.path, self.offset = path, offset

    def set(self, offset):
        self.offset = offset
        self.map[0:8] = struct.pack("<q", int(offset * 1e6))


def stat_of(pid):
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return fields[0], int(fields[1])
    except OSError:
        return None, None


def mentioning(text):
    """Living processes whose command line or environment names the text."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                words = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes() + pathlib.Path(f"/proc/{entry}/environ").read_bytes()
            except OSError:
                continue
            if text.encode() in words and stat_of(entry)[0] not in ("Z", None):
                found.append(int(entry))
    return found


class World:
    def __init__(self, folder, agents, settings, wall_offset=0.0, ppm=0, cpu="4"):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.settings, self.cpu = settings, cpu
        self.evidence = self.folder / "evidence"
        self.evidence.touch()
        self.lock = threading.RLock()
        # Wall less monotonic clock of the host: the smallest of several readings is the one that was not interrupted.
        self.base = min(time.time() - now() for _ in range(100))
        self.clocks = Clocks(self.folder / "server.clock", wall_offset, ppm)
        self.steps = [(now() - 3600.0, wall_offset)]
        self.well = []         # [from, until] in which the server was up and let run
        self.well_since = None
        self.server, self.server_paused, self.token = None, False, None
        # Leases drift because the server's clock does: spawners get a clean environment, and an agent must agree with its own.
        self.agent_clocks = {f"n{i}": Clocks(self.folder / f"n{i}.clock") for i in range(agents)}
        self.networks = {name: network.Network() for name in self.agent_clocks} if network.available() else {}
        self.wires = {name: Wire(self.port_of_agents, self.networks[name].here if self.networks else "127.0.0.1") for name in self.agent_clocks}
        self.agents = {}
        self.kills = []        # when the server was killed
        self.ended = []        # of processes that ended by themselves: a crash is a finding
        self.start_server()
        end = now() + 20
        while self.endpoint() is None and now() < end:  # the server makes the token that agents need
            time.sleep(0.02)
        for name in self.agent_clocks:
            self.start_agent(name)

    # ---- processes

    def sets(self):
        return [word for name, value in self.settings.items() for word in ("--set", f"{name}={value}")]

    def spawn(self, words, log, clocks, within=None):
        env = {**os.environ, "LD_PRELOAD": CLOCK, "CHECKER_CLOCK": str(clocks.path)}
        with open(self.folder / log, "ab") as out:
            words = [MUSTER, *words]
            return subprocess.Popen(within.command(words) if within else words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env)

    def start_server(self):
        with self.lock:
            if self.server and self.server.poll() is None:
                return
            self.server = self.spawn(["server", "--data", str(self.data), "--port", "0", "--agent-port", "0", *self.sets()], "server.log", self.clocks)
            self.server_paused = False

    def start_agent(self, name):
        if name in self.agents and self.agents[name].poll() is None:
            return
        self.agents[name] = self.spawn(
            ["agent", "--data", str(self.data), "--folder", str(self.folder / name), "--name", name, "--connect",
             f"{self.wires[name].host}:{self.wires[name].port}", "--cpu", self.cpu, *self.sets()], f"{name}.log", self.agent_clocks[name],
            self.networks.get(name))

    def kill(self, process):
        if process.poll() is not None and process.returncode != -signal.SIGKILL:
            self.ended.append(f"{process.args[process.args.index(MUSTER) + 1]} {process.pid} had ended with {process.returncode}")
        process.kill()
        process.wait()

    def kill_server(self):
        self.unwell()
        self.kill(self.server)
        self.kills.append(now())

    def kill_agent(self, name):
        self.kill(self.agents[name])

    def spawner(self, name):
        """Pid of the spawner of an agent: the one that names its folder and is no child of another such. What it has cloned looks the same at first."""
        folder, found = str(self.folder / name).encode(), {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                words = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if len(words) > 1 and words[1] == b"spawner" and any(word == folder or word.startswith(folder + b"/") for word in words):
                found[int(entry)] = stat_of(entry)[1]
        return next((pid for pid, parent in found.items() if parent not in found), None)

    def signal(self, pid, number):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    def pause_server(self):
        self.unwell()
        with self.lock:
            self.server_paused = True
        self.signal(self.server.pid, signal.SIGSTOP)

    def resume_server(self):
        with self.lock:
            self.server_paused = False
        self.signal(self.server.pid, signal.SIGCONT)

    # ---- the server as clients see it

    def endpoint(self):
        """Where the server that was started last listens; None until it says so."""
        try:
            told = json.loads((self.data / "endpoint.json").read_text())
        except (OSError, ValueError):
            return None
        return told if told["pid"] == self.server.pid and self.server.poll() is None else None

    def port_of_agents(self):
        told = self.endpoint()
        return int(told["agents"].rsplit(":", 1)[1]) if told else None

    def api(self):
        told = self.endpoint()
        if told and self.token is None:
            self.token = (self.data / "api.token").read_text().strip()
        return (int(told["api"].rsplit(":", 1)[1]), self.token) if told else (None, None)

    def unwell(self):
        with self.lock:
            if self.well_since is not None:
                self.well.append([self.well_since, now()])
                self.well_since = None

    def seen_well(self):
        """Called by whoever got an answer from the server."""
        with self.lock:
            if self.well_since is None and not self.server_paused and self.server.poll() is None:
                self.well_since = now()

    def set_wall(self, offset):
        with self.lock:
            self.clocks.set(offset)
            self.steps.append((now(), offset))

    # ---- the end

    def crashes(self):
        """Processes that nobody killed and that are gone."""
        gone = list(self.ended)
        for name, process in [("server", self.server), *self.agents.items()]:
            if process.poll() is not None and process.returncode != -signal.SIGKILL:
                gone.append(f"{name} {process.pid} ended with {process.returncode}")
        return gone

    def close(self):
        """Ends everything by pid. Returns what did not go when asked."""
        self.unwell()
        stuck = []
        for pid in mentioning(str(self.folder)):
            self.signal(pid, signal.SIGCONT)
        for name, process in [*self.agents.items(), ("server", self.server)]:
            if process.poll() is None:
                process.terminate()
        for name, process in [*self.agents.items(), ("server", self.server)]:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                stuck.append(f"{name} does not end on SIGTERM")
                process.kill()
                process.wait()
        for name in self.agents:
            pid = self.spawner(name)
            if pid:
                self.signal(pid, signal.SIGTERM)
        end = now() + 15
        while now() < end and mentioning(str(self.folder)):
            time.sleep(0.05)
        for pid in mentioning(str(self.folder)):
            stuck.append(f"process {pid} is left behind")
            self.signal(pid, signal.SIGKILL)
        for wire in self.wires.values():
            wire.stop()
        for each in self.networks.values():
            each.close()
        return stuck

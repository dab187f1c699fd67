# SPDX-License-Identifier: Apache-2.0
"""What a round does to the fleet. A fault is {kind, at, for, node, ...}: it begins at `at` and is over after `for` seconds, or when the round heals."""

import random
import signal
import time

import network
from client import Refused, Unknown

KINDS = ["kill-server", "kill-agent", "kill-spawner", "kill-node", "kill-all", "restart-server", "outage", "pause-server", "pause-agent",
         "pause-spawner", "pause-node", "cut", "hole", "to_server", "to_agent", "slow", "half", "wall-jump", "agent-wall", "drain", *network.KINDS]
JUMPS = [-3600, -600, -60, -10, -1, 1, 10, 60, 600, 3600]


def draw(seed, seconds, nodes, lease, misfire_after, only=None):
    """The faults of a round; `only` names the kinds to draw from."""
    dice = random.Random(f"faults {seed}")
    kinds = only if only else dice.sample(KINDS if network.available() else KINDS[:-len(network.KINDS)], dice.randrange(1, 5))
    found = []
    for _ in range(dice.randrange(1, 6) if kinds != ["none"] else 0):
        kind = dice.choice(kinds)
        fault = {"kind": kind, "at": round(dice.uniform(1.0, seconds), 3), "node": dice.choice(nodes),
                 "for": round(dice.choice([dice.uniform(0.05, 0.6), dice.uniform(0.5, 2.0), dice.uniform(lease, lease + 4.0)]), 3)}
        if kind == "outage":
            fault["for"] = round(dice.uniform(misfire_after - 1, misfire_after + 5), 3)
        if kind == "slow":
            fault["delay"] = dice.choice([0.05, 0.3, 0.9])
        if kind == "wall-jump":
            fault["by"] = dice.choice(JUMPS)
        if kind == "agent-wall":
            fault["by"] = dice.choice(JUMPS)
        if kind.startswith("kill") and kind != "kill-server":
            fault["for"] = round(dice.choice([0.0, 0.05, dice.uniform(0.2, 4.0)]), 3)
        found.append(fault)
    return sorted(found, key=lambda f: f["at"])


class Nemesis:
    """Does the faults to a world. begin() and end() are called in order of time by one thread."""

    def __init__(self, world, client):
        self.world, self.client = world, client

    def ask(self, fault, verb):
        """Drains a node or opens it again. The judge holds the server to what it acknowledged, between the answer and the next question."""
        fault[f"{verb}_invoke"] = time.monotonic()
        try:
            self.client.call("POST", f"/v1/nodes/{fault['node']}/{verb}", {})
            fault[f"{verb}_done"] = time.monotonic()
        except (Refused, Unknown):
            pass

    def pids(self, fault):
        kind, node = fault["kind"], fault["node"]
        agent, spawner = self.world.agents[node].pid, self.world.spawner(node)
        wanted = {"pause-agent": [agent], "pause-spawner": [spawner], "pause-node": [agent, spawner]}[kind]
        return [pid for pid in wanted if pid]

    def begin(self, fault):
        world, kind, node = self.world, fault["kind"], fault["node"]
        if kind in ("kill-server", "outage"):
            world.kill_server()
        elif kind == "restart-server":
            for _ in range(3):
                world.kill_server()
                world.start_server()
                time.sleep(0.15)
        elif kind == "kill-agent":
            world.kill_agent(node)
        elif kind in ("kill-spawner", "kill-node"):
            pid = world.spawner(node)
            if kind == "kill-node":
                world.kill_agent(node)
            if pid:
                world.signal(pid, signal.SIGKILL)
        elif kind == "kill-all":
            world.kill_server()
            for name in world.agents:
                pid = world.spawner(name)
                world.kill_agent(name)
                if pid:
                    world.signal(pid, signal.SIGKILL)
        elif kind == "pause-server":
            world.pause_server()
        elif kind.startswith("pause-"):
            fault["pids"] = self.pids(fault)
            for pid in fault["pids"]:
                world.signal(pid, signal.SIGSTOP)
        elif kind == "wall-jump":
            world.set_wall(world.clocks.offset + fault["by"])
        elif kind == "drain":
            self.ask(fault, "drain")
        elif kind == "agent-wall":
            world.agent_clocks[node].set(world.agent_clocks[node].offset + fault["by"])
        elif kind in network.KINDS:
            world.networks[node].begin(kind)
        else:
            world.wires[node].set(kind, fault.get("delay", 0.0))

    def end(self, fault):
        world, kind, node = self.world, fault["kind"], fault["node"]
        if kind in ("kill-server", "outage", "restart-server"):
            world.start_server()
        elif kind in ("kill-agent", "kill-node"):
            world.start_agent(node)
        elif kind == "kill-all":
            world.start_server()
            for name in world.agents:
                world.start_agent(name)
        elif kind == "pause-server":
            world.resume_server()
        elif kind.startswith("pause-"):
            for pid in fault.get("pids", []):
                world.signal(pid, signal.SIGCONT)
        elif kind == "drain":
            self.ask(fault, "undrain")
        elif kind in ("cut", "hole", "to_server", "to_agent", "slow", "half"):
            world.wires[node].set("pass")
        elif kind in network.KINDS:
            world.networks[node].end()

    def heal(self):
        """Everything that can be mended is, whatever was done."""
        world = self.world
        if world.server_paused:
            world.resume_server()
        for wire in world.wires.values():
            wire.set("pass")
        for each in world.networks.values():
            each.end()
        world.start_server()
        for name in world.agents:
            world.start_agent(name)
            pid = world.spawner(name)
            for each in (world.agents[name].pid, pid):
                if each:
                    world.signal(each, signal.SIGCONT)

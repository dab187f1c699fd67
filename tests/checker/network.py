# SPDX-License-Identifier: Apache-2.0
"""A network of packets between the server's machine and each agent's: a namespace for every agent, joined by a pair of virtual Ethernet devices. The
server listens on loopback only, so at its end of the pair stands the wire (proxy.py), which carries what arrives on to it; between the wire and
the agent is TCP as the kernel does it, with packets that are lost, sent again and given up.

    partition  no packet goes either way
    deaf       the agent's packets arrive, and none comes back to it
    mute       none of the agent's packets arrives

Connections stay as they are: what they had to say arrives when the fault is over, if nobody has given them up by then."""

import itertools
import os
import subprocess

KINDS = ["partition", "deaf", "mute"]
SERIAL = itertools.count()


def ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True)


def available():
    """Whether this account may make namespaces here."""
    if os.geteuid() != 0:
        return False
    name = f"muster-try-{os.getpid()}"
    try:
        made = ip("netns", "add", name, check=False).returncode == 0
    except FileNotFoundError:
        return False
    return made and ip("netns", "del", name, check=False).returncode == 0


class Network:
    """The namespace of one agent. `here` is the address of the server's machine on it, `there` that of the agent's."""

    def __init__(self):
        number = (os.getpid() * 64 + next(SERIAL)) % 2**16
        self.name = f"muster-{os.getpid()}-{number:x}"
        self.inner, self.outer = f"mi{number:x}", f"mo{number:x}"
        net = f"10.{200 + number // 2**14}.{number // 64 % 256}.{number % 64 * 4}"
        base = net.rsplit(".", 1)[0]
        self.here, self.there = f"{base}.{number % 64 * 4 + 1}", f"{base}.{number % 64 * 4 + 2}"
        ip("netns", "add", self.name)
        try:
            ip("link", "add", self.outer, "type", "veth", "peer", "name", self.inner, "netns", self.name)
            ip("address", "add", f"{self.here}/30", "dev", self.outer)
            ip("link", "set", self.outer, "up")
            self.inside("address", "add", f"{self.there}/30", "dev", self.inner)
            self.inside("link", "set", self.inner, "up")
            self.inside("link", "set", "lo", "up")
        except subprocess.CalledProcessError:
            self.close()
            raise

    def inside(self, *words, check=True):
        # `ip -n` also mounts a /sys of the namespace, which fails where the root is no mount point, as in a chroot.
        return subprocess.run(self.command(["ip", *words]), check=check, capture_output=True, text=True)

    def command(self, words):
        """The same command within the namespace: of its network only, so that all else is as it was."""
        return ["nsenter", f"--net=/run/netns/{self.name}", *words]

    def begin(self, kind):
        # A route that drops takes packets without a word to whoever sent them, as a switch does.
        if kind in ("partition", "deaf"):
            ip("route", "replace", "blackhole", f"{self.there}/32")
        if kind in ("partition", "mute"):
            self.inside("route", "replace", "blackhole", f"{self.here}/32")

    def end(self):
        ip("route", "del", "blackhole", f"{self.there}/32", check=False)
        self.inside("route", "del", "blackhole", f"{self.here}/32", check=False)

    def close(self):
        self.end()
        ip("link", "del", self.outer, check=False)
        ip("netns", "del", self.name, check=False)

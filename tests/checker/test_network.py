# SPDX-License-Identifier: Apache-2.0
"""The network loses packets as its kinds say, and nothing of it is left."""

import socket
import subprocess
import sys
import threading
import time

import pytest

import network

# Sends a byte every 20 ms, and says each byte that came back.
TALK = """
import socket, sys, threading, time
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
def listen():
    while data := sock.recv(100):
        sys.stdout.write("." * len(data)); sys.stdout.flush()
threading.Thread(target=listen, daemon=True).start()
while True:
    sock.sendall(b"x"); time.sleep(0.02)
"""


@pytest.fixture
def talk():
    """A program in a namespace that talks to an echo here: the network, and how many bytes arrived at either end."""
    if not network.available():
        pytest.skip("network namespaces take root and the package iproute2")
    net = network.Network()
    listener = socket.create_server((net.here, 0))
    counts = {"here": 0, "there": 0}

    def echo():
        sock, _ = listener.accept()
        try:
            while data := sock.recv(100):
                counts["here"] += len(data)
                sock.sendall(data)
        except OSError:
            pass

    def hear():
        while program.stdout.read(1):
            counts["there"] += 1

    words = [sys.executable, "-c", TALK, net.here, str(listener.getsockname()[1])]
    program = subprocess.Popen(net.command(words), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
    for work in (echo, hear):
        threading.Thread(target=work, daemon=True).start()
    yield net, counts
    program.kill()
    program.wait()
    listener.close()
    net.close()
    assert net.name not in network.ip("netns").stdout and net.outer not in network.ip("link").stdout


def grows(counts, end, seconds=10.0):
    before, until = counts[end], time.monotonic() + seconds
    while counts[end] < before + 3:
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.parametrize("kind,here,there", [("partition", False, False), ("deaf", True, False), ("mute", False, False)])
def test_what_is_lost(talk, kind, here, there):
    net, counts = talk
    assert grows(counts, "here") and grows(counts, "there")
    net.begin(kind)
    time.sleep(0.1)  # what was under way
    # Nothing is acknowledged, so what still arrives is what the kernel sends again, at its own pace.
    assert grows(counts, "here", 10.0 if here else 0.3) == here
    assert grows(counts, "there", 10.0 if there else 0.3) == there
    net.end()
    assert grows(counts, "here") and grows(counts, "there")

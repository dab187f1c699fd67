# SPDX-License-Identifier: Apache-2.0
"""The wire does what its modes say."""

import socket
import threading
import time

import pytest

from proxy import Wire


@pytest.fixture
def echo():
    """A wire to a server that sends back what it gets."""
    listener = socket.create_server(("127.0.0.1", 0))

    def talk(sock):
        try:
            while data := sock.recv(1000):
                sock.sendall(data)
        except OSError:
            pass
        sock.close()

    def serve():
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(sock,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    wire = Wire(lambda: listener.getsockname()[1])
    yield wire
    wire.stop()
    listener.close()


def connect(wire):
    sock = socket.create_connection(("127.0.0.1", wire.port), 2)
    sock.settimeout(2)
    return sock


def quiet(sock, seconds=0.3):
    sock.settimeout(seconds)
    with pytest.raises(TimeoutError):
        sock.recv(10)
    sock.settimeout(2)


def test_pass_and_slow(echo):
    sock = connect(echo)
    sock.sendall(b"one")
    assert sock.recv(10) == b"one"
    echo.set("slow", 0.2)
    begin = time.monotonic()
    sock.sendall(b"two")
    assert sock.recv(10) == b"two" and time.monotonic() - begin >= 0.4


@pytest.mark.parametrize("way", ["to_server", "to_agent"])
def test_one_way(echo, way):
    sock = connect(echo)
    sock.sendall(b"one")
    assert sock.recv(10) == b"one"
    echo.set(way)
    sock.sendall(b"two")
    quiet(sock)
    echo.set("pass")
    assert sock.recv(10) == b"two"


def test_cut(echo):
    sock = connect(echo)
    sock.sendall(b"one")
    assert sock.recv(10) == b"one"
    echo.set("cut")
    assert sock.recv(10) == b""
    again = connect(echo)
    assert again.recv(10) == b""
    echo.set("pass")
    sock = connect(echo)
    sock.sendall(b"two")
    assert sock.recv(10) == b"two"


@pytest.mark.parametrize("mode", ["hole", "half"])
def test_what_hangs_ends_when_it_is_over(echo, mode):
    sock = connect(echo)
    sock.sendall(b"one")
    assert sock.recv(10) == b"one"
    echo.set(mode)
    sock.sendall(b"two")
    quiet(sock)
    echo.set("pass")
    assert sock.recv(10) == b""

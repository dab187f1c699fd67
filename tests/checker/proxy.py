# SPDX-License-Identifier: Apache-2.0
"""The wire between one agent and the server, as a proxy that can be hurt: connections that end, hang, crawl, or go one way only. Packets are
lost in network.py.

    pass       bytes go through
    cut        every connection ends, new ones are refused
    hole       bytes vanish both ways, nothing ends; when it is over, the connections end
    to_server  (or to_agent) bytes of this direction wait, and arrive when it is over; the other direction goes on
    slow       every piece arrives `delay` later, both ways
    half       the server's side ends at once, the agent learns nothing until it is over"""

import selectors
import socket
import threading
import time
from collections import deque

PIECE = 65536


class Side:
    """One direction of a connection: bytes read from `source`, each with the time at which they may go on to `sink`."""

    def __init__(self, name, source, sink):
        self.name, self.source, self.sink = name, source, sink
        self.waiting, self.ended, self.shut = deque(), False, False


class Wire:
    def __init__(self, port_of_server, host="127.0.0.1"):
        """port_of_server() gives the port to connect to, or None; host is the address that the agent reaches."""
        self.port_of_server = port_of_server
        self.mode, self.delay = "pass", 0.0
        self.lock = threading.Lock()
        self.listener = socket.create_server((host, 0))
        self.listener.setblocking(False)
        self.host, self.port = host, self.listener.getsockname()[1]
        self.pairs = []      # [agent's socket, server's socket, [two sides]]
        self.forwarded = 0
        self.running = True
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def set(self, mode, delay=0.0):
        with self.lock:
            before, self.mode, self.delay = self.mode, mode, delay
            if mode == "cut" or (before in ("hole", "half") and mode != before):
                for pair in list(self.pairs):
                    self.end(pair)
            if mode == "half":
                for _, server, _ in self.pairs:
                    self.shut(server)

    @staticmethod
    def shut(sock):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def end(self, pair):
        if pair in self.pairs:
            self.pairs.remove(pair)
        for sock in pair[:2]:
            self.shut(sock)
            sock.close()

    def stop(self):
        self.running = False
        self.thread.join(5)
        for pair in list(self.pairs):
            self.end(pair)
        self.listener.close()

    def work(self):
        while self.running:
            with self.lock:
                readable, writable = self.wanted()
            busy = False
            if readable or writable:
                selector = selectors.DefaultSelector()
                for sock in readable | writable:
                    try:
                        selector.register(sock, (selectors.EVENT_READ if sock in readable else 0) | (selectors.EVENT_WRITE if sock in writable else 0))
                    except (ValueError, OSError, KeyError):
                        pass
                busy = bool(selector.select(0.01 if self.delay else 0.05))
                selector.close()
            else:
                time.sleep(0.01)
            if busy or self.delay or self.pairs:
                with self.lock:
                    self.move()

    def wanted(self):
        readable, writable = {self.listener}, set()
        for _, _, sides in self.pairs:
            for side in sides:
                if not side.ended and self.may_read(side):
                    readable.add(side.source)
                if side.waiting and self.may_go(side):
                    writable.add(side.sink)
        return readable, writable

    def may_read(self, side):
        if self.mode in ("to_server", "to_agent") and side.name == self.mode:
            return False
        return not (self.mode == "half" and side.name == "to_agent") and sum(len(data) for _, data in side.waiting) < 4 * PIECE

    def may_go(self, side):
        return side.waiting[0][0] <= time.monotonic() and side.name != self.mode

    def move(self):
        try:
            agent, _ = self.listener.accept()
            self.join(agent)
        except OSError:
            pass
        for pair in list(self.pairs):
            for side in pair[2]:
                if pair in self.pairs:
                    self.move_side(pair, side)

    def join(self, agent):
        port = None if self.mode in ("cut", "half") else self.port_of_server()
        if port is None:
            agent.close()
            return
        try:
            server = socket.create_connection(("127.0.0.1", port), 1)
        except OSError:
            agent.close()
            return
        for sock in (agent, server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pairs.append([agent, server, [Side("to_server", agent, server), Side("to_agent", server, agent)]])

    def move_side(self, pair, side):
        if not side.ended and self.may_read(side):
            try:
                data = side.source.recv(PIECE)
                if not data:
                    side.ended = True
                elif self.mode not in ("hole", "half"):
                    side.waiting.append((time.monotonic() + self.delay, data))
            except BlockingIOError:
                pass
            except OSError:
                side.ended = True
        while side.waiting and self.may_go(side):
            at, data = side.waiting[0]
            try:
                n = side.sink.send(data)
            except BlockingIOError:
                break
            except OSError:
                self.end(pair)
                return
            self.forwarded += n
            if n < len(data):
                side.waiting[0] = (at, data[n:])
            else:
                side.waiting.popleft()
        if side.ended and not side.waiting and self.mode not in ("hole", "half", side.name):
            self.end(pair)

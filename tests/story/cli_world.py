# SPDX-License-Identifier: Apache-2.0
"""A fleet of `muster up` in a folder of its own, and the command line on it."""

import json
import os
import signal
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MUSTER = os.environ.get("MUSTER") or os.path.join(ROOT, "build", "muster")


def clean_env(**more):
    env = {key: value for key, value in os.environ.items() if not key.startswith("MUSTER_")}
    env.update(more)
    return env


class Done:
    def __init__(self, process):
        self.code, self.out, self.err = process.returncode, process.stdout, process.stderr

    def __repr__(self):
        return f"exit {self.code}\n{self.out}\n{self.err}"


class Fleet:
    def __init__(self, folder, *options, agents=2):
        self.data = os.path.join(folder, "data")
        self.log = os.path.join(folder, "up.log")
        with open(self.log, "wb") as log:
            self.up = subprocess.Popen([MUSTER, "up", "--agents", str(agents), "--data", self.data, "--port", "0", *options],
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean_env(), start_new_session=True)
        self.wait_for(lambda: "Ctrl-C stops everything" in self.said(), "the fleet to start")

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def wait_for(self, condition, what, limit=60):
        deadline = time.monotonic() + limit
        while not condition():
            assert self.up.poll() is None, self.said()
            assert time.monotonic() < deadline, f"waited too long for {what}\n{self.said()}"
            time.sleep(0.05)

    def env(self):
        return clean_env(MUSTER_DATA=self.data)

    def __call__(self, *words, stdin=None, limit=60, **env):
        return Done(subprocess.run([MUSTER, *words], env={**self.env(), **env}, input=stdin, capture_output=True, text=True, timeout=limit,
                                   check=False))

    def ok(self, *words, **more):
        done = self(*words, **more)
        assert done.code == 0, done
        return done.out

    def json(self, *words):
        return json.loads(self.ok(*words, "--json"))

    def detach(self, *words):
        return int(self.ok("run", "--detach", *words))

    def state(self, run):
        return self.json("show", str(run))["state"]

    def wait_state(self, run, *states):
        self.wait_for(lambda: self.state(run) in states, f"run {run} to be {states}")

    def stop(self):
        self.up.send_signal(signal.SIGINT)
        self.up.wait(60)


def bare(*words, **env):
    """Without any fleet."""
    return Done(subprocess.run([MUSTER, *words], env=clean_env(MUSTER_DATA="/nonexistent", **env), capture_output=True, text=True,
                               timeout=30, check=False, stdin=subprocess.DEVNULL))

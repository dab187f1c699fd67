# SPDX-License-Identifier: Apache-2.0
"""Starting and stopping: what `muster up` says and keeps, and what goes on through the end of its parts."""

import json
import os
import re
import signal
import subprocess
import time

from cli_world import MUSTER, Done, Fleet, clean_env
from fleet import reserve_port


def test_a_second_server_on_the_same_folder_is_refused(tmp_path):
    fleet = Fleet(str(tmp_path), agents=1)
    done = Done(subprocess.run([MUSTER, "server", "--data", fleet.data, "--port", "0", "--agent-port", "0"], env=clean_env(), capture_output=True,
                               text=True, timeout=30, check=False))
    fleet.stop()
    assert done.code == 69, done


def test_up_says_when_a_part_dies_and_goes_on_where_it_was(tmp_path):
    fleet = Fleet(str(tmp_path), agents=1)
    run = fleet.detach("--", "echo", "kept")
    assert fleet("wait", str(run)).code == 0
    pid = json.load(open(os.path.join(fleet.data, "endpoint.json")))["pid"]
    os.kill(pid, signal.SIGKILL)
    fleet.up.wait(60)
    assert fleet.up.returncode != 0
    assert "the server was ended by signal 9" in fleet.said()
    fleet = Fleet(str(tmp_path), agents=1)
    assert fleet.state(run) == "succeeded"
    assert fleet.ok("logs", str(run)) == "kept\n"
    long = f"987654.{os.getpid()}"  # seconds that no other test sleeps
    slow = fleet.detach("--", "sleep", long)
    fleet.wait_state(slow, "running")
    fleet.stop()
    assert fleet.up.returncode == 0
    assert subprocess.run(["pgrep", "-f", f"sleep {long}"], capture_output=True, check=False).returncode == 1


def test_up_keeps_tasks_when_asked_to(tmp_path):
    fleet = Fleet(str(tmp_path), "--keep-tasks", agents=1)
    run = fleet.detach("--delivery", "at_most_once", "--", "sh", "-c", f"echo begun; until [ -e {tmp_path}/again ]; do sleep 0.05; done; echo done")
    fleet.wait_for(lambda: fleet("logs", str(run)).out == "begun\n", "the first line")
    fleet.stop()
    assert "running tasks go on" in fleet.said()
    fleet = Fleet(str(tmp_path), agents=1)
    (tmp_path / "again").touch()
    assert fleet("wait", str(run)).code == 0
    assert fleet.json("show", f"{run}/0")["attempt"] == 1
    assert fleet.ok("logs", str(run)) == "begun\ndone\n"
    fleet.stop()


def test_following_goes_on_through_a_restart_of_the_server(tmp_path):
    data = str(tmp_path / "data")
    env = clean_env(MUSTER_DATA=data)
    log = open(tmp_path / "log", "ab")

    def start(*words):
        return subprocess.Popen([MUSTER, *words], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def await_answer():
        deadline = time.monotonic() + 30
        while subprocess.run([MUSTER, "status", "--timeout", "0"], env=env, capture_output=True, check=False).returncode != 0:
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.05)

    reserved = [reserve_port(), reserve_port()]
    api, agents = [str(one.getsockname()[1]) for one in reserved]
    server = start("server", "--port", api, "--agent-port", agents)
    try:
        await_answer()
        agent = start("agent", "--name", "one")
        script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i; echo e $i >&2; sleep 0.25; done; exit 5"
        follower = subprocess.Popen([MUSTER, "run", "--timeout", "200ms", "--", "sh", "-c", script], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert follower.stdout.readline() == "line 1\n"
        run = re.search(r"^ *(\d+)", subprocess.run([MUSTER, "ps", "--quiet"], env=env, capture_output=True, text=True, check=True).stdout).group(1)
        waiter = subprocess.Popen([MUSTER, "wait", run, "--timeout", "200ms"], env=env, stderr=subprocess.PIPE)
        time.sleep(0.2)
        server.kill()
        server.wait()
        time.sleep(1)
        server = start("server", "--port", api, "--agent-port", agents)
        out, err = follower.communicate(timeout=60)
        assert out.splitlines() == [f"line {i}" for i in range(2, 13)]
        assert [line for line in err.splitlines() if line.startswith("e ")] == [f"e {i}" for i in range(1, 13)]
        assert follower.returncode == 5
        assert waiter.wait(30) == 1
    finally:
        for process in (agent, server):
            process.terminate()
            process.wait(30)
        log.close()
        for one in reserved:
            one.close()

# SPDX-License-Identifier: Apache-2.0
"""The demo, which is the first thing that many people see."""

import os
import signal
import subprocess
import time

import pytest

from fleet import MUSTER, ROOT, processes_with, wait_for

DEMO = str(ROOT / "tools" / "demo")


@pytest.fixture
def demo(tmp_path):
    """Starts the demo with its folders below that of the test, in which nothing may be left."""
    started = []
    temporary = tmp_path / "tmp"
    temporary.mkdir()

    def start(**env):
        env = {**os.environ, "MUSTER": MUSTER, "TMPDIR": str(temporary), "KEEP": "", "PYTHONUNBUFFERED": "1", **env}
        started.append(subprocess.Popen([DEMO], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=60)
    assert processes_with(str(temporary)) == []
    assert list(temporary.iterdir()) == []


def test_it_counts_right_and_leaves_nothing(demo, tmp_path):
    folder = tmp_path / "files"
    (folder / "below it").mkdir(parents=True)
    for i in range(30):
        (folder / "below it" / f"a 'name' \n {i}").write_text("two words\n" * i)
    (folder / "empty").touch()
    process = demo(FOLDER=str(folder), TASKS="7", LC_ALL="POSIX")
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    assert err == ""
    n = sum(range(30))
    assert f"31 files, {2 * n} words, {10 * n:,} bytes" in out
    assert "7 tasks and a last step" in out
    assert "succeeded at attempt 3" in out
    assert "nothing is left running" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_of_it(demo, tmp_path, number):
    process = demo()
    for line in process.stdout:
        if "become" in line:
            break
    wait_for("the fleet runs", lambda: len(processes_with(str(tmp_path / "tmp"))) >= 5)
    process.send_signal(number)
    time.sleep(0.05)
    process.send_signal(number)  # a second one, out of impatience
    out, err = process.communicate(timeout=90)
    assert process.returncode == 128 + number, out + err
    assert "interrupted; stopping the fleet" in err
    assert "Traceback" not in err


def test_a_reader_that_goes_stops_all_of_it(demo):
    process = demo()
    assert "starting" in process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=90)
    assert process.returncode == 128 + signal.SIGPIPE, err
    assert err == ""


def test_a_mistake_is_told_before_anything_starts(demo, tmp_path):
    (tmp_path / "empty").mkdir()
    for env, sentence in (({"FOLDER": "/usr/share/doc/none"}, "/usr/share/doc/none is not a folder"),
                          ({"FOLDER": str(tmp_path / "empty")}, "no readable file"),
                          ({"TASKS": "0"}, "a number from 1 to"), ({"TASKS": "many"}, "a number from 1 to")):
        process = demo(**env)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert out == ""
        assert sentence in err and "Traceback" not in err

# SPDX-License-Identifier: Apache-2.0
"""Output beyond the limit of a log is dropped, oldest first. Whoever reads is told how much is missing, and gets nothing twice."""

import re
import subprocess

from fleet import MUSTER

LINES = 200_000


def pieces(out, err):
    """Numbers of the lines that came whole, and how many bytes of stdout were said to be missing. A line says its number twice: what
    stands on both sides of a gap cannot look like a whole one."""
    numbers = [int(line[5:11]) for line in out.decode().split("\n") if re.fullmatch(r"line (\d{6}) \1", line)]
    return numbers, sum(int(n) for n in re.findall(r"(\d+) bytes of the stdout of task 0 were dropped by its log limit", err))


def test_a_reader_is_told_what_was_dropped(fleet):
    one = fleet()
    one.wait_nodes()
    env = {"MUSTER_DATA": str(one.data), "PATH": "/usr/bin:/bin"}
    script = f"seq -f %06.0f 1 {LINES} | sed 's/.*/line & &/'"
    total = LINES * len("line 000001 000001\n")
    done = subprocess.run([MUSTER, "run", "--log-limit", "64KiB", "--", "sh", "-c", script], capture_output=True, env=env, timeout=60)
    assert done.returncode == 0, done
    numbers, dropped = pieces(done.stdout, done.stderr.decode())
    assert numbers == sorted(set(numbers)) and numbers[-1] == LINES
    assert len(done.stdout) + dropped == total

    run_id = one.get("/v1/runs?max=1")["runs"][0]["run_id"]
    for words in (["logs", str(run_id)], ["logs", "-f", str(run_id)]):
        done = subprocess.run([MUSTER, *words], capture_output=True, env=env, timeout=60)
        numbers, dropped = pieces(done.stdout, done.stderr.decode())
        assert numbers[-1] == LINES and dropped > 0 and len(done.stdout) + dropped == total, done.stderr


def test_no_such_attempt_is_said(fleet):
    one = fleet()
    one.wait_nodes()
    run_id = one.submit(command=["echo", "x"])
    one.wait_run(run_id)
    done = one.cli("logs", str(run_id), "--attempt", "7", check=False)
    assert done.returncode == 66 and f"no task of run {run_id} has had an attempt 7" in done.stderr

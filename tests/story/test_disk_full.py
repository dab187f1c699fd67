# SPDX-License-Identifier: Apache-2.0
"""A full disk under the store: the server says so, refuses new work, goes on with what it has, and loses nothing."""

import os
import pathlib
import subprocess

import pytest

from fleet import ApiError, wait_for


@pytest.fixture
def small_disk(tmp_path):
    """A data folder on a file system of its own, of 24 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    folder = tmp_path / "fleet-0" / "data"
    folder.mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", str(folder)], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(folder):
    """Takes what is free, to the last block."""
    ballast = pathlib.Path(folder) / "ballast"
    with open(ballast, "ab", buffering=0) as out:
        for size in (1 << 20, 4096, 512):
            try:
                while True:
                    out.write(b"x" * size)
            except OSError:
                pass
    return ballast


def test_a_full_disk_refuses_new_work_and_loses_nothing(small_disk, tmp_path):
    from fleet import Fleet

    f = Fleet(tmp_path / "fleet-0", agents=1)
    try:
        f.wait_nodes()
        before = [f.submit(command=["/bin/true"]) for _ in range(20)]
        for run in before:
            f.wait_run(run)
        slow = f.submit(command=["/bin/sleep", "1"])
        wait_for("it runs", lambda: f.run(slow)["tasks"]["running"] == 1)
        ballast = fill(small_disk)

        acknowledged, refused = [], None
        for i in range(3000):
            try:
                acknowledged.append(f.post("/v1/runs", {"command": ["/bin/echo", "x" * 2000 + str(i)]}, timeout=5)["run_id"])
            except ApiError as error:
                refused = error
                break
            except OSError:
                continue
        assert refused is not None, "everything was accepted on a full disk"
        assert refused.status == 507, refused
        assert "store" in refused.body
        assert f.server.poll() is None, "the server is still there"

        ballast.unlink()
        wait_for("work is taken again", lambda: try_submit(f), 30)
        for run in before + acknowledged + [slow]:
            assert f.wait_run(run, 120)["state"] == "succeeded", run
        f.kill_server()
        f.start_server()
        for run in before + acknowledged[:50] + [slow]:
            assert f.run(run)["state"] == "succeeded", run
    finally:
        f.close()


def try_submit(f):
    try:
        return f.post("/v1/runs", {"command": ["/bin/true"]}, timeout=5)["run_id"]
    except (OSError, ApiError):
        return None

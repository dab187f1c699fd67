# SPDX-License-Identifier: Apache-2.0
"""Files of the server that were lost, cut or flipped: it says so and does not start, or it has everything. Never is acknowledged work gone
without a word."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess

import pytest

from api_world import MUSTER, Server, until

RUNS = 120


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The data folder of a server that was killed, with all its work still in the write-ahead logs, and how many records the history had."""
    folder = tmp_path_factory.mktemp("damage") / "data"
    one = Server(folder)
    for _ in range(RUNS):
        one.submit(command=["true"], held=True)

    def caught_up():
        status = one.get("/v1/status").json
        return status["history"]["position"] == status["store"]["durable"]

    until(caught_up)
    one.stop(signal.SIGKILL)
    return folder


@pytest.fixture
def folder(killed, tmp_path):
    shutil.copytree(killed, tmp_path / "data")
    return tmp_path / "data"


def refused(folder):
    done = subprocess.run([MUSTER, "server", "--data", str(folder), "--port", "0", "--agent-port", "0"], capture_output=True, text=True,
                          timeout=20, check=False)
    assert done.returncode == 74, done
    return done.stderr


def has_everything(folder):
    one = Server(folder)
    try:
        return len(one.get("/v1/runs?max=1000&live=1").json["runs"]) == RUNS
    finally:
        assert one.stop() == 0


def remove(folder, *names):
    for name in names:
        (folder / name).unlink()


def flip(path, part):
    data = bytearray(path.read_bytes())
    data[int(len(data) * part)] ^= 0x10
    path.write_bytes(data)


def test_nothing_is_wrong(folder):
    assert has_everything(folder)


def test_a_torn_end_is_no_damage(folder):
    with open(folder / "muster.db-wal", "ab") as log:
        log.write(b"\0" * 3000)
    assert has_everything(folder)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_flipped_bit_in_the_log(folder, part):
    flip(folder / "muster.db-wal", part)
    said = refused(folder)
    assert "muster.db-wal' is damaged at frame" in said and "backup" in said
    assert refused(folder) == said  # looking did not change it


def test_a_flipped_bit_in_the_header_of_the_log(folder):
    flip(folder / "muster.db-wal", 0)
    assert "the beginning of" in refused(folder)


@pytest.mark.parametrize("part", [0.3, 0.99])
def test_a_cut_log(folder, part):
    path = folder / "muster.db-wal"
    os.truncate(path, int(path.stat().st_size * part))
    assert "acknowledged work is missing from muster.db" in refused(folder)


def test_the_database_is_gone(folder):
    remove(folder, "muster.db")
    assert "is missing or empty, but its log" in refused(folder)
    assert (folder / "muster.db-wal").stat().st_size > 0


def test_the_whole_store_is_gone(folder):
    remove(folder, "muster.db", "muster.db-wal", "muster.db-shm")
    assert "acknowledged work is missing from muster.db" in refused(folder)


def test_the_log_ends_early(folder):
    with sqlite3.connect(folder / "muster.db") as db:
        db.execute("DELETE FROM log WHERE first_seq = (SELECT max(first_seq) FROM log)")
    db.close()
    assert "acknowledged work is missing from muster.db" in refused(folder)


def test_a_history_that_is_no_database(folder):
    remove(folder, "history.db-wal", "history.db-shm")
    (folder / "history.db").write_bytes(b"no database" * 500)
    said = refused(folder)
    assert "history.db" in said and "move it away" in said
    remove(folder, "history.db")
    assert has_everything(folder)


def damage_history(folder, *statements):
    with sqlite3.connect(folder / "history.db") as db:
        for statement in statements:
            db.execute(statement)
    db.close()


def test_a_damaged_row_of_the_history_harms_only_itself(folder, tmp_path):
    one = Server(folder)
    for run_id in (3, 4, 5, 6):
        assert one.post(f"/v1/runs/{run_id}/cancel").status == 202
    until(lambda: one.get("/v1/status").json["runs"]["in_memory"] == RUNS - 4)
    one.stop()
    damage_history(folder, "UPDATE runs SET state = 77 WHERE run_id = 3", "UPDATE runs SET state = -1 WHERE run_id = 5",
                   "UPDATE runs SET state = 77 WHERE run_id = 7")
    one = Server(folder)
    try:
        page = one.get("/v1/runs?max=1000")
        ids = [run["run_id"] for run in page.json["runs"]]
        assert page.status == 200 and page.json["damaged"] == [5, 3]
        assert len(ids) == RUNS - 2 and 4 in ids and 6 in ids
        assert 7 in ids  # what has not ended is in the store
        assert "damaged" not in one.get("/v1/runs?max=10").json
        reply = one.get("/v1/runs/3")
        assert (reply.status, reply.code) == (500, "store_corrupt") and "run 3" in reply.json["error"]["message"]
        lines = [json.loads(line) for line in one.get("/v1/export").body.splitlines()]
        assert len(lines) == RUNS and {"run_id": 3, "damaged": True} in lines
        assert "rows of runs that are damaged" in (tmp_path / "server.log").read_text()
        done = subprocess.run([MUSTER, "history", "--data", str(folder), "--max", "1000"], capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0 and "run 3 is damaged; it is left out" in done.stderr
    finally:
        assert one.stop() == 0

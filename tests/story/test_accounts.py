# SPDX-License-Identifier: Apache-2.0
"""Tasks of other accounts, which an agent of root runs."""

import os
import pathlib
import shutil
import tempfile

import pytest

from fleet import Fleet

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs tasks as other accounts")


@pytest.fixture
def fleet():
    # Folders of pytest are closed to other accounts.
    folder = tempfile.mkdtemp(prefix="muster-accounts-", dir="/tmp")
    os.chmod(folder, 0o755)
    one = Fleet(folder, agents=0)
    # Where an agent keeps its tasks when nobody says otherwise: in the data folder of the server.
    one.agent_folder = lambda i: pathlib.Path(folder) / "data" / "agent"
    one.start_agent(0)
    yield one
    one.close()
    shutil.rmtree(folder)


def test_scripts_and_temporary_files_of_another_account(fleet):
    fleet.wait_nodes()
    assert fleet.get("/v1/nodes/n0")["warnings"] == []
    run = fleet.submit(script="#!/bin/sh\nset -e\nid -un\ncd /\nmktemp > /dev/null\ntouch $TMPDIR/mine\necho fine\n", user="nobody")
    assert fleet.wait_run(run)["state"] == "succeeded", fleet.get(f"/v1/runs/{run}/tasks/0")
    assert fleet.output(run) == "nobody\nfine\n"
    # It passes through the folder of the server, and sees nothing there.
    data = fleet.folder / "data"
    run = fleet.submit(command=f"ls {data}; cat {data}/api.token {data}/agent.token {data}/muster.db {data}/agent/identity", user="nobody")
    assert fleet.wait_run(run)["state"] == "failed"
    assert fleet.output(run, stream="stderr").count("Permission denied") == 5


def test_a_script_with_line_ends_of_windows_is_told(fleet):
    fleet.wait_nodes()
    run = fleet.submit(script="#!/bin/sh\r\necho x\r\n")
    assert fleet.wait_run(run)["state"] == "failed"
    assert "CR LF" in fleet.get(f"/v1/runs/{run}/tasks/0")["message"]

# SPDX-License-Identifier: Apache-2.0
"""What the command line refuses, and whether its sentence helps."""

import pytest

from cli_world import Fleet


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    fleet = Fleet(str(tmp_path_factory.mktemp("refusals")), agents=1)
    yield fleet
    fleet.stop()


def test_more_errors_than_are_shown_are_counted(fleet, tmp_path):
    path = tmp_path / "many.yaml"
    path.write_text("name: bad\ncommand: [true]\ncommand: [false]\n" + "".join(f"zz{i}: 1\n" for i in range(250)))
    done = fleet("apply", "-f", str(path))
    lines = done.err.splitlines()
    assert done.code == 65 and len(lines) == 102
    assert lines[0].endswith("command: it is given twice, first in line 2") and "zz0: there is no such field" in lines[1]
    assert lines[-2:] == ["  and 151 more", f"muster: 251 errors in {path}, nothing was stored; `muster help job` describes every field"]


def test_a_label_that_is_given_twice(fleet):
    done = fleet("ps", "--label", "a=1", "--label", "a=2")
    assert done.code == 65 and "names 'a' twice" in done.err
    done = fleet("run", "--label", "a=1", "--label", "a=1", "--", "true")
    assert "'a' is given twice; give one value" in done.err and done.code == 64


def test_less_memory_than_a_program_needs(fleet):
    done = fleet("run", "-m", "1B", "--", "true")
    assert done.code == 65 and "the least is 512KiB (memory_min)" in done.err

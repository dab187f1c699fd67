# SPDX-License-Identifier: Apache-2.0
"""The command line as people and programs use it, on a real fleet of one server and two agents.

Every command of spec/commands.def is covered by at least one test below; a test at the end counts them.
"""

import datetime as dt
import json
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import time
import urllib.request

import pytest

from cli_calendar import test_calendars  # noqa: F401
from cli_conditions import test_conditions  # noqa: F401
from cli_world import MUSTER, ROOT, Fleet, bare

COVERED = {"calendar", "conditions"}  # by test_calendars and test_conditions
COMMANDS = re.findall(r'^COMMAND\("([a-z-]+)", \w+, \w+, ([A-Z| 0]+)', open(os.path.join(ROOT, "spec/commands.def")).read(), re.M)
SHOWN = [name for name, flags in COMMANDS if "HIDDEN" not in flags]


def covers(*names):
    COVERED.update(names)
    return lambda function: function


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    fleet = Fleet(str(tmp_path_factory.mktemp("fleet")))
    yield fleet
    fleet.stop()
    left = subprocess.run(["pgrep", "-f", fleet.data], capture_output=True, text=True, check=False).stdout
    assert left == "", f"still running: {left}\n{fleet.said()}"
    assert fleet.up.returncode == 0, fleet.said()


# ---- without a server

@covers("help")
@pytest.mark.parametrize("name", SHOWN)
def test_help_of_every_command_has_examples(name):
    done = bare("help", name)
    assert done.code == 0
    assert done.out.startswith(f"usage: muster {name}")
    examples = done.out.split("Examples\n")[1].strip().splitlines()
    assert examples and any(f"muster {name}" in line for line in examples)
    if name != "sim":  # it has options of its own, and lists them
        assert bare(name, "--help").out == done.out


@covers("sim")
def test_sim():
    done = bare("sim", "--help")
    assert done.code == 0 and "--seeds FIRST-LAST" in done.out
    done = bare("sim", "--scenario", "calm", "--seed", "1")
    assert done.code == 0 and "simulated" in done.out, done
    assert bare("sim", "--nonsense").code == 64


def test_help_topics():
    assert "muster COMMAND" in bare("help").out
    assert "tasks_max" in bare("help", "settings").out
    assert "not_found" in bare("help", "exit-statuses").out
    assert "retry.limit" in bare("help", "job").out
    assert bare("help", "nonsense").code == 64


@covers("completion")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_parse(shell):
    script = bare("completion", shell).out
    assert all(name in script for name in SHOWN)
    if subprocess.run(["which", shell], capture_output=True, check=False).returncode != 0:
        pytest.skip(f"{shell} is not installed")
    check = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stderr


def test_bash_completes():
    script = bare("completion", "bash").out + """
COMP_WORDS=(muster ru); COMP_CWORD=1; _muster; echo "${COMPREPLY[@]}"
COMP_WORDS=(muster run --pri); COMP_CWORD=2; _muster; echo "${COMPREPLY[@]}"
"""
    assert subprocess.run(["bash"], input=script, capture_output=True, text=True, check=True).stdout == "run\n--priority\n"


@covers("version")
def test_version():
    assert re.fullmatch(r"muster \d+\.\d+\.\d+\n", bare("version").out)
    assert json.loads(bare("version", "--json").out)["server"] is None
    assert bare("--version").out.startswith("muster ")


def test_what_is_not_understood_exits_with_64():
    for words in (["nonsense"], ["ps", "--nonsense"], ["show"], ["logs", "abc"], ["run"], ["run", "--after", "x", "--", "true"], ["--json", "ps"],
                  ["cancel", "job/", "--quiet"], ["apply"], ["history", "--fires"], ["ps", "--max", "0"], ["completion", "csh"]):
        done = bare(*words)
        assert done.code == 64, (words, done)
        assert done.err.startswith("muster: ") and done.err.count("\n") == 1, (words, done)
    assert "did you mean `muster cancel`?" in bare("cancle").err


def test_no_server_is_said_with_what_to_do():
    done = bare("ps")
    assert done.code == 69
    assert "no server found: start one with `muster up`, or name one with --server" in done.err
    done = bare("ps", "--server", "127.0.0.1:1", "--timeout", "0", MUSTER_TOKEN="x")
    assert done.code == 69 and "is the server running?" in done.err


# ---- work

@covers("run", "up", "server", "agent")
def test_run_gives_output_and_exit_status(fleet):
    done = fleet("run", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.code, done.out, done.err) == (3, "out\n", "err\n")
    assert fleet("run", "--", "true").code == 0
    assert fleet("run", "--", "sh", "-c", "kill -9 $$").code == 137
    assert fleet("run", "--", "/nonexistent/program").code == 127
    done = fleet("run", "--quiet", "--", "printf", "no newline é")
    assert (done.out, done.err) == ("no newline é", "")


def test_run_passes_options(fleet):
    done = fleet("run", "-e", "A=1", "-e", "HERE", "--workdir", "/tmp", "--name", "n", "--label", "team=x", "--", "sh", "-c",
                 "echo $A $HERE $PWD", HERE="2")
    assert (done.code, done.out) == (0, "1 2 /tmp\n")
    run = fleet.json("history", "--label", "team=x")["runs"][0]
    assert run["labels"] == {"team": "x"} and run["state"] == "succeeded"


def test_run_script_and_stdin(fleet, tmp_path):
    path = tmp_path / "job.sh"
    path.write_text("#!/bin/sh\necho script $0 | cut -c1-6\n")
    assert fleet.ok("run", "--script", str(path)) == "script\n"
    assert fleet.ok("run", "--script", "-", stdin="echo from stdin\n") == "from stdin\n"
    path = tmp_path / "job.yaml"
    path.write_text("command: [echo, from a file]\n")
    assert fleet.ok("run", "-f", str(path)) == "from a file\n"
    assert fleet("run", "-f", str(path), "--cpu", "1").code == 64


def test_run_of_an_array(fleet):
    done = fleet("run", "--tasks", "0-4", "--cpu", "100m", "--", "sh", "-c", "echo $MUSTER_TASK/$MUSTER_TASKS; echo e$MUSTER_TASK >&2")
    assert done.code == 0
    assert sorted(done.out.splitlines()) == [f"[{i}] {i}/5" for i in range(5)]
    assert sorted(done.err.splitlines()) == [f"[{i}] e{i}" for i in range(5)]
    done = fleet("run", "--tasks", "3", "--cpu", "100m", "--", "sh", "-c", "exit $MUSTER_TASK")
    assert done.code == 1
    assert "failed" in done.err


def test_run_shows_every_attempt(fleet):
    done = fleet("run", "--retry", "3", "--backoff", "50ms", "--", "sh", "-c", "echo attempt $MUSTER_ATTEMPT; [ $MUSTER_ATTEMPT = 3 ]")
    assert (done.code, done.out) == (0, "attempt 1\nattempt 2\nattempt 3\n")


def test_output_comes_while_it_runs(fleet, tmp_path):
    seen = tmp_path / "seen"
    process = subprocess.Popen([MUSTER, "run", "--", "sh", "-c", f"echo first; until [ -e {seen} ]; do sleep 0.05; done; echo second"],
                               env=fleet.env(), stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "first\n"
    seen.touch()
    assert process.communicate(timeout=60)[0] == "second\n"
    assert process.returncode == 0


def test_submitting_again_with_a_key_gives_the_same_run(fleet):
    first = fleet.detach("--idempotency-key", "k-1", "--", "true")
    done = fleet("run", "--detach", "--idempotency-key", "k-1", "--", "true")
    assert int(done.out) == first and "submitted before" in done.err


def catches(pid, number):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^SigCgt:\s*(\w+)", status, re.M)[1], 16) >> (number - 1) & 1


def test_sigint_without_a_terminal_cancels(fleet):
    process = subprocess.Popen([MUSTER, "run", "--label", "kind=sigint", "--", "sleep", "100"], env=fleet.env(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    fleet.wait_for(lambda: any(r["state"] == "running" for r in fleet.json("ps", "--label", "kind=sigint")["runs"]), "the run to start")
    # It can be running before the command has read so, and until then Ctrl-C ends the command alone.
    fleet.wait_for(lambda: catches(process.pid, signal.SIGINT), "the command to follow it")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode in (143, 1) and "is being cancelled" in err, (process.returncode, out, err)
    assert fleet.json("history", "--max", "1")["runs"][0]["state"] == "cancelled"


def on_terminal(fleet, words, script):
    """Runs a command on a terminal; script: (text to wait for, bytes to send)... Returns what was shown and the exit status."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(MUSTER, [MUSTER, *words], {**fleet.env(), "TERM": "xterm", "COLUMNS": "120"})
    shown, seen = b"", 0
    steps = list(script)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        at = shown.find(steps[0][0], seen) if steps else -1
        if at >= 0:
            seen = at + len(steps[0][0])
            os.write(fd, steps.pop(0)[1])
        if not select.select([fd], [], [], 0.1)[0]:
            continue
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        shown += data
    os.close(fd)
    _, status = os.waitpid(pid, 0)
    return shown.decode(), os.waitstatus_to_exitcode(status)


def test_ctrl_c_on_a_terminal_asks(fleet):
    shown, code = on_terminal(fleet, ["run", "--", "sh", "-c", "echo begun; sleep 100"],
                              [(b"begun", b"\x03"), (b"cancel at once)", b"n\n"), (b"n\r\n", b"\x03"), (b"cancel at once)", b"\x03")])
    assert "cancel run" in shown and "is being cancelled" in shown, shown
    assert code == 143, shown
    shown, code = on_terminal(fleet, ["run", "--", "sh", "-c", "echo begun; sleep 100"], [(b"begun", b"\x03"), (b"cancel at once)", b"d\n")])
    run = re.search(r"run (\d+) goes on", shown).group(1)
    assert code == 130, shown
    fleet.ok("cancel", run)


def test_colour_only_on_a_terminal(fleet):
    fleet.detach("--", "true")
    assert "\033[" not in fleet.ok("history")
    assert "\033[" in on_terminal(fleet, ["history"], [])[0]


@covers("ps")
def test_ps(fleet):
    run = fleet.detach("--name", "sleeper", "--label", "kind=ps", "--", "sleep", "100")
    fleet.wait_for(lambda: fleet.json("show", str(run))["tasks"]["running"] == 1, "its task to run")  # the run does from its placement on
    rows = fleet.json("ps", "--label", "kind=ps")["runs"]
    assert [(row["run_id"], row["state"], row["tasks"]["running"]) for row in rows] == [(run, "running", 1)]
    assert fleet.ok("ps", "--quiet", "--label", "kind=ps") == f"{run}\n"
    table = fleet.ok("ps")
    assert table.splitlines()[0].split() == ["RUN", "JOB", "STATE", "DONE", "QUEUE", "SUBMITTED", "TOOK"]
    assert re.search(rf"^ *{run} .* running ", table, re.M)
    assert fleet.json("ps", "--state", "pending", "--label", "kind=ps")["runs"] == []
    fleet.ok("cancel", str(run))
    fleet.wait_state(run, "cancelled")
    assert fleet.json("ps", "--label", "kind=ps")["runs"] == []
    assert len(fleet.json("ps", "--all", "--label", "kind=ps")["runs"]) == 1


@covers("show")
def test_show(fleet):
    run = fleet.detach("--retry", "1", "--backoff", "10ms", "--label", "a=b", "--", "sh", "-c", "exit 7")
    assert fleet("wait", str(run)).code == 1
    shown = fleet.ok("show", str(run))
    assert re.search(r"^state +failed$", shown, re.M) and "exit status 7" in shown and "a=b" in shown
    assert fleet.json("show", str(run))["spec"]["command"] == ["sh", "-c", "exit 7"]
    task = fleet.json("show", f"{run}/0")
    assert task["exit_code"] == 7 and task["attempt"] == 2
    assert [attempt["attempt"] for attempt in task["attempts"]] == [1, 2]
    assert re.search(r"^attempt +2$", fleet.ok("show", f"{run}/0"), re.M)
    done = fleet("show", "999999999")
    assert done.code == 66 and done.err.startswith("muster: ")
    assert fleet("show", "no-such-job").code == 66


@covers("why")
def test_why(fleet):
    run = fleet.detach("--memory", "1PiB", "--", "true")
    why = fleet.json("why", str(run))
    assert why["reason"] == "never_fits" and why["sentence"]
    assert "reason" in fleet.ok("why", f"{run}/0")
    fleet.ok("cancel", str(run))


@covers("logs")
def test_logs(fleet):
    run = fleet.detach("--retry", "1", "--backoff", "10ms", "--", "sh", "-c", "echo out $MUSTER_ATTEMPT; echo err >&2; exit 1")
    fleet("wait", str(run))
    done = fleet("logs", str(run))
    assert (done.code, done.out, done.err) == (0, "out 2\n", "err\n")
    assert fleet.ok("logs", f"{run}/0", "--attempt", "1", "--stream", "stdout") == "out 1\n"
    assert fleet("logs", f"{run}/0", "--stream", "stderr").out == ""
    assert fleet.ok("logs", str(run), "--tail", "2", "--stream", "stdout") == "2\n"
    assert fleet.ok("logs", "-f", str(run), "--stream", "stdout") == "out 1\nout 2\n"
    assert fleet("logs", str(run), "--stream", "x").code == 64
    array = fleet.detach("--tasks", "3", "--cpu", "100m", "--", "sh", "-c", "echo $MUSTER_TASK")
    assert sorted(fleet.ok("logs", "-f", str(array)).splitlines()) == ["[0] 0", "[1] 1", "[2] 2"]
    assert fleet.ok("logs", str(array)).splitlines() == ["[0] 0", "[1] 1", "[2] 2"]


@covers("wait")
def test_wait(fleet):
    good, bad = fleet.detach("--", "true"), fleet.detach("--", "false")
    assert fleet("wait", str(good)).code == 0
    done = fleet("wait", str(good), str(bad))
    assert done.code == 1 and f"run {bad}: failed" in done.err
    slow = fleet.detach("--", "sleep", "100")
    assert fleet("wait", str(slow), "--for", "300ms").code == 75
    fleet.ok("cancel", str(slow))


@covers("cancel")
def test_cancel(fleet):
    run = fleet.detach("--tasks", "4", "--cpu", "100m", "--", "sleep", "100")
    fleet.ok("cancel", f"{run}/0-1")
    fleet.wait_for(lambda: fleet.json("show", str(run))["tasks"]["cancelled"] == 2, "two tasks to be cancelled")
    assert fleet.state(run) == "running"
    assert "is being cancelled" in fleet("cancel", str(run)).err
    fleet.wait_state(run, "cancelled")
    assert fleet("cancel", "999999999").code == 66


@covers("rerun")
def test_what_cannot_be_done_to_one_is_done_to_the_others(fleet):
    runs = [str(fleet.detach("--held", "--", "true")) for _ in range(3)]
    fleet.ok("cancel", runs[0])
    done = fleet("cancel", *runs)
    assert done.code == 68 and f"run {runs[0]} has already ended" in done.err, done
    assert [fleet.state(run) for run in runs] == ["cancelled"] * 3
    done = fleet("hold", "999999", runs[1])
    assert done.code == 68 and "there is no run 999999" in done.err and f"run {runs[1]} has already ended" in done.err, done


def test_attempts_that_are_over_say_so(fleet):
    run = fleet.detach("--retry", "2", "--backoff", "10ms", "--", "sh", "-c", "exit $((3 - MUSTER_ATTEMPT))")
    fleet.wait_state(run, "succeeded")
    task = fleet.json("show", f"{run}/0")
    assert [attempt["state"] for attempt in task["attempts"]] == ["failed", "failed", "succeeded"]
    assert [attempt["retry_at"] for attempt in task["attempts"]] == [None] * 3
    waiting = fleet.detach("--retry", "2", "--backoff", "1h", "--", "false")
    fleet.wait_for(lambda: fleet.json("show", f"{waiting}/0")["state"] == "backoff", "the first attempt to fail")
    task = fleet.json("show", f"{waiting}/0")
    assert task["retry_at"] is not None and [attempt["state"] for attempt in task["attempts"]] == ["failed"]
    fleet.ok("cancel", str(waiting))


def test_runs_of_a_deleted_job_go_on(fleet, tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text("name: short-lived\ncommand: [sh, -c, 'sleep 1; echo whole']\n")
    fleet.ok("apply", "-f", str(path))
    run = int(fleet.ok("start", "short-lived"))
    fleet.wait_state(run, "running")
    fleet.ok("delete", "short-lived")
    assert fleet("start", "short-lived").code == 66
    fleet.wait_state(run, "succeeded")
    assert fleet.ok("logs", str(run)) == "whole\n"


def test_errors_in_options_name_no_lines(fleet):
    done = fleet("run", "--tasks", "0", "--priority", "5000", "--", "true")
    assert done.code == 65 and "  tasks: 0 is out of range" in done.err and "  priority: 5000" in done.err and ":1:" not in done.err, done


def test_rerun(fleet, tmp_path):
    flag = tmp_path / "flag"
    run = fleet.detach("--tasks", "3", "--cpu", "100m", "--", "sh", "-c", f"[ $MUSTER_TASK != 1 ] || [ -e {flag} ]")
    assert fleet("wait", str(run)).code == 1
    flag.write_text("")
    again = int(fleet.ok("rerun", str(run), "--failed"))
    assert fleet("wait", str(again)).code == 0
    shown = fleet.json("show", str(again))
    assert shown["rerun_of"] == run and shown["tasks"]["total"] == 1 and shown["task_list"][0]["index"] == 1
    assert fleet("rerun", str(run), "--follow").code == 0


def test_asking_for_a_rerun_twice_with_a_key_gives_one_run(fleet):
    run = fleet.detach("--", "true")
    fleet("wait", str(run))
    where = json.load(open(os.path.join(fleet.data, "endpoint.json")))
    token = open(where["token_file"]).read().strip()
    answers = []
    for _ in range(2):
        request = urllib.request.Request(f"{where['api']}/v1/runs/{run}/rerun", method="POST",
                                         headers={"Authorization": f"Bearer {token}", "Idempotency-Key": "rerun-1"})
        with urllib.request.urlopen(request) as answer:
            answers.append(json.load(answer)["run_id"])
    assert answers[0] == answers[1] > run


@covers("hold", "release")
def test_hold_and_release(fleet):
    run = fleet.detach("--held", "--", "echo", "released")
    time.sleep(0.3)
    assert fleet.json("why", str(run))["reason"] == "held"
    assert " held " in fleet.ok("ps")
    fleet.ok("release", str(run))
    assert fleet("wait", str(run)).code == 0
    run = fleet.detach("--start-at", "1h", "--", "true")
    fleet.ok("hold", str(run))
    assert fleet.json("show", str(run))["held"] is True
    fleet.ok("cancel", str(run))


# ---- jobs

JOB = """name: nightly
description: Says its name.
command: [echo, nightly]
schedule: "0 3 * * *"
labels: {team: data}
"""


@covers("apply", "jobs", "next", "start", "delete", "history")
def test_jobs(fleet, tmp_path):
    path = tmp_path / "nightly.yaml"
    path.write_text(JOB)
    assert "is valid" in fleet("apply", "-f", str(path), "--dry-run").err
    assert fleet.json("jobs")["jobs"] == []
    assert "is stored (version 1)" in fleet("apply", "-f", str(path)).err
    assert "did not change" in fleet("apply", "-f", "-", stdin=JOB).err
    assert [job["name"] for job in fleet.json("jobs")["jobs"]] == ["nightly"]
    assert re.search(r"^nightly +active +1 +0 3 \* \* \*", fleet.ok("jobs"), re.M)
    instants = fleet.json("next", "nightly", "--max", "3")["instants"]
    assert len(instants) == 3 and all("T03:00:00" in instant for instant in instants)
    assert "T03:00:00" in fleet.ok("next", "nightly")
    shown = fleet.ok("show", "nightly")
    assert "0 3 * * *" in shown and "team=data" in shown
    assert fleet.json("show", "default/nightly")["spec"]["command"] == ["echo", "nightly"]
    done = fleet("start", "nightly", "--follow")
    assert (done.code, done.out) == (0, "nightly\n")
    run = int(fleet.ok("start", "nightly"))
    assert fleet("wait", str(run)).code == 0
    rows = fleet.json("history", "nightly")["runs"]
    assert len(rows) == 2 and rows[0]["run_id"] == run
    assert fleet.json("history", "nightly", "--since", "1h", "--max", "1")["runs"][0]["run_id"] == run
    assert fleet.json("history", "nightly", "--until", "2020-01-01T00:00:00Z")["runs"] == []
    fleet.ok("hold", "nightly")
    assert fleet.json("show", "nightly")["state"] == "held"
    fleet.ok("release", "nightly")
    fleet.ok("delete", "nightly")
    assert fleet("show", "nightly").code == 66
    assert fleet("start", "nightly").code == 66


def test_next_marks_changes_of_the_clocks(fleet):
    fleet.ok("apply", "-f", "-", stdin="name: early\ncommand: x\nschedule: {cron: '30 2 * * *', zone: Europe/Berlin}\n")
    lines = fleet.ok("next", "early", "-n", "3", "--from", "2030-03-30T12:00:00Z").splitlines()
    assert len(lines) == 3
    assert "2030-03-31T03:00:00+02:00 Europe/Berlin  clocks go forward from 02:00 to 03:00; 02:30 does not exist, so it fires" in lines[0]
    assert "2030-04-01T02:30:00+02:00 Europe/Berlin" in lines[1] and "clocks" not in lines[1]
    back = fleet.json("next", "early", "-n", "2", "--from", "2030-10-26T12:00:00Z", "--zone", "Asia/Tokyo")["fires"]
    assert back[0]["local"] == "2030-10-27T09:30:00+09:00" and back[0]["zone"] == "Asia/Tokyo"
    assert back[0]["clocks"] == "clocks go back from 03:00 to 02:00; this time comes twice, and it fires the first time only"
    assert "clocks" not in back[1]
    assert fleet("next", "early", "--zone", "Nowhere/At_all").code == 65
    fleet.ok("apply", "-f", "-", stdin="name: often\ncommand: x\nschedule: {cron: '0 * * * *', zone: Europe/Berlin}\n")
    notes = [fire.get("clocks", "") for fire in fleet.json("next", "often", "-n", "4", "--from", "2030-10-26T23:30:00Z")["fires"]]
    assert ["both times" in note for note in notes] == [True, True, False, False]
    fleet.ok("delete", "early")
    fleet.ok("delete", "often")


@covers("import")
def test_crontabs_of_debian(fleet, tmp_path):
    folder = pathlib.Path(__file__).parent / "crontabs"
    expected = {"anacron": 1, "certbot": 1, "e2scrub_all": 2, "mdadm": 1, "php": 1, "sysstat": 2, "system": 4}
    for name, count in expected.items():
        done = fleet("import", "crontab", str(folder / name), "--system", "--zone", "Europe/Paris", "-N", "cron")
        assert done.code == 0 and f"{count} job" in done.err, done
        assert len(re.findall(r": job cron/", done.out)) == count
    jobs = {job["name"]: job for job in fleet.json("jobs", "-N", "cron")["jobs"]}
    assert len(jobs) == sum(expected.values())
    spec = fleet.json("show", "cron/mdadm-checkarray")["spec"]
    assert spec["user"] == "root" and "$(date +%d) -le 7" in spec["command"][2]
    again = fleet("import", "crontab", str(folder / "sysstat"), "--system", "--zone", "Europe/Paris", "-N", "cron")
    assert again.code == 0 and len(fleet.json("jobs", "-N", "cron")["jobs"]) == len(jobs)
    for name in jobs:
        fleet.ok("delete", name, "-N", "cron")
    # What cron would refuse is told with the line, and nothing is stored.
    bad = fleet("import", "crontab", "-", stdin="MAILTO=a@b\n@reboot x\n0 0 * * * fine\n61 0 * * * wrong\n")
    assert bad.code == 65 and re.search(r":4:\d+: schedule.cron: minute: '61' is out of range", bad.err), bad
    assert "LEFT OUT: @reboot has no place here" in bad.out and "MAILTO=a@b is not carried over" in bad.out
    assert fleet.json("jobs")["jobs"] == []
    tried = fleet("import", "crontab", "-", "--dry-run", stdin="0 0 * * * fine\n")
    assert tried.code == 0 and "can be stored" in tried.err and fleet.json("jobs")["jobs"] == []
    # It does what cron does: home folder, settings, input behind %.
    fleet.ok("import", "crontab", "-", "--prefix", "p", stdin="WHO=you\n0 0 1 1 * cat - ; echo $WHO%hello%there\n")
    done = fleet("start", "p-cat", "--follow")
    assert (done.code, done.out) == (0, "hello\nthere\nyou\n")
    fleet.ok("delete", "p-cat")


@covers("fires")
def test_a_command_knows_its_times(fleet):
    fleet.ok("apply", "-f", "-", stdin='name: tack\ncommand: [echo, "{{interval.start}}", "{{nominal}}", "{{.State}}"]\nschedule: "@every 1s"\n'
                                       "resources: {cpu: 50m}\n")
    fleet.wait_for(lambda: [f for f in fleet.json("fires", "tack")["fires"] if f["run_id"]], "the job to fire")
    fire = [f for f in fleet.json("fires", "tack", "--max", "5")["fires"] if f["run_id"]][-1]
    fleet("wait", str(fire["run_id"]), "--for", "20s")
    start, nominal, other = fleet.ok("logs", str(fire["run_id"])).split()
    assert nominal == fire["nominal_at"] and other == "{{.State}}"
    assert dt.datetime.fromisoformat(nominal[:-1]) - dt.datetime.fromisoformat(start[:-1]) == dt.timedelta(seconds=1)
    assert re.search(r"^20\d\d-", fleet.ok("fires", "tack"), re.M)
    assert fleet("fires").code == 64 or fleet("fires").code == 65
    fleet.ok("delete", "tack")


def test_delay_after_the_last_end(fleet):
    fleet.ok("apply", "-f", "-", stdin="name: chain\ncommand: [sleep, '0.3']\nschedule: {after_end: 1s}\nresources: {cpu: 50m}\n")
    assert fleet.json("show", "chain")["spec"]["schedule"] == [{"after_end": "1s"}]
    assert len(fleet.json("next", "chain")["instants"]) <= 1
    fleet.wait_for(lambda: len([r for r in fleet.json("history", "chain")["runs"] if r["state"] == "succeeded"]) >= 3, "three runs")
    fleet.ok("hold", "chain")
    runs = [r for r in fleet.json("history", "chain")["runs"] if r["state"] == "succeeded"][::-1]
    instant = [dt.datetime.fromisoformat(run["nominal_at"][:-1]) for run in runs]
    for before, run, nominal in zip(runs, runs[1:], instant[1:]):
        assert abs(nominal - dt.datetime.fromisoformat(before["ended_at"][:-1]) - dt.timedelta(seconds=1)) < dt.timedelta(milliseconds=2)
    fleet.ok("delete", "chain")


def test_history_of_fires(fleet):
    fleet.ok("apply", "-f", "-", stdin='name: tick\ncommand: ["true"]\nschedule: "@every 1s"\nresources: {cpu: 50m}\n')
    fleet.wait_for(lambda: len(fleet.json("history", "tick", "--fires")["fires"]) >= 2, "the job to fire")
    assert re.search(r"^20\d\d-", fleet.ok("history", "tick", "--fires"), re.M)
    assert fleet("cancel", "tick").code == 0
    fleet.ok("delete", "tick")


def test_a_bad_file_is_answered_with_every_error(fleet, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("name: bad\ncommand: [true]\nretry:\n  limit: many\npriority: 5000\n")
    done = fleet("apply", "-f", str(path))
    assert done.code == 65
    lines = done.err.splitlines()
    assert any(re.match(rf"{re.escape(str(path))}:4:\d+: retry\.limit: .*\(allowed: ", line) for line in lines), done
    assert any(re.match(rf"{re.escape(str(path))}:5:\d+: priority: .*\(allowed: -1000 to 1000\)", line) for line in lines), done
    assert "nothing was stored" in lines[-1]
    assert fleet("show", "bad").code == 66
    done = fleet("run", "--priority", "9999", "--", "true")
    assert done.code == 65 and "priority" in done.err
    assert fleet("apply", "-f", str(tmp_path / "missing.yaml")).code != 0


# ---- fleet and records

@covers("nodes")
def test_nodes(fleet):
    nodes = {node["node"]: node for node in fleet.json("nodes")["nodes"]}
    assert set(nodes) >= {"agent-1", "agent-2"}
    assert re.search(r"^agent-1 +online +open ", fleet.ok("nodes"), re.M)
    assert fleet.json("nodes", "agent-1")["node"] == "agent-1"
    assert fleet("nodes", "no-such-node").code == 66


@covers("drain", "undrain", "forget")
def test_drain_undrain_and_forget(fleet):
    fleet.ok("drain", "agent-2")
    fleet.wait_for(lambda: fleet.json("nodes", "agent-2")["admission"] == "drained", "agent-2 to be drained")
    for _ in range(3):
        run = fleet.detach("--", "true")
        fleet("wait", str(run))
        assert fleet.json("show", f"{run}/0")["node"] == "agent-1"
    fleet.ok("undrain", "agent-2")
    assert fleet.json("nodes", "agent-2")["admission"] == "open"
    assert fleet("forget", "agent-2").code == 68  # it is online
    assert fleet("forget", "no-such-node").code == 66


@covers("status")
def test_status(fleet):
    assert isinstance(fleet.json("status"), dict)
    assert "nodes" in fleet.ok("status")


@covers("export")
def test_export(fleet, tmp_path):
    fleet("wait", str(fleet.detach("--label", "kind=export", "--", "true")))
    lines = [json.loads(line) for line in fleet.ok("export", "--label", "kind=export").splitlines()]
    assert len(lines) == 1 and lines[0]["labels"] == {"kind": "export"}
    path = tmp_path / "runs.jsonl"
    fleet.ok("export", "--output", str(path))
    runs = [json.loads(line)["run_id"] for line in path.read_text().splitlines()]
    assert runs == sorted(runs, reverse=True) and len(runs) == len(set(runs)) > 1
    assert os.listdir(tmp_path) == ["runs.jsonl"]


def test_wrong_token_is_said(fleet, tmp_path):
    path = tmp_path / "token"
    path.write_text("0" * 64)
    done = fleet("ps", "--token-file", str(path))
    assert done.code == 67 and "--token-file" in done.err


def test_every_command_is_covered():
    assert set(SHOWN) == COVERED | {"backfill", "backfills"}  # those are in test_backfill.py

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The black-box checker: drives the real binary through faults and judges it from outside. See tests/checker/README.md.

A JSON line for each round, and one for all of them at the end. A failed round keeps its folder: logs, evidence, and round.json, which --judge
judges again."""

import argparse
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import network  # noqa: E402
from case import Case  # noqa: E402
from faults import KINDS  # noqa: E402
from judge import judge  # noqa: E402
from round import Round  # noqa: E402
from world import BUILT, MUSTER  # noqa: E402


def options():
    parser = argparse.ArgumentParser(description="The black-box checker of Muster.")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, help="of the first round; the others follow. Drawn when it is left out")
    parser.add_argument("--seconds", type=float, default=12.0, help="how long a round works and hurts, before it settles")
    parser.add_argument("--agents", type=int, default=2)
    parser.add_argument("--faults", help="kinds to draw from, parted by commas, or none: " + ", ".join(KINDS))
    parser.add_argument("--keep", action="store_true", help="keep the folders of good rounds too")
    parser.add_argument("--judge", metavar="FOLDER", help="judge a kept round again, run nothing")
    return parser.parse_args()


def summary(seed, case, found, seconds):
    fires = collections.Counter(f["outcome"] for rows in case.fires.values() for f in rows)
    ops = collections.Counter(op["result"] for op in case.ops)
    return {"seed": seed, "ok": not found.rows, "seconds": round(seconds, 1), "faults": [f["kind"] for f in case.faults], "ops": dict(ops),
            "runs": len(case.runs), "attempts": len(case.told), "processes": len(case.evidence), "fires": dict(fires),
            "lost": sum(row["state"] == "lost" for rows in case.tasks.values() for row in rows),
            "findings": [f"{row['check']}: {row['text']}" for row in found.rows][:20]}


def one(args, seed):
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"muster-round-{seed}-"))
    os.chmod(folder, 0o755)
    begin = time.monotonic()
    only = args.faults.split(",") if args.faults else None
    found, case = Round(seed, folder, args.seconds, args.agents, only).go()
    line = summary(seed, case, found, time.monotonic() - begin)
    if found.rows or args.keep:
        case.save(folder / "round.json")
        line["folder"] = str(folder)
        if found.rows:
            line["again"] = " ".join(["tests/checker/run.py", "--seed", str(seed), "--seconds", str(args.seconds), "--agents", str(args.agents)] +
                                     (["--faults", args.faults] if args.faults else []))
    else:
        shutil.rmtree(folder)
    print(json.dumps(line), flush=True)
    return line


def main():
    args = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the fleet of a round is ended with it
    if args.judge:
        case = Case.load(pathlib.Path(args.judge) / "round.json")
        found = judge(case)
        print(json.dumps(summary(None, case, found, 0), indent=1))
        return 1 if found.rows else 0
    if not pathlib.Path(MUSTER).exists() or not (BUILT / "payload").exists():
        sys.exit(f"checker: {MUSTER} or {BUILT}/payload is not built: run make build")
    if not network.available():
        print("checker: no network namespaces here (they take root and the package iproute2): no packets are lost", file=sys.stderr)
    first = args.seed if args.seed is not None else random.randrange(10**8)
    by_kind, total, failed = {}, collections.Counter(), []
    for seed in range(first, first + args.rounds):
        line = one(args, seed)
        for kind in set(line["faults"]) or {"none"}:
            row = by_kind.setdefault(kind, {"rounds": 0, "faults": 0, "failed": 0})
            row["rounds"] += 1
            row["faults"] += line["faults"].count(kind)
            row["failed"] += not line["ok"]
        for what in ("runs", "attempts", "processes", "lost"):
            total[what] += line[what]
        total["seconds"] += line["seconds"]
        if not line["ok"]:
            failed.append(seed)
    print(json.dumps({"rounds": args.rounds, "first_seed": first, "failed_seeds": failed, "by_fault": by_kind,
                      **{k: round(v, 1) for k, v in total.items()}}), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""The evidence: what the payloads themselves wrote down, outside of Muster. Its records are those of payload.c."""

import struct
from dataclasses import dataclass

RECORD = struct.Struct("<IIIIQQIIiIqq24s40s")
MAGIC = 0x4556494D
PHASES = {1: "start", 2: "beat", 3: "end", 4: "term"}
assert RECORD.size == 128


@dataclass
class Attempt:
    """One process of the payload: everything it wrote. Times are seconds of the host's monotonic clock."""
    label: int
    version: int
    run: int
    task: int
    attempt: int
    fence: int
    pid: int
    node: str
    nominal: str
    start: float
    last: float        # its last sign of life
    ended: bool = False  # it came to its own end, with this status
    exit: int = None
    starts: int = 1      # records of phase start: more than one is two processes that share everything, pid included

    @property
    def key(self):
        return (self.run, self.task, self.attempt, self.fence)


def read(path):
    """All records of a file as processes, in order of their start."""
    data = path.read_bytes()
    if len(data) % RECORD.size:
        raise ValueError(f"{path}: {len(data)} bytes are not a whole number of records")
    found = {}
    for (magic, label, version, phase, run, fence, task, attempt, status, pid, ref, _, node, nominal) in RECORD.iter_unpack(data):
        if magic != MAGIC:
            raise ValueError(f"{path}: a record does not begin with its mark")
        key = (label, version, run, task, attempt, fence, pid)
        at = ref / 1e9
        what = PHASES[phase]
        if key not in found:
            found[key] = Attempt(label, version, run, task, attempt, fence, pid, text(node), text(nominal), at, at,
                                 starts=int(what == "start"))
            if what != "start":
                raise ValueError(f"{path}: {found[key]} begins with a record of phase {what}")
            continue
        process = found[key]
        process.starts += what == "start"
        process.last = max(process.last, at)
        if what == "end":
            process.ended, process.exit = True, status
    return sorted(found.values(), key=lambda a: a.start)


def text(field):
    return field.split(b"\0", 1)[0].decode()

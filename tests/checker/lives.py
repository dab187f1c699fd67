# SPDX-License-Identifier: Apache-2.0
"""What a job may have been at each moment, from the outside: operations that were answered certainly took effect between question and answer,
refused ones did not, and those without an answer may have taken effect, or not, until a moment after which they can no more.

A state is (exists, held, version), where version is the position of the operation that applied it. Between the opening and the closing of an
operation's window both the state before and the state after it are possible."""

NOWHERE = (False, False, None)


def effect(op, state):
    exists, held, version = state
    kind = op["kind"]
    if kind == "apply":
        return (True, held if exists else False, op["id"])
    if not exists:
        return state
    if kind == "job_hold":
        return (True, True, version)
    if kind == "job_release":
        return (True, False, version)
    if kind == "job_delete":
        return NOWHERE
    return state


class Life:
    """The possible states of one job over time."""

    KINDS = ("apply", "job_hold", "job_release", "job_delete")

    def __init__(self, ops):
        edges = []
        for op in ops:
            if op["kind"] in self.KINDS and op["result"] != "fail":
                edges.append((op["invoke"], 0, op))
                edges.append((op["done"] if op["result"] == "ok" else op["until"], 1, op))
        edges.sort(key=lambda e: (e[0], e[1], e[2]["id"]))
        # Of each possible state the operations under way that it holds already.
        states, under_way = {(NOWHERE, frozenset())}, {}
        self.changes = [(float("-inf"), frozenset([NOWHERE]))]
        for t, closes, op in edges:
            if not closes:
                under_way[op["id"]] = op
                states = self.close(states, under_way)
            else:
                del under_way[op["id"]]
                if op["result"] == "ok":
                    states = {(s, done) for s, done in states if op["id"] in done}
                states = {(s, done - {op["id"]}) for s, done in states}
            self.changes.append((t, frozenset(s for s, _ in states)))

    @staticmethod
    def close(states, under_way):
        """Adds what any operation under way makes of any possible state, until nothing new comes."""
        todo = list(states)
        while todo:
            (state, done), ops = todo.pop(), under_way
            for op in ops.values():
                if op["id"] not in done:
                    more = (effect(op, state), done | {op["id"]})
                    if more not in states:
                        states.add(more)
                        todo.append(more)
        return states

    def around(self, t, slack):
        """All states possible at some moment within the slack of t."""
        found = set()
        for (start, states), (end, _) in zip(self.changes, self.changes[1:] + [(float("inf"), None)]):
            if start <= t + slack and end >= t - slack:
                found |= states
        return found

    def versions(self):
        return sorted({s[2] for _, states in self.changes for s in states if s[0]})

    def deleted_ever(self):
        """Whether the job may have been deleted once it had existed."""
        existed = False
        for _, states in self.changes:
            if existed and NOWHERE in states:
                return True
            existed = existed or all(s[0] for s in states)
        return False

    def certain_at_end(self):
        states = self.changes[-1][1]
        return next(iter(states)) if len(states) == 1 else None


def possible(life, version, t, slack):
    return any(s[0] and not s[1] and s[2] == version for s in life.around(t, slack))


def certain(life, version, t, slack):
    return all(s[0] and not s[1] and s[2] == version for s in life.around(t, slack))

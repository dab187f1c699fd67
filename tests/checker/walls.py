# SPDX-License-Identifier: Apache-2.0
"""The wall clock that the server saw, as a function of the host's monotonic clock, which no fault touches."""

import bisect


class Wall:
    """base: wall less monotonic clock of the host. steps: (t, offset) in order of t; the first one is from the beginning on."""

    def __init__(self, base, steps):
        self.base, self.steps = base, [tuple(s) for s in steps]
        self.times = [t for t, _ in self.steps]

    def offset(self, t):
        return self.steps[max(0, bisect.bisect_right(self.times, t) - 1)][1]

    def at(self, t):
        return self.base + t + self.offset(t)

    def highest(self, t):
        """The latest time that the clock has shown up to t."""
        return max([self.at(t)] + [self.base + end + offset for (start, offset), end in zip(self.steps, self.times[1:]) if start <= t and end <= t])

    def went_back(self, since=float("-inf")):
        return any(t > since and offset < before for (_, before), (t, offset) in zip(self.steps, self.steps[1:]))

    def passes(self, wall, until):
        """Every moment up to `until` at which the clock came from before `wall` to it or beyond."""
        found = []
        before = float("-inf")
        for i, (start, offset) in enumerate(self.steps):
            end = min(self.times[i + 1] if i + 1 < len(self.times) else until, until)
            if start > until:
                break
            low, high = self.base + start + offset, self.base + end + offset
            if i > 0 and before < wall <= low:
                found.append(start)
            elif low < wall <= high or (i == 0 and low == wall):
                found.append(wall - self.base - offset)
            before = high
        return found

# SPDX-License-Identifier: Apache-2.0
"""The sweep against brute force."""

import random

from match import most_at_once, sweep


def kuhn(windows, points):
    """The size of a maximum matching, by augmenting paths, without any knowledge of convexity."""
    edges = [[w for w, (opens, closes) in enumerate(windows) if opens <= p <= closes] for p in points]
    of_window = [None] * len(windows)

    def augment(p, seen):
        for w in edges[p]:
            if w not in seen:
                seen.add(w)
                if of_window[w] is None or augment(of_window[w], seen):
                    of_window[w] = p
                    return True
        return False

    return sum(augment(p, set()) for p in range(len(points)))


def test_sweep_is_maximal():
    dice = random.Random(7)
    for _ in range(20000):
        span = dice.choice([4, 10, 30])
        windows = []
        for _ in range(dice.randrange(0, 10)):
            opens = dice.randrange(span)
            windows.append((opens, opens + dice.randrange(dice.choice([1, 3, span]))))
        points = [dice.randrange(span) for _ in range(dice.randrange(0, 10))]
        of_point, of_window = sweep(windows, points)
        assert sum(w is not None for w in of_point) == kuhn(windows, points), (windows, points)
        for p, w in enumerate(of_point):
            assert w is None or (windows[w][0] <= points[p] <= windows[w][1] and of_window[w] == p)


def test_most_at_once_is_right():
    dice = random.Random(8)
    for _ in range(5000):
        intervals = []
        for _ in range(dice.randrange(0, 8)):
            start = dice.randrange(12)
            intervals.append((start, start + dice.randrange(0, 6)))
        # Just after each whole number, and at it for those without length.
        brute = max((sum(s <= t < e for s, e in intervals) for t in range(20)), default=0)
        brute = max([brute] + [sum((s <= t < e) or (s == t == e) for s, e in intervals) for t, end in intervals if t == end])
        most, who = most_at_once(intervals)
        assert most == brute == len(who)


def test_ends_that_touch_do_not_overlap():
    assert most_at_once([(0, 1), (1, 2)])[0] == 1

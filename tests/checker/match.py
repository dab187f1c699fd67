# SPDX-License-Identifier: Apache-2.0
"""Which run served which target, when nobody tells: targets are windows of time, runs are points. Every point may serve a window that it lies
in, each at most one. Such a graph is convex, so going through the points in order and giving each the open window that closes first
matches as many as can be matched: O(n log n)."""

import heapq


def sweep(windows, points):
    """windows: (opens, closes), both included; points: numbers. Returns (window of each point or None, point of each window or None)."""
    by_opening = sorted(range(len(windows)), key=lambda i: windows[i][0])
    of_point, of_window = [None] * len(points), [None] * len(windows)
    open_now, following = [], 0
    for p in sorted(range(len(points)), key=lambda i: points[i]):
        at = points[p]
        while following < len(by_opening) and windows[by_opening[following]][0] <= at:
            w = by_opening[following]
            heapq.heappush(open_now, (windows[w][1], w))
            following += 1
        while open_now and open_now[0][0] < at:
            heapq.heappop(open_now)
        if open_now:
            _, w = heapq.heappop(open_now)
            of_point[p], of_window[w] = w, p
    return of_point, of_window


def most_at_once(intervals):
    """The largest number of intervals [start, end] that share an instant, and one such instant's intervals. Intervals that only touch do not; one
    without length does share its instant with those that go on around it."""
    edges = []
    for i, (start, end) in enumerate(intervals):
        edges.append((start, 1, i))
        edges.append((end, 0 if end > start else 2, i))
    now, most, who = set(), 0, []
    for _, kind, i in sorted(edges):
        if kind != 1:
            now.discard(i)
            continue
        now.add(i)
        if len(now) > most:
            most, who = len(now), sorted(now)
    return most, who

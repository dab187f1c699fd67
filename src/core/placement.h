// SPDX-License-Identifier: Apache-2.0
// Placement policies: which nodes take how many tasks of a class. A policy looks; it changes nothing. The planner (plan.c) asks it for
// one class at a time and records what it chose.
#pragma once

#include "core/internal.h"

struct placement {
    struct node *node;
    uint32_t n;
};

struct placement_policy {
    const char *name;
    const char *sentence; // for `muster why`: how it chooses
    // Fills at most max placements with room for at most `want` tasks of the class in all; returns how many it filled. Never over-commits a
    // node, never names a node that is not open or does not match.
    size_t (*place)(const struct core *, const struct class *, uint32_t want, struct placement *ret, size_t max);
};

extern const struct placement_policy placement_first_fit;

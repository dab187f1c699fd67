// SPDX-License-Identifier: Apache-2.0
// Jobs in the small world of core tests.
#pragma once

#include "codec/codec.h"
#include "tests/unit/core/world.h"
#include "tests/unit/test.h"

static inline int apply(struct world *w, const struct job_spec *spec)
{
    struct buf packed;
    buf_init(&packed);
    spec_pack(&packed, spec);
    world_step(w, &(struct event){.kind = EV_APPLY,
                                  .request = 1,
                                  .apply = {.spec = spec, .packed = {(const uint8_t *)packed.data, packed.len}}});
    buf_release(&packed);
    return world_reply(w)->code;
}

static inline struct job_spec *every(struct world *w, const char *name, usec_t every_usec)
{
    struct job_spec *spec = world_spec(w, name, 1);
    struct trigger *trigger = arena_new(&w->lasting, struct trigger);
    *trigger = (struct trigger){.kind = TRIGGER_EVERY, .text = "@every", .zone = "UTC", .every_usec = every_usec};
    spec->triggers = trigger;
    spec->n_triggers = 1;
    return spec;
}

static inline struct job_view job(struct world *w, const char *name)
{
    struct job_view view;
    assert_int_equal(core_view_job(w->core, "default", name, &w->lasting, &view), 0);
    return view;
}

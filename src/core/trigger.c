// SPDX-License-Identifier: Apache-2.0
// Triggers, interned: schedules of a million jobs are of a few thousand kinds ("every day at 03:00 in Paris").
#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"
#include "core/internal.h"

// A trigger that all who have the same share.
struct shared_trigger {
    struct trigger rule; // first: others hold its address
    const struct tz *tz;
    uint32_t refs;
    uint32_t key_len;
    char key[];
};

// A new field of a trigger belongs into its key; then this number is brought up to date.
_Static_assert(sizeof(struct trigger) == 208, "trigger_key() names every field of a trigger but its texts, parameters and calendars");
_Static_assert(sizeof(struct cron) == 80, "trigger_key() names every field of a cron");

// Numbers as they lie in memory: the key never leaves it, and a million jobs are loaded through here.
static void trigger_key(struct buf *key, const struct trigger *trigger, const char *zone)
{
    const struct cron *cron = &trigger->cron;
    const int64_t when[] = {(int64_t)trigger->kind, trigger->quartz, trigger->every_usec, trigger->at_usec, trigger->from_usec, trigger->until_usec,
                            trigger->has_between, trigger->between_first_sec, trigger->between_last_sec, trigger->jitter_usec};
    buf_add(key, when, sizeof(when));
    if (trigger->kind == TRIGGER_CRON) {
        const uint64_t sets[] = {cron->second, cron->minute, cron->hour, cron->day_of_month, cron->month, cron->day_of_week, cron->before_last,
                                 cron->weekday_near, cron->weekday_before_last, cron->day_of_month_any, cron->day_of_week_any,
                                 cron->hour_wild, cron->minute_wild};
        buf_add(key, sets, sizeof(sets));
        buf_add(key, cron->nth_weekday, sizeof(cron->nth_weekday));
        buf_add(key, cron->year, sizeof(cron->year));
    }
    buf_adds(key, zone); // last: what comes before it is of one length for each kind
}

const struct trigger *trigger_intern(struct core *core, const struct trigger *from)
{
    struct buf key;
    buf_init(&key);
    const char *zone = from->zone ? from->zone : "UTC";
    trigger_key(&key, from, zone);
    struct shared_trigger *shared = strmap_get_n(&core->triggers_by_key, key.data, key.len);
    if (!shared) {
        shared = mem_alloc(sizeof(*shared) + key.len + 1);
        shared->rule = *from;
        // What was written is in the spec; two that mean the same may have been written in different ways.
        shared->rule.text = NULL;
        shared->rule.zone = NULL;
        shared->rule.params = NULL;
        shared->rule.n_params = 0;
        // Calendars are beside it (core/calendar.h).
        shared->rule.exclude = shared->rule.include = NULL;
        shared->rule.n_exclude = shared->rule.n_include = 0;
        shared->tz = core->options.find_zone ? core->options.find_zone(core->options.zones, zone) : NULL;
        shared->key_len = (uint32_t)key.len;
        memcpy(shared->key, key.data, key.len);
        strmap_put_n(&core->triggers_by_key, shared->key, shared->key_len, shared);
    }
    shared->refs++;
    buf_release(&key);
    return &shared->rule;
}

static struct shared_trigger *shared_of(const struct trigger *rule)
{
    _Static_assert(offsetof(struct shared_trigger, rule) == 0, "the address of a rule is that of what is shared");
    return (struct shared_trigger *)(uintptr_t)rule;
}

const struct tz *trigger_zone(const struct trigger *rule)
{
    return shared_of(rule)->tz;
}

void trigger_unref(struct core *core, const struct trigger *rule)
{
    struct shared_trigger *shared = shared_of(rule);
    must(shared->refs > 0);
    if (--shared->refs > 0)
        return;
    must(strmap_del_n(&core->triggers_by_key, shared->key, shared->key_len) == shared);
    mem_free(shared);
}

// SPDX-License-Identifier: Apache-2.0
// Simulated time: a heap of timers, by time and then by the order in which they were set.
#include "sim/internal.h"

void timer_init(struct timer *timer, struct sim *sim, void (*fire)(void *), void *context)
{
    *timer = (struct timer){.sim = sim, .fire = fire, .context = context};
}

void timer_set(struct timer *timer, usec_t when)
{
    struct sim *sim = timer->sim;
    must(sim != NULL);
    heap_remove(&sim->timers, &timer->at);
    if (when == USEC_NEVER)
        return;
    timer->at.key = usec_max(when, sim->now);
    timer->at.tie = ++sim->next_tie;
    heap_push(&sim->timers, &timer->at);
}

void timer_stop(struct timer *timer)
{
    if (timer->sim != NULL)
        heap_remove(&timer->sim->timers, &timer->at);
}

struct later {
    struct timer timer;
    void (*call)(void *, uint64_t);
    void *context;
    uint64_t arg;
};

static void later_fire(void *context)
{
    struct later *later = context;
    later->call(later->context, later->arg);
    mem_free(later);
}

void sim_later(struct sim *sim, usec_t delay, void (*call)(void *, uint64_t), void *context, uint64_t arg)
{
    struct later *later = mem_alloc(sizeof(*later));
    timer_init(&later->timer, sim, later_fire, later);
    later->call = call;
    later->context = context;
    later->arg = arg;
    timer_set(&later->timer, usec_add(sim->now, delay));
}

void sim_drop_laters(struct sim *sim)
{
    struct heap_node *top;
    while ((top = heap_pop(&sim->timers)) != NULL) {
        struct timer *timer = container_of(top, struct timer, at);
        if (timer->fire == later_fire)
            mem_free(container_of(timer, struct later, timer));
    }
}

bool sim_next(struct sim *sim, usec_t until)
{
    struct heap_node *top = heap_top(&sim->timers);
    if (top == NULL || top->key > until) {
        sim->now = usec_max(sim->now, until);
        return false;
    }
    heap_pop(&sim->timers);
    struct timer *timer = container_of(top, struct timer, at);
    must(top->key >= sim->now);
    sim->now = top->key;
    sim->events++;
    timer->fire(timer->context);
    return true;
}

uint64_t sim_mix(uint64_t a, uint64_t b)
{
    uint64_t x = a * UINT64_C(0x9e3779b97f4a7c15) ^ (b + UINT64_C(0x2545f4914f6cdd1d)) * UINT64_C(0xd6e8feb86659fd93);
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    x ^= x >> 29;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

// SPDX-License-Identifier: Apache-2.0
// The clocks of a machine: a monotonic one that drifts but never goes back, and a wall clock that may jump.
#include "sim/internal.h"

#define MILLION 1000000

void machine_init(struct machine *machine, struct sim *sim, usec_t up_usec)
{
    *machine = (struct machine){.sim = sim, .true_base_usec = sim->now, .mono_base_usec = up_usec};
    machine->wall_offset_usec = sim->wall_base_usec + sim->now - up_usec;
}

usec_t machine_mono(const struct machine *machine)
{
    usec_t passed = machine->sim->now - machine->true_base_usec;
    must(passed >= 0);
    return machine->mono_base_usec + passed + passed / MILLION * machine->drift_ppm + passed % MILLION * machine->drift_ppm / MILLION;
}

usec_t machine_wall(const struct machine *machine)
{
    return machine_mono(machine) + machine->wall_offset_usec;
}

usec_t machine_after(const struct machine *machine, usec_t delay)
{
    if (delay >= USEC_NEVER / 4)
        return USEC_NEVER;
    if (delay <= 0)
        return machine->sim->now;
    int64_t rate = MILLION + machine->drift_ppm;
    usec_t whole = delay / rate * MILLION + (delay % rate) * MILLION / rate;
    return machine->sim->now + whole + 1;
}

void machine_drift(struct machine *machine, int64_t ppm)
{
    usec_t mono = machine_mono(machine);
    machine->true_base_usec = machine->sim->now;
    machine->mono_base_usec = mono;
    machine->drift_ppm = ppm;
}

void machine_jump(struct machine *machine, usec_t by)
{
    machine->wall_offset_usec += by;
}

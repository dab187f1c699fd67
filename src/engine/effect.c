// SPDX-License-Identifier: Apache-2.0
// What effects say to agents.
#include "engine/engine.h"

bool effect_message(const struct effect *effect, uint64_t epoch, struct wire_message *ret_message)
{
    switch (effect->kind) {
    case FX_LEASE:
        *ret_message = (struct wire_message){.kind = WIRE_LEASE, .epoch = epoch, .lease = effect->lease};
        return true;
    case FX_STOP:
        *ret_message = (struct wire_message){.kind = WIRE_STOP, .epoch = epoch, .stop = effect->stop};
        return true;
    case FX_ACK:
        *ret_message = (struct wire_message){.kind = WIRE_ACK, .epoch = epoch, .ack = effect->ack};
        return true;
    case FX_WELCOME:
    case FX_REFUSE:
    case FX_START:
    case FX_REPLY:
    case FX_KINDS:
        break;
    }
    return false;
}

// SPDX-License-Identifier: Apache-2.0
// A spec as a member of a JSON value that is being written; used by view_json.
#pragma once

#include "codec/json_put.h"
#include "model/job_spec.h"

void spec_json(struct json_put *json, const char *key, const struct job_spec *spec);

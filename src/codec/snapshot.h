// SPDX-License-Identifier: Apache-2.0
// The frame of a snapshot: magic and version before the items, a checksum of 8 bytes behind them. Private to codec/.
#pragma once

#define SNAPSHOT_MAGIC "MUSTERSN"

enum { SNAPSHOT_MAGIC_BYTES = 8, SNAPSHOT_VERSION = 1, SNAPSHOT_HEAD_BYTES = 12, SNAPSHOT_TAIL_BYTES = 8 };

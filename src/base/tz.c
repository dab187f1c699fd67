// SPDX-License-Identifier: Apache-2.0
// TZif files: reading, looking up, and the cache of the process.
#include "base/tz.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/tz_rule.h"

enum {
    NAME_BYTES_MAX = 64,
    FILE_BYTES_MAX = 256 * 1024, // the largest file of any release is below 4 KiB
    TRANSITIONS_MAX = 20000,
    TYPES_MAX = 256,
    // The bounds of RFC 8536 for an offset.
    OFFSET_LEAST_SEC = -89999,
    OFFSET_MOST_SEC = 93599,
};

struct tz {
    char name[NAME_BYTES_MAX + 1];
    size_t n; // transitions
    int64_t *at_sec;     // ascending
    int32_t *offset_sec; // n + 1: [0] holds before the first transition, [i + 1] from transition i on
    bool has_rule;       // otherwise the last offset holds for ever
    struct tz_rule rule; // from the last transition on
};

struct tzif_head {
    uint8_t version;
    uint32_t n_utc, n_std, n_leap, n_times, n_types, n_chars;
};

static uint32_t read_be32(struct reader *in)
{
    uint8_t b[4];
    reader_copy(in, b, sizeof(b));
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int64_t read_be64(struct reader *in)
{
    uint64_t high = read_be32(in);
    return (int64_t)(high << 32 | read_be32(in));
}

static bool read_head(struct reader *in, struct tzif_head *ret)
{
    const uint8_t *magic = reader_bytes(in, 4);
    if (magic == NULL || memcmp(magic, "TZif", 4) != 0)
        return false;
    struct tzif_head head = {.version = reader_u8(in)};
    (void)reader_bytes(in, 15);
    head.n_utc = read_be32(in);
    head.n_std = read_be32(in);
    head.n_leap = read_be32(in);
    head.n_times = read_be32(in);
    head.n_types = read_be32(in);
    head.n_chars = read_be32(in);
    if (in->bad || head.n_times > TRANSITIONS_MAX || head.n_types == 0 || head.n_types > TYPES_MAX)
        return false;
    *ret = head;
    return true;
}

// Bytes of a data block whose times have time_bytes bytes.
static uint64_t block_bytes(const struct tzif_head *head, uint64_t time_bytes)
{
    return head->n_times * (time_bytes + 1) + (uint64_t)head->n_types * 6 + head->n_chars +
           head->n_leap * (time_bytes + 4) + head->n_std + head->n_utc;
}

// Fills transitions and offsets; false when the block is broken.
static bool read_transitions(struct reader *in, const struct tzif_head *head, struct tz *tz)
{
    int32_t type_offset_sec[TYPES_MAX];
    tz->n = head->n_times;
    tz->at_sec = mem_alloc_array(tz->n, sizeof(*tz->at_sec));
    tz->offset_sec = mem_alloc_array(tz->n + 1, sizeof(*tz->offset_sec));
    for (size_t i = 0; i < tz->n; i++) {
        tz->at_sec[i] = read_be64(in);
        if (i > 0 && tz->at_sec[i] <= tz->at_sec[i - 1])
            return false;
    }
    const uint8_t *types = reader_bytes(in, tz->n);
    for (uint32_t i = 0; i < head->n_types; i++) {
        type_offset_sec[i] = (int32_t)read_be32(in);
        (void)reader_bytes(in, 2); // is it daylight saving, and its abbreviation: neither matters here
        if (type_offset_sec[i] < OFFSET_LEAST_SEC || type_offset_sec[i] > OFFSET_MOST_SEC)
            return false;
    }
    if (in->bad || (tz->n > 0 && types == NULL))
        return false;
    tz->offset_sec[0] = type_offset_sec[0];
    for (size_t i = 0; i < tz->n; i++) {
        if (types[i] >= head->n_types)
            return false;
        tz->offset_sec[i + 1] = type_offset_sec[types[i]];
    }
    (void)reader_bytes(in, (size_t)head->n_chars + head->n_std + head->n_utc);
    return !in->bad;
}

// The line behind the block: a rule, or nothing.
static bool read_footer(struct reader *in, struct tz *tz)
{
    if (reader_u8(in) != '\n' || in->bad)
        return false;
    size_t left = reader_left(in);
    const char *text = (const char *)reader_bytes(in, left);
    const char *end = left > 0 ? memchr(text, '\n', left) : NULL;
    if (end == NULL)
        return false;
    if (end == text)
        return true;
    if (tz_rule_parse(text, (size_t)(end - text), &tz->rule) < 0)
        return false;
    tz->has_rule = true;
    return true;
}

int tz_parse(const char *name, const void *data, size_t len, struct tz **ret_tz, struct err *err)
{
    must(name != NULL && ret_tz != NULL);
    struct reader in;
    struct tzif_head head;
    reader_init(&in, data, len);
    if (!read_head(&in, &head))
        return err_set(err, ERR_STORE_CORRUPT, "time zone '%s': the file is not TZif", name);
    if (head.version < '2')
        return err_set(err, ERR_UNSUPPORTED, "time zone '%s': the file has the old format 1", name);
    uint64_t skip = block_bytes(&head, 4);
    if (skip > reader_left(&in) || reader_bytes(&in, skip) == NULL || !read_head(&in, &head) ||
        block_bytes(&head, 8) > reader_left(&in))
        return err_set(err, ERR_STORE_CORRUPT, "time zone '%s': the file is cut or broken", name);
    if (head.n_leap > 0)
        return err_set(err, ERR_UNSUPPORTED, "time zone '%s' counts leap seconds", name);
    struct tz *tz = mem_alloc(sizeof(*tz));
    if (str_copy(tz->name, sizeof(tz->name), name) < 0 || !read_transitions(&in, &head, tz) || !read_footer(&in, tz)) {
        tz_free(tz);
        return err_set(err, ERR_STORE_CORRUPT, "time zone '%s': the file is cut or broken", name);
    }
    *ret_tz = tz;
    return 0;
}

void tz_free(struct tz *tz)
{
    if (tz == NULL)
        return;
    mem_free(tz->at_sec);
    mem_free(tz->offset_sec);
    mem_free(tz);
}

// Parts of letters, digits, _ + -, parted by single slashes, so that a name cannot leave the folder of the zones.
static bool name_is_good(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > NAME_BYTES_MAX || name[0] == '/' || name[len - 1] == '/')
        return false;
    if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") != len)
        return false;
    // These two mean something else on every machine.
    return strstr(name, "//") == NULL && strcmp(name, "localtime") != 0 && strcmp(name, "posixrules") != 0;
}

static struct tz *tz_new_utc(const char *name)
{
    struct tz *tz = mem_alloc(sizeof(*tz));
    must(str_copy(tz->name, sizeof(tz->name), name) == 0);
    tz->offset_sec = mem_alloc_array(1, sizeof(*tz->offset_sec));
    return tz;
}

static const char *zones_folder(void)
{
    const char *dir = getenv("TZDIR");
    return dir != NULL && dir[0] != '\0' ? dir : "/usr/share/zoneinfo";
}

// The first line of a file below the folder of the zones behind `before`, if it is a version: printable and short.
static bool read_version(const char *file, const char *before, char ret[static TZ_VERSION_BYTES])
{
    cleanup_buf struct buf path = {0};
    cleanup_buf struct buf bytes = {0};
    buf_printf(&path, "%s/%s", zones_folder(), file);
    if (fs_read(path.data, FILE_BYTES_MAX, &bytes, NULL) < 0 || bytes.len == 0)
        return false;
    size_t skip = strlen(before), len = strcspn(bytes.data, "\r\n");
    if (len <= skip || len - skip >= TZ_VERSION_BYTES || strncmp(bytes.data, before, skip) != 0)
        return false;
    for (size_t i = skip; i < len; i++)
        if (bytes.data[i] <= ' ' || bytes.data[i] > '~')
            return false;
    memcpy(ret, bytes.data + skip, len - skip);
    ret[len - skip] = '\0';
    return true;
}

void tz_database_version(char ret[static TZ_VERSION_BYTES])
{
    if (!read_version("tzdata.zi", "# version ", ret) && !read_version("+VERSION", "", ret))
        must(str_copy(ret, TZ_VERSION_BYTES, "unknown") == 0);
}

int tz_load(const char *name, struct tz **ret_tz, struct err *err)
{
    must(ret_tz != NULL);
    if (name == NULL || !name_is_good(name))
        return err_set(err, ERR_INVALID, "'%.80s' is not the name of a time zone", name != NULL ? name : "");
    if (strcmp(name, "UTC") == 0 || strcmp(name, "Etc/UTC") == 0) {
        *ret_tz = tz_new_utc(name);
        return 0;
    }
    cleanup_buf struct buf path = {0};
    cleanup_buf struct buf bytes = {0};
    buf_printf(&path, "%s/%s", zones_folder(), name);
    struct err why = {0};
    int rc = fs_read(path.data, FILE_BYTES_MAX, &bytes, &why);
    if (rc == ERR_NOT_FOUND)
        return err_set(err, ERR_NOT_FOUND, "there is no time zone '%s' on this machine", name);
    if (rc < 0)
        return err_set(err, rc, "time zone '%s': %.160s", name, why.text);
    return tz_parse(name, bytes.data, bytes.len, ret_tz, err);
}

const struct tz *tz_find(const char *name)
{
    // Only names that exist get in, so the cache is as large as the system's list of zones at most.
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct strmap cache;
    if (name == NULL)
        return NULL;
    must(pthread_mutex_lock(&lock) == 0);
    struct tz *tz = strmap_get(&cache, name);
    if (tz == NULL && tz_load(name, &tz, NULL) == 0)
        (void)strmap_put(&cache, tz->name, tz);
    must(pthread_mutex_unlock(&lock) == 0);
    return tz;
}

const struct tz *tz_finder(void *context, const char *name)
{
    (void)context;
    return tz_find(name);
}

const char *tz_name(const struct tz *tz)
{
    must(tz != NULL);
    return tz->name;
}

static int64_t clamp_sec(int64_t sec)
{
    if (sec > TZ_SEC_MAX)
        return TZ_SEC_MAX;
    return sec < -TZ_SEC_MAX ? -TZ_SEC_MAX : sec;
}

void tz_segment_at(const struct tz *tz, int64_t sec, struct tz_segment *ret)
{
    must(tz != NULL && ret != NULL);
    sec = clamp_sec(sec);
    // How many transitions are not after sec.
    size_t low = 0;
    size_t high = tz->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tz->at_sec[middle] <= sec)
            low = middle + 1;
        else
            high = middle;
    }
    int64_t table_start_sec = low > 0 ? tz->at_sec[low - 1] : INT64_MIN;
    if (low == tz->n && tz->has_rule) {
        tz_rule_segment(&tz->rule, sec, ret);
        if (ret->start_sec < table_start_sec)
            ret->start_sec = table_start_sec;
        return;
    }
    ret->start_sec = table_start_sec;
    ret->end_sec = low < tz->n ? tz->at_sec[low] : INT64_MAX;
    ret->offset_sec = tz->offset_sec[low];
}

int32_t tz_offset(const struct tz *tz, int64_t sec)
{
    struct tz_segment segment;
    tz_segment_at(tz, sec, &segment);
    return segment.offset_sec;
}

enum tz_local tz_from_local(const struct tz *tz, int64_t local_sec, int64_t *ret_first_sec, int64_t *ret_last_sec)
{
    must(ret_first_sec != NULL && ret_last_sec != NULL);
    // A little less than the range of instants, so that the search cannot leave that.
    const int64_t most_sec = TZ_SEC_MAX - 2 * OFFSET_MOST_SEC;
    local_sec = local_sec > most_sec ? most_sec : local_sec < -most_sec ? -most_sec : local_sec;
    struct tz_segment segment;
    int64_t first_sec = 0, last_sec = 0, gap_end_sec = INT64_MAX;
    int found = 0;
    // Every instant that can have this reading lies between these two.
    int64_t sec = local_sec - OFFSET_MOST_SEC - 1;
    int64_t until_sec = local_sec - OFFSET_LEAST_SEC + 1;
    do {
        tz_segment_at(tz, sec, &segment);
        int64_t candidate_sec = local_sec - segment.offset_sec;
        if (segment.start_sec <= candidate_sec && candidate_sec < segment.end_sec) {
            first_sec = found == 0 ? candidate_sec : first_sec;
            last_sec = candidate_sec;
            found++;
        } else if (candidate_sec < segment.start_sec && segment.start_sec < gap_end_sec) {
            gap_end_sec = segment.start_sec;
        }
        sec = segment.end_sec;
    } while (sec <= until_sec && sec <= TZ_SEC_MAX);
    if (found == 0) {
        must(gap_end_sec != INT64_MAX);
        *ret_first_sec = *ret_last_sec = gap_end_sec;
        return TZ_GAP;
    }
    *ret_first_sec = first_sec;
    *ret_last_sec = last_sec;
    return found == 1 ? TZ_ONCE : TZ_TWICE;
}

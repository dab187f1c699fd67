// SPDX-License-Identifier: Apache-2.0
// Accounts, from the system's user database.

#include "exec/account.h"

#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

enum { CACHE_ENTRIES = 16 };
#define CACHE_USEC (10 * USEC_PER_SEC)
#define LOOKUP_BYTES_MAX ((size_t)1 << 20)

struct cached {
    char *key; // "" for the account of this process
    struct account *account;
    usec_t until_usec;
};

static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cached cache[CACHE_ENTRIES];
static size_t cache_next;

static void account_free(struct account *account)
{
    mem_free(account->groups);
    mem_free(account->name);
    mem_free(account->home);
    mem_free(account->shell);
    mem_free(account);
}

void account_put(struct account *account)
{
    if (account == NULL)
        return;
    pthread_mutex_lock(&cache_lock);
    must(account->refs > 0);
    bool last = --account->refs == 0;
    pthread_mutex_unlock(&cache_lock);
    if (last)
        account_free(account);
}

static void fill_groups(struct account *account)
{
    int n = 64;
    for (;;) {
        account->groups = mem_realloc_array(account->groups, (size_t)n, sizeof(gid_t));
        int found = n;
        if (getgrouplist(account->name, account->gid, account->groups, &found) >= 0) {
            account->n_groups = (size_t)found;
            return;
        }
        n = found > n ? found : 2 * n;
        if (n > ACCOUNT_GROUPS_MAX) {
            account->n_groups = 0; // more groups than the kernel would take
            return;
        }
    }
}

static int lookup(const char *name, struct account **ret, struct err *err)
{
    struct passwd entry, *found = NULL;
    char *text = NULL;
    int rc = ERANGE;
    for (size_t size = 1024; rc == ERANGE && size <= LOOKUP_BYTES_MAX; size *= 4) {
        text = mem_realloc(text, size);
        rc = name == NULL ? getpwuid_r(geteuid(), &entry, text, size, &found) : getpwnam_r(name, &entry, text, size, &found);
    }
    struct account *account = mem_alloc(sizeof(*account));
    account->refs = 1;
    if (found != NULL) {
        account->uid = found->pw_uid;
        account->gid = found->pw_gid;
        account->name = mem_strdup(found->pw_name);
        account->home = mem_strdup(found->pw_dir);
        account->shell = mem_strdup(found->pw_shell[0] == '\0' ? "/bin/sh" : found->pw_shell);
    } else if (name == NULL) {
        // A process may run under a number that no database knows, as in many containers.
        account->uid = geteuid();
        account->gid = getegid();
        account->name = mem_strdup("unknown");
        account->home = mem_strdup("/");
        account->shell = mem_strdup("/bin/sh");
    } else {
        mem_free(account);
        mem_free(text);
        errno = rc;
        if (rc != 0 && rc != ENOENT && rc != ESRCH)
            return err_errno(err, ERR_IO, "look up the user '%s'", name);
        return err_set(err, ERR_NOT_FOUND, "there is no user '%s' on this node", name);
    }
    mem_free(text);
    account->switch_user = account->uid != geteuid();
    if (account->switch_user && geteuid() != 0) {
        account_free(account);
        return err_set(err, ERR_DENIED, "the agent does not run as root and cannot start tasks as '%s'", name);
    }
    if (account->switch_user)
        fill_groups(account);
    *ret = account;
    return 0;
}

static struct cached *cache_find(const char *key)
{
    for (size_t i = 0; i < CACHE_ENTRIES; i++)
        if (cache[i].key != NULL && strcmp(cache[i].key, key) == 0)
            return &cache[i];
    return NULL;
}

int account_get(const char *name, struct account **ret_account, struct err *err)
{
    const char *key = name == NULL ? "" : name;
    pthread_mutex_lock(&cache_lock);
    struct cached *hit = cache_find(key);
    if (hit != NULL && clock_boot_usec() < hit->until_usec) {
        hit->account->refs++;
        *ret_account = hit->account;
        pthread_mutex_unlock(&cache_lock);
        return 0;
    }
    pthread_mutex_unlock(&cache_lock);
    struct account *account;
    int rc = lookup(name, &account, err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&cache_lock);
    struct cached *slot = cache_find(key);
    if (slot == NULL)
        slot = &cache[cache_next++ % CACHE_ENTRIES];
    struct cached old = *slot;
    *slot = (struct cached){.key = mem_strdup(key), .account = account, .until_usec = clock_boot_usec() + CACHE_USEC};
    account->refs++; // one for the cache, one for the caller
    pthread_mutex_unlock(&cache_lock);
    mem_free(old.key);
    account_put(old.account);
    *ret_account = account;
    return 0;
}

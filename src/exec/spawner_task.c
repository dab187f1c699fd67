// SPDX-License-Identifier: Apache-2.0
// Attempts: from the order to their durable end.

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "exec/session.h"
#include "exec/spawner.h"

#define RECHECK_FIRST_USEC (1 * USEC_PER_MSEC)
#define RECHECK_LAST_USEC (100 * USEC_PER_MSEC)

static void set_deadline(struct spawner *spawner, struct spawned *task)
{
    usec_t next = usec_min(task->limit_boot_usec, usec_min(task->kill_boot_usec, task->recheck_boot_usec));
    if (next == USEC_NEVER)
        heap_remove(&spawner->deadlines, &task->deadline);
    else
        heap_update(&spawner->deadlines, &task->deadline, next);
}

static struct spawned *task_new(struct spawner *spawner, const struct exec_ident *ident)
{
    struct spawned *task = mem_alloc(sizeof(*task));
    task->ident = *ident;
    list_init(&task->link);
    list_init(&task->phase_link);
    list_init(&task->lease_link);
    list_init(&task->launch.link);
    task->deadline.tie = ident->fence;
    task->limit_boot_usec = task->kill_boot_usec = task->recheck_boot_usec = USEC_NEVER;
    task->launch.pidfd = task->launch.out_fd = task->launch.err_fd = -1;
    list_add_tail(&spawner->all, &task->link);
    struct spawned *old = map_put(&spawner->by_fence, ident->fence, task);
    must(old == NULL);
    return task;
}

static void task_free(struct spawner *spawner, struct spawned *task)
{
    must(task->phase == PHASE_ENDED && !heap_contains(&task->deadline));
    list_del(&task->link);
    map_del(&spawner->by_fence, task->ident.fence);
    mem_free((void *)task->end.message);
    mem_free(task);
}

void spawner_free_tasks(struct spawner *spawner)
{
    while (!list_empty(&spawner->all))
        task_free(spawner, list_entry(list_first(&spawner->all), struct spawned, link));
}

// The end is known: it goes to the journal, and becomes durable with the next sync.
static void task_ending(struct spawner *spawner, struct spawned *task)
{
    must(task->phase < PHASE_ENDING);
    list_del(&task->phase_link);
    list_del(&task->lease_link);
    heap_remove(&spawner->deadlines, &task->deadline);
    spool_ended(spawner->spool, &task->ident, &task->end);
    task->end_position = spool_added(spawner->spool);
    task->phase = PHASE_ENDING;
    list_add_tail(&spawner->ending, &task->phase_link);
    must(spawner->n_unended > 0);
    spawner->n_unended--;
}

static void unstarted(struct spawner *spawner, struct spawned *task, enum outcome outcome, const char *message)
{
    spawner_conclude_unstarted(task, outcome, message);
    launch_release(&spawner->launcher, &task->launch);
    if (!workdir_give(spawner->workdirs, &task->launch.workdir))
        workers_remove_workdir(spawner->workers, &task->launch.workdir);
    task_ending(spawner, task);
}

void spawner_adopt(struct spawner *spawner, const struct journal_attempt *known)
{
    struct spawned *task = task_new(spawner, &known->ident);
    if (known->ended) {
        task->phase = PHASE_ENDED;
        task->end = known->end;
        if (known->end.message != NULL)
            task->end.message = mem_strdup(known->end.message);
        return;
    }
    spawner->n_unended++;
    for (int stream = 0; stream < 2; stream++) {
        struct log_key key = {.run_id = known->ident.run_id, .index = known->ident.index, .attempt = known->ident.attempt,
                              .stream = (enum log_stream)stream};
        log_mark_final(spawner->logs_fd, &key);
    }
    spawner_conclude_unstarted(task, OUTCOME_LOST, "the spawner of the node died while it held this attempt");
    task->end.start_usec = known->start_usec;
    task_ending(spawner, task);
}

static void fill_launch(struct spawner *spawner, struct spawned *task, const struct control_start *start, struct launch_spec *spec)
{
    struct launch *launch = &task->launch;
    launch->owner = task;
    launch->fence = start->fence;
    launch->run_id = start->run_id;
    launch->job_id = start->job_id;
    launch->index = start->index;
    launch->attempt = start->attempt;
    launch->position = start->position;
    launch->n_tasks = start->n_tasks;
    launch->nominal_usec = start->nominal_usec;
    launch->backfill_id = start->backfill_id;
    buf_add(&launch->params, start->params.data, start->params.len);
    launch->spec = spec;
    atomic_fetch_add(&spec->refs, 1);
    launch->node = spawner->node;
    launch->pids_max = spawner->task_pids_max;
    launch->lease_boot_usec = task->ident.delivery == AT_MOST_ONCE ? &spawner->lease_start_boot_usec : NULL;
    task->time_limit_usec = spec->spec->time_limit_usec;
    task->kill_grace_usec = spec->spec->kill_grace_usec;
    task->log_bytes_max = spec->spec->log_bytes_max != 0 ? spec->spec->log_bytes_max : spawner->log_bytes_max;
    for (size_t i = 0; i < spec->spec->n_needs; i++)
        if (strcmp(spec->spec->needs[i].name, "memory") == 0)
            task->memory_limit_bytes = spec->spec->needs[i].amount;
}

void spawner_start(struct spawner *spawner, const struct control_start *start, struct launch_spec *spec)
{
    struct spawned *task = map_get(&spawner->by_fence, start->fence);
    if (task != NULL) {
        if (task->phase == PHASE_ENDED)
            spawner_conn_tell_ended(spawner, task);
        else if (task->phase >= PHASE_RUNNING && task->phase < PHASE_ENDING)
            spawner_conn_tell_started(spawner, task);
        return;
    }
    if (map_get(&spawner->forgotten, start->fence) != NULL)
        return;
    struct exec_ident ident = {.fence = start->fence, .run_id = start->run_id, .index = start->index, .attempt = start->attempt,
                               .delivery = start->delivery};
    task = task_new(spawner, &ident);
    spawner->n_unended++;
    spool_accepted(spawner->spool, &ident);
    if (start->delivery == AT_MOST_ONCE && start->lease_until_boot_usec > spawner->lease_boot_usec)
        spawner_renew(spawner, start->lease_until_boot_usec);
    if (spec == NULL) {
        unstarted(spawner, task, OUTCOME_SPAWN, "the spawner cannot read the task's specification");
        return;
    }
    fill_launch(spawner, task, start, spec);
    task->phase = PHASE_ACCEPTED;
    list_add_tail(&spawner->accepted, &task->phase_link);
    if (ident.delivery == AT_MOST_ONCE)
        list_add_tail(&spawner->leased, &task->lease_link);
    if (spawner->ending_all)
        unstarted(spawner, task, OUTCOME_NOT_STARTED, "the spawner of the node is about to end");
}

// Everything recorded so far may be launched; what could not be recorded is not started.
static void launch_accepted(struct spawner *spawner, const struct err *failure)
{
    while (!list_empty(&spawner->accepted)) {
        struct spawned *task = list_entry(list_first(&spawner->accepted), struct spawned, phase_link);
        list_del(&task->phase_link);
        if (failure != NULL) {
            unstarted(spawner, task, OUTCOME_NOT_STARTED, failure->text);
            // Nothing ran, so this may be told before it is durable: a full disk does not hide it.
            list_del(&task->phase_link);
            task->phase = PHASE_ENDED;
            spawner_conn_tell_ended(spawner, task);
            continue;
        }
        task->phase = PHASE_LAUNCHING;
        workers_launch(spawner->workers, &task->launch);
    }
}

static void signal_group(struct spawner *spawner, struct spawned *task, int signal)
{
    if (task->launch.slot != NULL) {
        if (signal == SIGKILL)
            cgroup_slot_kill(task->launch.slot);
        else
            cgroup_slot_signal(task->launch.slot, signal);
        return;
    }
    // While the task's own process is not collected, its number is its own.
    if (!task->exited)
        (void)kill(-task->launch.pid, signal);
    struct session_match match = {.session = task->launch.pid, .leader_ticks = task->exited ? 0 : task->launch.pid_ticks,
                                  .fence = task->ident.fence, .instance = spawner->instance};
    (void)session_signal(&match, signal);
}

static bool group_empty(struct spawner *spawner, struct spawned *task)
{
    if (task->launch.slot != NULL)
        return cgroup_slot_empty(task->launch.slot);
    if (session_reap_orphans())
        return true;
    if (spawner->n_unended <= 1)
        session_kill_orphans();
    struct session_match match = {.session = task->launch.pid, .fence = task->ident.fence, .instance = spawner->instance};
    return session_signal(&match, 0) == 0;
}

// Asks a process that runs to end.
static void begin_stop(struct spawner *spawner, struct spawned *task, usec_t kill_boot_usec)
{
    usec_t now = clock_boot_usec();
    task->limit_boot_usec = USEC_NEVER;
    task->kill_boot_usec = usec_min(task->kill_boot_usec, kill_boot_usec);
    if (task->kill_boot_usec <= now) {
        signal_group(spawner, task, SIGKILL);
        task->kill_boot_usec = now + RECHECK_LAST_USEC;
    } else {
        signal_group(spawner, task, SIGTERM);
    }
    set_deadline(spawner, task);
}

void spawner_stop(struct spawner *spawner, struct spawned *task, enum outcome why)
{
    if (task->stop_asked || task->phase >= PHASE_EMPTYING)
        return;
    task->stop_asked = true;
    task->stop_why = why;
    if (task->phase == PHASE_ACCEPTED && why == OUTCOME_LEASE)
        unstarted(spawner, task, OUTCOME_NOT_STARTED, "the node's lease ran out before the command was started");
    else if (task->phase == PHASE_ACCEPTED)
        unstarted(spawner, task, why, "it was stopped before its command was started");
    else if (task->phase == PHASE_RUNNING)
        begin_stop(spawner, task, usec_add(clock_boot_usec(), task->kill_grace_usec));
}

void spawner_stop_all(struct spawner *spawner, enum outcome why)
{
    struct list *pos, *tmp;
    list_for_each_safe(pos, tmp, &spawner->all)
        spawner_stop(spawner, list_entry(pos, struct spawned, link), why);
}

void spawner_remember_forgotten(struct spawner *spawner, uint64_t fence)
{
    if (map_put(&spawner->forgotten, fence, spawner) != NULL)
        return;
    if (spawner->forgotten_n == JOURNAL_FORGOTTEN_MAX)
        map_del(&spawner->forgotten, spawner->forgotten_ring[spawner->forgotten_at]);
    else
        spawner->forgotten_n++;
    spawner->forgotten_ring[spawner->forgotten_at] = fence;
    spawner->forgotten_at = (spawner->forgotten_at + 1) % JOURNAL_FORGOTTEN_MAX;
}

void spawner_forget(struct spawner *spawner, uint64_t fence)
{
    struct spawned *task = map_get(&spawner->by_fence, fence);
    if (task == NULL || task->phase != PHASE_ENDED)
        return;
    spool_forgotten(spawner->spool, fence);
    spawner_remember_forgotten(spawner, fence);
    task_free(spawner, task);
}

void spawner_renew(struct spawner *spawner, usec_t lease_until_boot_usec)
{
    if (lease_until_boot_usec <= spawner->lease_boot_usec)
        return;
    usec_t granted = usec_sub(lease_until_boot_usec, clock_boot_usec());
    if (granted < 0)
        granted = 0;
    spawner->lease_boot_usec = lease_until_boot_usec;
    spawner->lease_term_boot_usec = lease_until_boot_usec - usec_min(LEASE_TERM_MARGIN_USEC, granted / 2);
    spawner->lease_kill_boot_usec = lease_until_boot_usec - usec_min(LEASE_KILL_MARGIN_USEC, granted / 4);
    atomic_store(&spawner->lease_start_boot_usec, spawner->lease_term_boot_usec);
}

// Out of the loop before it is closed: a child on its way to exec may hold a copy of the descriptor for a moment, and until that is gone
// the kernel would go on telling about it, with a pointer to an attempt that may be forgotten by then.
static int unwatch_close(struct spawner *spawner, int fd)
{
    if (fd >= 0)
        (void)epoll_ctl(spawner->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    return close_fd(fd);
}

static int *pipe_of(struct spawned *task, int stream)
{
    return stream == LOG_STDOUT ? &task->launch.out_fd : &task->launch.err_fd;
}

// Hands a pipe that has something to say to the log thread.
static void give_pipe_to_logs(struct spawner *spawner, struct spawned *task, int stream)
{
    int *fd = pipe_of(task, stream);
    (void)epoll_ctl(spawner->epoll_fd, EPOLL_CTL_DEL, *fd, NULL);
    struct log_key key = {.run_id = task->ident.run_id, .index = task->ident.index, .attempt = task->ident.attempt,
                          .stream = (enum log_stream)stream};
    task->source[stream] = logs_add(spawner->logs, &key, steal_fd(fd), task->log_bytes_max);
}

static void on_launched(void *owner, struct launch *launch)
{
    struct spawner *spawner = owner;
    struct spawned *task = launch->owner;
    must(task->phase == PHASE_LAUNCHING);
    if (launch->outcome != OUTCOME_SUCCEEDED) {
        unstarted(spawner, task, launch->outcome, launch->err.text);
        return;
    }
    task->phase = PHASE_RUNNING;
    if (task->time_limit_usec > 0)
        task->limit_boot_usec = usec_add(launch->start_boot_usec, task->time_limit_usec);
    // Where the kernel watches no more descriptors, the process is looked at from time to time.
    if (spawner_watch(spawner, launch->pidfd, EPOLLIN, event_of(task, PART_PID)) < 0)
        task->recheck_boot_usec = launch->start_boot_usec + RECHECK_LAST_USEC;
    if (spawner_watch(spawner, launch->out_fd, EPOLLIN, event_of(task, PART_OUT)) < 0)
        give_pipe_to_logs(spawner, task, LOG_STDOUT);
    if (spawner_watch(spawner, launch->err_fd, EPOLLIN, event_of(task, PART_ERR)) < 0)
        give_pipe_to_logs(spawner, task, LOG_STDERR);
    int oom_fd = launch->slot == NULL ? -1 : cgroup_slot_oom_fd(launch->slot);
    if (oom_fd >= 0)
        (void)spawner_watch(spawner, oom_fd, EPOLLIN, event_of(task, PART_OOM));
    spool_started(spawner->spool, task->ident.fence, launch->pid, launch->pid_ticks, launch->start_wall_usec);
    spawner_conn_tell_started(spawner, task);
    set_deadline(spawner, task);
    if (task->stop_asked)
        begin_stop(spawner, task, usec_add(clock_boot_usec(), task->kill_grace_usec));
}

void spawner_on_workers(struct spawner *spawner)
{
    workers_collect(spawner->workers, on_launched, spawner);
}

// Every process is gone and all output is kept.
static void task_drained(struct spawner *spawner, struct spawned *task)
{
    must(task->phase == PHASE_DRAINING && task->n_draining == 0);
    spawner_conclude(spawner, task);
    struct launch *launch = &task->launch;
    cgroup_slot_give(spawner->cgroups, launch->slot, !task->unkillable);
    launch->slot = NULL;
    launch_release(&spawner->launcher, launch);
    if (!workdir_give(spawner->workdirs, &launch->workdir))
        workers_remove_workdir(spawner->workers, &launch->workdir);
    task_ending(spawner, task);
}

static void task_emptied(struct spawner *spawner, struct spawned *task)
{
    task->phase = PHASE_DRAINING;
    task->recheck_boot_usec = task->kill_boot_usec = USEC_NEVER;
    set_deadline(spawner, task);
    int oom_fd = task->launch.slot == NULL ? -1 : cgroup_slot_oom_fd(task->launch.slot);
    if (oom_fd >= 0)
        (void)epoll_ctl(spawner->epoll_fd, EPOLL_CTL_DEL, oom_fd, NULL);
    for (int stream = 0; stream < 2; stream++) {
        int *fd = pipe_of(task, stream), waiting = 0;
        if (*fd >= 0 && ioctl(*fd, FIONREAD, &waiting) == 0 && waiting > 0)
            give_pipe_to_logs(spawner, task, stream);
        *fd = unwatch_close(spawner, *fd);
        if (task->source[stream] != NULL) {
            task->n_draining++;
            logs_finish(spawner->logs, steal_ptr(task->source[stream]), task);
        }
    }
    if (task->n_draining == 0)
        task_drained(spawner, task);
}

// The task's process has ended; what is left of its group goes too.
static void empty_group(struct spawner *spawner, struct spawned *task, usec_t boot_usec)
{
    must(task->phase == PHASE_EMPTYING);
    (void)session_reap_orphans();
    task->unkillable = boot_usec - task->exited_boot_usec > UNKILLABLE_USEC;
    if (group_empty(spawner, task) || task->unkillable) {
        task_emptied(spawner, task);
        return;
    }
    signal_group(spawner, task, SIGKILL);
    task->recheck_step_usec = task->recheck_step_usec == 0 ? RECHECK_FIRST_USEC : usec_min(2 * task->recheck_step_usec, RECHECK_LAST_USEC);
    task->recheck_boot_usec = boot_usec + task->recheck_step_usec;
    set_deadline(spawner, task);
}

static void on_exit_of(struct spawner *spawner, struct spawned *task)
{
    struct rusage usage;
    int status;
    pid_t pid = wait4(task->launch.pid, &status, WNOHANG | __WALL, &usage);
    if (pid == 0 || (pid < 0 && errno == EINTR))
        return;
    must(pid == task->launch.pid); // nobody else collects it
    task->exited = true;
    task->exited_boot_usec = clock_boot_usec();
    task->wait_status = status;
    task->wall_usec = clock_mono_usec() - task->launch.start_mono_usec;
    task->rusage_cpu_usec = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
                            (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    task->rusage_peak_bytes = (uint64_t)usage.ru_maxrss * 1024u;
    task->rusage_read_bytes = (uint64_t)usage.ru_inblock * 512u;
    task->rusage_written_bytes = (uint64_t)usage.ru_oublock * 512u;
    task->launch.pidfd = unwatch_close(spawner, task->launch.pidfd);
    task->phase = PHASE_EMPTYING;
    task->limit_boot_usec = task->kill_boot_usec = task->recheck_boot_usec = USEC_NEVER;
    list_del(&task->lease_link);
    empty_group(spawner, task, task->exited_boot_usec);
}

void spawner_on_part(struct spawner *spawner, struct spawned *task, enum event_part part, uint32_t events)
{
    switch (part) {
    case PART_PID:
        if (task->phase == PHASE_RUNNING)
            on_exit_of(spawner, task);
        return;
    case PART_OUT:
    case PART_ERR: {
        int stream = part == PART_OUT ? LOG_STDOUT : LOG_STDERR;
        int *fd = pipe_of(task, stream);
        if (*fd < 0)
            return;
        if (events & EPOLLIN)
            give_pipe_to_logs(spawner, task, stream);
        else
            *fd = unwatch_close(spawner, *fd); // every writer is gone and nothing was said
        return;
    }
    case PART_OOM: {
        uint64_t count;
        int fd = task->launch.slot == NULL ? -1 : cgroup_slot_oom_fd(task->launch.slot);
        if (fd < 0 || read(fd, &count, sizeof(count)) != sizeof(count))
            return;
        // The kernel kills one process of the group; a task that lost one is of no use, so the rest goes too.
        task->oom_seen = true;
        signal_group(spawner, task, SIGKILL);
        return;
    }
    case PART_NONE:
        break;
    }
    unreachable();
}

static void on_logs_finished(void *owner, void *context, uint64_t output_bytes, uint64_t lost_bytes)
{
    struct spawner *spawner = owner;
    struct spawned *task = context;
    must(task->phase == PHASE_DRAINING && task->n_draining > 0);
    task->output_bytes += output_bytes;
    task->output_lost_bytes += lost_bytes;
    if (--task->n_draining == 0)
        task_drained(spawner, task);
}

void spawner_on_logs(struct spawner *spawner)
{
    logs_collect(spawner->logs, on_logs_finished, spawner);
}

static void on_deadline(struct spawner *spawner, struct spawned *task, usec_t boot_usec)
{
    if (task->phase == PHASE_EMPTYING) {
        empty_group(spawner, task, boot_usec);
        return;
    }
    must(task->phase == PHASE_RUNNING);
    if (task->recheck_boot_usec <= boot_usec) {
        task->recheck_boot_usec = boot_usec + RECHECK_LAST_USEC;
        on_exit_of(spawner, task);
        if (task->phase != PHASE_RUNNING)
            return;
    }
    if (task->kill_boot_usec <= boot_usec) {
        signal_group(spawner, task, SIGKILL);
        task->kill_boot_usec = boot_usec + RECHECK_LAST_USEC;
    }
    if (task->limit_boot_usec <= boot_usec) {
        task->limit_boot_usec = USEC_NEVER;
        spawner_stop(spawner, task, OUTCOME_TIMEOUT);
    }
    set_deadline(spawner, task);
}

// Ends what may not run without a lease.
static void on_lease(struct spawner *spawner, usec_t boot_usec)
{
    struct list *pos, *tmp;
    bool kill_now = boot_usec >= spawner->lease_kill_boot_usec;
    list_for_each_safe(pos, tmp, &spawner->leased) {
        struct spawned *task = list_entry(pos, struct spawned, lease_link);
        spawner_stop(spawner, task, OUTCOME_LEASE);
        if (task->phase == PHASE_RUNNING && task->kill_boot_usec > spawner->lease_kill_boot_usec) {
            task->kill_boot_usec = kill_now ? boot_usec : spawner->lease_kill_boot_usec;
            set_deadline(spawner, task);
        }
    }
}

// Asks for the oldest logs to be removed while there are too many. Returns when to look again.
static usec_t check_logs(struct spawner *spawner, usec_t boot_usec)
{
    if (atomic_load(&spawner->log_total_bytes) <= (long long)spawner->log_total_bytes_max)
        return USEC_NEVER;
    if (boot_usec >= spawner->purge_asked_boot_usec + USEC_PER_SEC) {
        spawner->purge_asked_boot_usec = boot_usec;
        workers_purge_logs(spawner->workers, spawner->log_total_bytes_max);
    }
    return spawner->purge_asked_boot_usec + USEC_PER_SEC;
}

usec_t spawner_on_time(struct spawner *spawner, usec_t boot_usec)
{
    if (!list_empty(&spawner->leased) && boot_usec >= spawner->lease_term_boot_usec)
        on_lease(spawner, boot_usec);
    for (struct heap_node *top; (top = heap_top(&spawner->deadlines)) != NULL && top->key <= boot_usec;)
        on_deadline(spawner, container_of(top, struct spawned, deadline), boot_usec);
    struct heap_node *top = heap_top(&spawner->deadlines);
    usec_t next = top == NULL ? USEC_NEVER : top->key;
    if (!list_empty(&spawner->leased))
        next = usec_min(next, boot_usec < spawner->lease_term_boot_usec ? spawner->lease_term_boot_usec : boot_usec + RECHECK_LAST_USEC);
    next = usec_min(next, check_logs(spawner, boot_usec));
    return usec_min(next, spawner->retry_boot_usec);
}

static void fill_journal(void *context, struct buf *buf, uint64_t salt)
{
    struct spawner *spawner = context;
    size_t oldest = spawner->forgotten_n < JOURNAL_FORGOTTEN_MAX ? 0 : spawner->forgotten_at;
    journal_add_forgotten(buf, salt, spawner->forgotten_ring + oldest, spawner->forgotten_n - oldest);
    journal_add_forgotten(buf, salt, spawner->forgotten_ring, oldest);
    struct list *pos;
    list_for_each(pos, &spawner->all) {
        const struct spawned *task = list_entry(pos, struct spawned, link);
        if (task->phase >= PHASE_ENDING) {
            journal_add_ended(buf, salt, &task->ident, &task->end);
            continue;
        }
        journal_add_accepted(buf, salt, &task->ident);
        if (task->phase >= PHASE_RUNNING)
            journal_add_started(buf, salt, task->ident.fence, task->launch.pid, task->launch.pid_ticks, task->launch.start_wall_usec);
    }
}

static void write_failed(struct spawner *spawner, const struct err *err)
{
    usec_t now = clock_boot_usec();
    if (spawner->retry_boot_usec == USEC_NEVER || spawner->retry_boot_usec <= now) {
        log_error("the spool cannot be written", "why=\"%s\"", err->text);
        spawner->retry_boot_usec = now + USEC_PER_SEC;
    }
}

void spawner_settle(struct spawner *spawner)
{
    struct err err = {0};
    bool failed = !list_empty(&spawner->accepted) && spool_reserve(spawner->spool, spawner->n_unended, &err) < 0;
    if (spool_write(spawner->spool, &err) < 0)
        failed = true;
    if (failed)
        write_failed(spawner, &err);
    else
        spawner->retry_boot_usec = USEC_NEVER;
    bool had_accepted = !list_empty(&spawner->accepted);
    launch_accepted(spawner, failed ? &err : NULL);
    if (failed && had_accepted)
        (void)spool_write(spawner->spool, NULL);
    uint64_t synced = spool_synced(spawner->spool);
    while (!list_empty(&spawner->ending)) {
        struct spawned *task = list_entry(list_first(&spawner->ending), struct spawned, phase_link);
        if (task->end_position > synced)
            break;
        list_del(&task->phase_link);
        task->phase = PHASE_ENDED;
        spawner_conn_tell_ended(spawner, task);
    }
    if (!list_empty(&spawner->ending))
        spool_sync(spawner->spool);
    if (spool_wants_compaction(spawner->spool, map_len(&spawner->by_fence)) && spawner->retry_boot_usec == USEC_NEVER &&
        spool_compact(spawner->spool, fill_journal, spawner, &err) < 0)
        write_failed(spawner, &err);
}

// SPDX-License-Identifier: Apache-2.0
// The whole agent, in a process of its own, against a scripted server on a real socket: with the null executor, and with a spawner that is
// killed or outlives the agent.

#include "agent/agent.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "codec/codec.h"
#include "exec/executor.h"
#include "net/gate.h"
#include "tests/unit/test.h"

enum { FENCES_MAX = 200000 };

#define PATIENCE_USEC (20 * USEC_PER_SEC)

struct server {
    struct loop *loop;
    struct gate *gate;
    struct handshake_key key;
    struct limits limits;
    struct frame_conn *conn;
    struct arena arena;
    char folder[64], key_file[96], address[NET_ADDRESS_TEXT];
    uint64_t epoch;
    bool bad_proof, no_ack;
    const char *executor;
    pid_t agent;
    // What happened.
    int hellos, refused, downs, heartbeats, log_answers;
    struct err why;
    size_t n_known, n_ended, n_reports;
    size_t n_started, n_known_running;
    uint8_t ended[FENCES_MAX]; // how often each was told
    uint8_t outcome[FENCES_MAX];
    char identity[64], name[64], spawner[64];
    int log_code;
    size_t log_bytes;
};

static uint64_t server_epoch(void *context)
{
    struct server *server = context;
    return server->epoch;
}

static void server_send(struct server *server, const struct wire_message *message)
{
    wire_pack(frame_begin(server->conn), message);
    frame_end(server->conn);
}

static void server_message(void *context, struct bytes bytes)
{
    struct server *server = context;
    const struct wire_message *message = NULL;
    struct wire_message answer = {0};
    assert_int_equal(wire_unpack(bytes, &server->arena, &message, NULL), 0);
    switch (message->kind) {
    case WIRE_HEARTBEAT:
        server->heartbeats++;
        answer.kind = WIRE_LEASE;
        answer.lease = (struct fx_lease){.heartbeat = message->heartbeat, .lease_usec = 15 * USEC_PER_SEC};
        server_send(server, &answer);
        break;
    case WIRE_REPORT:
        server->n_reports++;
        server->n_started += message->report.n_started;
        for (size_t i = 0; i < message->report.n_ended; i++) {
            uint64_t fence = message->report.ended[i].fence;
            assert_true(fence < FENCES_MAX);
            server->n_ended += server->ended[fence]++ == 0;
            server->outcome[fence] = (uint8_t)message->report.ended[i].outcome;
        }
        answer.kind = WIRE_ACK;
        answer.ack.report_id = message->report.report_id;
        if (!server->no_ack)
            server_send(server, &answer);
        break;
    case WIRE_LOG_DATA:
        server->log_answers++;
        server->log_code = message->log_data.code;
        server->log_bytes = message->log_data.data.len;
        break;
    default:
        fail_msg("message of kind %d", (int)message->kind);
    }
    arena_clear(&server->arena);
}

static void server_closed(void *context, const struct err *why)
{
    struct server *server = context;
    server->downs++;
    frame_free(server->conn);
    server->conn = NULL;
}

static const struct frame_calls server_calls = {.on_message = server_message, .on_closed = server_closed};

static void server_agent(void *context, const struct gate_agent *agent)
{
    struct server *server = context;
    struct frame_options options = {
        .loop = server->loop, .message_bytes_max = 1 << 24, .queue_bytes_max = 1 << 26, .calls = &server_calls, .context = server};
    frame_free(server->conn);
    frame_adopt(agent->conn, &options);
    server->conn = agent->conn;
    server->hellos++;
    server->n_known = agent->hello->hello.n_known;
    server->n_known_running = 0;
    for (size_t i = 0; i < server->n_known; i++)
        server->n_known_running += agent->hello->hello.known[i].running;
    snprintf(server->spawner, sizeof(server->spawner), "%s", agent->hello->hello.info->spawner);
    snprintf(server->identity, sizeof(server->identity), "%s", agent->hello->hello.info->identity);
    snprintf(server->name, sizeof(server->name), "%s", agent->hello->hello.info->name);
    struct wire_message welcome = {.kind = WIRE_WELCOME, .epoch = server->epoch};
    uint8_t proof[WIRE_PROOF_BYTES];
    memcpy(proof, agent->proof, sizeof(proof));
    proof[0] ^= server->bad_proof ? 1 : 0;
    welcome.welcome.proof = (struct bytes){proof, sizeof(proof)};
    welcome.welcome.welcome = (struct fx_welcome){
        .node_id = 1, .epoch = server->epoch, .lease_usec = 15 * USEC_PER_SEC, .heartbeat_usec = 100 * USEC_PER_MSEC};
    server_send(server, &welcome);
}

static void server_refused(void *context, const struct err *why)
{
    struct server *server = context;
    server->refused++;
    server->why = *why;
}

static int setup(void **state)
{
    struct server *server = calloc(1, sizeof(*server));
    snprintf(server->folder, sizeof(server->folder), "/tmp/muster-agent-XXXXXX");
    assert_non_null(mkdtemp(server->folder));
    snprintf(server->key_file, sizeof(server->key_file), "%s/key", server->folder);
    assert_int_equal(handshake_key_ensure(server->key_file, &server->key, NULL), 0);
    limits_init(&server->limits);
    server->epoch = 5;
    server->executor = "null";
    assert_int_equal(loop_new(&server->loop, NULL), 0);
    struct gate_options options = {.loop = server->loop,
                                   .key = &server->key,
                                   .limits = &server->limits,
                                   .epoch = server_epoch,
                                   .on_agent = server_agent,
                                   .on_refused = server_refused,
                                   .context = server};
    assert_int_equal(net_address_parse("127.0.0.1:0", 0, &options.address, NULL), 0);
    assert_int_equal(gate_open(&options, &server->gate, NULL), 0);
    net_address_format(server->address, gate_address(server->gate));
    *state = server;
    return 0;
}

static void turn(struct server *server)
{
    assert_int_equal(loop_turn(server->loop, 5000, NULL), 0);
}

// Turns until the condition holds.
#define until(server, condition) \
    do { \
        usec_t until_ = clock_mono_usec() + PATIENCE_USEC; \
        while (!(condition)) { \
            assert_true(clock_mono_usec() < until_); \
            turn(server); \
        } \
    } while (0)

static int run_agent(const struct server *server, const char *key_file)
{
    const char *servers[] = {"127.0.0.1:1", server->address}; // nobody listens at the first
    char data[96];
    snprintf(data, sizeof(data), "%s/data", server->folder);
    struct pair label = {"zone", "a"};
    struct agent_options options = {.servers = servers,
                                    .n_servers = 2,
                                    .name = "node-1",
                                    .folder = data,
                                    .key_file = key_file,
                                    .executor = server->executor,
                                    .program = getenv("MUSTER_TEST_SPAWNER"),
                                    .labels = &label,
                                    .n_labels = 1,
                                    .limits = &server->limits};
    struct err err = {0};
    int rc = agent_main_run(&options, &err);
    if (rc < 0)
        log_error("agent", "why=\"%s\"", err.text);
    return -rc;
}

static void start_agent(struct server *server)
{
    server->agent = fork();
    assert_true(server->agent >= 0);
    if (server->agent == 0) {
        if (getenv("MUSTER_LOG") == NULL)
            log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
        _exit(run_agent(server, server->key_file));
    }
}

// Ends the agent and returns its exit status, or minus the signal.
static int end_agent(struct server *server, int signal_number)
{
    int status = 0;
    kill(server->agent, signal_number);
    assert_int_equal(waitpid(server->agent, &status, 0), server->agent);
    server->agent = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int teardown(void **state)
{
    struct server *server = *state;
    if (server->agent != 0)
        end_agent(server, SIGKILL);
    char data[96];
    snprintf(data, sizeof(data), "%s/data", server->folder);
    assert_int_equal(executor_spawner_end(data, 10 * USEC_PER_SEC, NULL), 0);
    for (int i = 0; i < 5; i++)
        turn(server);
    frame_free(server->conn);
    gate_close(server->gate);
    loop_free(server->loop);
    arena_release(&server->arena);
    assert_int_equal(fs_remove_tree(server->folder, NULL), 0);
    free(server);
    return 0;
}

static void order_script(struct server *server, uint64_t first, size_t n, const char *script)
{
    struct job_spec spec = {0};
    job_spec_init(&spec);
    spec.script = script;
    struct buf packed = {0};
    spec_pack(&packed, &spec);
    struct start_order *orders = calloc(n, sizeof(*orders));
    for (size_t i = 0; i < n; i++)
        orders[i] = (struct start_order){.fence = first + i,
                                         .run_id = 3,
                                         .index = (uint32_t)i,
                                         .attempt = 1,
                                         .n_tasks = (uint32_t)n,
                                         .spec = {(const uint8_t *)packed.data, packed.len}};
    struct wire_message message = {.kind = WIRE_START, .epoch = server->epoch, .start = {.n = n, .order = orders}};
    server_send(server, &message);
    free(orders);
    buf_release(&packed);
}

static void order(struct server *server, uint64_t first, size_t n)
{
    order_script(server, first, n, "true");
}

// The spawner of the agent's folder.
static pid_t spawner_pid(const struct server *server)
{
    cleanup_dir DIR *proc = opendir("/proc");
    for (struct dirent *entry = readdir(proc); entry != NULL; entry = readdir(proc)) {
        char path[300];
        cleanup_buf struct buf line = {0};
        snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
        uint64_t pid = 0;
        if (str_to_u64(entry->d_name, &pid) < 0 || fs_read(path, 65536, &line, NULL) < 0 || memmem(line.data, line.len, "spawner", 8) == NULL)
            continue;
        if (memmem(line.data, line.len, server->folder, strlen(server->folder)) != NULL)
            return (pid_t)pid;
    }
    return 0;
}

static void test_orders_are_carried_out_and_reported(void **state)
{
    struct server *server = *state;
    start_agent(server);
    until(server, server->hellos == 1);
    assert_string_equal(server->name, "node-1");
    assert_int_equal(strlen(server->identity), 32);
    order(server, 1, 5000);
    until(server, server->n_ended == 5000);
    until(server, server->heartbeats >= 2);
    for (int i = 1; i <= 5000; i++)
        assert_int_equal(server->ended[i], 1);
    assert_int_equal(end_agent(server, SIGTERM), 0);
    until(server, server->downs == 1);
    char identity[64];
    memcpy(identity, server->identity, sizeof(identity));
    start_agent(server);
    until(server, server->hellos == 2);
    assert_string_equal(server->identity, identity);
    assert_int_equal(end_agent(server, SIGINT), 0);
}

static void test_what_was_not_acknowledged_is_told_again(void **state)
{
    struct server *server = *state;
    start_agent(server);
    until(server, server->hellos == 1);
    server->no_ack = true;
    order(server, 1, 50);
    until(server, server->n_ended == 50);
    frame_free(server->conn);
    server->conn = NULL;
    until(server, server->hellos == 2);
    assert_int_equal(server->n_known, 50);
    server->no_ack = false;
    until(server, server->ended[1] == 2 && server->ended[50] == 2);
    for (int i = 0; i < 20; i++)
        turn(server);
    frame_free(server->conn);
    server->conn = NULL;
    until(server, server->hellos == 3);
    assert_int_equal(server->n_known, 0);
}

static void test_a_server_without_the_key_is_not_obeyed(void **state)
{
    struct server *server = *state;
    server->bad_proof = true;
    start_agent(server);
    until(server, server->hellos == 1);
    order(server, 1, 5); // behind the WELCOME that is no good
    until(server, server->hellos == 2);
    server->bad_proof = false;
    until(server, server->heartbeats >= 1);
    assert_int_equal(server->n_known, 0);
    assert_int_equal(server->n_ended, 0);
}

static void test_an_agent_without_the_key_goes_on_trying(void **state)
{
    struct server *server = *state;
    assert_int_equal(fs_write_atomic(server->key_file, "an entirely different key of this agent", 39, 0600, NULL), 0);
    start_agent(server);
    until(server, server->refused >= 2);
    assert_int_equal(server->why.code, ERR_UNAUTHENTICATED);
    assert_int_equal(server->hellos, 0);
    assert_int_equal(end_agent(server, SIGTERM), 0);
}

static void test_an_older_leader_is_not_obeyed(void **state)
{
    struct server *server = *state;
    start_agent(server);
    until(server, server->heartbeats >= 1);
    assert_int_equal(end_agent(server, SIGKILL), -SIGKILL);
    until(server, server->downs == 1);
    struct buf text = {0};
    char path[96];
    snprintf(path, sizeof(path), "%s/data/epoch", server->folder);
    assert_int_equal(fs_read(path, 100, &text, NULL), 0);
    assert_string_equal(text.data, "5\n");
    buf_release(&text);
    server->epoch = 4;
    start_agent(server);
    until(server, server->refused >= 2);
    assert_int_equal(server->hellos, 1);
    assert_int_equal(server->why.code, ERR_CLOSED);
    server->epoch = 6;
    until(server, server->hellos == 2);
}

static void test_one_agent_in_a_folder(void **state)
{
    struct server *server = *state;
    start_agent(server);
    until(server, server->hellos == 1);
    pid_t first = server->agent;
    start_agent(server);
    int status = 0;
    assert_int_equal(waitpid(server->agent, &status, 0), server->agent);
    server->agent = first;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), -ERR_CONFLICT);
}

static void test_output_that_is_not_there(void **state)
{
    struct server *server = *state;
    start_agent(server);
    until(server, server->hellos == 1);
    for (uint64_t i = 0; i < 10; i++) {
        struct wire_message message = {.kind = WIRE_LOG_READ, .log_read = {.request = i, .run_id = 1, .attempt = 1, .max_bytes = 1000}};
        server_send(server, &message);
    }
    until(server, server->log_answers == 10);
    assert_int_equal(server->log_code, ERR_NOT_FOUND);
}

// 100,000 orders in frames of 1,000, as a leader sends them, keep the agent busy for well under half of a core at 50,000 a second.
static void test_many_orders(void **state)
{
    struct server *server = *state;
    start_agent(server);
    until(server, server->hellos == 1);
    usec_t begin = clock_mono_usec();
    for (uint64_t sent = 0; sent < 100000; sent += 1000) {
        until(server, sent - server->n_ended < 8000);
        order(server, 1 + sent, 1000);
    }
    until(server, server->n_ended == 100000);
    usec_t wall = clock_mono_usec() - begin;
    struct rusage before, after;
    getrusage(RUSAGE_CHILDREN, &before);
    assert_int_equal(end_agent(server, SIGTERM), 0);
    getrusage(RUSAGE_CHILDREN, &after);
    usec_t cpu = (after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_stime.tv_sec) * USEC_PER_SEC +
                 after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_stime.tv_usec;
    print_message("100000 orders: %d ms, of the agent's processor %d ms, %d reports\n", (int)(wall / 1000), (int)(cpu / 1000),
                  (int)server->n_reports);
    assert_true(cpu < 2 * USEC_PER_SEC); // twice what is allowed, for slow machines and sanitizers
}

static void test_a_task_outlives_its_agent(void **state)
{
    struct server *server = *state;
    server->executor = "spawner";
    start_agent(server);
    until(server, server->hellos == 1);
    char spawner[64];
    memcpy(spawner, server->spawner, sizeof(spawner));
    order_script(server, 1, 1, "sleep 1; echo done");
    until(server, server->n_started == 1);
    assert_int_equal(end_agent(server, SIGKILL), -SIGKILL);
    start_agent(server);
    until(server, server->hellos == 2);
    assert_string_equal(server->spawner, spawner);
    assert_int_equal(server->n_known_running, 1);
    until(server, server->n_ended == 1);
    assert_int_equal(server->outcome[1], OUTCOME_SUCCEEDED);
    assert_int_equal(server->ended[1], 1);
    struct wire_message message = {.kind = WIRE_LOG_READ, .log_read = {.request = 1, .run_id = 3, .attempt = 1, .max_bytes = 1000}};
    server_send(server, &message);
    until(server, server->log_answers == 1);
    assert_int_equal(server->log_code, 0);
    assert_int_equal(server->log_bytes, 5);
}

static void test_a_spawner_that_is_killed(void **state)
{
    struct server *server = *state;
    server->executor = "spawner";
    start_agent(server);
    until(server, server->hellos == 1);
    char spawner[64];
    memcpy(spawner, server->spawner, sizeof(spawner));
    order_script(server, 1, 3, "sleep 30");
    until(server, server->n_started == 3);
    pid_t pid = spawner_pid(server);
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    until(server, server->hellos == 2 && server->n_ended == 3);
    assert_string_not_equal(server->spawner, spawner);
    for (int i = 1; i <= 3; i++)
        assert_int_equal(server->outcome[i], OUTCOME_LOST);
    order(server, 4, 1);
    until(server, server->n_ended == 4);
    assert_int_equal(server->outcome[4], OUTCOME_SUCCEEDED);
    assert_int_equal(end_agent(server, SIGTERM), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_orders_are_carried_out_and_reported, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_was_not_acknowledged_is_told_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_server_without_the_key_is_not_obeyed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_agent_without_the_key_goes_on_trying, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_older_leader_is_not_obeyed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_agent_in_a_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_output_that_is_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_orders, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_task_outlives_its_agent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_spawner_that_is_killed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

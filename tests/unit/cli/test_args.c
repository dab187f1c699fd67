// SPDX-License-Identifier: Apache-2.0
// The tables of commands and options, and their parser.

#include "cli/args.h"

#include "tests/unit/test.h"

#define PARSE(args, name, ...) \
    ({ \
        char *argv_[] = {__VA_ARGS__ __VA_OPT__(, ) NULL}; \
        struct err err_ = {0}; \
        int rc_ = args_parse(&(args), command_find(name), (int)(sizeof(argv_) / sizeof(argv_[0])) - 1, argv_, &err_); \
        last_err = err_; \
        rc_; \
    })

static struct err last_err;

static void test_every_command_is_whole(void **state)
{
    assert_true(n_commands > 25);
    for (size_t i = 0; i < n_commands; i++) {
        const struct command *command = &commands[i];
        assert_ptr_equal(command_find(command->name), command);
        assert_non_null(command->handler);
        assert_true(strlen(command->sentence) > 10);
        assert_int_equal(command->sentence[strlen(command->sentence) - 1], '.');
        // Every line of the examples begins with or holds the command itself.
        assert_non_null(strstr(command->examples, "muster "));
        assert_non_null(strstr(command->examples, command->name));
    }
    assert_null(command_find("nonsense"));
}

static void test_every_option_is_whole(void **state)
{
    for (int id = 0; id < OPTIONS; id++) {
        const struct option_row *row = &option_rows[id];
        size_t users = 0;
        for (size_t i = 0; i < n_commands; i++) {
            if (!option_belongs(id, &commands[i]))
                continue;
            users++;
            // Within one command neither a name nor a letter means two things.
            for (int other = 0; other < id; other++) {
                if (!option_belongs(other, &commands[i]))
                    continue;
                if (row->letter != 0)
                    assert_int_not_equal(row->letter, option_rows[other].letter);
                assert_string_not_equal(row->name, option_rows[other].name);
            }
        }
        assert_true(users > 0);
        assert_true(strlen(row->sentence) > 10);
        assert_int_equal(row->sentence[strlen(row->sentence) - 1], '.');
    }
}

static void test_options_and_words(void **state)
{
    struct args args;
    assert_int_equal(PARSE(args, "ps", "--state", "running", "--label=a=1", "-l", "b=2", "--json"), 0);
    assert_string_equal(args_get(&args, OPT_STATE), "running");
    assert_true(args_has(&args, OPT_JSON));
    assert_false(args_has(&args, OPT_QUIET));
    size_t cursor = 0;
    assert_string_equal(args_next(&args, OPT_LABEL, &cursor), "a=1");
    assert_string_equal(args_next(&args, OPT_LABEL, &cursor), "b=2");
    assert_null(args_next(&args, OPT_LABEL, &cursor));
    assert_int_equal(args.n_words, 0);
    args_release(&args);

    // Options may follow words, and an unambiguous beginning of a name is enough.
    assert_int_equal(PARSE(args, "cancel", "12", "--quie", "13"), 0);
    assert_int_equal(args.n_words, 2);
    assert_string_equal(args.words[1], "13");
    assert_true(args_has(&args, OPT_QUIET));
    args_release(&args);
}

static void test_a_command_keeps_its_own_options(void **state)
{
    struct args args;
    assert_int_equal(PARSE(args, "run", "--cpu", "2", "ls", "-l", "--json"), 0);
    assert_int_equal(args.n_words, 3);
    assert_string_equal(args.words[1], "-l");
    assert_string_equal(args_get(&args, OPT_CPU), "2");
    args_release(&args);
    assert_int_equal(PARSE(args, "run", "--", "--odd", "-x"), 0);
    assert_int_equal(args.n_words, 2);
    assert_string_equal(args.words[0], "--odd");
    args_release(&args);
}

static void test_mistakes_are_named(void **state)
{
    struct args args;
    assert_int_equal(PARSE(args, "ps", "--stat", "--jsn"), 0); // "--stat" is --state with the value "--jsn"
    args_release(&args);
    assert_int_equal(PARSE(args, "ps", "--jsn"), ERR_INVALID);
    assert_non_null(strstr(last_err.text, "did you mean --json?"));
    assert_int_equal(PARSE(args, "ps", "-Z"), ERR_INVALID);
    assert_non_null(strstr(last_err.text, "no option -Z"));
    assert_int_equal(PARSE(args, "ps", "--state"), ERR_INVALID);
    assert_non_null(strstr(last_err.text, "needs a value"));
    assert_int_equal(PARSE(args, "ps", "--json=x"), ERR_INVALID);
    assert_non_null(strstr(last_err.text, "takes no value"));
    assert_int_equal(PARSE(args, "run", "-n"), ERR_INVALID);
    assert_non_null(strstr(last_err.text, "--tasks needs a value"));
    // An option of another command is none of this one.
    assert_int_equal(PARSE(args, "jobs", "--cpu", "1"), ERR_INVALID);
    assert_string_equal(command_nearest("cancle"), "cancel");
    assert_null(command_nearest("xyzzy"));
}

static void test_numbers_spans_and_counts(void **state)
{
    struct args args;
    struct err err = {0};
    int64_t number = 0;
    usec_t span = 0;
    assert_int_equal(PARSE(args, "ps", "--max", "7", "--timeout", "1m30s", "word"), 0);
    assert_int_equal(args_number(&args, OPT_MAX, 5, 1, 10, &number, &err), 0);
    assert_int_equal(number, 7);
    assert_int_equal(args_number(&args, OPT_MAX, 5, 8, 10, &number, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "from 8 to 10"));
    assert_int_equal(args_duration(&args, OPT_TIMEOUT, 1, &span, &err), 0);
    assert_int_equal(span, 90 * USEC_PER_SEC);
    assert_int_equal(args_words(&args, 0, 0, &err), ERR_INVALID);
    assert_int_equal(args_words(&args, 2, 3, &err), ERR_INVALID);
    assert_int_equal(args_words(&args, 1, 1, &err), 0);
    args_release(&args);
    assert_int_equal(PARSE(args, "ps"), 0);
    assert_int_equal(args_number(&args, OPT_MAX, 5, 1, 10, &number, &err), 0);
    assert_int_equal(number, 5);
    args_release(&args);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_command_is_whole),
        cmocka_unit_test(test_every_option_is_whole),
        cmocka_unit_test(test_options_and_words),
        cmocka_unit_test(test_a_command_keeps_its_own_options),
        cmocka_unit_test(test_mistakes_are_named),
        cmocka_unit_test(test_numbers_spans_and_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build_test.c - a build ends in exactly one final state (B1; promise 5), and
 * its record comes back from log and history as it was, whole or not at all
 * (B2; promises 5 and 7)
 */
#include "bl_build.h"

#include <signal.h>
#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* 2026-11-22T10:00:00Z */
#define TEN APR_UINT64_C(1795341600000000)

static apr_pool_t *pool;

/* ---- states --------------------------------------------------------- */

/* The diagram of the contract, arrow by arrow. */
static const struct {
    bl_build_state_e from;
    bl_build_state_e to;
} arrows[] = {
    {BL_BUILD_QUEUED, BL_BUILD_RUNNING},
    {BL_BUILD_QUEUED, BL_BUILD_CANCELLED},
    {BL_BUILD_QUEUED, BL_BUILD_LOST},
    {BL_BUILD_RUNNING, BL_BUILD_SUCCEEDED},
    {BL_BUILD_RUNNING, BL_BUILD_FAILED},
    {BL_BUILD_RUNNING, BL_BUILD_CANCELLED},
    {BL_BUILD_RUNNING, BL_BUILD_TIMED_OUT},
    {BL_BUILD_RUNNING, BL_BUILD_LOST},
};

static int has_arrow(int from, int to)
{
    unsigned i;

    for (i = 0; i < COUNT_OF(arrows); i++) {
        if ((int)arrows[i].from == from && (int)arrows[i].to == to)
            return 1;
    }
    return 0;
}

static void test_moves(void)
{
    int from;
    int to;

    /* One beyond the states at both ends, too: shared memory may lie. */
    for (from = -1; from <= BL_BUILD_STATE_COUNT; from++) {
        for (to = -1; to <= BL_BUILD_STATE_COUNT; to++) {
            int allowed = has_arrow(from, to);
            bl_build_t build;
            apr_status_t rv;

            memset(&build, 0, sizeof(build));
            build.state = (bl_build_state_e)from;
            rv = bl_build_move(&build, (bl_build_state_e)to);
            ok(rv == (allowed ? APR_SUCCESS : APR_EINVAL) &&
                   (int)build.state == (allowed ? to : from),
               "%s -> %s: %s", bl_build_state_name((bl_build_state_e)from),
               bl_build_state_name((bl_build_state_e)to),
               allowed ? "moves" : "stays");
        }
    }
}

static void test_names(void)
{
    static const struct {
        bl_build_state_e state;
        const char *name;
        int final;
    } cases[] = {
        {BL_BUILD_QUEUED, "queued", 0},
        {BL_BUILD_RUNNING, "running", 0},
        {BL_BUILD_SUCCEEDED, "succeeded", 1},
        {BL_BUILD_FAILED, "failed", 1},
        {BL_BUILD_CANCELLED, "cancelled", 1},
        {BL_BUILD_TIMED_OUT, "timed-out", 1},
        {BL_BUILD_LOST, "lost", 1},
    };
    bl_build_state_e state;
    unsigned i;

    is_u64(COUNT_OF(cases), BL_BUILD_STATE_COUNT, "all states are here");
    for (i = 0; i < COUNT_OF(cases); i++) {
        is_str(bl_build_state_name(cases[i].state), cases[i].name,
               "%s: its name", cases[i].name);
        ok(bl_build_state_read(&state, cases[i].name) == APR_SUCCESS &&
               state == cases[i].state,
           "%s: read", cases[i].name);
        ok(bl_build_state_is_final(cases[i].state) == cases[i].final,
           "%s: final or not", cases[i].name);
    }
    state = BL_BUILD_LOST;
    ok(bl_build_state_read(&state, "") == APR_EGENERAL &&
           bl_build_state_read(&state, "Queued") == APR_EGENERAL &&
           bl_build_state_read(&state, "queued ") == APR_EGENERAL &&
           bl_build_state_read(&state, "unknown") == APR_EGENERAL &&
           state == BL_BUILD_LOST,
       "other names are refused");
    ok(!bl_build_state_is_final((bl_build_state_e)-1) &&
           !bl_build_state_is_final(BL_BUILD_STATE_COUNT),
       "what is no state is not final");
}

static void test_signals(void)
{
    is_str(bl_build_signal_name(SIGTERM, pool), "TERM", "signal: TERM");
    is_str(bl_build_signal_name(SIGKILL, pool), "KILL", "signal: KILL");
    is_str(bl_build_signal_name(SIGSEGV, pool), "SEGV", "signal: SEGV");
    is_str(bl_build_signal_name(SIGXCPU, pool), "XCPU", "signal: XCPU");
    is_str(bl_build_signal_name(63, pool), "SIG63", "signal: unknown");
}

/* ---- the record ----------------------------------------------------- */

/* As in bl_build.h, with its times. */
static const char running_json[] =
    "{\"id\":42,\"project\":\"/srv/demo\",\"title\":\"demo\","
    "\"state\":\"running\",\"reason\":null,\"step\":\"install\","
    "\"steps\":[{\"name\":\"install\",\"state\":\"running\","
    "\"started\":\"2026-11-22T10:00:02.000000Z\",\"ended\":null,"
    "\"exit\":null,\"signal\":null}],"
    "\"created\":\"2026-11-22T10:00:00.000000Z\","
    "\"started\":\"2026-11-22T10:00:01.000000Z\",\"ended\":null,"
    "\"exit\":null,\"signal\":null,\"user\":\"alice\",\"position\":null,"
    "\"lines\":0,\"bytes\":0}";

static bl_build_t running_build(bl_build_step_t *install)
{
    bl_build_t build;

    memset(install, 0, sizeof(*install));
    install->name = "install";
    install->started = TEN + 2000000;
    install->exit = BL_BUILD_NONE;
    install->signal = BL_BUILD_NONE;

    memset(&build, 0, sizeof(build));
    build.id = 42;
    build.project = "/srv/demo";
    build.title = "demo";
    build.user = "alice";
    build.state = BL_BUILD_RUNNING;
    build.steps = install;
    build.step_count = 1;
    build.created = TEN;
    build.started = TEN + 1000000;
    build.exit = BL_BUILD_NONE;
    build.signal = BL_BUILD_NONE;
    return build;
}

static void is_back(const char *json, const char *name)
{
    bl_build_t *build = NULL;
    apr_status_t rv = bl_build_from_json(&build, json, strlen(json), pool);

    ok(rv == APR_SUCCESS, "%s: read", name);
    is_str(rv == APR_SUCCESS ? bl_build_to_json(build, pool) : "", json,
           "%s: the same again", name);
}

static void test_running(void)
{
    bl_build_step_t install;
    bl_build_t build = running_build(&install);
    bl_build_t *back = NULL;

    is_str(bl_build_to_json(&build, pool), running_json, "as in the contract");
    is_back(running_json, "running");

    ok(bl_build_from_json(&back, running_json, strlen(running_json), pool) ==
               APR_SUCCESS &&
           back->id == 42 && strcmp(back->project, "/srv/demo") == 0 &&
           strcmp(back->title, "demo") == 0 &&
           strcmp(back->user, "alice") == 0 &&
           back->state == BL_BUILD_RUNNING && back->reason == NULL &&
           back->step == 0 && back->step_count == 1 && back->created == TEN &&
           back->started == TEN + 1000000 && back->ended == 0 &&
           back->exit == BL_BUILD_NONE && back->signal == BL_BUILD_NONE &&
           back->position == 0 && back->lines == 0 && back->bytes == 0,
       "each field of a build comes back");
    ok(strcmp(back->steps[0].name, "install") == 0 &&
           back->steps[0].started == TEN + 2000000 &&
           back->steps[0].ended == 0 && back->steps[0].exit == -1 &&
           back->steps[0].signal == -1,
       "each field of a step comes back");
}

/* Every member with another value than nothing. */
static void test_full(void)
{
    bl_build_step_t steps[4] = {
        {"install", TEN + 1, TEN + 2, 0, BL_BUILD_NONE},
        {"build \"\\\n\xC3\xBC", TEN + 2, TEN + 3, BL_BUILD_NONE, SIGKILL},
        {"pack", TEN + 3, 0, BL_BUILD_NONE, BL_BUILD_NONE},
        {"ship", 0, 0, BL_BUILD_NONE, BL_BUILD_NONE},
    };
    bl_build_t build = running_build(&steps[0]);
    bl_build_t *back = NULL;
    const char *json;

    steps[0].ended = TEN + 2;
    steps[0].exit = 3;
    build.id = APR_UINT64_C(9007199254740991);
    build.user = NULL;
    build.state = BL_BUILD_TIMED_OUT;
    build.reason = "no output for 10 minutes";
    build.steps = steps;
    build.step_count = 4;
    build.step = -1;
    build.ended = TEN + 4;
    build.exit = 255;
    build.signal = 63;
    build.position = APR_UINT32_MAX;
    build.lines = APR_INT64_MAX;
    build.bytes = APR_INT64_MAX;
    json = bl_build_to_json(&build, pool);
    is_back(json, "full");
    ok(strstr(json, "\"install\",\"state\":\"failed\"") != NULL &&
           strstr(json, "\xC3\xBC\",\"state\":\"failed\"") != NULL &&
           strstr(json, "\"pack\",\"state\":\"running\"") != NULL &&
           strstr(json, "\"ship\",\"state\":\"pending\"") != NULL,
       "full: the states of steps");
    ok(bl_build_from_json(&back, json, strlen(json), pool) == APR_SUCCESS &&
           back->step == -1 && back->step_count == 4 &&
           back->steps[0].exit == 3 && back->steps[1].signal == SIGKILL &&
           back->exit == 255 && back->signal == 63 && back->user == NULL &&
           back->position == APR_UINT32_MAX && back->lines == APR_INT64_MAX,
       "full: the values");
    steps[0].exit = 0;
    ok(strstr(bl_build_to_json(&build, pool),
              "\"install\",\"state\":\"succeeded\"") != NULL,
       "a step that exits with 0 succeeded");
}

/* "step" is a name, and names may repeat. */
static void test_current_step(void)
{
    bl_build_step_t steps[3] = {
        {"test", TEN, TEN + 1, 0, BL_BUILD_NONE},
        {"test", TEN + 1, 0, BL_BUILD_NONE, BL_BUILD_NONE},
        {"test", 0, 0, BL_BUILD_NONE, BL_BUILD_NONE},
    };
    bl_build_step_t install;
    bl_build_t build = running_build(&install);
    bl_build_t *back = NULL;
    const char *json;

    build.steps = steps;
    build.step_count = 3;
    build.step = 1;
    json = bl_build_to_json(&build, pool);
    ok(bl_build_from_json(&back, json, strlen(json), pool) == APR_SUCCESS &&
           back->step == 1,
       "of steps of one name the last that has begun");
    build.step = 3;
    ok(strstr(bl_build_to_json(&build, pool), "\"step\":null,") != NULL,
       "a step that is none is null");
}

static void test_step_counts(void)
{
    bl_build_step_t steps[BL_BUILD_STEPS_MAX + 1];
    bl_build_step_t install;
    bl_build_t build = running_build(&install);
    bl_build_t *back = NULL;
    const char *json;
    int i;

    for (i = 0; i <= BL_BUILD_STEPS_MAX; i++)
        steps[i] = install;
    build.steps = steps;
    build.step_count = BL_BUILD_STEPS_MAX;
    build.step = -1;
    is_back(bl_build_to_json(&build, pool), "the most steps");
    build.step_count = 0;
    is_back(bl_build_to_json(&build, pool), "no steps");
    build.step_count = BL_BUILD_STEPS_MAX + 1;
    json = bl_build_to_json(&build, pool);
    ok(bl_build_from_json(&back, json, strlen(json), pool) == APR_EGENERAL &&
           back == NULL,
       "one step too many is refused");
}

/* running_json with "what" replaced by "by". */
static const char *altered(const char *what, const char *by)
{
    const char *at = strstr(running_json, what);

    if (at == NULL)
        abort();
    return apr_pstrcat(pool,
                       apr_pstrmemdup(pool, running_json, at - running_json),
                       by, at + strlen(what), NULL);
}

static void test_refusals(void)
{
    static const struct {
        const char *what;
        const char *by;
    } cases[] = {
        {"\"id\":42", "\"id\":0"},
        {"\"id\":42", "\"id\":-1"},
        {"\"id\":42", "\"id\":\"42\""},
        {"\"id\":42", "\"id\":4.2"},
        {"\"id\":42", "\"id\":9223372036854775808"},
        {"\"id\":42,", ""},
        {"\"/srv/demo\"", "null"},
        {"\"/srv/demo\"", "7"},
        {"\"project\":\"/srv/demo\",", ""},
        {"\"title\":\"demo\"", "\"title\":null"},
        {"\"state\":\"running\",\"reason\"", "\"state\":\"done\",\"reason\""},
        {"\"state\":\"running\",\"reason\"", "\"state\":null,\"reason\""},
        {"\"reason\":null", "\"reason\":false"},
        {"\"step\":\"install\"", "\"step\":\"build\""},
        {"\"step\":\"install\"", "\"step\":0"},
        {"\"name\":\"install\"", "\"name\":null"},
        {"\"name\":\"install\"", "\"name\":[]"},
        {"[{\"name\"", "[1,{\"name\""},
        {"[{\"name\"", "[{},{\"name\""},
        {"\"step\":\"install\",\"steps\"", "\"step\":null,\"stages\""},
        {"T10:00:02.000000Z", "T10:00:02Z"},
        {"T10:00:01.000000Z", "T24:00:01.000000Z"},
        {"T10:00:00.000000Z", "T10:00:00.000000+00:00"},
        {"\"2026-11-22T10:00:00.000000Z\"", "1795341600"},
        {"\"ended\":null,\"exit\":null,\"signal\":null}]",
         "\"ended\":0,\"exit\":null,\"signal\":null}]"},
        {"\"exit\":null", "\"exit\":-1"},
        {"\"exit\":null", "\"exit\":2147483648"},
        {"\"exit\":null", "\"exit\":\"1\""},
        {"\"signal\":null", "\"signal\":15"},
        {"\"signal\":null", "\"signal\":\"SIGTERM\""},
        {"\"signal\":null", "\"signal\":\"SIG15\""},
        {"\"signal\":null", "\"signal\":\"SIG063\""},
        {"\"signal\":null", "\"signal\":\"SIG\""},
        {"\"signal\":null", "\"signal\":\"SIG-1\""},
        {"\"signal\":null", "\"signal\":\"SIG4294967359\""},
        {"\"signal\":null", "\"signal\":\"\""},
        {"\"user\":\"alice\"", "\"user\":1"},
        {"\"position\":null", "\"position\":0"},
        {"\"position\":null", "\"position\":4294967296"},
        {"\"position\":null", "\"position\":\"1\""},
        {"\"lines\":0", "\"lines\":-1"},
        {"\"lines\":0", "\"lines\":null"},
        {"\"bytes\":0", "\"bytes\":\"0\""},
        {",\"bytes\":0", ""},
        {"{\"id\":42", "{\"id\":42,\"id\":42"},
        {"{\"id\":42", "{\"id\":9007199254740992"},
    };
    unsigned i;

    for (i = 0; i < COUNT_OF(cases); i++) {
        const char *json = altered(cases[i].what, cases[i].by);
        bl_build_t *build = NULL;

        ok(bl_build_from_json(&build, json, strlen(json), pool) ==
                   APR_EGENERAL &&
               build == NULL,
           "refused: %s instead of %s", cases[i].by, cases[i].what);
    }
}

/* It becomes a header of an answer. */
static void test_digest(void)
{
    static const char *const wrong[] = {
        "",
        "x",
        "0123",
        "\\r\\nX: y",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0",
        "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\\n"};
    const char *sum =
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    bl_build_t *build = NULL;
    const char *json;
    unsigned i;

    json = altered("\"bytes\":0", apr_psprintf(pool,
                                               "\"bytes\":0,\"sha256\":"
                                               "\"%s\"",
                                               sum));
    ok(bl_build_from_json(&build, json, strlen(json), pool) == APR_SUCCESS,
       "a digest");
    is_str(build->sha256, sum, "is read");
    for (i = 0; i < COUNT_OF(wrong); i++) {
        json = altered(
            "\"bytes\":0",
            apr_psprintf(pool, "\"bytes\":0,\"sha256\":\"%s\"", wrong[i]));
        build = NULL;
        ok(bl_build_from_json(&build, json, strlen(json), pool) ==
                   APR_EGENERAL &&
               build == NULL,
           "refused as a digest: %s", wrong[i]);
    }
}

static void test_damage(void)
{
    unsigned bad = 0;
    apr_size_t len;

    for (len = 0; len < sizeof(running_json) - 1; len++) {
        bl_build_t *build = NULL;

        bad += bl_build_from_json(&build, running_json, len, pool) !=
                   APR_EGENERAL ||
               build != NULL;
    }
    is_u64(bad, 0, "a record that was cut is refused");
}

/* The last record of a log has more fields; later versions may, too. */
static void test_unknown_fields(void)
{
    const char *json = altered("\"bytes\":0", "\"bytes\":0,\"colour\":\"00\"");
    bl_build_t *build = NULL;

    ok(bl_build_from_json(&build, json, strlen(json), pool) == APR_SUCCESS,
       "a field that is not known is passed over");
    is_str(bl_build_to_json(build, pool), running_json,
           "and is gone afterwards");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);

    test_moves();
    test_names();
    test_signals();
    test_running();
    test_full();
    test_current_step();
    test_step_counts();
    test_refusals();
    test_digest();
    test_damage();
    test_unknown_fields();

    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}

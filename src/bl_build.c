/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_build.c - a build: its record, its states, its JSON
 *
 * FORMAT        see bl_build_to_json in the header. Reading takes each field
 *               or none: a field of the wrong type or out of its range makes
 *               the record invalid. Fields that are not known are passed over
 *               (the last record of a log has more), a nullable field that is
 *               missing counts as null.
 * INVARIANTS    B1 a final state is never left
 *               B2 what bl_build_to_json wrote reads back, and is written
 *                  again byte by byte the same
 * DIAGNOSTICS   none; a move that is not allowed is refused, not logged: a
 *               cancel that comes too late is nothing unusual
 * LIMITS        Numbers up to APR_INT64_MAX. "step" is a name: of several
 *               steps of that name it is the last one that has begun. Text
 *               that is not UTF-8 comes back repaired, as JSON has no other.
 */
#include "bl_build.h"

/* system */
#include <limits.h>
#include <signal.h>
#include <string.h>
/* APR */
#include <apr_strings.h>
/* layer 0 */
#include "bl_json.h"

/* ---- states --------------------------------------------------------- */

#define TO(state) (1u << (state))

/* Who moves: the runner alone. B1: the final states have no row. */
static const unsigned may_follow[BL_BUILD_STATE_COUNT] = {
    [BL_BUILD_QUEUED] =
        TO(BL_BUILD_RUNNING) | TO(BL_BUILD_CANCELLED) | TO(BL_BUILD_LOST),
    [BL_BUILD_RUNNING] = TO(BL_BUILD_SUCCEEDED) | TO(BL_BUILD_FAILED) |
                         TO(BL_BUILD_CANCELLED) | TO(BL_BUILD_TIMED_OUT) |
                         TO(BL_BUILD_LOST),
};

static const char *const state_names[BL_BUILD_STATE_COUNT] = {
    [BL_BUILD_QUEUED] = "queued",       [BL_BUILD_RUNNING] = "running",
    [BL_BUILD_SUCCEEDED] = "succeeded", [BL_BUILD_FAILED] = "failed",
    [BL_BUILD_CANCELLED] = "cancelled", [BL_BUILD_TIMED_OUT] = "timed-out",
    [BL_BUILD_LOST] = "lost",
};

/* Also asked about values from shared memory, which may be anything. */
static int is_state(bl_build_state_e state)
{
    return (unsigned)state < BL_BUILD_STATE_COUNT;
}

const char *bl_build_state_name(bl_build_state_e state)
{
    return is_state(state) ? state_names[state] : "unknown";
}

apr_status_t bl_build_state_read(bl_build_state_e *out, const char *name)
{
    int i;

    for (i = 0; i < BL_BUILD_STATE_COUNT; i++) {
        if (strcmp(name, state_names[i]) == 0) {
            *out = (bl_build_state_e)i;
            return APR_SUCCESS;
        }
    }
    return APR_EGENERAL;
}

int bl_build_state_is_final(bl_build_state_e state)
{
    return is_state(state) && may_follow[state] == 0;
}

apr_status_t bl_build_move(bl_build_t *build, bl_build_state_e to)
{
    if (!is_state(build->state) || !is_state(to) ||
        (may_follow[build->state] & TO(to)) == 0)
        return APR_EINVAL;
    build->state = to;
    return APR_SUCCESS;
}

/* ---- signals -------------------------------------------------------- */

/* The same name on every system, though not the same number. */
static const struct {
    int number;
    const char *name;
} signals[] = {
    {SIGHUP, "HUP"},   {SIGINT, "INT"},       {SIGQUIT, "QUIT"},
    {SIGILL, "ILL"},   {SIGTRAP, "TRAP"},     {SIGABRT, "ABRT"},
    {SIGBUS, "BUS"},   {SIGFPE, "FPE"},       {SIGKILL, "KILL"},
    {SIGUSR1, "USR1"}, {SIGSEGV, "SEGV"},     {SIGUSR2, "USR2"},
    {SIGPIPE, "PIPE"}, {SIGALRM, "ALRM"},     {SIGTERM, "TERM"},
    {SIGCHLD, "CHLD"}, {SIGCONT, "CONT"},     {SIGSTOP, "STOP"},
    {SIGTSTP, "TSTP"}, {SIGTTIN, "TTIN"},     {SIGTTOU, "TTOU"},
    {SIGURG, "URG"},   {SIGXCPU, "XCPU"},     {SIGXFSZ, "XFSZ"},
    {SIGPROF, "PROF"}, {SIGVTALRM, "VTALRM"}, {SIGWINCH, "WINCH"},
    {SIGIO, "IO"},     {SIGSYS, "SYS"},
};

#define SIGNAL_COUNT (sizeof(signals) / sizeof(signals[0]))

const char *bl_build_signal_name(int signal, apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < SIGNAL_COUNT; i++) {
        if (signals[i].number == signal)
            return signals[i].name;
    }
    return apr_psprintf(p, "SIG%d", signal);
}

/* One name per signal: "SIG15" is none, nor is "SIG064". */
static apr_status_t signal_read(int *out, const char *name, apr_pool_t *p)
{
    apr_int64_t number;
    apr_size_t i;

    for (i = 0; i < SIGNAL_COUNT; i++) {
        if (strcmp(name, signals[i].name) == 0) {
            *out = signals[i].number;
            return APR_SUCCESS;
        }
    }
    if (strncmp(name, "SIG", 3) != 0)
        return APR_EGENERAL;
    number = apr_strtoi64(name + 3, NULL, 10);
    if (number < 0 || number > INT_MAX ||
        strcmp(name, bl_build_signal_name((int)number, p)) != 0)
        return APR_EGENERAL;
    *out = (int)number;
    return APR_SUCCESS;
}

/* ---- writing -------------------------------------------------------- */

static const char *step_state(const bl_build_step_t *step)
{
    if (step->ended != 0)
        return step->exit == 0 ? "succeeded" : "failed";
    return step->started != 0 ? "running" : "pending";
}

static void set_outcome(bl_json_t *object, int exit, int signal, apr_pool_t *p)
{
    if (exit < 0)
        bl_json_set_null(object, "exit");
    else
        bl_json_set_int(object, "exit", exit);
    bl_json_set_string(object, "signal",
                       signal < 0 ? NULL : bl_build_signal_name(signal, p));
}

static bl_json_t *steps_make(const bl_build_t *build, apr_pool_t *p)
{
    bl_json_t *steps = bl_json_array(p);
    int i;

    for (i = 0; i < build->step_count; i++) {
        const bl_build_step_t *step = &build->steps[i];
        bl_json_t *object = bl_json_object(p);

        bl_json_set_string(object, "name", step->name);
        bl_json_set_string(object, "state", step_state(step));
        bl_json_set_time(object, "started", step->started);
        bl_json_set_time(object, "ended", step->ended);
        set_outcome(object, step->exit, step->signal, p);
        bl_json_append(steps, object);
    }
    return steps;
}

const char *bl_build_to_json(const bl_build_t *build, apr_pool_t *p)
{
    const char *step = NULL;
    const char *text;
    apr_pool_t *scratch;
    bl_json_t *object;

    if (build->step >= 0 && build->step < build->step_count)
        step = build->steps[build->step].name;

    apr_pool_create(&scratch, p);
    object = bl_json_object(scratch);
    bl_json_set_int(object, "id", (apr_int64_t)build->id);
    bl_json_set_string(object, "project", build->project);
    bl_json_set_string(object, "title", build->title);
    bl_json_set_string(object, "state", bl_build_state_name(build->state));
    bl_json_set_string(object, "reason", build->reason);
    bl_json_set_string(object, "step", step);
    bl_json_set(object, "steps", steps_make(build, scratch));
    bl_json_set_time(object, "created", build->created);
    bl_json_set_time(object, "started", build->started);
    bl_json_set_time(object, "ended", build->ended);
    set_outcome(object, build->exit, build->signal, scratch);
    bl_json_set_string(object, "user", build->user);
    if (build->position == 0)
        bl_json_set_null(object, "position");
    else
        bl_json_set_int(object, "position", build->position);
    bl_json_set_int(object, "lines", (apr_int64_t)build->lines);
    bl_json_set_int(object, "bytes", (apr_int64_t)build->bytes);
    if (build->sha256 != NULL)
        bl_json_set_string(object, "sha256", build->sha256);
    text = bl_json_text(object, p);
    apr_pool_destroy(scratch);
    return text;
}

bl_build_t *bl_build_copy(const bl_build_t *build, apr_pool_t *p)
{
    bl_build_t *copy = apr_pmemdup(p, build, sizeof(*build));
    int i;

    copy->project = apr_pstrdup(p, build->project);
    copy->title = apr_pstrdup(p, build->title);
    copy->user = apr_pstrdup(p, build->user);
    copy->reason = apr_pstrdup(p, build->reason);
    copy->sha256 = apr_pstrdup(p, build->sha256);
    copy->steps =
        apr_pmemdup(p, build->steps,
                    (apr_size_t)build->step_count * sizeof(build->steps[0]));
    for (i = 0; i < copy->step_count; i++)
        copy->steps[i].name = apr_pstrdup(p, build->steps[i].name);
    return copy;
}

/* ---- reading: each sets *out only on APR_SUCCESS -------------------- */

/* A text, or (if it may be) null: *out NULL. */
static apr_status_t read_text(const char **out, const bl_json_t *object,
                              const char *key, int nullable, apr_pool_t *p)
{
    const char *text = bl_json_string(object, key);

    if (text == NULL && (!nullable || bl_json_has(object, key)))
        return APR_EGENERAL;
    *out = apr_pstrdup(p, text);
    return APR_SUCCESS;
}

static apr_status_t read_time(bl_stamp_t *out, const bl_json_t *object,
                              const char *key)
{
    bl_stamp_t stamp = bl_json_time(object, key);

    if (stamp == 0 && bl_json_has(object, key))
        return APR_EGENERAL;
    *out = stamp;
    return APR_SUCCESS;
}

static apr_status_t read_number(apr_uint64_t *out, const bl_json_t *object,
                                const char *key, apr_int64_t least,
                                apr_int64_t most)
{
    apr_int64_t n = bl_json_int(object, key, -1);

    if (n < least || n > most)
        return APR_EGENERAL;
    *out = (apr_uint64_t)n;
    return APR_SUCCESS;
}

static apr_status_t read_outcome(int *exit, int *signal,
                                 const bl_json_t *object, apr_pool_t *p)
{
    const char *name;
    apr_uint64_t code;
    apr_status_t rv;

    *exit = BL_BUILD_NONE;
    *signal = BL_BUILD_NONE;
    if (bl_json_has(object, "exit")) {
        rv = read_number(&code, object, "exit", 0, INT_MAX);
        if (rv != APR_SUCCESS)
            return rv;
        *exit = (int)code;
    }
    rv = read_text(&name, object, "signal", 1, p);
    if (rv != APR_SUCCESS || name == NULL)
        return rv;
    return signal_read(signal, name, p);
}

static apr_status_t read_step(bl_build_step_t *step, const bl_json_t *object,
                              apr_pool_t *p)
{
    apr_status_t rv = read_text(&step->name, object, "name", 0, p);

    if (rv == APR_SUCCESS)
        rv = read_time(&step->started, object, "started");
    if (rv == APR_SUCCESS)
        rv = read_time(&step->ended, object, "ended");
    if (rv == APR_SUCCESS)
        rv = read_outcome(&step->exit, &step->signal, object, p);
    return rv;
}

static apr_status_t read_steps(bl_build_t *build, const bl_json_t *object,
                               apr_pool_t *scratch, apr_pool_t *p)
{
    bl_build_step_t steps[BL_BUILD_STEPS_MAX];
    bl_json_t *element;
    apr_status_t rv;
    int count = 0;

    if (!bl_json_has(object, "steps"))
        return APR_EGENERAL;
    element = bl_json_element(object, "steps", 0, scratch);
    while (element != NULL) {
        if (count == BL_BUILD_STEPS_MAX)
            return APR_EGENERAL;
        rv = read_step(&steps[count], element, p);
        if (rv != APR_SUCCESS)
            return rv;
        count++;
        element = bl_json_element(object, "steps", (apr_size_t)count, scratch);
    }
    build->step_count = count;
    build->steps = apr_pmemdup(p, steps, (apr_size_t)count * sizeof(steps[0]));
    return APR_SUCCESS;
}

/* From a name back to an index: see LIMITS. */
static apr_status_t read_current_step(bl_build_t *build,
                                      const bl_json_t *object, apr_pool_t *p)
{
    const char *name;
    apr_status_t rv;
    int i;

    build->step = -1;
    rv = read_text(&name, object, "step", 1, p);
    if (rv != APR_SUCCESS || name == NULL)
        return rv;
    for (i = 0; i < build->step_count; i++) {
        if (strcmp(build->steps[i].name, name) == 0 &&
            (build->step < 0 || build->steps[i].started != 0))
            build->step = i;
    }
    return build->step < 0 ? APR_EGENERAL : APR_SUCCESS;
}

/* It becomes an ETag: nothing but what a digest may be. */
static apr_status_t read_sha256(bl_build_t *build, const bl_json_t *object,
                                apr_pool_t *p)
{
    apr_status_t rv = read_text(&build->sha256, object, "sha256", 1, p);
    const char *sum = build->sha256;

    if (rv != APR_SUCCESS || sum == NULL)
        return rv;
    return strlen(sum) == 64 && strspn(sum, "0123456789abcdef") == 64
               ? APR_SUCCESS
               : APR_EGENERAL;
}

static apr_status_t read_state(bl_build_state_e *out, const bl_json_t *object)
{
    const char *name = bl_json_string(object, "state");

    return name == NULL ? APR_EGENERAL : bl_build_state_read(out, name);
}

static apr_status_t read_position(apr_uint32_t *out, const bl_json_t *object)
{
    apr_uint64_t position = 0;
    apr_status_t rv = APR_SUCCESS;

    if (bl_json_has(object, "position"))
        rv = read_number(&position, object, "position", 1, APR_UINT32_MAX);
    if (rv == APR_SUCCESS)
        *out = (apr_uint32_t)position;
    return rv;
}

static apr_status_t read_build(bl_build_t *build, const bl_json_t *object,
                               apr_pool_t *scratch, apr_pool_t *p)
{
    apr_status_t rv =
        read_number(&build->id, object, "id", 1, BL_BUILD_NUMBER_MAX);

    if (rv == APR_SUCCESS)
        rv = read_text(&build->project, object, "project", 0, p);
    if (rv == APR_SUCCESS)
        rv = read_text(&build->title, object, "title", 0, p);
    if (rv == APR_SUCCESS)
        rv = read_state(&build->state, object);
    if (rv == APR_SUCCESS)
        rv = read_text(&build->reason, object, "reason", 1, p);
    if (rv == APR_SUCCESS)
        rv = read_steps(build, object, scratch, p);
    if (rv == APR_SUCCESS)
        rv = read_current_step(build, object, p);
    if (rv == APR_SUCCESS)
        rv = read_time(&build->created, object, "created");
    if (rv == APR_SUCCESS)
        rv = read_time(&build->started, object, "started");
    if (rv == APR_SUCCESS)
        rv = read_time(&build->ended, object, "ended");
    if (rv == APR_SUCCESS)
        rv = read_outcome(&build->exit, &build->signal, object, p);
    if (rv == APR_SUCCESS)
        rv = read_text(&build->user, object, "user", 1, p);
    if (rv == APR_SUCCESS)
        rv = read_position(&build->position, object);
    if (rv == APR_SUCCESS)
        rv = read_number(&build->lines, object, "lines", 0, APR_INT64_MAX);
    if (rv == APR_SUCCESS)
        rv = read_number(&build->bytes, object, "bytes", 0, APR_INT64_MAX);
    if (rv == APR_SUCCESS)
        rv = read_sha256(build, object, p);
    return rv;
}

apr_status_t bl_build_from_json(bl_build_t **out, const char *text,
                                apr_size_t len, apr_pool_t *p)
{
    bl_build_t *build = apr_pcalloc(p, sizeof(*build));
    const char *why;
    apr_pool_t *scratch;
    bl_json_t *object;
    apr_status_t rv;

    rv = apr_pool_create(&scratch, p);
    if (rv != APR_SUCCESS)
        return rv;
    rv = bl_json_parse(&object, text, len, &why, scratch);
    if (rv == APR_SUCCESS)
        rv = read_build(build, object, scratch, p);
    if (rv == APR_SUCCESS)
        *out = build;
    apr_pool_destroy(scratch);
    return rv;
}

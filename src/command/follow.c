/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follow.c - the output of a build, to its end
 */
#include "follow.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "events.h"
#include "http.h"
#include "screen.h"

#define RETRY_MS 2000
#define GIVE_UP_SECONDS 300

typedef struct {
    json_int_t build;
    events_t events;
    screen_filter_t filter[2]; /* of stdout, of stderr */
    json_t *ended;             /* its final record; NULL: not yet */
    time_t heard;              /* when the server last said something */
    int closed;                /* stdout takes no more */
} follow_t;

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

static time_t now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec;
}

/* ---- events --------------------------------------------------------- */

static int on_line(follow_t *f, json_t *line)
{
    json_t *text = json_object_get(line, "text");
    screen_filter_t *filter =
        &f->filter[strcmp(text_of(line, "stream"), "stderr") == 0];

    f->closed =
        !screen_log(filter, text_of(line, "text"), json_string_length(text)) ||
        (!json_is_true(json_object_get(line, "partial")) &&
         !screen_log(filter, "\n", 1));
    return !f->closed;
}

static void on_build(json_t *build)
{
    json_t *position = json_object_get(build, "position");
    const char *step = text_of(build, "step");

    if (json_is_integer(position))
        screen_progress("Build %" JSON_INTEGER_FORMAT
                        " waits, number %" JSON_INTEGER_FORMAT " in the queue",
                        json_integer_value(json_object_get(build, "id")),
                        json_integer_value(position));
    else if (step[0] != '\0')
        screen_progress("Build %" JSON_INTEGER_FORMAT ": %s",
                        json_integer_value(json_object_get(build, "id")),
                        step);
}

static int on_event(void *with, const char *name, const char *data, size_t len)
{
    follow_t *f = with;
    json_t *json = json_loadb(data, len, JSON_ALLOW_NUL, NULL);
    int go_on = 1;

    f->heard = now();
    if (name[0] == '\0')
        go_on = on_line(f, json);
    else if (strcmp(name, "build") == 0)
        on_build(json);
    else if (strcmp(name, "gap") == 0)
        screen_say("(some of the output is not kept any more)");
    else if (strcmp(name, "busy") == 0)
        screen_progress("The server is busy; waiting");
    else if (strcmp(name, "end") == 0) {
        f->ended = json_incref(json);
        go_on = 0;
    }
    json_decref(json);
    return go_on;
}

static int on_bytes(void *with, const char *bytes, size_t len)
{
    follow_t *f = with;
    int go_on = events_take(&f->events, bytes, len, on_event, f);

    f->closed = f->closed || screen_flush() != 0;
    return go_on && !f->closed;
}

/* ---- results -------------------------------------------------------- */

static int signal_number(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } signals[] = {{"HUP", 1},   {"INT", 2},   {"QUIT", 3},  {"ILL", 4},
                   {"TRAP", 5},  {"ABRT", 6},  {"BUS", 7},   {"FPE", 8},
                   {"KILL", 9},  {"USR1", 10}, {"SEGV", 11}, {"USR2", 12},
                   {"PIPE", 13}, {"ALRM", 14}, {"TERM", 15}, {"XCPU", 24},
                   {"XFSZ", 25}};
    size_t i;

    if (strncmp(name, "SIG", 3) == 0)
        name += 3;
    for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        if (strcmp(name, signals[i].name) == 0)
            return signals[i].number;
    return 0;
}

int follow_result(json_t *build)
{
    const char *state = text_of(build, "state");
    json_t *code = json_object_get(build, "exit");
    json_t *by = json_object_get(build, "signal");
    int signo = json_is_string(by) ? signal_number(json_string_value(by))
                                   : (int)json_integer_value(by);

    if (strcmp(state, "succeeded") == 0)
        return 0;
    if (strcmp(state, "timed-out") == 0)
        return 124;
    if (strcmp(state, "lost") == 0)
        return 125;
    if (strcmp(state, "cancelled") == 0)
        return 130;
    if (signo > 0)
        return 128 + signo;
    return json_integer_value(code) > 0 ? (int)json_integer_value(code) : 1;
}

void follow_summary(json_t *build)
{
    const char *reason = text_of(build, "reason");

    screen_say("Build %" JSON_INTEGER_FORMAT " %s%s%s",
               json_integer_value(json_object_get(build, "id")),
               text_of(build, "state"), reason[0] != '\0' ? ": " : "", reason);
}

/* ---- the stream, again and again ------------------------------------ */

/* The record as it is: of a build that ended while nobody listened. */
static int end_by_record(follow_t *f)
{
    http_answer_t answer;
    char path[64];
    int code;

    snprintf(path, sizeof(path), "/project/builds/%" JSON_INTEGER_FORMAT,
             f->build);
    answer = http_ask(path, NULL);
    if (answer.status != 200 || answer.json == NULL)
        code = http_explain(&answer);
    else {
        follow_summary(answer.json);
        code = follow_result(answer.json);
    }
    http_forget(&answer);
    return code;
}

/* @return 0: SIGINT came, or it took too long */
static int wait_a_little(follow_t *f, const http_answer_t *answer)
{
    long ms = f->events.retry_ms > 0 ? f->events.retry_ms : RETRY_MS;
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};

    if (answer->error != NULL || answer->status != 200)
        screen_progress("No connection to the server; again in %ld s",
                        (ms + 999) / 1000);
    if (now() - f->heard > GIVE_UP_SECONDS)
        return 0;
    nanosleep(&pause, NULL);
    return !http_interrupted();
}

static int is_final(const http_answer_t *answer)
{
    return answer->status >= 400 && answer->status < 500 &&
           answer->status != 429;
}

/* @return -1: go on; else what to end with */
static int one_stream(follow_t *f)
{
    http_answer_t answer;
    char path[96];
    int code = -1;

    snprintf(path, sizeof(path),
             "/log/push?format=json&build=%" JSON_INTEGER_FORMAT, f->build);
    answer = http_stream(path, f->events.id, "text/event-stream", on_bytes, f);
    if (f->closed)
        code = screen_flush();
    else if (f->ended != NULL) {
        follow_summary(f->ended);
        code = follow_result(f->ended);
    }
    else if (http_interrupted())
        code = EXIT_INTERRUPTED;
    else if (answer.status == 204)
        code = end_by_record(f);
    else if (is_final(&answer))
        code = http_explain(&answer);
    else {
        events_reset(&f->events);
        if (!wait_a_little(f, &answer))
            code =
                http_interrupted() ? EXIT_INTERRUPTED : http_explain(&answer);
    }
    http_forget(&answer);
    return code;
}

int follow(json_int_t build)
{
    follow_t f;
    int code;

    memset(&f, 0, sizeof(f));
    f.build = build;
    f.heard = now();
    do {
        code = one_stream(&f);
    } while (code < 0);
    if (f.ended == NULL && http_interrupted())
        screen_say("The build goes on. To end it: buildlog cancel "
                   "%" JSON_INTEGER_FORMAT,
                   build);
    events_reset(&f.events);
    json_decref(f.ended);
    return code;
}

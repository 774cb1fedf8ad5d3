/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buildlog.c - the command: starts builds, shows logs, over HTTP
 */

/* libc */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "follow.h"
#include "http.h"
#include "screen.h"

#define DEFAULT_URL "http://127.0.0.1/api"
#define PATH_ROOM 8192

static const char usage[] =
    "Usage: buildlog build DIR [--follow]   start the build of a directory\n"
    "       buildlog log ID [--follow]      print the log of a build\n"
    "       buildlog list [DIR]             builds, the newest first\n"
    "       buildlog cancel ID              end a build, or take it from the "
    "queue\n"
    "\n"
    "  -f, --follow       show the output to its end; end as the build does\n"
    "  -n, --count N      so many builds (list; 20)\n"
    "  -s, --state STATE  only these (list): running, failed, ...\n"
    "  -j, --json         the server's own answer (build, list, cancel)\n"
    "  -q, --quiet        nothing but the log, and errors\n"
    "  -u, --url URL      of the API; or BUILDLOG_URL; " DEFAULT_URL "\n"
    "      --user NAME:PASSWORD   better: ~/.netrc\n"
    "      --cacert FILE  who is trusted to name the server\n"
    "  -h, --help         this text; -V, --version\n"
    "\n"
    "With --follow it ends with 0 when the build succeeded, with the exit\n"
    "code of the step that failed, with 128 + N when signal N ended it, 124\n"
    "when it took too long, 130 when it was cancelled, 125 when it was lost.\n"
    "Its own errors: 64 wrong use, 66 no such build, 69 no server, 74 no\n"
    "output, 75 busy, 77 not allowed.\n";

typedef struct {
    http_server_t server;
    const char *count;
    const char *state;
    int follow;
    int json;
    int quiet;
} options_t;

enum { OPTION_USER = 256, OPTION_CACERT };

static const struct option long_options[] = {
    {"follow", no_argument, NULL, 'f'},
    {"count", required_argument, NULL, 'n'},
    {"state", required_argument, NULL, 's'},
    {"json", no_argument, NULL, 'j'},
    {"quiet", no_argument, NULL, 'q'},
    {"url", required_argument, NULL, 'u'},
    {"user", required_argument, NULL, OPTION_USER},
    {"cacert", required_argument, NULL, OPTION_CACERT},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0}};

static int wrong_use(const char *what)
{
    screen_error("%s (buildlog --help says how it is used)", what);
    return EXIT_USAGE;
}

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

static json_int_t id_of(json_t *build)
{
    return json_integer_value(json_object_get(build, "id"));
}

static void print_json(json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    putchar('\n');
}

/* Text from the server, for a terminal: nothing but itself. */
static void print_plain(const char *text, int width)
{
    screen_filter_t filter = {SCREEN_TEXT, "", 0, 0};
    char some[512 + SCREEN_SEQUENCE_ROOM];
    size_t len = strlen(text), n;
    int columns = 0;
    size_t i;

    n = screen_filter(some, &filter, text, len < 512 ? len : 512, 0);
    for (i = 0; i < n; i++) {
        putchar(some[i] == '\n' ? ' ' : some[i]);
        columns += (some[i] & 0xc0) != 0x80;
    }
    for (; columns < width; columns++)
        putchar(' ');
}

/* ---- build ---------------------------------------------------------- */

static http_answer_t order(const char *dir)
{
    char path[PATH_MAX], *escaped, *form = NULL;
    http_answer_t answer;
    size_t len;
    FILE *out;

    /* Of another machine it may be, as it stands. */
    escaped = http_escape(realpath(dir, path) != NULL ? path : dir);
    out = open_memstream(&form, &len);
    if (escaped == NULL || out == NULL)
        abort();
    if (fprintf(out, "projectPath=%s", escaped) < 0 || fclose(out) != 0)
        abort();
    answer = http_ask("/project/build", form);
    http_free_text(escaped);
    free(form);
    return answer;
}

static int verb_build(const options_t *options, const char *dir)
{
    http_answer_t answer = order(dir);
    json_t *build = json_object_get(answer.json, "build");
    json_int_t id = id_of(build);
    int code = 0;

    if (answer.status == 0 && http_interrupted())
        screen_error("whether the build was accepted is not known: buildlog "
                     "list tells");
    if (answer.status != 202 || id <= 0)
        code = http_explain(&answer);
    else if (options->follow)
        screen_say("Build %" JSON_INTEGER_FORMAT " of %s", id,
                   text_of(build, "title"));
    else if (options->json)
        print_json(build);
    else if (!options->quiet)
        printf("%" JSON_INTEGER_FORMAT "\n", id);
    http_forget(&answer);
    return code == 0 && options->follow ? follow(id) : code;
}

/* ---- log ------------------------------------------------------------ */

static json_int_t number_of(const char *text)
{
    char *end;
    long long n = strtoll(text, &end, 10);

    return *end == '\0' && *text >= '1' && *text <= '9' ? (json_int_t)n : 0;
}

static int on_text(void *with, const char *bytes, size_t len)
{
    return screen_log(with, bytes, len);
}

static int verb_log(const options_t *options, const char *id)
{
    screen_filter_t filter = {SCREEN_TEXT, "", 0, 0};
    http_answer_t answer;
    char path[96];
    int code = 0;

    if (number_of(id) == 0)
        return wrong_use("the number of a build is asked for");
    if (options->follow)
        return follow(number_of(id));
    snprintf(path, sizeof(path), "/project/builds/%s/log", id);
    answer = http_stream(path, "", "text/plain", on_text, &filter);
    if (answer.status != 200 || answer.error != NULL)
        code = http_explain(&answer);
    http_forget(&answer);
    return code;
}

/* ---- list ----------------------------------------------------------- */

/* "2026-11-22T10:00:00.123456Z" in local time, without its fraction. */
static void print_time(const char *text)
{
    struct tm at;
    char local[32] = "-";
    time_t when;

    memset(&at, 0, sizeof(at));
    if (strptime(text, "%Y-%m-%dT%H:%M:%S", &at) != NULL) {
        when = timegm(&at);
        localtime_r(&when, &at);
        strftime(local, sizeof(local), "%Y-%m-%d %H:%M:%S", &at);
    }
    printf("%-19s", local);
}

static void print_build(json_t *build)
{
    const char *started = text_of(build, "started");

    printf("%6" JSON_INTEGER_FORMAT "  ", id_of(build));
    print_plain(text_of(build, "state"), 9);
    fputs("  ", stdout);
    print_time(started[0] != '\0' ? started : text_of(build, "created"));
    fputs("  ", stdout);
    print_plain(text_of(build, "title"), 20);
    fputs("  ", stdout);
    print_plain(text_of(build, "project"), 0);
    putchar('\n');
}

static int list_path(char *path, const options_t *options, const char *dir)
{
    char resolved[PATH_MAX], *project = NULL, *state, *count;
    int len;

    if (dir != NULL)
        project =
            http_escape(realpath(dir, resolved) != NULL ? resolved : dir);
    state = http_escape(options->state != NULL ? options->state : "");
    count = http_escape(options->count);
    len = snprintf(path, PATH_ROOM, "/project/builds?limit=%s%s%s%s%s", count,
                   project != NULL ? "&project=" : "",
                   project != NULL ? project : "",
                   options->state != NULL ? "&state=" : "", state);
    http_free_text(project);
    http_free_text(state);
    http_free_text(count);
    return len > 0 && len < PATH_ROOM;
}

static int verb_list(const options_t *options, const char *dir)
{
    http_answer_t answer;
    char path[PATH_ROOM];
    json_t *builds, *build;
    size_t i;
    int code = 0;

    if (!list_path(path, options, dir))
        return wrong_use("the directory has too long a name");
    answer = http_ask(path, NULL);
    builds = json_object_get(answer.json, "builds");
    if (answer.status != 200 || builds == NULL)
        code = http_explain(&answer);
    else if (options->json)
        print_json(answer.json);
    else
        json_array_foreach(builds, i, build) print_build(build);
    http_forget(&answer);
    return code;
}

/* ---- cancel --------------------------------------------------------- */

static int verb_cancel(const options_t *options, const char *id)
{
    http_answer_t answer;
    char path[96];
    int code = 0;

    if (number_of(id) == 0)
        return wrong_use("the number of a build is asked for");
    snprintf(path, sizeof(path), "/project/builds/%s/cancel", id);
    answer = http_ask(path, "");
    if (answer.status != 202)
        code = http_explain(&answer);
    else if (options->json)
        print_json(answer.json);
    else
        screen_say("Build %s is being cancelled", id);
    http_forget(&answer);
    return code;
}

/* ---- the command line ----------------------------------------------- */

/* @return 0: understood; else what to end with, less one */
static int read_options(options_t *options, int argc, char **argv)
{
    int c;

    while ((c = getopt_long(argc, argv, "fn:s:jqu:hV", long_options, NULL)) !=
           -1)
        switch (c) {
        case 'f':
            options->follow = 1;
            break;
        case 'n':
            options->count = optarg;
            break;
        case 's':
            options->state = optarg;
            break;
        case 'j':
            options->json = 1;
            break;
        case 'q':
            options->quiet = 1;
            break;
        case 'u':
            options->server.url = optarg;
            break;
        case OPTION_USER:
            options->server.user = optarg;
            break;
        case OPTION_CACERT:
            options->server.cacert = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            return 1;
        case 'V':
            puts("buildlog 0.1.0");
            return 1;
        default:
            fputs(usage, stderr);
            return 1 + EXIT_USAGE;
        }
    return 0;
}

static int run(const options_t *options, int argc, char **argv)
{
    const char *verb = argc > 0 ? argv[0] : "";
    const char *what = argc > 1 ? argv[1] : NULL;

    if (argc > 2)
        return wrong_use("too many words");
    if (strcmp(verb, "list") == 0)
        return verb_list(options, what);
    if (strcmp(verb, "build") == 0)
        return what != NULL ? verb_build(options, what)
                            : wrong_use("build: which directory?");
    if (strcmp(verb, "log") == 0)
        return what != NULL ? verb_log(options, what)
                            : wrong_use("log: which build?");
    if (strcmp(verb, "cancel") == 0)
        return what != NULL ? verb_cancel(options, what)
                            : wrong_use("cancel: which build?");
    return wrong_use(argc > 0 ? "build, log, list or cancel, please"
                              : "what is to be done?");
}

int main(int argc, char **argv)
{
    const char *url = getenv("BUILDLOG_URL");
    options_t options = {{DEFAULT_URL, NULL, NULL}, "20", NULL, 0, 0, 0};
    int code;

    if (url != NULL && *url != '\0')
        options.server.url = url;
    code = read_options(&options, argc, argv);
    if (code != 0)
        return code - 1;
    screen_begin(options.quiet);
    if (!http_begin(&options.server)) {
        screen_error("libcurl does not work here");
        return EXIT_UNREACHABLE;
    }
    code = run(&options, argc - optind, argv + optind);
    http_end();
    return code != 0 ? code : screen_flush();
}

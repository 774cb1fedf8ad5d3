/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history_test.c - the builds that have ended are found again, page by page,
 * each once; a database that is locked, broken or gone is a clear error and
 * nothing else (promise 7; H1, H2, Y1, Y2)
 *
 * Everything that is asked of both databases is asked of both. The server of
 * the second is a throwaway one (t/pg.sh); without it that half is skipped.
 */
#include "bl_history.h"

/* libc */
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* APR */
#include <apr_dbd.h>
#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* Of puts and gets, for each database. Sanitizers keep what is freed for a
 * while. */
#if defined(__SANITIZE_ADDRESS__)
#define MEMORY_ROUNDS(is_file) 2000
#define MEMORY_IS_TOLD 0
#else
#define MEMORY_ROUNDS(is_file) ((is_file) ? 100000 : 20000)
#define MEMORY_IS_TOLD 1
#endif
#define MEMORY_GROWTH_MAX (2 * 1024 * 1024)

/* A lock of somebody else is waited for so long, and the machine may be slow.
 */
#define LOCKED_TIME_MAX apr_time_from_sec(60)

#define NOBODY 65534

static apr_pool_t *pool;
static char dir[128];
static const char *driver;
static const char *params;
static const char *why;

/* ---- helpers -------------------------------------------------------- */

static bl_history_t *must_open(bl_history_mode_e mode)
{
    bl_history_t *h = NULL;

    if (bl_history_open(&h, &why, driver, params, mode, pool) != APR_SUCCESS) {
        printf("Bail out! %s: %s\n", params, why);
        exit(1);
    }
    return h;
}

/* A connection past bl_history: what others do to the database. */
typedef struct {
    const apr_dbd_driver_t *driver;
    apr_dbd_t *handle;
} other_t;

static other_t other_open(const char *to)
{
    other_t other = {NULL, NULL};
    const char *text = "no driver";

    if (apr_dbd_init(pool) != APR_SUCCESS ||
        apr_dbd_get_driver(pool, driver, &other.driver) != APR_SUCCESS ||
        apr_dbd_open_ex(other.driver, pool, to, &other.handle, &text) !=
            APR_SUCCESS) {
        printf("Bail out! another connection: %s\n", text);
        exit(1);
    }
    return other;
}

static void other_run(const other_t *other, const char *sql)
{
    apr_dbd_results_t *results = NULL;

    if (apr_dbd_select(other->driver, pool, other->handle, &results, sql, 1) !=
        0)
        printf("# %s: %s\n", sql,
               apr_dbd_error(other->driver, other->handle, 0));
}

static const char *other_ask(const other_t *other, const char *sql)
{
    apr_dbd_results_t *results = NULL;
    apr_dbd_row_t *row = NULL;
    const char *text = NULL;

    if (apr_dbd_select(other->driver, pool, other->handle, &results, sql, 1) ==
            0 &&
        apr_dbd_get_row(other->driver, pool, results, &row, -1) == 0)
        text = apr_dbd_get_entry(other->driver, row, 0);
    return apr_pstrdup(pool, text != NULL ? text : "nothing");
}

static void other_close(other_t *other)
{
    apr_dbd_close(other->driver, other->handle);
    other->handle = NULL;
}

/* One statement from somebody else, in between. */
static void do_outside(const char *sql)
{
    other_t other = other_open(params);

    other_run(&other, sql);
    other_close(&other);
}

static bl_build_t build_of(apr_uint64_t id)
{
    bl_build_t build;

    memset(&build, 0, sizeof(build));
    build.id = id;
    build.project = "/srv/demo";
    build.title = "demo";
    build.user = "alice";
    build.state = BL_BUILD_SUCCEEDED;
    build.step = -1;
    build.created = APR_UINT64_C(1795341600000000) + id * 1000;
    build.started = build.created + 100;
    build.ended = build.started + 500;
    build.exit = 0;
    build.signal = BL_BUILD_NONE;
    build.lines = id * 3;
    build.bytes = id * 70;
    build.sha256 = "0123456789abcdef0123456789abcdef"
                   "0123456789abcdef0123456789abcdef";
    return build;
}

static int is_there(bl_history_t *h, apr_uint64_t id)
{
    const char *json;

    return bl_history_find(&json, h, id, pool) == APR_SUCCESS;
}

static int row_count(bl_history_t *h)
{
    apr_array_header_t *keys;

    return bl_history_keys(&keys, h, pool) == APR_SUCCESS ? keys->nelts : -1;
}

static void comes_back(bl_history_t *h, const bl_build_t *build,
                       const char *name)
{
    const char *json = "nothing";

    ok(bl_history_put(h, build) == APR_SUCCESS, "%s: put", name);
    ok(bl_history_find(&json, h, build->id, pool) == APR_SUCCESS &&
           strcmp(json, bl_build_to_json(build, pool)) == 0,
       "%s: comes back as it was", name);
}

/* The tables are not there afterwards. */
static void drop_all(void)
{
    other_t other = other_open(params);

    other_run(&other, "DROP TABLE IF EXISTS buildlog_builds");
    other_run(&other, "DROP TABLE IF EXISTS buildlog_schema");
    other_close(&other);
}

/* ---- both: rows ----------------------------------------------------- */

static void test_rows(void)
{
    bl_history_t *h = must_open(BL_HISTORY_WRITE);
    bl_history_t *reader = must_open(BL_HISTORY_READ);
    bl_history_filter_t all = {NULL, BL_HISTORY_ANY_STATE, 0, 10};
    apr_array_header_t *list = NULL;
    apr_interval_time_t duration = -1;
    bl_build_t build = build_of(42);
    const char *json = "untouched";
    int count = -1;

    is_u64((uint64_t)row_count(reader), 0, "%s: new, no rows", driver);
    ok(bl_history_list(&list, reader, &all, pool) == APR_SUCCESS &&
           list->nelts == 0,
       "no page");
    ok(bl_history_average(&duration, &count, reader, "/srv/demo") ==
               APR_SUCCESS &&
           duration == 0 && count == 0,
       "no average");
    ok(bl_history_find(&json, reader, 42, pool) == APR_NOTFOUND &&
           strcmp(json, "untouched") == 0,
       "no build");
    comes_back(h, &build, "a build");
    ok(is_there(reader, 42), "a reader sees it");
    build.state = BL_BUILD_LOST;
    build.user = NULL;
    build.started = 0;
    build.ended = 1;
    comes_back(h, &build, "another in its place");
    is_u64((uint64_t)row_count(h), 1, "it is one row");
    build = build_of(1);
    build.id = build.lines = build.bytes = APR_INT64_MAX;
    comes_back(h, &build, "the greatest number");
    ok(bl_history_list(&list, h, &all, pool) == APR_SUCCESS &&
           list->nelts == 2,
       "it is on the first page");
    all.before = APR_INT64_MAX;
    ok(bl_history_list(&list, h, &all, pool) == APR_SUCCESS &&
           list->nelts == 1,
       "and not before itself");
    ok(bl_history_remove(h, 42) == APR_SUCCESS && !is_there(reader, 42),
       "removed");
    ok(bl_history_remove(h, 42) == APR_SUCCESS, "removed again");
    bl_history_remove(h, APR_INT64_MAX);
    bl_history_close(&reader);
    bl_history_close(&h);
    ok(h == NULL, "closed");
    bl_history_close(&h);
}

static void test_unfit(void)
{
    bl_history_t *h = must_open(BL_HISTORY_WRITE);
    bl_history_filter_t filter = {"\xff", BL_HISTORY_ANY_STATE, 0, 10};
    apr_array_header_t *list = NULL;
    apr_interval_time_t duration;
    bl_build_t build = build_of(1);
    int count;

    build.state = BL_BUILD_RUNNING;
    ok(bl_history_put(h, &build) == APR_EINVAL, "one that runs is refused");
    printf("# %s\n", bl_history_why(h));
    build = build_of(1);
    build.title = "caf\xe9";
    ok(bl_history_put(h, &build) == APR_EINVAL, "a title in Latin-1");
    printf("# %s\n", bl_history_why(h));
    build = build_of(1);
    build.user = "\xed\xa0\x80";
    ok(bl_history_put(h, &build) == APR_EINVAL, "half a surrogate");
    build = build_of(1);
    build.bytes = APR_UINT64_MAX;
    ok(bl_history_put(h, &build) == APR_EINVAL, "a number beyond SQL's");
    ok(bl_history_list(&list, h, &filter, pool) == APR_EINVAL && list == NULL,
       "a project that is none");
    ok(bl_history_average(&duration, &count, h, "\xc0\x80") == APR_EINVAL,
       "nor has it an average");
    is_u64((uint64_t)row_count(h), 0, "nothing was stored");
    build = build_of(1);
    ok(bl_history_put(h, &build) == APR_SUCCESS, "and the handle goes on");
    bl_history_remove(h, 1);
    bl_history_close(&h);
}

/* H1: whatever stands in it, a text is a text. */
static void test_hostile(void)
{
    static const char *const texts[] = {
        "'; DROP TABLE buildlog_builds; --",
        "\"; DROP TABLE buildlog_builds; --",
        "%s %lld %n %% $1 ? :a @b \\",
        "\\'; SELECT pg_sleep(10); --",
        "E'\\x27' $$ $tag$ /* */",
        "",
        "NULL",
        "\x01\x02\x1b[31m\x7f",
        "line\nline\r\n\ttab",
        "\xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x8f\x97 e\xcc\x81 \xe2\x80\xae",
        "\xef\xbf\xbd \xef\xbb\xbf \xf4\x8f\xbf\xbf",
    };
    bl_history_t *h = must_open(BL_HISTORY_WRITE);
    char *long_text = apr_palloc(pool, 65536);
    apr_size_t i;

    for (i = 0; i <= COUNT_OF(texts); i++) {
        bl_build_t build = build_of(100 + i);
        bl_history_filter_t filter = {NULL, BL_HISTORY_ANY_STATE, 0, 10};
        bl_build_step_t step;
        apr_array_header_t *list = NULL;
        char name[32];

        memset(long_text, 'x', 65535);
        long_text[65535] = '\0';
        memset(&step, 0, sizeof(step));
        build.project = build.title = build.user = build.reason = step.name =
            i < COUNT_OF(texts) ? texts[i] : long_text;
        build.steps = &step;
        build.step_count = 1;
        /* An index of PostgreSQL takes no more. */
        if (i == COUNT_OF(texts))
            build.project = "/srv/long";
        apr_snprintf(name, sizeof(name), "text %d", (int)i);
        comes_back(h, &build, name);
        filter.project = build.project;
        ok(bl_history_list(&list, h, &filter, pool) == APR_SUCCESS &&
               list->nelts == 1,
           "%s: found by project", name);
        bl_history_remove(h, build.id);
    }
    is_u64((uint64_t)row_count(h), 0, "nothing else happened");
    bl_history_close(&h);
}

/* ---- both: pages ---------------------------------------------------- */

#define MANY 10000

static const bl_build_state_e some_states[] = {BL_BUILD_SUCCEEDED,
                                               BL_BUILD_FAILED, BL_BUILD_LOST};
static const char *const some_projects[] = {"/a", "/b", "/a/b", "/A"};

static int matches(apr_uint64_t id, const bl_history_filter_t *filter)
{
    return (filter->project == NULL ||
            strcmp(filter->project, some_projects[id % 4]) == 0) &&
           (filter->state == BL_HISTORY_ANY_STATE ||
            filter->state == some_states[id % 3]);
}

static apr_uint64_t id_of(const char *json)
{
    bl_build_t *build;

    if (bl_build_from_json(&build, json, strlen(json), pool) != APR_SUCCESS)
        return 0;
    return build->id;
}

/* Follow the pages, and walk over all numbers beside. */
static void walk(bl_history_t *h, bl_history_filter_t filter, int limit)
{
    apr_uint64_t expected = MANY;
    int wrong = 0, pages = 0, rows = 0, i;

    filter.limit = limit;
    for (;;) {
        apr_array_header_t *list = NULL;

        apr_pool_clear(pool);
        if (bl_history_list(&list, h, &filter, pool) != APR_SUCCESS ||
            list->nelts > limit) {
            wrong++;
            break;
        }
        if (list->nelts == 0)
            break;
        pages++;
        for (i = 0; i < list->nelts; i++) {
            const bl_history_row_t *row =
                &APR_ARRAY_IDX(list, i, bl_history_row_t);
            apr_uint64_t id = row->id;

            while (expected > 0 && !matches(expected, &filter))
                expected--;
            wrong += id != expected || id == 0 || id_of(row->json) != id;
            wrong += strstr(row->json, row->project) == NULL;
            expected -= expected > 0;
            filter.before = id;
            rows++;
        }
    }
    while (expected > 0 && !matches(expected, &filter))
        expected--;
    ok(wrong == 0 && expected == 0,
       "%s, %s: %d rows on %d pages, each once, newest first",
       filter.project != NULL ? filter.project : "any",
       filter.state != BL_HISTORY_ANY_STATE ? bl_build_state_name(filter.state)
                                            : "any",
       rows, pages);
}

static void test_pages(void)
{
    apr_pool_t *keep = pool;
    bl_history_filter_t filter;
    apr_array_header_t *keys;
    bl_history_t *h;
    apr_uint64_t id;
    apr_size_t p, s;
    int wrong = 0;

    h = must_open(BL_HISTORY_WRITE);
    apr_pool_create(&pool, keep);
    ok(bl_history_begin(h) == APR_SUCCESS, "begin");
    for (id = 1; id <= MANY; id++) {
        bl_build_t build = build_of(id);

        build.project = some_projects[id % 4];
        build.state = some_states[id % 3];
        wrong += bl_history_put(h, &build) != APR_SUCCESS;
    }
    ok(bl_history_commit(h) == APR_SUCCESS && wrong == 0, "%d rows in one",
       MANY);
    ok(bl_history_keys(&keys, h, pool) == APR_SUCCESS && keys->nelts == MANY,
       "all have an id");
    for (id = 1; id <= (apr_uint64_t)keys->nelts; id++)
        wrong += APR_ARRAY_IDX(keys, (int)id - 1, bl_history_key_t).id != id;
    is_u64((uint64_t)wrong, 0, "ascending");
    for (p = 0; p <= COUNT_OF(some_projects); p++) {
        for (s = 0; s <= COUNT_OF(some_states); s++) {
            memset(&filter, 0, sizeof(filter));
            filter.project =
                p < COUNT_OF(some_projects) ? some_projects[p] : NULL;
            filter.state = s < COUNT_OF(some_states) ? some_states[s]
                                                     : BL_HISTORY_ANY_STATE;
            walk(h, filter, p % 2 == 0 ? 97 : 1000);
        }
    }
    apr_pool_destroy(pool);
    pool = keep;
    bl_history_close(&h);
    do_outside("DELETE FROM buildlog_builds");
}

/* ---- both: averages ------------------------------------------------- */

static void put_took(bl_history_t *h, apr_uint64_t id, const char *project,
                     bl_build_state_e state, apr_interval_time_t took)
{
    bl_build_t build = build_of(id);

    build.project = project;
    build.state = state;
    build.ended = build.started + (bl_stamp_t)took;
    bl_history_put(h, &build);
}

static void test_average(void)
{
    bl_history_t *h = must_open(BL_HISTORY_WRITE);
    apr_interval_time_t duration = -1;
    bl_build_t build;
    apr_uint64_t id;
    int count = -1;

    put_took(h, 1, "/a", BL_BUILD_SUCCEEDED, 3000);
    ok(bl_history_average(&duration, &count, h, "/a") == APR_SUCCESS &&
           duration == 3000 && count == 1,
       "the average of one");
    /* Old ones, and others, do not count. */
    for (id = 2; id <= 5; id++)
        put_took(h, id, "/a", BL_BUILD_SUCCEEDED, 1000000);
    for (id = 6; id <= 15; id++)
        put_took(h, id, "/a", BL_BUILD_SUCCEEDED,
                 apr_time_from_sec(3600) + (apr_interval_time_t)id);
    put_took(h, 16, "/a", BL_BUILD_FAILED, 1);
    put_took(h, 17, "/a", BL_BUILD_CANCELLED, 1);
    put_took(h, 18, "/b", BL_BUILD_SUCCEEDED, 1);
    put_took(h, 19, "/a", BL_BUILD_SUCCEEDED, -1);
    build = build_of(20);
    build.project = "/a";
    build.started = 0;
    bl_history_put(h, &build);
    ok(bl_history_average(&duration, &count, h, "/a") == APR_SUCCESS &&
           duration == apr_time_from_sec(3600) + 10 && count == 10,
       "the average of the last ten successful ones");
    ok(bl_history_average(&duration, &count, h, "/") == APR_SUCCESS &&
           duration == 0 && count == 0,
       "a project without any");
    bl_history_close(&h);
    do_outside("DELETE FROM buildlog_builds");
}

/* ---- both: transactions --------------------------------------------- */

static void test_transaction(void)
{
    bl_history_t *h = must_open(BL_HISTORY_WRITE);
    bl_history_t *reader = must_open(BL_HISTORY_READ);
    bl_build_t one = build_of(1), two = build_of(2);

    bl_history_begin(h);
    bl_history_put(h, &one);
    ok(is_there(h, 1) && !is_there(reader, 1),
       "what is not committed nobody else sees");
    bl_history_rollback(h);
    ok(!is_there(h, 1), "rolled back");
    bl_history_begin(h);
    bl_history_put(h, &one);
    bl_history_put(h, &two);
    bl_history_remove(h, 1);
    ok(bl_history_commit(h) == APR_SUCCESS && !is_there(reader, 1) &&
           is_there(reader, 2),
       "committed together");
    bl_history_begin(h);
    bl_history_put(h, &one);
    bl_history_close(&h);
    ok(!is_there(reader, 1), "closed without commit: nothing");
    ok(bl_history_begin(reader) != APR_SUCCESS ||
           bl_history_commit(reader) == APR_SUCCESS,
       "a reader may not, or changes nothing");
    bl_history_close(&reader);
    do_outside("DELETE FROM buildlog_builds");
}

/* A row that the database will not take. */
static const char *const picky_step[] = {
    "CREATE TABLE buildlog_schema (version INTEGER NOT NULL)",
    "INSERT INTO buildlog_schema (version) VALUES (1)",
    "CREATE TABLE buildlog_builds ("
    "id BIGINT NOT NULL PRIMARY KEY, project TEXT NOT NULL, "
    "title TEXT NOT NULL CHECK (title <> 'refused'), state TEXT NOT NULL, "
    "username TEXT, created BIGINT NOT NULL, started BIGINT, "
    "ended BIGINT NOT NULL, lines BIGINT NOT NULL, bytes BIGINT NOT NULL, "
    "record TEXT NOT NULL)",
    NULL,
};

static void test_refused(void)
{
    static const bl_history_step_t picky[] = {picky_step};
    bl_build_t one = build_of(1), two = build_of(2), three = build_of(3);
    bl_history_t *h;

    drop_all();
    bl_history_set_steps(picky, 1);
    h = must_open(BL_HISTORY_WRITE);
    two.title = "refused";
    ok(bl_history_put(h, &two) == APR_EGENERAL, "a row is refused");
    printf("# %s\n", bl_history_why(h));
    ok(strchr(bl_history_why(h), '\n') == NULL, "the reason is one line");
    bl_history_begin(h);
    ok(bl_history_put(h, &one) == APR_SUCCESS &&
           bl_history_put(h, &two) == APR_EGENERAL &&
           bl_history_put(h, &three) == APR_SUCCESS,
       "one of three is refused");
    ok(bl_history_commit(h) == APR_SUCCESS && is_there(h, 1) &&
           !is_there(h, 2) && is_there(h, 3),
       "the others are stored");
    bl_history_close(&h);
    bl_history_set_steps(NULL, 0);
    drop_all();
}

/* ---- both: versions ------------------------------------------------- */

static const char *const second_step[] = {
    "ALTER TABLE buildlog_builds ADD COLUMN mood TEXT DEFAULT 'fine'",
    "UPDATE buildlog_schema SET version = 2",
    NULL,
};

static const char *const broken_step[] = {
    "ALTER TABLE buildlog_builds ADD COLUMN mood TEXT DEFAULT 'fine'",
    "UPDATE buildlog_schema SET version = 2",
    "UPDATE no_such_table SET version = 2",
    NULL,
};

/* The first step stands in picky_step, too; its version is what counts. */
static void test_versions(void)
{
    static const bl_history_step_t good[] = {picky_step, second_step};
    static const bl_history_step_t broken[] = {picky_step, broken_step};
    bl_build_t one = build_of(1);
    bl_history_t *h = NULL;
    other_t other;

    drop_all();
    ok(bl_history_open(&h, &why, driver, params, BL_HISTORY_READ, pool) ==
               APR_ENOENT &&
           h == NULL,
       "a reader makes no tables");
    printf("# %s\n", why);
    h = must_open(BL_HISTORY_WRITE);
    bl_history_put(h, &one);
    bl_history_close(&h);

    bl_history_set_steps(broken, 2);
    ok(bl_history_open(&h, &why, driver, params, BL_HISTORY_WRITE, pool) ==
               APR_EGENERAL &&
           h == NULL,
       "an upgrade that fails is an error");
    printf("# %s\n", why);
    bl_history_set_steps(NULL, 0);
    h = must_open(BL_HISTORY_WRITE);
    ok(is_there(h, 1), "and has changed nothing");
    bl_history_close(&h);

    bl_history_set_steps(good, 2);
    ok(bl_history_open(&h, &why, driver, params, BL_HISTORY_READ, pool) ==
           APR_EGENERAL,
       "a reader does not upgrade");
    printf("# %s\n", why);
    h = must_open(BL_HISTORY_WRITE);
    ok(is_there(h, 1) && bl_history_put(h, &one) == APR_SUCCESS,
       "upgraded, with its rows");
    bl_history_close(&h);
    h = must_open(BL_HISTORY_READ);
    bl_history_close(&h);
    other = other_open(params);
    is_str(other_ask(&other, "SELECT version FROM buildlog_schema"), "2",
           "its version");
    is_str(other_ask(&other, "SELECT mood FROM buildlog_builds"), "fine",
           "its new column");
    other_close(&other);
    h = must_open(BL_HISTORY_WRITE);
    ok(is_there(h, 1), "a second time there is nothing to do");
    bl_history_close(&h);

    bl_history_set_steps(NULL, 0);
    ok(bl_history_open(&h, &why, driver, params, BL_HISTORY_WRITE, pool) ==
               APR_EGENERAL &&
           strstr(why, "newer") != NULL,
       "an older module refuses to write it");
    printf("# %s\n", why);
    ok(bl_history_open(&h, &why, driver, params, BL_HISTORY_READ, pool) ==
               APR_EGENERAL &&
           strstr(why, "newer") != NULL,
       "and to read it");
    drop_all();
}

/* ---- both: memory --------------------------------------------------- */

static size_t memory(void)
{
    char text[128] = "";
    int fd = open("/proc/self/statm", O_RDONLY);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    char *resident;

    close(fd);
    if (n <= 0)
        return 0;
    strtoul(text, &resident, 10);
    return strtoul(resident, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

static int put_and_get(bl_history_t *h, int rounds)
{
    bl_history_filter_t filter = {"/srv/demo", BL_BUILD_SUCCEEDED, 0, 5};
    apr_interval_time_t duration;
    apr_array_header_t *list;
    apr_pool_t *p;
    int i, wrong = 0, count;

    apr_pool_create(&p, pool);
    for (i = 0; i < rounds; i++) {
        bl_build_t build = build_of((apr_uint64_t)i % 50 + 1);
        const char *json;

        apr_pool_clear(p);
        if (i % 1000 == 0)
            wrong += bl_history_begin(h) != APR_SUCCESS;
        wrong += bl_history_put(h, &build) != APR_SUCCESS ||
                 bl_history_find(&json, h, build.id, p) != APR_SUCCESS;
        if (i % 10 == 0)
            wrong += bl_history_list(&list, h, &filter, p) != APR_SUCCESS ||
                     bl_history_average(&duration, &count, h, "/srv/demo") !=
                         APR_SUCCESS ||
                     bl_history_keys(&list, h, p) != APR_SUCCESS ||
                     bl_history_remove(h, build.id) != APR_SUCCESS;
        if (i % 1000 == 999)
            wrong += bl_history_commit(h) != APR_SUCCESS;
    }
    apr_pool_destroy(p);
    return wrong;
}

static void test_memory(void)
{
    bl_history_t *h = must_open(BL_HISTORY_WRITE);
    int rounds = MEMORY_ROUNDS(strcmp(driver, "sqlite3") == 0), wrong;
    size_t before, after;

    put_and_get(h, 2000); /* until everything has its size */
    before = memory();
    wrong = put_and_get(h, rounds);
    after = memory();
    printf("# %d rounds: %zu kB, then %zu kB\n", rounds, before / 1024,
           after / 1024);
    is_u64((uint64_t)wrong, 0, "%d puts and gets", rounds);
    ok(!MEMORY_IS_TOLD || after < before + MEMORY_GROWTH_MAX,
       "memory is flat (Y1)");
    bl_history_close(&h);
    do_outside("DELETE FROM buildlog_builds");
}

static void test_both(void)
{
    test_rows();
    test_unfit();
    test_hostile();
    test_pages();
    test_average();
    test_transaction();
    test_refused();
    test_versions();
    test_memory();
}

/* ---- sqlite3 -------------------------------------------------------- */

static void test_file(void)
{
    bl_history_t *h = NULL;
    bl_build_t build = build_of(1);
    struct stat info;

    ok(bl_history_open(&h, &why, driver, params, BL_HISTORY_READ, pool) ==
               APR_ENOENT &&
           stat(params, &info) != 0,
       "a reader makes no file");
    printf("# %s\n", why);
    umask(027);
    h = must_open(BL_HISTORY_WRITE);
    bl_history_put(h, &build);
    ok(stat(params, &info) == 0 && (info.st_mode & 0777) == 0640,
       "mode 0640 by umask 027");
    remove(params);
    ok(bl_history_put(h, &build) == APR_EGENERAL, "removed: it is noticed");
    printf("# %s\n", bl_history_why(h));
    bl_history_close(&h);
    h = must_open(BL_HISTORY_WRITE);
    ok(row_count(h) == 0 && bl_history_put(h, &build) == APR_SUCCESS,
       "opened again it is made anew");
    bl_history_begin(h);
    bl_history_put(h, &build);
    remove(params);
    ok(bl_history_commit(h) == APR_EGENERAL, "removed before the commit");
    bl_history_close(&h);
    ok(bl_history_open(&h, &why, driver, "/no/such/directory/history.db",
                       BL_HISTORY_WRITE, pool) == APR_EGENERAL,
       "no directory");
    printf("# %s\n", why);
    ok(bl_history_open(&h, &why, "oracle", "x", BL_HISTORY_WRITE, pool) ==
           APR_ENOTIMPL,
       "a driver that is not ours");
    printf("# %s\n", why);
}

static void test_journal(void)
{
    bl_history_t *h;
    other_t other = other_open(params);

    other_run(&other, "PRAGMA journal_mode = WAL");
    other_run(&other, "CREATE TABLE of_somebody (x)");
    other_close(&other);
    h = must_open(BL_HISTORY_WRITE);
    bl_history_close(&h);
    other = other_open(params);
    is_str(other_ask(&other, "PRAGMA journal_mode"), "delete",
           "the journal mode is changed back");
    other_run(&other, "DROP TABLE of_somebody");
    other_close(&other);
}

/* As the historian does with each build that ends: so who asks just then must
 * not be told that the history cannot be read. */
static void test_commit(void)
{
    bl_history_t *h = must_open(BL_HISTORY_WRITE), *reader = NULL;
    int ready[2];
    char byte;
    pid_t pid;

    bl_history_close(&h);
    if (pipe(ready) != 0 || (pid = fork()) < 0) {
        printf("Bail out! no process\n");
        exit(1);
    }
    if (pid == 0) {
        other_t other = other_open(params);

        other_run(&other, "BEGIN EXCLUSIVE");
        if (write(ready[1], "x", 1) == 1)
            usleep(400000);
        other_run(&other, "ROLLBACK");
        _exit(0);
    }
    if (read(ready[0], &byte, 1) != 1)
        exit(1);
    ok(bl_history_open(&reader, &why, driver, params, BL_HISTORY_READ, pool) ==
           APR_SUCCESS,
       "who opens while somebody commits waits for it");
    bl_history_close(&reader);
    waitpid(pid, NULL, 0);
    close(ready[0]);
    close(ready[1]);
}

static void test_locked(void)
{
    bl_history_t *h = must_open(BL_HISTORY_WRITE);
    bl_history_t *reader = must_open(BL_HISTORY_READ);
    bl_history_t *late = NULL;
    bl_build_t build = build_of(1);
    other_t other = other_open(params);
    const char *json;
    apr_time_t begun;

    other_run(&other, "BEGIN EXCLUSIVE");
    begun = apr_time_now();
    ok(bl_history_put(h, &build) == APR_EGENERAL, "locked: no put");
    printf("# %s, after %d ms\n", bl_history_why(h),
           (int)apr_time_as_msec(apr_time_now() - begun));
    ok(apr_time_now() - begun < LOCKED_TIME_MAX, "after a bounded time");
    ok(strstr(bl_history_why(h), "locked") != NULL, "it says so");
    ok(bl_history_begin(h) == APR_EGENERAL, "locked: no begin");
    ok(bl_history_find(&json, reader, 1, pool) == APR_EGENERAL,
       "locked: no find");
    ok(bl_history_open(&late, &why, driver, params, BL_HISTORY_WRITE, pool) ==
               APR_EGENERAL &&
           late == NULL,
       "locked: no open");
    printf("# %s\n", why);
    other_run(&other, "ROLLBACK");
    ok(bl_history_put(h, &build) == APR_SUCCESS && is_there(reader, 1),
       "and unlocked it works");

    /* A reader who is busy holds up the commit, and it can be done again. */
    other_run(&other, "BEGIN");
    other_ask(&other, "SELECT COUNT(*) FROM buildlog_builds");
    build.title = "later";
    bl_history_begin(h);
    bl_history_put(h, &build);
    ok(bl_history_commit(h) == APR_EGENERAL, "locked: no commit");
    printf("# %s\n", bl_history_why(h));
    other_run(&other, "ROLLBACK");
    ok(bl_history_begin(h) == APR_SUCCESS &&
           bl_history_put(h, &build) == APR_SUCCESS &&
           bl_history_commit(h) == APR_SUCCESS,
       "the same again works");
    other_close(&other);
    bl_history_close(&reader);
    bl_history_close(&h);
}

/* Another process, for apr_dbd has one lock for all of this one's: it locks
 * the file, is there when this returns, and goes soon. */
static pid_t lock_shortly(void)
{
    int there[2];
    char byte = 0;
    pid_t pid;

    if (pipe(there) != 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        other_t other = other_open(params);

        other_run(&other, "BEGIN EXCLUSIVE");
        if (write(there[1], &byte, 1) == 1)
            apr_sleep(apr_time_from_msec(60));
        other_run(&other, "ROLLBACK");
        _exit(0);
    }
    close(there[1]);
    if (read(there[0], &byte, 1) != 1)
        pid = -1;
    close(there[0]);
    return pid;
}

/* A commit takes a moment, and whoever wants to read in this moment waits. */
static void test_locked_shortly(void)
{
    bl_history_filter_t all = {NULL, BL_HISTORY_ANY_STATE, 0, 10};
    bl_history_t *h = must_open(BL_HISTORY_WRITE), *reader = NULL;
    apr_array_header_t *list;
    int i, opened = 0, read = 0;

    for (i = 0; i < 3; i++) {
        pid_t pid = lock_shortly();

        if (bl_history_open(&reader, &why, driver, params, BL_HISTORY_READ,
                            pool) == APR_SUCCESS)
            opened++;
        else
            printf("# %s\n", why);
        waitpid(pid, NULL, 0);
        bl_history_close(&reader);

        reader = must_open(BL_HISTORY_READ);
        pid = lock_shortly();
        read += bl_history_list(&list, reader, &all, pool) == APR_SUCCESS;
        waitpid(pid, NULL, 0);
        bl_history_close(&reader);
    }
    is_u64((uint64_t)opened, 3, "locked for a moment: who comes waits");
    is_u64((uint64_t)read, 3, "and so does who reads");
    bl_history_close(&h);
}

static void spoil(off_t at, size_t len)
{
    int fd = open(params, O_WRONLY | O_CREAT, 0600);

    lseek(fd, at, SEEK_SET);
    while (len-- > 0) {
        char byte = (char)(rand() & 0x7f);

        if (write(fd, &byte, 1) != 1)
            break;
    }
    close(fd);
}

static void test_corrupt(void)
{
    bl_history_t *h = NULL;
    apr_array_header_t *keys;
    apr_uint64_t id;
    struct stat info;

    remove(params);
    spoil(0, 5000);
    ok(bl_history_open(&h, &why, driver, params, BL_HISTORY_WRITE, pool) ==
           APR_EGENERAL,
       "another file: no open");
    printf("# %s\n", why);
    ok(bl_history_open(&h, &why, driver, params, BL_HISTORY_READ, pool) ==
           APR_EGENERAL,
       "nor for reading");
    remove(params);
    h = must_open(BL_HISTORY_WRITE);
    bl_history_begin(h);
    for (id = 1; id < 1000; id++) {
        bl_build_t build = build_of(id);

        bl_history_put(h, &build);
    }
    bl_history_commit(h);
    bl_history_close(&h);
    /* All but the first two pages: the tables are known, the rows are not. */
    stat(params, &info);
    spoil(8192, (size_t)info.st_size - 8192);
    h = must_open(BL_HISTORY_READ);
    ok(bl_history_keys(&keys, h, pool) == APR_EGENERAL, "damaged: no keys");
    printf("# %s\n", bl_history_why(h));
    bl_history_close(&h);
    remove(params);
    close(open(params, O_WRONLY | O_CREAT, 0600));
    ok(bl_history_open(&h, &why, driver, params, BL_HISTORY_READ, pool) ==
           APR_ENOENT,
       "an empty file: nothing there yet");
    h = must_open(BL_HISTORY_WRITE);
    ok(row_count(h) == 0, "and it can be written");
    bl_history_close(&h);
}

/* @return the exit status of run in a process of somebody else */
static int as_nobody(int (*run)(void), gid_t group)
{
    pid_t pid = fork();
    int status = -1;

    if (pid == 0) {
        if (getuid() == 0 && (setgroups(0, NULL) != 0 || setgid(group) != 0 ||
                              setuid(NOBODY) != 0))
            _exit(99);
        _exit(run());
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int read_only(void)
{
    bl_history_t *h = NULL;

    if (bl_history_open(&h, &why, driver, params, BL_HISTORY_WRITE, pool) !=
        APR_EGENERAL)
        return 1;
    printf("# %s\n", why);
    fflush(stdout);
    if (bl_history_open(&h, &why, driver, params, BL_HISTORY_READ, pool) !=
        APR_SUCCESS)
        return 2;
    return !is_there(h, 1);
}

static int no_new_file(void)
{
    bl_history_t *h = NULL;

    return bl_history_open(&h, &why, driver, params, BL_HISTORY_WRITE, pool) !=
           APR_EGENERAL;
}

static void test_read_only(void)
{
    bl_history_t *h = must_open(BL_HISTORY_WRITE);
    bl_build_t build = build_of(1);

    bl_history_put(h, &build);
    bl_history_close(&h);
    chmod(dir, 0555);
    chmod(params, 0444);
    is_u64((uint64_t)as_nobody(read_only, NOBODY), 0,
           "what cannot be written can be read");
    chmod(params, 0666);
    is_u64((uint64_t)as_nobody(read_only, NOBODY), 0,
           "nor can it in a directory that is read-only");
    chmod(dir, 0755);
    remove(params);
    chmod(dir, 0555);
    is_u64((uint64_t)as_nobody(no_new_file, NOBODY), 0,
           "and none is made there");
    chmod(dir, 0700);
}

static int read_while_written(void)
{
    bl_history_t *h = NULL;

    if (bl_history_open(&h, &why, driver, params, BL_HISTORY_READ, pool) !=
        APR_SUCCESS)
        return 1;
    return !is_there(h, 1) || is_there(h, 2);
}

/* httpd's children: another user, the same group. */
static void test_group(void)
{
    bl_history_t *h;
    bl_build_t one = build_of(1), two = build_of(2);

    if (getuid() != 0) {
        ok(1, "another user reads # SKIP not root");
        return;
    }
    umask(027);
    h = must_open(BL_HISTORY_WRITE);
    bl_history_put(h, &one);
    chmod(dir, 0750);
    bl_history_begin(h);
    bl_history_put(h, &two);
    /* The group of this directory is root's. */
    is_u64((uint64_t)as_nobody(read_while_written, 0), 0,
           "another user of the group reads, also while it is written");
    bl_history_commit(h);
    bl_history_close(&h);
    chmod(dir, 0700);
}

static void test_sqlite3(void)
{
    driver = "sqlite3";
    params = apr_pstrcat(pool, dir, "/history.db", NULL);
    test_file();
    test_journal();
    test_both();
    test_commit();
    test_locked();
    test_locked_shortly();
    test_corrupt();
    test_read_only();
    test_group();
    remove(params);
}

/* ---- pgsql ---------------------------------------------------------- */

static pid_t server;
static char server_dir[128];

static void server_start(void)
{
    const apr_dbd_driver_t *d;
    apr_dbd_t *handle;
    int looks;

    server = fork();
    if (server == 0) {
        execl("/bin/sh", "sh", "t/pg.sh", "run", server_dir, NULL);
        _exit(127);
    }
    for (looks = 0; looks < 600; looks++) {
        if (apr_dbd_get_driver(pool, "pgsql", &d) == APR_SUCCESS &&
            apr_dbd_open(d, pool, params, &handle) == APR_SUCCESS) {
            apr_dbd_close(d, handle);
            return;
        }
        if (waitpid(server, NULL, WNOHANG) != 0)
            break;
        usleep(100000);
    }
    printf("Bail out! no server in %s\n", server_dir);
    exit(1);
}

/* INT: fast; QUIT: as if it had crashed. */
static void server_stop(int sig)
{
    if (server <= 0)
        exit(1); /* no process is ever signalled as 0 or -1 */
    kill(server, sig);
    waitpid(server, NULL, 0);
}

static void test_lost(void)
{
    bl_history_t *h = must_open(BL_HISTORY_WRITE);
    bl_history_t *reader = must_open(BL_HISTORY_READ);
    bl_history_t *idle = must_open(BL_HISTORY_WRITE);
    bl_build_t one = build_of(1), two = build_of(2);
    const char *json;

    bl_history_put(h, &one);
    bl_history_begin(h);
    bl_history_put(h, &two);
    server_stop(SIGQUIT);
    ok(bl_history_put(h, &one) == APR_EGENERAL, "no server: no put");
    printf("# %s\n", bl_history_why(h));
    ok(bl_history_commit(h) == APR_EGENERAL, "no server: no commit");
    ok(bl_history_find(&json, reader, 1, pool) == APR_EGENERAL,
       "no server: no find");
    ok(bl_history_begin(idle) == APR_EGENERAL, "no server: no begin");
    printf("# %s\n", bl_history_why(idle));
    ok(bl_history_begin(idle) == APR_EGENERAL, "nor a second one");
    bl_history_close(&idle);
    ok(bl_history_open(&idle, &why, driver, params, BL_HISTORY_READ, pool) ==
           APR_EGENERAL,
       "no server: no open");
    printf("# %s\n", why);
    server_start();
    ok(bl_history_put(h, &one) == APR_EGENERAL, "what was lost stays lost");
    bl_history_close(&h);
    bl_history_close(&reader);
    h = must_open(BL_HISTORY_WRITE);
    ok(is_there(h, 1) && !is_there(h, 2),
       "opened again: what was committed is there, and nothing else");
    bl_history_close(&h);
}

static void test_server_locked(void)
{
    bl_history_t *h = must_open(BL_HISTORY_WRITE);
    other_t other = other_open(params);
    bl_build_t build = build_of(3);
    apr_time_t begun = apr_time_now();

    other_run(&other, "BEGIN");
    other_run(&other, "LOCK TABLE buildlog_builds IN ACCESS EXCLUSIVE MODE");
    ok(bl_history_put(h, &build) == APR_EGENERAL &&
           apr_time_now() - begun < LOCKED_TIME_MAX,
       "locked: no put, after a bounded time");
    printf("# %s, after %d ms\n", bl_history_why(h),
           (int)apr_time_as_msec(apr_time_now() - begun));
    other_run(&other, "ROLLBACK");
    ok(bl_history_put(h, &build) == APR_SUCCESS, "and unlocked it works");
    other_close(&other);
    bl_history_close(&h);
}

/* Somebody takes connections and says nothing: a server that hangs, a
 * firewall. */
static void test_silent(void)
{
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    bl_history_t *h = NULL;
    int fd = socket(AF_INET, SOCK_STREAM, 0), i;

    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&address, len) != 0 ||
        listen(fd, 5) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        printf("Bail out! no socket\n");
        exit(1);
    }
    for (i = 0; i < 3; i++) {
        static const char *const forms[][2] = {
            {"user=buildlog host=127.0.0.1 port=", ""},
            {"postgresql://buildlog@127.0.0.1:", "/x"},
            {"postgresql://buildlog@127.0.0.1:", "/x?sslmode=disable"}};
        const char *silent = apr_pstrcat(
            pool, forms[i][0], apr_itoa(pool, ntohs(address.sin_port)),
            forms[i][1], NULL);
        apr_time_t begun = apr_time_now();

        alarm(30);
        ok(bl_history_open(&h, &why, driver, silent, BL_HISTORY_READ, pool) ==
                   APR_EGENERAL &&
               apr_time_now() - begun < LOCKED_TIME_MAX,
           "a server that does not answer is not waited for: %s", silent);
        alarm(0);
        printf("# %s, after %d ms\n", why,
               (int)apr_time_as_msec(apr_time_now() - begun));
    }
    close(fd);
}

/* Two servers with one database would remove each other's rows. */
static void test_claim(void)
{
    bl_history_t *h = must_open(BL_HISTORY_WRITE);
    bl_history_t *other = must_open(BL_HISTORY_WRITE);
    apr_time_t begun;

    ok(bl_history_claim(h) == APR_SUCCESS, "claimed");
    begun = apr_time_now();
    ok(bl_history_claim(other) == APR_EGENERAL &&
           apr_time_now() - begun < LOCKED_TIME_MAX,
       "another does not get it, after a bounded time");
    ok(strstr(bl_history_why(other), "another server") != NULL, "it says so");
    printf("# %s\n", bl_history_why(other));
    bl_history_close(&h);
    ok(bl_history_claim(other) == APR_SUCCESS, "closed: another gets it");
    bl_history_close(&other);
}

static void test_latin(void)
{
    bl_history_t *h = NULL;

    do_outside("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' "
               "LC_CTYPE 'C' TEMPLATE template0");
    ok(bl_history_open(&h, &why, driver,
                       apr_psprintf(pool, "host=%s user=buildlog dbname=latin",
                                    server_dir),
                       BL_HISTORY_WRITE, pool) == APR_EGENERAL &&
           strstr(why, "LATIN1") != NULL,
       "a database in another encoding is refused");
    printf("# %s\n", why);
}

static void test_pgsql(void)
{
    char reason[128] = "t/pg.sh is not here";
    pid_t pid;
    FILE *check = popen("t/pg.sh check 2>&1", "r");

    if (check == NULL || fgets(reason, sizeof(reason), check) != NULL ||
        pclose(check) != 0) {
        reason[strcspn(reason, "\n")] = '\0';
        ok(1, "pgsql # SKIP %s", reason);
        return;
    }
    apr_snprintf(server_dir, sizeof(server_dir), "%s/pg-XXXXXX",
                 getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
    if (mkdtemp(server_dir) == NULL) {
        printf("Bail out! no directory %s\n", server_dir);
        exit(1);
    }
    driver = "pgsql";
    params = apr_psprintf(pool, "host=%s user=buildlog dbname=postgres",
                          server_dir);
    server_start();
    test_both();
    test_lost();
    test_server_locked();
    test_silent();
    test_claim();
    test_latin();
    server_stop(SIGINT);
    pid = fork();
    if (pid == 0) {
        execl("/bin/rm", "rm", "-rf", server_dir, NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");

    apr_initialize();
    apr_pool_create(&pool, NULL);
    if (tmp == NULL || strlen(tmp) > 60)
        tmp = "/tmp";
    apr_snprintf(dir, sizeof(dir), "%s/history_test-XXXXXX", tmp);
    if (mkdtemp(dir) == NULL) {
        printf("Bail out! no directory below %s\n", tmp);
        return 1;
    }
    test_sqlite3();
    rmdir(dir);
    test_pgsql();
    apr_terminate();
    return done_testing();
}

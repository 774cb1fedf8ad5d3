/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_test.c - no process sees a row that is half written (T3), no build is
 * forgotten unsaid (promise 1), no wake-up is lost, and no viewer comes in
 * above the limit, however many processes and threads go about it
 *
 * Other processes first: a fork is safe only while there is one thread.
 */
#include "bl_table.h"

/* libc */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
/* APR */
#include <apr_general.h>
#include <apr_strings.h>
#include <apr_time.h>

#include "tap.h"

/* Rows of the table over all; see bl_table.c. */
#define ROWS (BL_TABLE_LIVE_MAX + BL_TABLE_RECENT + 128)

#define ADD(x, n) __atomic_add_fetch(&(x), (n), __ATOMIC_SEQ_CST)
#define GET(x) __atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define PUT(x, v) __atomic_store_n(&(x), (v), __ATOMIC_SEQ_CST)

static apr_pool_t *pool;

/* Seen by all processes of the test. */
static struct {
    int stop;
    unsigned wrong;
    unsigned done;
    unsigned refused;
    unsigned inside;
    unsigned most;
    unsigned owner[64]; /* of a slot */
    uint64_t seen[8];   /* the watermark that each pump has seen */
    unsigned bytes[8];  /* wake-ups on their way to it */
    unsigned lost;
} * shared;

static void share(void)
{
    if (shared == NULL)
        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(shared, 0, sizeof(*shared));
}

static unsigned random_below(unsigned n)
{
    static __thread uint64_t state = 20261122;

    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % n;
}

static bl_table_t *table_new(int slots)
{
    bl_table_t *t = NULL;

    apr_pool_clear(pool);
    if (bl_table_create(&t, slots, pool) != APR_SUCCESS) {
        printf("Bail out! no shared memory\n");
        exit(1);
    }
    return t;
}

static pid_t start(void (*run)(bl_table_t *t, int n), bl_table_t *t, int n)
{
    pid_t pid = fork();

    if (pid == 0) {
        run(t, n);
        _exit(0);
    }
    return pid;
}

/* @return how many did not exit with 0 */
static unsigned join(const pid_t *pids, int count)
{
    unsigned bad = 0;
    int status;

    for (; count > 0; count--, pids++)
        bad += waitpid(*pids, &status, 0) != *pids || status != 0;
    return bad;
}

/* ---- rows ----------------------------------------------------------- */

static void test_row(void)
{
    bl_table_t *t = table_new(3);
    bl_table_row_t row;
    const char *project, *json;
    char *fits = apr_palloc(pool, BL_TABLE_JSON_MAX + 1);
    char *path = apr_palloc(pool, BL_TABLE_PROJECT_MAX + 1);
    int i = -1, j = -1;

    ok(bl_table_is_current(t) && bl_table_row_count(t) == 0 &&
           bl_slots_count(bl_table_slots(t)) == 3 &&
           bl_slots_viewers(bl_table_slots(t)) == 0 &&
           bl_table_runner(t) == 0 && bl_table_watermark(t) == 0,
       "a new table is empty");
    bl_table_set_runner(t, 4711);
    is_u64(bl_table_runner(t), 4711, "the runner's pid");
    is_u64(bl_table_row_add(t, &i, 42, "/srv/demo", "{\"id\":42}"),
           APR_SUCCESS, "add");
    ok(bl_table_row_count(t) == 1 &&
           bl_table_row_read(&row, t, i) == APR_SUCCESS && row.build == 42 &&
           row.row == i && !row.final && row.tail == 0 && row.last_id == 0,
       "a new row");
    bl_table_row_publish(t, i, 1234, 5678);
    bl_table_row_read(&row, t, i);
    ok(row.tail == 1234 && row.last_id == 5678, "T1: publish");
    ok(bl_table_row_text(&project, &json, t, i, 42, pool) == APR_SUCCESS &&
           strcmp(project, "/srv/demo") == 0 &&
           strcmp(json, "{\"id\":42}") == 0,
       "its texts");
    json = NULL;
    ok(bl_table_row_text(NULL, &json, t, i, 42, pool) == APR_SUCCESS &&
           bl_table_row_text(&project, NULL, t, i, 42, pool) == APR_SUCCESS &&
           strcmp(json, "{\"id\":42}") == 0,
       "or one of them");
    ok(bl_table_row_text(NULL, &json, t, i, 43, pool) == APR_NOTFOUND,
       "T3: not those of another build");
    is_u64(bl_table_row_set(t, i, 1, "{}"), APR_SUCCESS, "set");
    bl_table_row_read(&row, t, i);
    ok(row.final && row.tail == 1234 &&
           bl_table_row_text(NULL, &json, t, i, 42, pool) == APR_SUCCESS &&
           strcmp(json, "{}") == 0,
       "it has ended");

    memset(fits, 'j', BL_TABLE_JSON_MAX);
    fits[BL_TABLE_JSON_MAX] = '\0';
    memset(path, 'p', BL_TABLE_PROJECT_MAX);
    path[BL_TABLE_PROJECT_MAX] = '\0';
    ok(bl_table_row_set(t, i, 0, fits) == APR_ENAMETOOLONG &&
           bl_table_row_text(NULL, &json, t, i, 42, pool) == APR_SUCCESS &&
           strcmp(json, "{}") == 0,
       "a record too long changes nothing");
    ok(bl_table_row_add(t, &j, 43, "/p", fits) == APR_ENAMETOOLONG &&
           bl_table_row_add(t, &j, 43, path, "{}") == APR_ENAMETOOLONG &&
           bl_table_row_count(t) == 1,
       "nor does a build with one");
    fits[BL_TABLE_JSON_MAX - 1] = '\0';
    path[BL_TABLE_PROJECT_MAX - 1] = '\0';
    ok(bl_table_row_add(t, &j, 43, path, fits) == APR_SUCCESS &&
           bl_table_row_text(&project, &json, t, j, 43, pool) == APR_SUCCESS &&
           strcmp(project, path) == 0 && strcmp(json, fits) == 0,
       "the longest texts that fit");

    ok(bl_table_find(&row, t, 43, -1) == APR_SUCCESS && row.row == j &&
           bl_table_find(&row, t, 43, j) == APR_SUCCESS && row.row == j &&
           bl_table_find(&row, t, 43, i) == APR_SUCCESS && row.row == j &&
           bl_table_find(&row, t, 43, ROWS + 5) == APR_SUCCESS,
       "find, with a hint that is right, wrong or nonsense");
    ok(bl_table_find(&row, t, 44, i) == APR_NOTFOUND, "find nothing");
    bl_table_row_drop(t, j);
    ok(bl_table_row_read(&row, t, j) == APR_NOTFOUND &&
           bl_table_find(&row, t, 43, j) == APR_NOTFOUND &&
           bl_table_row_text(&project, &json, t, j, 43, pool) == APR_NOTFOUND,
       "a row that was dropped is empty");
}

static void test_reset(void)
{
    bl_table_t *t = table_new(2);
    bl_table_row_t row;
    int i, slot = bl_slots_claim(bl_table_slots(t), 99);

    bl_table_row_add(t, &i, 1, "/p", "{}");
    bl_slots_viewer_add(bl_table_slots(t), slot, BL_VIEWER_PARKED, 5);
    bl_table_set_last_id(t, 700);
    bl_table_set_forgotten(t, 300);
    bl_table_publish(t, 600);
    ok(bl_table_generation(t) == 0 && bl_table_new_generation(t) == 1 &&
           bl_table_generation(t) == 1,
       "configurations are counted");
    bl_table_reset(t);
    ok(bl_table_row_count(t) == 0 && bl_table_forgotten(t) == 0 &&
           bl_table_find(&row, t, 1, i) == APR_NOTFOUND,
       "reset forgets all rows");
    ok(bl_table_last_id(t) == 700 && bl_table_watermark(t) == 600 &&
           bl_slots_viewers(bl_table_slots(t)) == 1 &&
           bl_table_generation(t) == 1,
       "and keeps the ids, the watermark, the slots and the configuration");
}

/* A life of the server: builds begin and end, and what a viewer may still ask
 * for is there, or said to be forgotten. */
static void test_recycle(void)
{
    static struct {
        uint64_t build;
        bl_stamp_t last_id;
        int row;
        int final;
        int gone;
    } known[5000];
    bl_table_t *t = table_new(1);
    unsigned count = 0, live = 0, lost = 0, silent = 0, early = 0, bad = 0, i;
    bl_stamp_t id = 1000;
    bl_table_row_t row;

    while (count < 5000) {
        /* Begin one, and end some: now and then all but a few. */
        if (bl_table_row_add(t, &known[count].row, count + 1, "/p", "{}") !=
            APR_SUCCESS) {
            bad++;
            break;
        }
        known[count].build = count + 1;
        known[count].last_id = ++id;
        bl_table_row_publish(t, known[count].row, 1, id);
        count++;
        live++;
        while (live > 0 && (live > 700 || (count % 1000 > 900 && live > 2) ||
                            random_below(9) < 4)) {
            unsigned at = count - 1 - random_below(count < 900 ? count : 900);

            while (known[at].final)
                at = at == 0 ? count - 1 : at - 1;
            known[at].final = 1;
            known[at].last_id = ++id;
            bl_table_row_publish(t, known[at].row, 2, id);
            bl_table_row_set(t, known[at].row, 1, "{}");
            live--;
        }
        if (count % 50 == 0) {
            unsigned ended = 0, all_ended = 0;

            for (i = 0; i < count; i++) {
                int found = !known[i].gone &&
                            bl_table_find(&row, t, known[i].build,
                                          known[i].row) == APR_SUCCESS;

                known[i].gone = !found;
                all_ended += (unsigned)known[i].final;
                ended += found && known[i].final;
                lost += !found && !known[i].final;
                bad += found && (row.last_id != known[i].last_id ||
                                 row.final != known[i].final);
                silent += !found && known[i].last_id > bl_table_forgotten(t);
                early += found && known[i].final &&
                         known[i].last_id <= bl_table_forgotten(t);
            }
            bad += ended < (all_ended < BL_TABLE_RECENT ? all_ended
                                                        : BL_TABLE_RECENT - 1);
        }
    }
    is_u64(count, 5000, "many builds, one after the other");
    is_u64(lost, 0, "one that waits or runs is always there");
    is_u64(bad, 0, "and so are the latest that ended");
    is_u64(silent, 0, "the forgotten id is behind all that are gone");
    is_u64(early, 0, "and before all that are there");
}

static void test_full(void)
{
    bl_table_t *t = table_new(1);
    int row = -1, last = -1, i;
    unsigned count = 0;

    for (i = 0; i < BL_TABLE_RECENT; i++) {
        bl_table_row_add(t, &row, 100000 + (unsigned)i, "/p", "{}");
        bl_table_row_set(t, row, 1, "{}");
    }
    while (count < 2 * ROWS &&
           bl_table_row_add(t, &last, count + 1, "/p", "{}") == APR_SUCCESS)
        count++;
    ok(count >= BL_TABLE_LIVE_MAX && count <= ROWS,
       "as many live builds as promised (%u)", count);
    is_u64(bl_table_row_add(t, &row, 9999, "/p", "{}"), APR_ENOSPC,
           "then no more");
    bl_table_row_set(t, last, 1, "{}");
    ok(bl_table_row_add(t, &row, 9999, "/p", "{}") == APR_SUCCESS &&
           row == last,
       "until one ends");
    for (i = 0; i < 3000; i++) {
        bl_table_row_drop(t, row);
        if (bl_table_row_add(t, &row, 20000 + (unsigned)i, "/p", "{}") !=
            APR_SUCCESS)
            break;
    }
    is_u64((uint64_t)i, 3000, "rows that were dropped come back");
}

/* Builds are removed (BuildLogKeep), ended ones and, when one cannot be
 * stored, new ones: nothing else is forgotten for it, now or later. */
static void test_drop_ended(void)
{
    bl_table_t *t = table_new(1);
    unsigned count = 0, found = 0, first = 0, i;
    int rows[4096], row = -1;
    bl_table_row_t seen;

    for (i = 0; i < 3000; i++) {
        bl_table_row_add(t, &rows[count], count + 1, "/p", "{}");
        bl_table_row_publish(t, rows[count], 1, 1000 + count);
        bl_table_row_set(t, rows[count], 1, "{}");
        bl_table_row_set(t, rows[count], 1, "{}"); /* it ends but once */
        count++;
        if (count > 10)
            bl_table_row_drop(t, rows[first++]);
        bl_table_row_add(t, &row, 100000 + i, "/p", "{}");
        bl_table_row_drop(t, row);
    }
    is_u64(bl_table_forgotten(t), 0,
           "ended builds are removed, one for each new one");
    for (i = 0; i < BL_TABLE_RECENT - 10; i++) {
        bl_table_row_add(t, &rows[count], count + 1, "/p", "{}");
        bl_table_row_publish(t, rows[count], 1, 1000 + count);
        bl_table_row_set(t, rows[count], 1, "{}");
        count++;
    }
    for (i = first; i < count; i++)
        found += bl_table_find(&seen, t, i + 1, rows[i]) == APR_SUCCESS;
    is_u64(found, BL_TABLE_RECENT, "there is room for as many as before");
    is_u64(bl_table_forgotten(t), 0, "and none of them is forgotten");
    for (i = 0; i < 200; i++) {
        bl_table_row_add(t, &row, 200000 + i, "/p", "{}");
        bl_table_row_publish(t, row, 1, 10000 + i);
        bl_table_row_set(t, row, 1, "{}");
    }
    ok(bl_table_row_count(t) <= BL_TABLE_RECENT + 20 &&
           bl_table_forgotten(t) >= 1000 + count - 1,
       "then the oldest make room for new ones (%d rows)",
       bl_table_row_count(t));
    bl_table_row_drop(t, row);
    bl_table_row_drop(t, row);
    found = 0;
    for (i = 0; i < 200; i++)
        found += bl_table_find(&seen, t, 200000 + i, -1) == APR_SUCCESS;
    bl_table_row_add(t, &row, 300000, "/p", "{}");
    bl_table_row_set(t, row, 1, "{}");
    for (i = 0; i < 200; i++)
        found -= bl_table_find(&seen, t, 200000 + i, -1) == APR_SUCCESS;
    is_u64(found, 0, "a row that is dropped twice is dropped once");
}

/* ---- T3: texts while they change ------------------------------------ */

#define FIRST_FILLER 1000000000

/* All texts of a build are made of its letter, each of its own length. */
static void make_text(char *out, uint64_t build, size_t most)
{
    size_t len = 1 + (size_t)(build * 2654435761u % (most - 1));

    memset(out, (int)('a' + build % 26), len);
    out[len] = '\0';
}

static int is_text(const char *text, uint64_t build, size_t most)
{
    size_t len = strlen(text);

    return len == 1 + (size_t)(build * 2654435761u % (most - 1)) &&
           strspn(text, (char[]){(char)('a' + build % 26), '\0'}) == len;
}

static int add_build(bl_table_t *t, int at, uint64_t build)
{
    char project[BL_TABLE_PROJECT_MAX], json[BL_TABLE_JSON_MAX];
    int row = -1;

    make_text(project, build, sizeof(project) - 1);
    make_text(json, build, sizeof(json) - 1);
    return bl_table_row_add(t, &row, build, project, json) == APR_SUCCESS &&
           row == at && bl_table_row_set(t, at, 0, json) == APR_SUCCESS;
}

/* The row is one build after the other: dropped, or ended and replaced. */
static void change_row(bl_table_t *t, int at)
{
    char json[BL_TABLE_JSON_MAX];
    uint64_t build;

    bl_table_row_drop(t, at);
    for (build = 1; !GET(shared->stop); build++) {
        if (!add_build(t, at, build))
            ADD(shared->wrong, 1);
        bl_table_row_publish(t, at, (apr_off_t)build * 10, build * 10);
        /* A change is short, and what comes between two is long. */
        if (build % 4 == 0)
            usleep(100);
        if (build % 2 == 0) {
            make_text(json, build, sizeof(json) - 1);
            bl_table_row_set(t, at, 1, json);
        }
        else
            bl_table_row_drop(t, at);
    }
}

static void look_at_row(bl_table_t *t, int at)
{
    apr_pool_t *p;

    apr_pool_create(&p, NULL);
    while (!GET(shared->stop)) {
        const char *project, *json;
        bl_table_row_t row;

        apr_pool_clear(p);
        if (bl_table_row_read(&row, t, at) != APR_SUCCESS ||
            row.build >= FIRST_FILLER)
            continue;
        if (row.tail != 0 && (row.tail != (apr_off_t)row.build * 10 ||
                              row.last_id > row.build * 10))
            ADD(shared->wrong, 1);
        if (bl_table_row_text(&project, &json, t, at, row.build, p) !=
            APR_SUCCESS)
            continue;
        if (!is_text(project, row.build, BL_TABLE_PROJECT_MAX - 1) ||
            !is_text(json, row.build, BL_TABLE_JSON_MAX - 1))
            ADD(shared->wrong, 1);
        ADD(shared->done, 1);
    }
    apr_pool_destroy(p);
}

/* A table in which only one row can be taken. */
static bl_table_t *table_full(int *row)
{
    bl_table_t *t = table_new(1);
    unsigned i;

    for (i = 0; i < ROWS; i++)
        bl_table_row_add(t, row, FIRST_FILLER + i, "/p", "{}");
    return t;
}

/* For a while, and until they have seen enough: they may not have begun. */
static void let_them_see(void)
{
    apr_time_t deadline = apr_time_now() + apr_time_from_sec(60);

    usleep(300000);
    while (GET(shared->done) <= 50 && apr_time_now() < deadline)
        usleep(10000);
}

static void test_torn_processes(void)
{
    pid_t pids[3];
    int row = -1, i;
    bl_table_t *t = table_full(&row);

    share();
    for (i = 0; i < 2; i++)
        pids[i] = start(look_at_row, t, row);
    pids[2] = start(change_row, t, row);
    let_them_see();
    PUT(shared->stop, 1);
    is_u64(join(pids, 3), 0, "processes read a row while one changes it");
    is_u64(shared->wrong, 0, "T3: none has seen a torn text");
    ok(shared->done > 50, "and they saw some (%u)", shared->done);
}

typedef struct {
    bl_table_t *table;
    int n;
    void (*run)(bl_table_t *t, int n);
} thread_t;

static void *thread_main(void *baton)
{
    thread_t *thread = baton;

    thread->run(thread->table, thread->n);
    return NULL;
}

static void test_torn_threads(void)
{
    int row = -1, i;
    bl_table_t *t = table_full(&row);
    pthread_t ids[3];
    thread_t threads[3];

    share();
    for (i = 0; i < 3; i++) {
        threads[i].table = t;
        threads[i].n = row;
        threads[i].run = i < 2 ? look_at_row : change_row;
        pthread_create(&ids[i], NULL, thread_main, &threads[i]);
    }
    let_them_see();
    PUT(shared->stop, 1);
    for (i = 0; i < 3; i++)
        pthread_join(ids[i], NULL);
    is_u64(shared->wrong, 0, "T3: nor has a thread");
    ok(shared->done > 50, "and they saw some (%u)", shared->done);
}

static void change_for_ever(bl_table_t *t, int row)
{
    char json[BL_TABLE_JSON_MAX];
    unsigned n;

    for (n = 0;; n++) {
        make_text(json, n, sizeof(json) - 1);
        bl_table_row_set(t, row, 0, json);
    }
}

/* The runner is killed at any moment; a reader goes on, and the next runner
 * finds a table that it can use. */
static void test_killed_writer(void)
{
    bl_table_t *t = table_new(1);
    unsigned busy = 0, bad = 0, i;
    const char *json;
    bl_table_row_t row;
    int at = -1;

    for (i = 0; i < 100; i++) {
        pid_t pid;

        bl_table_row_add(t, &at, i + 1, "/p", "{}");
        pid = start(change_for_ever, t, at);
        usleep(500 + random_below(500));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        busy +=
            bl_table_row_text(NULL, &json, t, at, i + 1, pool) == APR_NOTFOUND;
        bad += bl_table_row_read(&row, t, at) != APR_SUCCESS;
        bl_table_reset(t);
        bad += bl_table_row_add(t, &at, i + 1, "/q", "{\"a\":1}") !=
                   APR_SUCCESS ||
               bl_table_row_read(&row, t, at) != APR_SUCCESS ||
               bl_table_row_text(NULL, &json, t, at, i + 1, pool) !=
                   APR_SUCCESS ||
               strcmp(json, "{\"a\":1}") != 0;
        bl_table_reset(t);
    }
    ok(busy > 0,
       "T3: the record of a row whose writer died cannot be read (%u times)",
       busy);
    is_u64(bad, 0, "and can be used again after a reset");
}

/* ---- slots ---------------------------------------------------------- */

static void claim_slots(bl_table_t *t, int n)
{
    unsigned me = (unsigned)getpid(), none;
    int i;

    for (i = 0; i < 3000; i++) {
        int slot = bl_slots_claim(bl_table_slots(t), me);

        if (slot < 0) {
            ADD(shared->refused, 1);
            continue;
        }
        none = 0;
        if (!__atomic_compare_exchange_n(&shared->owner[slot], &none, me, 0,
                                         __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            ADD(shared->wrong, 1);
        bl_slots_viewer_add(bl_table_slots(t), slot,
                            (bl_viewer_e)(i % BL_VIEWER_KINDS), 1000);
        if (i % 3 == 0)
            sched_yield();
        PUT(shared->owner[slot], 0);
        bl_slots_release(bl_table_slots(t), me);
        ADD(shared->done, 1);
    }
}

static void test_slots(void)
{
    bl_table_t *t = table_new(3);
    pid_t pids[6];
    int i, at = 0;

    share();
    for (i = 0; i < 6; i++)
        pids[i] = start(claim_slots, t, i);
    is_u64(join(pids, 6), 0, "six processes want one of three slots");
    is_u64(shared->wrong, 0, "no two ever have the same one");
    ok(shared->done > 1000, "and they had some (%u, %u were refused)",
       shared->done, shared->refused);
    is_u64(bl_slots_viewers(bl_table_slots(t)), 0,
           "a slot's viewers go with it");
    ok(bl_slots_claim(bl_table_slots(t), 1) == 0 &&
           bl_slots_claim(bl_table_slots(t), 2) == 1 &&
           bl_slots_claim(bl_table_slots(t), 3) == 2 &&
           bl_slots_claim(bl_table_slots(t), 4) == -1,
       "all slots are free afterwards, and then none");
    bl_slots_arm(bl_table_slots(t), 0);
    bl_slots_arm(bl_table_slots(t), 2);
    bl_slots_release(bl_table_slots(t), 3);
    ok(bl_slots_next_to_wake(bl_table_slots(t), &at) && at == 0 &&
           !bl_slots_next_to_wake(bl_table_slots(t), &at),
       "who sleeps is woken once; a slot that was given back is not");
    bl_slots_arm(bl_table_slots(t), 1);
    bl_slots_disarm(bl_table_slots(t), 1);
    at = 0;
    ok(!bl_slots_next_to_wake(bl_table_slots(t), &at),
       "who is awake is not woken");
    ok(bl_slots_claim(bl_table_slots(t), 5) == 2,
       "and it can be claimed again");
}

/* ---- viewers -------------------------------------------------------- */

#define VIEWERS_MOST 10

static void add_viewers(bl_table_t *t, int slot)
{
    int i;

    for (i = 0; i < 20000; i++) {
        unsigned now;

        bl_viewer_e kind = (bl_viewer_e)(i % BL_VIEWER_KINDS);

        if (bl_slots_viewer_add(bl_table_slots(t), slot, kind, VIEWERS_MOST) !=
            APR_SUCCESS) {
            ADD(shared->refused, 1);
            continue;
        }
        now = ADD(shared->inside, 1);
        if (now > VIEWERS_MOST)
            ADD(shared->wrong, 1);
        if (i % 64 == 0)
            usleep(1); /* so that they meet */
        ADD(shared->inside, -1u);
        bl_slots_viewer_remove(bl_table_slots(t), slot, kind);
        ADD(shared->done, 1);
    }
}

static void *add_viewers_thread(void *baton)
{
    bl_table_t *t = baton;

    add_viewers(t, 0);
    return NULL;
}

static void test_viewers(void)
{
    bl_table_t *t = table_new(16);
    pid_t pids[14];
    unsigned i, in = 0;

    for (i = 0; i < 30; i++)
        in += bl_slots_viewer_add(bl_table_slots(t), (int)(i % 16),
                                  (bl_viewer_e)(i % BL_VIEWER_KINDS),
                                  VIEWERS_MOST) == APR_SUCCESS;
    is_u64(in, VIEWERS_MOST, "as many viewers as may come, over all slots");
    is_u64(bl_slots_viewers(bl_table_slots(t)), VIEWERS_MOST, "are counted");
    is_u64(bl_slots_viewers_of(bl_table_slots(t), -1, BL_VIEWER_PARKED), 3,
           "each kind for itself");
    is_u64(bl_slots_viewers_of(bl_table_slots(t), 1, BL_VIEWER_PARKED), 1,
           "and each slot");
    is_u64(bl_slots_viewers_of(bl_table_slots(t), 1, BL_VIEWER_HELD), 0,
           "of each kind");
    is_u64(bl_slots_viewer_add(bl_table_slots(t), 0, BL_VIEWER_HELD, 0),
           APR_ENOSPC, "none when none may");

    t = table_new(16);
    share();
    for (i = 0; i < 14; i++)
        pids[i] = start(add_viewers, t, (int)i);
    is_u64(join(pids, 14), 0, "more processes than viewers that may come");
    is_u64(shared->wrong, 0, "never are there more");
    ok(shared->done > 10000 && shared->refused > 0,
       "some came (%u), some were refused (%u)", shared->done,
       shared->refused);
    is_u64(bl_slots_viewers(bl_table_slots(t)), 0, "and all are gone");
}

static void test_viewers_threads(void)
{
    bl_table_t *t = table_new(1);
    pthread_t ids[4];
    int i;

    share();
    for (i = 0; i < 4; i++)
        pthread_create(&ids[i], NULL, add_viewers_thread, t);
    for (i = 0; i < 4; i++)
        pthread_join(ids[i], NULL);
    is_u64(shared->wrong + bl_slots_viewers(bl_table_slots(t)), 0,
           "threads that share a slot: the same");
}

/* ---- sleeping and waking -------------------------------------------- */

#define ROUNDS 100000
#define PUMPS 1 /* more than processors would only take turns */
/* Who wakes may have been stopped in the moment before. */
#define LOST_TIME apr_time_from_sec(30)

/* So that one side comes now before, now behind and now beside the other:
 * what one processor tells the other is some 100 ns under way. */
static void wait_a_little(void)
{
    volatile unsigned n = random_below(200);

    while (n > 0)
        n--;
}

/* What the pump does, with a count in the place of its pipe: to sleep is to
 * wait for it. */
static void pump(bl_table_t *t, int slot)
{
    uint64_t seen = 0;

    while (seen < ROUNDS && GET(shared->lost) == 0) {
        apr_time_t deadline = 0;
        unsigned spins = 0;

        PUT(shared->seen[slot], seen);
        wait_a_little();
        bl_slots_arm(bl_table_slots(t), slot);
        if (bl_table_watermark(t) == seen) {
            while (GET(shared->bytes[slot]) == 0 && GET(shared->lost) == 0) {
                if (++spins % 64 != 0)
                    continue;
                sched_yield();
                if (deadline == 0)
                    deadline = apr_time_now() + LOST_TIME;
                else if (apr_time_now() > deadline)
                    ADD(shared->lost, 1);
            }
            ADD(shared->done, 1);
        }
        bl_slots_disarm(bl_table_slots(t), slot);
        PUT(shared->bytes[slot], 0);
        seen = bl_table_watermark(t);
    }
    PUT(shared->seen[slot], ROUNDS);
}

/* The runner publishes as soon as all have seen what it published before:
 * just then they lie down. */
static void publish(bl_table_t *t, int n)
{
    uint64_t round;

    for (round = 1; round <= ROUNDS && GET(shared->lost) == 0; round++) {
        unsigned spins = 0;
        int slot;

        wait_a_little();
        bl_table_publish(t, round);
        for (slot = 0; bl_slots_next_to_wake(bl_table_slots(t), &slot); slot++)
            ADD(shared->bytes[slot], 1);
        for (slot = 0; slot < PUMPS; slot++) {
            while (GET(shared->seen[slot]) < round && GET(shared->lost) == 0) {
                if (++spins % 64 == 0)
                    sched_yield();
            }
        }
    }
}

static void test_handshake(void)
{
    bl_table_t *t = table_new(PUMPS);
    pthread_t ids[PUMPS];
    thread_t threads[PUMPS];
    int i;

    share();
    for (i = 0; i < PUMPS; i++) {
        threads[i].table = t;
        threads[i].n = bl_slots_claim(bl_table_slots(t), (apr_uint32_t)i + 1);
        threads[i].run = pump;
        pthread_create(&ids[i], NULL, thread_main, &threads[i]);
    }
    publish(t, 0);
    for (i = 0; i < PUMPS; i++)
        pthread_join(ids[i], NULL);
    is_u64(shared->lost, 0, "no wake-up is lost in %d rounds", ROUNDS);
    ok(shared->done > 0, "and some slept (%u times)", shared->done);
}

/* ---- damage --------------------------------------------------------- */

/* The shared memory of the table that was made last. */
static unsigned char *memory_of_table(size_t *size)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned long from, to;
    unsigned char *found = NULL;
    char line[512], mode[8];

    *size = 0;
    while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
        if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) == 3 &&
            strcmp(mode, "rw-s") == 0 && to - from > *size) {
            found = (unsigned char *)from;
            *size = to - from;
        }
    }
    if (maps != NULL)
        fclose(maps);
    return found;
}

static void use_all(bl_table_t *t, int round)
{
    const char *project = NULL;
    bl_table_row_t row;
    int i, n = bl_table_row_count(t), slot = 0;

    for (i = 0; i < n; i++) {
        if (bl_table_row_read(&row, t, i) == APR_SUCCESS &&
            bl_table_row_text(&project, NULL, t, i, row.build, pool) ==
                APR_SUCCESS)
            ADD(shared->done, strlen(project) < BL_TABLE_PROJECT_MAX);
        ADD(shared->wrong, n > ROWS);
    }
    for (; bl_slots_next_to_wake(bl_table_slots(t), &slot); slot++)
        ADD(shared->wrong, slot < 0 || slot >= 4);
    bl_table_find(&row, t, (apr_uint64_t)round, round);
    bl_slots_viewers(bl_table_slots(t));
    bl_slots_release(bl_table_slots(t), (apr_uint32_t)round);
    i = bl_slots_claim(bl_table_slots(t), (apr_uint32_t)round + 1);
    ADD(shared->wrong, i < -1 || i >= 4);
    ADD(shared->wrong, bl_slots_count(bl_table_slots(t)) != 4);
    ADD(shared->wrong, bl_table_last_id(t) >= BL_STAMP_MAX);
    if (bl_table_row_add(t, &i, 5, "/srv/demo", "{}") == APR_SUCCESS) {
        ADD(shared->wrong, i < 0 || i >= ROWS);
        bl_table_row_set(t, i, 1, "{}");
        bl_table_row_drop(t, i);
    }
    bl_table_reset(t);
}

/* A child of httpd that was taken over may write what it likes; the parent,
 * which is root, and the runner use the same memory. */
static void test_damage(void)
{
    bl_table_t *t = table_new(4);
    unsigned round;
    size_t size, at;
    unsigned char *memory = memory_of_table(&size);
    pid_t pid;

    share();
    ok(memory != NULL && size > ROWS * 1024, "the memory of a table");
    for (round = 0; round < 60; round++) {
        /* All of it, or the head alone. */
        size_t end = round % 3 == 0 ? size : 4096;

        for (at = 0; at < end; at++)
            memory[at] = round < 2    ? 0xff
                         : round == 2 ? 0x7f
                                      : (unsigned char)random_below(256);
        pid = start(use_all, t, (int)round);
        if (join(&pid, 1) != 0)
            ADD(shared->lost, 1);
    }
    is_u64(shared->lost, 0, "whatever stands in it, nobody crashes");
    is_u64(shared->wrong, 0, "nor is led outside of it");
    ok(shared->done > 0, "and some of it was read (%u texts)", shared->done);
    bl_table_reset(t);
    is_u64((uint64_t)bl_table_row_count(t), 0, "a runner begins anew");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_row();
    test_reset();
    test_recycle();
    test_full();
    test_drop_ended();
    test_torn_processes();
    test_killed_writer();
    test_slots();
    test_viewers();
    test_torn_threads();
    test_viewers_threads();
    test_handshake();
    test_damage();
    apr_terminate();
    return done_testing();
}

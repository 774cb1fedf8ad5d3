/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_fault.c - the table when its writer dies at any instruction, and when
 * memory, pipes or their writing fail (promises 5, 6 and 7; T1 .. T3 of
 * bl_table.h)
 *
 * A process changes the table as a runner does. It is led from instruction to
 * instruction, and killed at the first, then at the second... Each time what
 * it left is looked at as httpd's children do: what is said of a build belongs
 * to it, nothing waits for ever. Then another runner takes the table over, and
 * all is as if nothing had been.
 */
#include "bl_table.h"

/* libc */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
/* APR */
#include <apr_general.h>
#include <apr_strings.h>
/* layer 1 */
#include "bl_wake.h"

#include "every.h"

#define SLOTS 3
#define BUILDS 3
/* Instructions of everything; more is an endless loop. */
#define STEPS_MOST 200000
/* So many are killed, each some instructions later than the one before. */
#define DEATHS 16

static apr_pool_t *pool;
static bl_table_t *table;

/* Of build n: all that is said of it names it. */
static const char *project_of(int n)
{
    static const char *const names[] = {"/srv/0", "/srv/a/1", "/srv/b/b/2",
                                        "/srv/c/c/c/3"};

    return names[n];
}

static const char *json_of(int n, int version)
{
    static char text[64];

    apr_snprintf(text, sizeof(text), "{\"id\":%d,\"version\":%d,\"id2\":%d}",
                 n, version, n);
    return text;
}

/* Instead of APR's: who waits for a record in change waits in vain here. */
void apr_sleep(apr_interval_time_t time)
{
}

/* ---- what a runner does ----------------------------------------------- */

static void be_a_runner(bl_table_t *t)
{
    bl_stamp_t id = bl_table_last_id(t);
    int row[BUILDS + 1], i, n, slot;

    bl_table_reset(t);
    bl_table_set_runner(t, 42);
    /* Never in the rows where they were before. */
    for (i = 0; i < BUILDS; i++) {
        n = 1 + (int)((id / BUILDS + (bl_stamp_t)i) % BUILDS);
        bl_table_row_add(t, &row[n], (apr_uint64_t)n, project_of(n),
                         json_of(n, 1));
    }
    for (n = 1; n <= BUILDS; n++) {
        bl_table_row_publish(t, row[n], 100 * n, ++id);
        bl_table_set_last_id(t, id);
        bl_table_publish(t, id);
        bl_table_row_set(t, row[n], n == 2, json_of(n, 2));
        for (slot = 0; bl_slots_next_to_wake(bl_table_slots(t), &slot); slot++)
            continue;
    }
    bl_table_set_last_id(t, id + BUILDS - id % BUILDS);
    for (n = 1; n <= BUILDS; n++)
        bl_table_row_drop(t, row[n]);
    for (i = 1; i <= BUILDS; i++) {
        n = 1 + (int)((id / BUILDS + (bl_stamp_t)i) % BUILDS);
        bl_table_row_add(t, &row[n], (apr_uint64_t)n, project_of(n),
                         json_of(n, 3));
    }
    bl_table_set_forgotten(t, id);
}

/* ---- what others see ---------------------------------------------------- */

static unsigned row_is_wrong(const bl_table_row_t *row, const char *when)
{
    const char *project = NULL, *json = NULL;
    int n = (int)row->build, id = 0, id2 = 0, version = 0;
    apr_status_t rv;

    if (n < 1 || n > BUILDS)
        return wrong("%s: a build %d", when, n);
    if (row->tail != 0 && row->tail != 100 * n)
        return wrong("%s: build %d has the tail of another", when, n);
    rv = bl_table_row_text(&project, NULL, table, row->row, row->build, pool);
    if (rv != APR_SUCCESS || strcmp(project, project_of(n)) != 0)
        return wrong("%s: build %d has the project of another", when, n);
    /* While its record is in change there may be none to be had. */
    rv = bl_table_row_text(NULL, &json, table, row->row, row->build, pool);
    if (rv == APR_SUCCESS &&
        (sscanf(json, "{\"id\":%d,\"version\":%d,\"id2\":%d}", &id, &version,
                &id2) != 3 ||
         id != n || id2 != n))
        return wrong("%s: build %d has the record %s", when, n, json);
    return 0;
}

static unsigned look(const char *when)
{
    unsigned bad = 0;
    int i, rows = bl_table_row_count(table);
    bl_table_row_t row;

    if (rows < 0 || rows > BUILDS)
        return wrong("%s: %d rows", when, rows);
    for (i = 0; i < rows; i++) {
        if (bl_table_row_read(&row, table, i) == APR_SUCCESS)
            bad += row_is_wrong(&row, when);
    }
    /* T2: the watermark is behind what is published. */
    if (bl_table_watermark(table) > bl_table_last_id(table))
        bad += wrong("%s: a watermark beyond the last id", when);
    return bad;
}

static unsigned all_is_there(void)
{
    unsigned bad = look("another runner");
    bl_table_row_t row;
    const char *json;
    int n;

    for (n = 1; n <= BUILDS; n++) {
        if (bl_table_find(&row, table, (apr_uint64_t)n, -1) != APR_SUCCESS ||
            bl_table_row_text(NULL, &json, table, row.row, row.build, pool) !=
                APR_SUCCESS)
            bad += wrong("another runner: build %d is not there", n);
    }
    if (bl_table_row_count(table) != BUILDS ||
        bl_slots_viewers(bl_table_slots(table)) != 1)
        bad += wrong("another runner: rows or viewers are not counted right");
    return bad;
}

/* ---- a death at each instruction -------------------------------------- */

/* A runner that waits for its tracer before it begins. */
static pid_t runner(void)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    alarm(60);
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    be_a_runner(table);
    _exit(0);
}

/* Lead it so many steps, then kill it.
 *
 * @param bad  NULL: nobody looks on the way
 * @return the steps that it took; -1: it cannot be traced here */
static long lead(long steps, unsigned *bad)
{
    bl_stamp_t mark = bl_table_watermark(table);
    pid_t pid = runner();
    int status = 0;
    long n = 0;

    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
        return -1;
    for (; n < steps; n++) {
        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) != 0)
            break;
        if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
            return n;
        if (bad == NULL || *bad >= EVERY_TOLD)
            continue;
        fault_plan()->at = n;
        apr_pool_clear(pool);
        *bad += look("on its way");
        if (bl_table_watermark(table) < mark)
            *bad += wrong("the watermark went back");
        mark = bl_table_watermark(table);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return n > 0 ? n : -1;
}

/* Two that take turns are faster on one processor. */
static void share_a_processor(void)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    sched_setaffinity(0, sizeof(one), &one);
}

static void test_deaths(void)
{
    unsigned bad = 0;
    long steps, at;

#ifdef __SANITIZE_ADDRESS__
    ok(1, "T1, T2, T3 # SKIP a sanitizer has too many instructions");
    return;
#endif
    share_a_processor();
    bl_slots_claim(bl_table_slots(table), 7);
    bl_slots_viewer_add(bl_table_slots(table), 0, BL_VIEWER_DETACHED, 10);
    be_a_runner(table);
    steps = lead(STEPS_MOST, &bad);
    if (steps < 0) {
        ok(1, "T1, T2, T3 # SKIP no process may be traced here");
        return;
    }
    ok(bad == 0 && steps > 1000 && steps < STEPS_MOST,
       "T2, T3: after each of the %ld instructions of a runner", steps);
    for (at = 1; at < steps && bad < EVERY_TOLD; at += steps / DEATHS) {
        lead(at, NULL);
        fault_plan()->at = at;
        bad += look("killed");
        be_a_runner(table);
        apr_pool_clear(pool);
        bad += all_is_there();
    }
    ok(bad == 0, "T1, T2, T3: one is killed, and the next begins");
}

/* ---- what the system refuses ------------------------------------------ */

static unsigned make_all(void)
{
    apr_pool_t *p;
    bl_table_t *t = NULL;
    bl_wake_t *wake = NULL;
    unsigned bad = 0;
    apr_size_t len = 2;
    int before, tries;
    char bytes[2];

    fault_rest();
    before = descriptors();
    fault_go_on();
    for (tries = 0; tries < 3; tries++) {
        /* APR has no more memory for pools, either. */
        if (apr_pool_create(&p, NULL) != APR_SUCCESS)
            continue;
        if (bl_table_create(&t, SLOTS, p) == APR_SUCCESS &&
            bl_wake_create(&wake, SLOTS, p) == APR_SUCCESS)
            break;
        apr_pool_destroy(p);
        wake = NULL;
    }
    if (wake == NULL)
        return wrong("neither table nor pipes");
    bl_wake_send(wake, 1);
    bl_wake_send(wake, 1);
    bl_wake_drain(wake, 1);
    fault_rest();
    /* Whatever failed: who is woken now wakes. */
    bl_wake_drain(wake, 1);
    bl_wake_send(wake, 1);
    if (apr_file_read(bl_wake_reader(wake, 1), bytes, &len) != APR_SUCCESS ||
        len != 1)
        bad += wrong("a wake-up is lost");
    bl_wake_keep(wake, -1);
    apr_pool_destroy(p);
    if (descriptors() != before)
        bad += wrong("%d descriptors, and not %d", descriptors(), before);
    return bad;
}

int main(void)
{
    static const seam_t seams[] = {
        {"mmap", "", ENOMEM, 1}, {"pipe", "", EMFILE, 1},
        {"write", "", EIO, 1},   {"write", "", EINTR, 3},
        {"read", "", EINTR, 2},  {"read", "", EIO, 1},
    };
    size_t i;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    if (bl_table_create(&table, SLOTS, pool) != APR_SUCCESS) {
        printf("Bail out! no table\n");
        return 1;
    }
    apr_pool_create(&pool, NULL);
    test_deaths();
    for (i = 0; i < sizeof(seams) / sizeof(seams[0]); i++)
        every(&seams[i], make_all);
    apr_terminate();
    return done_testing();
}

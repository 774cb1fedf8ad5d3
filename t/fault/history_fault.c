/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history_fault.c - the history, and an order on disk, when any call of the
 * system fails (promise 7; H1, H2, Y1, Y2)
 *
 * A database is made, gets builds in two transactions, and is read. Whatever
 * failed: a call says so and why, the rows are those before a transaction or
 * those after it, the file is sound, and after a new open all goes on. SQLite
 * itself calls the system through the library as we do.
 */
#include "bl_history.h"

/* libc */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* APR */
#include <apr_dbd.h>
#include <apr_general.h>
#include <apr_strings.h>
/* layer 1 */
#include "bl_spool.h"

#include "every.h"

#define BUILDS 40
#define TRIES 6

static bl_seal_key_t key; /* all zero: nothing here is secret */

static apr_pool_t *pool;
static char dir[64];
static const char *path;
static const char *why = "";

/* ---- what should be there --------------------------------------------- */

/* Step 0: nothing; 1: builds 1 .. BUILDS; 2: the odd ones, with new titles. */
static int stored;

static const char *title_of(apr_uint64_t id, int step)
{
    return apr_psprintf(pool, "title %d %0200d", (int)id, step);
}

static bl_build_t build_of(apr_uint64_t id, int step)
{
    bl_build_t build;

    memset(&build, 0, sizeof(build));
    build.id = id;
    build.project = "/srv/demo";
    build.title = title_of(id, step);
    build.state = BL_BUILD_SUCCEEDED;
    build.step = -1;
    build.created = APR_UINT64_C(1795341600000000) + id * 1000;
    build.started = build.created + 100;
    build.ended = build.started + 500;
    build.signal = BL_BUILD_NONE;
    return build;
}

/* What reading tells; -1: it failed, and said why. */
static int read_all(bl_history_t *h, unsigned *bad)
{
    bl_history_filter_t filter = {"/srv/demo", BL_HISTORY_ANY_STATE, 0, 100};
    int count = stored == 0 ? 0 : stored == 1 ? BUILDS : BUILDS / 2;
    apr_array_header_t *keys, *rows;
    apr_interval_time_t duration;
    const char *json;
    int n;

    why = "";
    if (bl_history_keys(&keys, h, pool) != APR_SUCCESS ||
        bl_history_list(&rows, h, &filter, pool) != APR_SUCCESS ||
        bl_history_average(&duration, &n, h, "/srv/demo") != APR_SUCCESS) {
        why = bl_history_why(h);
        return -1;
    }
    if (keys->nelts != count || rows->nelts != count)
        *bad += wrong("%d keys and %d rows, not %d", keys->nelts, rows->nelts,
                      count);
    if (n != (count > 10 ? 10 : count) || (n > 0 && duration != 500))
        *bad += wrong("an average of %d", n);
    if (stored == 0)
        return 0;
    if (bl_history_find(&json, h, 1, pool) != APR_SUCCESS) {
        why = bl_history_why(h);
        return -1;
    }
    if (strstr(json, title_of(1, stored)) == NULL)
        *bad += wrong("build 1 is that of another step: %s", json);
    return 0;
}

static bl_history_t *open_it(bl_history_mode_e mode)
{
    bl_history_t *h = NULL;

    why = "";
    if (bl_history_open(&h, &why, "sqlite3", path, mode, pool) == APR_SUCCESS)
        return h;
    return NULL;
}

/* A commit that failed in its last moment may have stored all. */
static void look_if_stored(bl_history_t *h, int step)
{
    apr_array_header_t *keys;

    if (bl_history_keys(&keys, h, pool) == APR_SUCCESS &&
        keys->nelts == (step == 1 ? BUILDS : BUILDS / 2))
        stored = step;
}

/* Without faults: is it sound, and as it should be?
 *
 * @param step  what was tried; 0: nothing */
static unsigned check(const char *when, int step)
{
    const apr_dbd_driver_t *driver;
    apr_dbd_results_t *results = NULL;
    apr_dbd_row_t *row = NULL;
    const char *text = NULL, *error = "";
    apr_dbd_t *handle = NULL;
    bl_history_t *h;
    unsigned bad = 0;

    fault_rest();
    h = open_it(BL_HISTORY_WRITE);
    if (h == NULL)
        return wrong("%s: it cannot be opened any more: %s", when, why);
    if (step > 0)
        look_if_stored(h, step);
    if (read_all(h, &bad) != 0)
        bad += wrong("%s: it cannot be read any more: %s", when, why);
    bl_history_close(&h);
    if (apr_dbd_get_driver(pool, "sqlite3", &driver) == APR_SUCCESS &&
        apr_dbd_open_ex(driver, pool, path, &handle, &error) == APR_SUCCESS) {
        if (apr_dbd_select(driver, pool, handle, &results,
                           "PRAGMA integrity_check", 1) == 0 &&
            apr_dbd_get_row(driver, pool, results, &row, -1) == 0)
            text = apr_dbd_get_entry(driver, row, 0);
        if (text == NULL || strcmp(text, "ok") != 0)
            bad += wrong("%s: the file is damaged: %s", when, text);
        apr_dbd_close(driver, handle);
    }
    fault_go_on();
    return bad;
}

/* ---- writing ---------------------------------------------------------- */

/* @return APR_SUCCESS: it is committed */
static apr_status_t transaction(bl_history_t *h, int step)
{
    apr_status_t rv = bl_history_begin(h);
    apr_uint64_t id;

    if (rv != APR_SUCCESS)
        return rv;
    for (id = 1; rv == APR_SUCCESS && id <= BUILDS; id++) {
        bl_build_t build = build_of(id, step);

        rv = step == 2 && id % 2 == 0 ? bl_history_remove(h, id)
                                      : bl_history_put(h, &build);
    }
    if (rv == APR_SUCCESS)
        return bl_history_commit(h);
    why = apr_pstrdup(pool, bl_history_why(h));
    bl_history_rollback(h);
    return rv;
}

static unsigned step_to(int step)
{
    unsigned bad = 0;
    int tries;

    for (tries = 0; tries < TRIES && stored < step; tries++) {
        bl_history_t *h = open_it(BL_HISTORY_WRITE);
        apr_status_t rv = APR_EGENERAL;

        if (h != NULL) {
            rv = bl_history_claim(h);
            if (rv == APR_SUCCESS)
                rv = transaction(h, step);
            why = apr_pstrdup(pool, bl_history_why(h));
        }
        if (rv == APR_SUCCESS)
            stored = step;
        else if (*why == '\0')
            bad += wrong("it fails, and does not say why");
        bl_history_close(&h);
        bad += check("after a try", step);
        if (bad > 0)
            break;
    }
    return stored == step ? bad : bad + wrong("never stored: %s", why);
}

static void remove_all(void)
{
    unlink(path);
    unlink(apr_pstrcat(pool, path, "-journal", NULL));
}

static unsigned write_it(void)
{
    unsigned bad;
    int before;

    fault_rest();
    remove_all();
    apr_pool_clear(pool);
    path = apr_pstrcat(pool, dir, "/history.db", NULL);
    stored = 0;
    before = descriptors();
    fault_go_on();
    bad = step_to(1);
    bad += step_to(2);
    fault_rest();
    if (descriptors() != before)
        bad += wrong("%d descriptors, and not %d", descriptors(), before);
    return bad;
}

/* ---- reading ---------------------------------------------------------- */

static unsigned read_it(void)
{
    unsigned bad = 0;
    int before, tries, got = -1;

    fault_rest();
    before = descriptors();
    fault_go_on();
    for (tries = 0; tries < TRIES && got != 0; tries++) {
        bl_history_t *h = open_it(BL_HISTORY_READ);

        if (h != NULL)
            got = read_all(h, &bad);
        if (got != 0 && *why == '\0')
            bad += wrong("it fails, and does not say why");
        bl_history_close(&h);
    }
    fault_rest();
    if (got != 0)
        bad += wrong("never read: %s", why);
    if (descriptors() != before)
        bad += wrong("%d descriptors, and not %d", descriptors(), before);
    return bad + check("after reading", 0);
}

/* ---- an order on disk -------------------------------------------------- */

static bl_order_t order_of(const char *title)
{
    static bl_wire_step_t step = {"one", "true"};
    bl_order_t order;

    memset(&order, 0, sizeof(order));
    order.project = "/srv/demo";
    order.title = title;
    order.step_count = 1;
    order.steps = &step;
    order.timeout = order.idle_timeout = 1;
    order.max_log = BL_WIRE_LOG_LEAST;
    return order;
}

/* One order or the other, whole; no other file stays. */
static unsigned spool_it(void)
{
    bl_order_t first = order_of("first"), second = order_of("second"), *got;
    apr_array_header_t *kept;
    const char *orders;
    unsigned bad = 0;
    int before, i;
    apr_status_t rv = APR_EINIT;

    fault_rest();
    apr_pool_clear(pool);
    orders = bl_spool_dir(dir, pool);
    before = descriptors();
    fault_go_on();
    for (i = 0; i < TRIES && rv != APR_SUCCESS; i++)
        rv = bl_spool_make(orders, pool);
    fault_rest();
    bl_spool_save(orders, 1, &first, &key, pool);
    fault_go_on();
    rv = bl_spool_save(orders, 1, &second, &key, pool);
    fault_rest();
    if (bl_spool_load(&got, orders, 1, &key, pool) != APR_SUCCESS ||
        strcmp(got->title, rv == APR_SUCCESS ? "second" : "first") != 0)
        bad += wrong("neither the order before nor the new one");
    if (access(apr_pstrcat(pool, orders, "/1.order.new", NULL), F_OK) == 0 &&
        strcmp(fault_plan()->call, "unlink") != 0)
        bad += wrong("half an order is left");
    fault_go_on();
    for (i = 0, rv = APR_EINIT; i < TRIES && rv != APR_SUCCESS; i++)
        rv = bl_spool_load(&got, orders, 1, &key, pool);
    if (rv != APR_SUCCESS)
        bad += wrong("an order that cannot be read");
    kept = apr_array_make(pool, 1, sizeof(apr_uint64_t));
    bl_spool_sweep(orders, kept, pool);
    bl_spool_remove(orders, 1, pool);
    fault_rest();
    bl_spool_sweep(orders, kept, pool);
    if (rmdir(orders) != 0)
        bad += wrong("orders are left");
    if (descriptors() != before)
        bad += wrong("%d descriptors, and not %d", descriptors(), before);
    return bad;
}

int main(void)
{
    static const seam_t writing[] = {
        {"open", "", EMFILE, 1},   {"open", "", EACCES, 1},
        {"pwrite", "", ENOSPC, 1}, {"pwrite", "", EIO, 1},
        {"pwrite", "", 0, 1},      {"pread", "", EIO, 1},
        {"fsync", "", EIO, 1},     {"unlink", "", EIO, 1},
        {"fstat", "", EIO, 1},     {"stat", "", EIO, 1},
        {"fcntl", "", EIO, 1},
    };
    static const seam_t reading[] = {
        {"open", "", EMFILE, 1}, {"pread", "", EIO, 1}, {"fstat", "", EIO, 1},
        {"stat", "", EIO, 1},    {"fcntl", "", EIO, 1},
    };
    static const seam_t spooling[] = {
        {"open", "", EMFILE, 1},  {"open", "", ENOSPC, 1},
        {"write", "", ENOSPC, 1}, {"write", "", 0, 1},
        {"rename", "", EIO, 1},   {"mkdir", "", ENOSPC, 1},
        {"read", "", EIO, 1},     {"opendir", "", EMFILE, 1},
        {"readdir", "", EIO, 1},  {"unlink", "", EIO, 1},
        {"fstat", "", EIO, 1},
    };
    size_t i;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    /* In memory, where a sync costs nothing. */
    strcpy(dir, "/dev/shm/history_fault-XXXXXX");
    if (access("/dev/shm", W_OK) != 0)
        strcpy(dir, "/tmp/history_fault-XXXXXX");
    if (mkdtemp(dir) == NULL || apr_dbd_init(pool) != APR_SUCCESS) {
        printf("Bail out! no directory or no apr_dbd\n");
        return 1;
    }
    apr_pool_create(&pool, NULL);
    path = "";
    for (i = 0; i < sizeof(writing) / sizeof(writing[0]); i++)
        every(&writing[i], write_it);
    fault_plan()->hits = 0;
    ok(write_it() == 0, "with all calls working");
    for (i = 0; i < sizeof(reading) / sizeof(reading[0]); i++)
        every(&reading[i], read_it);
    remove_all();
    for (i = 0; i < sizeof(spooling) / sizeof(spooling[0]); i++)
        every(&spooling[i], spool_it);
    rmdir(dir);
    apr_terminate();
    return done_testing();
}

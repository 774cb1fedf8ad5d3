/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_table.c - what runner and httpd children know of each other
 *
 * LAYOUT       head_t | counts | slots | row_t[ROWS] | text_t[ROWS]
 *              Rows are small and side by side, because a pump looks at all of
 *              them; their texts are apart, because it seldom needs one.
 * INVARIANTS   see bl_table.h
 * ORDER        tail, then last_id, then watermark are stored with release;
 *              readers load them with acquire, in the opposite order.
 */
#include "bl_table.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_shm.h>
#include <apr_strings.h>

#define TABLE_MAGIC                                                           \
    APR_UINT64_C(0x424c5441424c4505) /* "BLTABLE", version 5                  \
                                      */
#define CACHE_LINE 64
#define ROWS (BL_TABLE_LIVE_MAX + BL_TABLE_RECENT + 128)

/* A reader that finds a record in change waits so long and so often; the
 * change is a copy of a few kilobytes, or for ever when the runner died in it.
 */
#define READ_TRIES 100
#define READ_PAUSE apr_time_from_msec(1)

typedef struct {
    apr_uint64_t magic;
    apr_uint64_t watermark;
    apr_uint64_t last_id;
    apr_uint64_t forgotten;
    apr_uint32_t runner; /* pid; 0: no runner answers */
    apr_uint32_t rows;   /* high-water mark of rows in use; see rows_of */
    apr_uint32_t recent;
    apr_uint32_t epoch;      /* one more with each reset */
    apr_uint32_t generation; /* of httpd's configuration */
    char pad[12];
} head_t;

typedef struct {
    apr_uint32_t generation; /* odd: in change (T3) */
    apr_uint32_t final;
    apr_uint64_t build; /* 0: empty */
    apr_uint64_t tail;
    apr_uint64_t last_id;
    char pad[32];
} row_t;

/* In words: see text_store. */
typedef struct {
    apr_uint64_t project[BL_TABLE_PROJECT_MAX / 8];
    apr_uint64_t json[BL_TABLE_JSON_MAX / 8];
} text_t;

typedef char head_is_a_line[sizeof(head_t) == CACHE_LINE ? 1 : -1];
typedef char row_is_a_line[sizeof(row_t) == CACHE_LINE ? 1 : -1];
typedef char text_is_pages[sizeof(text_t) % 4096 == 0 ? 1 : -1];

/* Of each process its own: what the shared memory says of its size is believed
 * by nobody. Children of httpd can write to it, and the parent, who is root,
 * reads it. */
struct bl_table_t {
    head_t *head;
    bl_counts_t *counts;
    bl_slots_t *slots;
    row_t *rows;
    text_t *texts;
};

#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELEASE)
/* Within a change: its end is the release. */
#define SET(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)

/* Rows that are or were in use. */
static int rows_of(const bl_table_t *t)
{
    apr_uint32_t rows = LOAD(t->head->rows);

    return rows < ROWS ? (int)rows : ROWS;
}

/* ---- life ----------------------------------------------------------- */

apr_status_t bl_table_create(bl_table_t **out, int slots, apr_pool_t *p)
{
    apr_size_t size = sizeof(head_t) + bl_counts_size(slots) +
                      bl_slots_size(slots) +
                      ROWS * (sizeof(row_t) + sizeof(text_t));
    apr_shm_t *shm;
    bl_table_t *t;
    apr_size_t beyond;
    char *base;
    apr_status_t rv;

    rv = apr_shm_create(&shm, size + CACHE_LINE, NULL, p);
    if (rv != APR_SUCCESS)
        return rv;
    /* APR keeps a few bytes of its own at the beginning. */
    base = apr_shm_baseaddr_get(shm);
    beyond = (apr_uintptr_t)base % CACHE_LINE;
    base += beyond > 0 ? CACHE_LINE - beyond : 0;
    t = apr_pcalloc(p, sizeof(*t));
    t->head = (head_t *)base;
    base += sizeof(head_t);
    t->counts = (bl_counts_t *)base;
    base += bl_counts_size(slots);
    t->slots = bl_slots_at(base, slots, t->counts, p);
    base += bl_slots_size(slots);
    t->rows = (row_t *)base;
    t->texts = (text_t *)(t->rows + ROWS);
    /* Anonymous memory is zero, and pages not touched cost nothing. */
    t->head->magic = TABLE_MAGIC;
    *out = t;
    return APR_SUCCESS;
}

int bl_table_is_current(const bl_table_t *t)
{
    return t->head->magic == TABLE_MAGIC;
}

apr_uint32_t bl_table_new_generation(bl_table_t *t)
{
    return __atomic_add_fetch(&t->head->generation, 1, __ATOMIC_SEQ_CST);
}

/* ---- runner --------------------------------------------------------- */

static void row_change_begin(row_t *row)
{
    /* Odd already: the runner before died in a change of this row. */
    SET(row->generation, row->generation | 1);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void row_change_end(row_t *row)
{
    STORE(row->generation, row->generation + 1);
}

static void row_clear(row_t *row, apr_uint64_t build)
{
    SET(row->build, build);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    SET(row->final, 0);
    SET(row->tail, 0);
    SET(row->last_id, 0);
}

/* Readers may copy a text while it is changed, and throw the copy away: each
 * word is stored and loaded for itself, so that this is no data race. */
static void text_store(apr_uint64_t *to, const char *from, apr_size_t len)
{
    while (len > 0) {
        apr_uint64_t word = 0;
        apr_size_t n = len < sizeof(word) ? len : sizeof(word);

        memcpy(&word, from, n);
        SET(*to, word);
        to++;
        from += n;
        len -= n;
    }
}

void bl_table_reset(bl_table_t *t)
{
    int i, rows = rows_of(t);

    /* First: who saw a cleared row sees the new epoch too. */
    __atomic_add_fetch(&t->head->epoch, 1, __ATOMIC_SEQ_CST);
    for (i = 0; i < rows; i++) {
        row_change_begin(&t->rows[i]);
        row_clear(&t->rows[i], 0);
        row_change_end(&t->rows[i]);
    }
    t->head->recent = 0;
    STORE(t->head->rows, 0);
    STORE(t->head->forgotten, 0);
}

/* A row whose build was removed. First these: all who look at the table look
 * at all rows up to the last one that was ever in use. */
static int row_empty(const bl_table_t *t)
{
    int i, rows = rows_of(t);

    for (i = 0; i < rows; i++) {
        if (t->rows[i].build == 0)
            return i;
    }
    return -1;
}

/* The ended build whose last record is the oldest. */
static int row_to_reuse(const bl_table_t *t)
{
    int i, found = -1, rows = rows_of(t);

    for (i = 0; i < rows; i++) {
        if (!t->rows[i].final)
            continue;
        if (found < 0 || t->rows[i].last_id < t->rows[found].last_id)
            found = i;
    }
    return found;
}

apr_status_t bl_table_row_add(bl_table_t *t, int *out, apr_uint64_t build,
                              const char *project, const char *json)
{
    apr_size_t project_len = strlen(project), json_len = strlen(json);
    row_t *row;
    int i;

    if (project_len >= BL_TABLE_PROJECT_MAX || json_len >= BL_TABLE_JSON_MAX)
        return APR_ENAMETOOLONG;
    i = row_empty(t);
    if (i < 0 && rows_of(t) < ROWS && t->head->recent < BL_TABLE_RECENT)
        i = rows_of(t);
    else if (i < 0)
        i = row_to_reuse(t);
    if (i < 0)
        return APR_ENOSPC;

    row = &t->rows[i];
    if (row->build != 0) {
        if (row->last_id > t->head->forgotten)
            STORE(t->head->forgotten, row->last_id);
        t->head->recent--;
    }
    row_change_begin(row);
    row_clear(row, 0);
    text_store(t->texts[i].project, project, project_len + 1);
    text_store(t->texts[i].json, json, json_len + 1);
    /* Last: who finds the number finds all that belongs to it. */
    STORE(row->build, build);
    row_change_end(row);
    if (i >= rows_of(t))
        STORE(t->head->rows, (apr_uint32_t)i + 1);
    *out = i;
    return APR_SUCCESS;
}

apr_status_t bl_table_row_set(bl_table_t *t, int i, int final,
                              const char *json)
{
    row_t *row = &t->rows[i];
    apr_size_t len = strlen(json);

    row_change_begin(row);
    if (len < BL_TABLE_JSON_MAX)
        text_store(t->texts[i].json, json, len + 1);
    if (final && !row->final) {
        STORE(row->final, 1);
        t->head->recent++;
    }
    row_change_end(row);
    return len < BL_TABLE_JSON_MAX ? APR_SUCCESS : APR_ENAMETOOLONG;
}

void bl_table_row_drop(bl_table_t *t, int i)
{
    row_t *row = &t->rows[i];

    if (row->final)
        t->head->recent--;
    row_change_begin(row);
    row_clear(row, 0);
    row_change_end(row);
}

void bl_table_row_publish(bl_table_t *t, int i, apr_off_t tail,
                          bl_stamp_t last_id)
{
    STORE(t->rows[i].tail, (apr_uint64_t)tail);
    STORE(t->rows[i].last_id, last_id);
}

void bl_table_publish(bl_table_t *t, bl_stamp_t watermark)
{
    /* Full order: the armed flags are looked at after this store, as a pump
     * looks at the watermark after it has armed itself. One of them sees the
     * other (bl_slots.h). */
    __atomic_store_n(&t->head->watermark, watermark, __ATOMIC_SEQ_CST);
}

bl_stamp_t bl_table_last_id(const bl_table_t *t)
{
    bl_stamp_t id = LOAD(t->head->last_id);

    return id < BL_STAMP_MAX ? id : 0;
}

void bl_table_set_last_id(bl_table_t *t, bl_stamp_t id)
{
    STORE(t->head->last_id, id);
}

void bl_table_set_forgotten(bl_table_t *t, bl_stamp_t id)
{
    STORE(t->head->forgotten, id);
}

void bl_table_set_runner(bl_table_t *t, apr_uint32_t pid)
{
    STORE(t->head->runner, pid);
}

/* ---- readers -------------------------------------------------------- */

bl_counts_t *bl_table_counts(const bl_table_t *t)
{
    return t->counts;
}

bl_slots_t *bl_table_slots(const bl_table_t *t)
{
    return t->slots;
}

apr_uint32_t bl_table_runner(const bl_table_t *t)
{
    return LOAD(t->head->runner);
}

apr_uint32_t bl_table_generation(const bl_table_t *t)
{
    return LOAD(t->head->generation);
}

bl_stamp_t bl_table_watermark(const bl_table_t *t)
{
    return __atomic_load_n(&t->head->watermark, __ATOMIC_SEQ_CST);
}

bl_stamp_t bl_table_forgotten(const bl_table_t *t)
{
    return LOAD(t->head->forgotten);
}

int bl_table_row_count(const bl_table_t *t)
{
    return rows_of(t);
}

/* T3: has the row stood still since its generation was read? */
static int row_unchanged(const row_t *row, apr_uint32_t generation)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&row->generation, __ATOMIC_RELAXED) == generation;
}

/* Nobody waits here: the number of a build never comes again in an epoch, so
 * what was read between two looks at it belongs to it. A row whose texts are
 * in change, or were when its runner died, can be read all the same. */
apr_status_t bl_table_row_read(bl_table_row_t *out, const bl_table_t *t, int i)
{
    const row_t *row = &t->rows[i];

    for (;;) {
        apr_uint32_t epoch = LOAD(t->head->epoch);

        out->row = i;
        out->build = LOAD(row->build);
        if (out->build == 0)
            return APR_NOTFOUND;
        out->final = (int)LOAD(row->final);
        out->last_id = LOAD(row->last_id);
        out->tail = (apr_off_t)LOAD(row->tail);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (LOAD(row->build) == out->build && LOAD(t->head->epoch) == epoch)
            return APR_SUCCESS;
    }
}

apr_status_t bl_table_find(bl_table_row_t *out, const bl_table_t *t,
                           apr_uint64_t build, int hint)
{
    int i, rows = bl_table_row_count(t);

    if (hint >= 0 && hint < rows &&
        bl_table_row_read(out, t, hint) == APR_SUCCESS && out->build == build)
        return APR_SUCCESS;
    for (i = 0; i < rows; i++) {
        if (bl_table_row_read(out, t, i) == APR_SUCCESS && out->build == build)
            return APR_SUCCESS;
    }
    return APR_NOTFOUND;
}

static void text_load(char *to, const apr_uint64_t *from, apr_size_t size)
{
    apr_size_t i;

    for (i = 0; i < size; i += sizeof(*from)) {
        apr_uint64_t word =
            __atomic_load_n(&from[i / sizeof(*from)], __ATOMIC_RELAXED);

        memcpy(to + i, &word, sizeof(word));
    }
    /* Whoever damaged the memory, no reader runs past the end. */
    to[size - 1] = '\0';
}

apr_status_t bl_table_row_text(const char **project, const char **json,
                               const bl_table_t *t, int i, apr_uint64_t build,
                               apr_pool_t *p)
{
    const row_t *row = &t->rows[i];
    char *project_copy = NULL, *json_copy = NULL;
    int tries;

    if (project != NULL)
        project_copy = apr_palloc(p, BL_TABLE_PROJECT_MAX);
    if (json != NULL)
        json_copy = apr_palloc(p, BL_TABLE_JSON_MAX);

    for (tries = 0; tries < READ_TRIES; tries++) {
        apr_uint32_t generation = LOAD(row->generation);

        if (LOAD(row->build) != build)
            return APR_NOTFOUND;
        /* The project stays the same as long as the number; the record may be
         * in change. */
        if (json != NULL && (generation & 1) != 0) {
            apr_sleep(READ_PAUSE);
            continue;
        }
        if (project != NULL)
            text_load(project_copy, t->texts[i].project, BL_TABLE_PROJECT_MAX);
        if (json != NULL)
            text_load(json_copy, t->texts[i].json, BL_TABLE_JSON_MAX);
        if (json != NULL && !row_unchanged(row, generation))
            continue;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (LOAD(row->build) != build)
            return APR_NOTFOUND;
        if (project != NULL)
            *project = project_copy;
        if (json != NULL)
            *json = json_copy;
        return APR_SUCCESS;
    }
    return APR_NOTFOUND;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_recovery.c - what a new runner finds: the logs of those before it
 *
 * DIAGNOSTICS   BL0230 a build is lost, BL0231 a log cannot be used
 */
#include "bl_recovery.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_file_io.h>
#include <apr_strings.h>
/* layer 0 */
#include "bl_build.h"
#include "bl_diag.h"
#include "bl_middle.h"
#include "bl_tally.h"
#include "bl_words.h"
/* layer 1 */
#include "bl_log.h"
#include "bl_spool.h"
/* this side of layer 2 */
#include "bl_job.h"

/* A hole with less room than a note takes is none that a runner made. */
#define NOTE_ROOM 256

/* Processes of a build that was lost longer ago are not looked for: each
 * runner since has done it. */
#define LOST_TIME apr_time_from_sec(3600)

/* 2200-01-01. No clock of ours says more: what does is damage, and all ids
 * after it would be behind it for ever. */
#define LAST_ID_MOST APR_UINT64_C(7258118400000000)

typedef struct {
    apr_off_t tail;
    bl_stamp_t last_id;
    const char
        *end; /* JSON of the final record; NULL: the log has no end... */
    const char *unended; /* ...and this is told until it has; NULL: nothing */
} found_t;

typedef struct {
    bl_recovered_t *out;
    bl_host_t *host;
    apr_pool_t *pool; /* of what is left to do */
    int again;        /* orders that nobody waits for are cleared away */
} recovery_t;

static apr_status_t look(found_t *found, const char *dir, apr_uint64_t number,
                         apr_pool_t *p)
{
    bl_cursor_t *cursor;
    bl_record_t rec;
    apr_off_t size;
    apr_status_t rv;

    memset(found, 0, sizeof(*found));
    rv = bl_cursor_open(&cursor, dir, number, p);
    if (rv != APR_SUCCESS)
        return rv;
    rv = bl_cursor_size(&size, cursor);
    if (rv == APR_SUCCESS)
        rv = bl_cursor_last(&rec, cursor, size);
    if (rv == APR_SUCCESS && rec.id > LAST_ID_MOST)
        rv = APR_EGENERAL;
    if (rv == APR_SUCCESS) {
        found->tail = bl_cursor_offset(cursor);
        found->last_id = rec.id;
        if ((rec.flags & BL_REC_END) != 0)
            found->end = apr_pstrmemdup(p, rec.text, rec.len);
    }
    bl_cursor_close(&cursor);
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

/* What was left out of a log, and the note that its runner did not come to
 * write; len 0: nothing. */
typedef struct {
    bl_hole_t hole;
    bl_record_t note;
} missing_t;

/* The first id from *id on that no record of this log has, nor the id behind
 * it. */
static void pass_over(bl_stamp_t *id, const char *dir, apr_uint64_t number,
                      apr_pool_t *p)
{
    bl_cursor_t *cursor;
    bl_record_t rec;
    apr_off_t size;
    apr_status_t rv;

    if (bl_cursor_open(&cursor, dir, number, p) != APR_SUCCESS)
        return;
    rv = bl_cursor_size(&size, cursor);
    if (rv == APR_SUCCESS)
        rv = bl_cursor_seek(cursor, *id - 1, size);
    while (rv == APR_SUCCESS) {
        rv = bl_cursor_next(&rec, cursor, size);
        if (rv != APR_SUCCESS || rec.id > *id + 1)
            break;
        *id = rec.id + 1;
    }
    bl_cursor_close(&cursor);
}

/* An id between two records of a log that is nobody's. Its runner had taken
 * two for the note (bl_trim_next), and which is not known any more; but the
 * first two that no log has are not behind them.
 *
 * @return 0: there is none */
static bl_stamp_t free_id(const char *dir, bl_stamp_t before,
                          bl_stamp_t behind, apr_pool_t *p)
{
    bl_stamp_t id = before + 1, found;
    apr_array_header_t *list;
    apr_pool_t *scratch;
    int i;

    if (bl_log_list(&list, dir, p) != APR_SUCCESS)
        return 0;
    apr_pool_create(&scratch, p);
    do {
        found = id;
        for (i = 0; i < list->nelts; i++) {
            apr_pool_clear(scratch);
            pass_over(&id, dir, APR_ARRAY_IDX(list, i, apr_uint64_t), scratch);
        }
    } while (id != found && id < behind);
    apr_pool_destroy(scratch);
    return id < behind ? id : 0;
}

/* A record was read. @return 1: a hole without a note stands before it */
static int find_missing(missing_t *missing, const bl_cursor_t *cursor,
                        const char *dir, bl_stamp_t before,
                        const bl_record_t *rec, apr_pool_t *p)
{
    const bl_hole_t *hole = bl_cursor_skipped(cursor);
    bl_record_t *note = &missing->note;

    /* There is one at most. NULs without room for a note are damage. */
    if (hole == NULL || note->len != 0 || hole->to - hole->from < NOTE_ROOM)
        return 0;
    note->id = free_id(dir, before, rec->id, p);
    if (note->id == 0)
        return 0;
    missing->hole = *hole;
    note->stream = BL_STDOUT;
    note->flags = BL_REC_NOTE | BL_REC_GAP;
    note->text = bl_middle_text_of(hole->to - hole->from, p);
    note->len = strlen(note->text);
    return 1;
}

/* The build as its log tells it: the last record of it, and its lines. */
static apr_status_t replay(bl_build_t **out, bl_tally_t *tally,
                           missing_t *missing, const char *dir,
                           apr_uint64_t number, apr_pool_t *p)
{
    bl_build_t *build = NULL;
    bl_stamp_t before = 0;
    bl_cursor_t *cursor;
    bl_record_t rec;
    apr_off_t size;
    apr_status_t rv;

    rv = bl_cursor_open(&cursor, dir, number, p);
    if (rv != APR_SUCCESS)
        return rv;
    rv = bl_cursor_size(&size, cursor);
    while (rv == APR_SUCCESS) {
        rv = bl_cursor_next(&rec, cursor, size);
        if (rv != APR_SUCCESS)
            break;
        if (find_missing(missing, cursor, dir, before, &rec, p))
            bl_tally_add(tally, &missing->note);
        before = rec.id;
        bl_tally_add(tally, &rec);
        if ((rec.flags & BL_REC_BUILD) != 0)
            bl_build_from_json(&build, rec.text, rec.len, p);
    }
    bl_cursor_close(&cursor);
    if (rv != APR_EOF)
        return rv;
    /* One that says it is another's would have that one's log ended. */
    if (build == NULL || build->id != number)
        return APR_EGENERAL;
    *out = build;
    return APR_SUCCESS;
}

static void put(bl_host_t *host, bl_log_t *log, bl_tally_t *tally,
                unsigned flags, const char *text)
{
    bl_record_t rec;

    host->last_id = bl_stamp_next(host->last_id, host->now);
    rec.id = host->last_id;
    rec.stream = BL_STDOUT;
    rec.flags = BL_REC_NOTE | flags;
    rec.step = 0;
    rec.text = text;
    rec.len = strlen(text);
    bl_log_add(log, &rec);
    bl_tally_add(tally, &rec);
}

/* Write the end that a build did not live to see. */
static apr_status_t end_lost(found_t *found, bl_host_t *host,
                             bl_build_t *build, bl_tally_t *tally,
                             const missing_t *missing, const char *reason,
                             apr_pool_t *p)
{
    bl_log_t *log;
    apr_status_t rv;

    rv = bl_build_move(build, BL_BUILD_LOST);
    if (rv != APR_SUCCESS)
        return rv;
    rv = bl_log_reopen(&log, host->logs_dir, build->id, p);
    if (rv != APR_SUCCESS)
        return rv;
    if (missing->note.len > 0) {
        rv = bl_log_fill(log, &missing->hole, &missing->note);
        if (rv != APR_SUCCESS) {
            bl_log_close(&log);
            return rv;
        }
    }
    build->reason = reason;
    build->step = -1;
    build->position = 0;
    put(host, log, tally, 0, bl_words_last_line(build, NULL, p));
    bl_tally_finish(tally, build, p);
    build->ended = bl_stamp_next(host->last_id, host->now);
    found->end = bl_build_to_json(build, p);
    put(host, log, tally, BL_REC_END, found->end);
    rv = bl_log_commit(log);
    if (rv == APR_SUCCESS) {
        bl_counts_ended(bl_table_counts(host->table), BL_BUILD_LOST);
        found->tail = bl_log_tail(log);
        found->last_id = bl_log_last_id(log);
        bl_diag(BL_DIAG_WARNING, 0,
                "BL0230 build %" APR_UINT64_T_FMT " of %s is lost: %s",
                build->id, build->project, build->reason);
    }
    bl_log_close(&log);
    return rv;
}

/* Did it wait, and is its order there? Then nothing is lost.
 * @return NULL: so it is; why the build is lost */
static const char *why_lost(recovery_t *r, const bl_build_t *build)
{
    bl_order_t *order;
    bl_found_t *found;
    apr_status_t rv;

    if (build->started != 0)
        return "the runner ended while it was running";
    if (build->state != BL_BUILD_QUEUED || r->again)
        return "the runner ended while it was waiting";
    rv = bl_spool_load(&order, r->host->spool_dir, build->id, r->host->seal,
                       r->pool);
    if (rv == APR_EMISMATCH)
        return "the server ended while it was waiting, and the values of its "
               "BuildLogMask with it";
    if (rv != APR_SUCCESS)
        return "the runner ended while it was waiting";
    found = apr_array_push(r->out->waiting);
    found->build = bl_build_copy(build, r->pool);
    found->order = order;
    return NULL;
}

/* Once each: it may be tried again and again to end its log. */
static void add_lost(recovery_t *r, const bl_build_t *build)
{
    apr_array_header_t *lost = r->out->lost;
    int i;

    for (i = 0; i < lost->nelts; i++) {
        if (APR_ARRAY_IDX(lost, i, const bl_build_t *)->id == build->id)
            return;
    }
    APR_ARRAY_PUSH(lost, const bl_build_t *) = bl_build_copy(build, r->pool);
}

/* The runner that ended this log may have been killed before nothing of the
 * build ran any more. */
static void look_if_lost(recovery_t *r, const found_t *found, apr_pool_t *p)
{
    bl_build_t *build;

    if ((apr_time_t)found->last_id + LOST_TIME < r->host->now)
        return;
    if (bl_build_from_json(&build, found->end, strlen(found->end), p) ==
            APR_SUCCESS &&
        build->state == BL_BUILD_LOST && build->started != 0)
        add_lost(r, build);
}

/* What is told of a build whose end cannot be written: nobody who comes for it
 * is told that there is none. */
static const char *unended(const bl_build_t *before, apr_status_t why,
                           apr_pool_t *p)
{
    bl_build_t build = *before;
    char text[128];

    build.reason = apr_pstrcat(p, "waiting: its end cannot be written: ",
                               apr_strerror(why, text, sizeof(text)), NULL);
    return bl_build_to_json(&build, p);
}

/* A log without an end. @return APR_SUCCESS with found->end NULL: it waits */
static apr_status_t settle(found_t *found, recovery_t *r, apr_uint64_t number,
                           apr_pool_t *p)
{
    bl_tally_t *tally = bl_tally_create(p);
    missing_t missing;
    bl_build_t *build, *before;
    const char *why;
    apr_status_t rv;

    memset(&missing, 0, sizeof(missing));
    rv = replay(&build, tally, &missing, r->host->logs_dir, number, p);
    if (rv != APR_SUCCESS)
        return rv;
    why = why_lost(r, build);
    if (why == NULL)
        return APR_SUCCESS;
    /* Also when its log does not say that it ran: on a full disk it may have
     * begun all the same. */
    add_lost(r, build);
    before = bl_build_copy(build, p);
    rv = end_lost(found, r->host, build, tally, &missing, why, p);
    if (rv != APR_SUCCESS) {
        found->end = NULL;
        found->unended = unended(before, rv, p);
    }
    return rv;
}

/* Its row: from before its end, or a new one. */
static apr_status_t show(const found_t *found, bl_host_t *host,
                         apr_uint64_t number, apr_pool_t *p)
{
    int final = found->end != NULL;
    const char *json = final ? found->end : found->unended;
    bl_table_row_t known;
    bl_build_t *build;
    apr_status_t rv;
    int row;

    rv = bl_build_from_json(&build, json, strlen(json), p);
    /* An end that is none would be shown as running for ever. */
    if (rv == APR_SUCCESS && (bl_build_state_is_final(build->state) != final ||
                              build->id != number))
        rv = APR_EGENERAL;
    if (rv == APR_SUCCESS &&
        bl_table_find(&known, host->table, number, -1) == APR_SUCCESS)
        row = known.row;
    else if (rv == APR_SUCCESS)
        rv = bl_table_row_add(host->table, &row, number, build->project, json);
    if (rv == APR_SUCCESS)
        rv = bl_table_row_set(host->table, row, final, json);
    if (rv == APR_SUCCESS)
        bl_table_row_publish(host->table, row, found->tail, found->last_id);
    return rv;
}

static void forget(bl_host_t *host, bl_stamp_t id)
{
    if (id > bl_table_forgotten(host->table))
        bl_table_set_forgotten(host->table, id);
}

/* One log, whatever state it is in. @return APR_EGENERAL: nothing can be made
 * of it, now or later */
static apr_status_t recover(recovery_t *r, apr_uint64_t number, int recent,
                            apr_pool_t *p)
{
    bl_host_t *host = r->host;
    const char *path = bl_log_path(host->logs_dir, number, p);
    found_t found;
    apr_status_t rv;
    int has_row;

    rv = look(&found, host->logs_dir, number, p);
    if (rv == APR_SUCCESS && found.last_id == 0) {
        /* Made, and its runner died before the first record. */
        apr_file_remove(path, p);
        return APR_SUCCESS;
    }
    if (rv == APR_SUCCESS && found.end != NULL)
        look_if_lost(r, &found, p);
    if (rv == APR_SUCCESS && found.end == NULL) {
        rv = settle(&found, r, number, p);
        if (rv == APR_SUCCESS && found.end == NULL)
            return APR_SUCCESS;
    }
    if (rv == APR_SUCCESS)
        r->out->ended(r->out->baton, number, found.last_id);
    has_row = rv == APR_SUCCESS ? recent : found.unended != NULL;
    if (has_row) {
        apr_status_t shown = show(&found, host, number, p);

        has_row = shown == APR_SUCCESS;
        rv = rv == APR_SUCCESS ? shown : rv;
    }
    /* Without a row its records are told as a gap. */
    if (!has_row)
        forget(host, found.last_id);
    if (rv != APR_SUCCESS)
        bl_diag(BL_DIAG_WARNING, rv, "BL0231 %s cannot be used", path);
    return rv;
}

/* First all ids, so that what is written is behind them. */
static void find_last_id(recovery_t *r, const apr_array_header_t *list,
                         apr_pool_t *scratch)
{
    found_t found;
    int i;

    for (i = 0; i < list->nelts; i++) {
        r->out->last_build = APR_ARRAY_IDX(list, i, apr_uint64_t);
        apr_pool_clear(scratch);
        if (look(&found, r->host->logs_dir, r->out->last_build, scratch) ==
                APR_SUCCESS &&
            found.last_id > r->host->last_id)
            r->host->last_id = found.last_id;
    }
}

static apr_array_header_t *numbers_waiting(const bl_recovered_t *out,
                                           apr_pool_t *p)
{
    apr_array_header_t *numbers = apr_array_make(p, 16, sizeof(apr_uint64_t));
    int i;

    for (i = 0; i < out->waiting->nelts; i++)
        APR_ARRAY_PUSH(numbers, apr_uint64_t) =
            APR_ARRAY_IDX(out->waiting, i, bl_found_t).build->id;
    return numbers;
}

apr_status_t bl_recovery_run(bl_recovered_t *out, bl_host_t *host,
                             apr_pool_t *p)
{
    recovery_t r = {out, host, p, 0};
    apr_array_header_t *list;
    apr_pool_t *scratch;
    int i;
    apr_status_t rv;

    r.out->unended = apr_array_make(p, 4, sizeof(apr_uint64_t));
    r.out->waiting = apr_array_make(p, 4, sizeof(bl_found_t));
    r.out->lost = apr_array_make(p, 4, sizeof(bl_build_t *));
    rv = bl_log_list(&list, host->logs_dir, p);
    if (rv != APR_SUCCESS)
        return rv;
    apr_pool_create(&scratch, p);
    find_last_id(&r, list, scratch);
    for (i = 0; i < list->nelts; i++) {
        apr_uint64_t number = APR_ARRAY_IDX(list, i, apr_uint64_t);

        apr_pool_clear(scratch);
        rv = recover(&r, number, list->nelts - i <= BL_TABLE_RECENT, scratch);
        if (rv != APR_SUCCESS && rv != APR_EGENERAL)
            APR_ARRAY_PUSH(r.out->unended, apr_uint64_t) = number;
    }
    apr_pool_clear(scratch);
    bl_spool_sweep(host->spool_dir, numbers_waiting(r.out, scratch), scratch);
    apr_pool_destroy(scratch);
    return APR_SUCCESS;
}

void bl_recovery_give_up(bl_recovered_t *out, bl_host_t *host,
                         apr_uint64_t build)
{
    bl_spool_remove(host->spool_dir, build, out->unended->pool);
    APR_ARRAY_PUSH(out->unended, apr_uint64_t) = build;
}

void bl_recovery_retry(bl_recovered_t *out, bl_host_t *host)
{
    recovery_t r = {out, host, out->unended->pool, 1};
    apr_pool_t *scratch;
    int i, left = 0;

    apr_pool_create(&scratch, r.pool);
    for (i = 0; i < out->unended->nelts; i++) {
        apr_uint64_t number = APR_ARRAY_IDX(out->unended, i, apr_uint64_t);
        apr_status_t rv;

        apr_pool_clear(scratch);
        rv = recover(&r, number, 1, scratch);
        if (rv != APR_SUCCESS && rv != APR_EGENERAL)
            APR_ARRAY_IDX(out->unended, left++, apr_uint64_t) = number;
        host->changed = 1;
    }
    out->unended->nelts = left;
    apr_pool_destroy(scratch);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_trim.c - keeps the log of a build within its limit
 *
 * The digest of what is left cannot be had from that of everything. That of
 * the head is kept from the time when only the head was there; the latest
 * output is read again at the end.
 *
 * DIAGNOSTICS   BL0206 logs cannot be shortened here: once; BL0207 a log
 * cannot be read again
 */
#include "bl_trim.h"

/* libc */
#include <string.h>
/* layer 0 */
#include "bl_diag.h"
#include "bl_middle.h"

/* Of the log, read in a turn of the loop: some milliseconds. */
#define SLICE_BYTES (2 * 1024 * 1024)

struct bl_trim_t {
    apr_pool_t *pool;
    bl_host_t *host;
    bl_build_t *build;
    bl_log_t *log;
    bl_middle_t *middle;
    bl_stamp_t note_id;  /* nobody else has it; 0: no middle */
    bl_tally_t *kept;    /* of the head; then of all that is left */
    const char *note;    /* its text; NULL: not yet */
    bl_cursor_t *cursor; /* reads again; NULL: not yet */
    int settled;         /* begun: what is left stays */
};

bl_trim_t *bl_trim_create(bl_host_t *host, bl_build_t *build, bl_log_t *log,
                          apr_int64_t limit, apr_pool_t *p)
{
    bl_trim_t *t = apr_pcalloc(p, sizeof(*t));

    t->pool = p;
    t->host = host;
    t->build = build;
    t->log = log;
    t->middle = bl_middle_create(limit, p);
    return t;
}

void bl_trim_next(bl_trim_t *t, const bl_tally_t *all)
{
    bl_middle_at_t at;

    at.offset = bl_log_end(t->log);
    at.lines = t->build->lines;
    at.bytes = t->build->bytes;
    if (!bl_middle_next(t->middle, &at))
        return;
    t->kept = bl_tally_copy(all, t->pool);
    /* Should there be a note it stands here. Ids between two records are
     * another build's: so its own is taken now. And the one behind it: a
     * viewer that waits for the next record has the id before that as its
     * place, and a place at the note says that the note was seen. */
    t->note_id = bl_stamp_next(t->host->last_id, t->host->now);
    t->host->last_id = bl_stamp_next(t->note_id, t->host->now);
}

void bl_trim_shorten(bl_trim_t *t)
{
    bl_hole_t hole;
    apr_status_t rv;

    if (t->settled ||
        !bl_middle_due(&hole.from, &hole.to, t->middle, bl_log_tail(t->log)))
        return;
    rv = bl_log_punch(t->log, &hole);
    if (rv == APR_SUCCESS) {
        bl_middle_gone(t->middle, hole.to);
        return;
    }
    if (!t->host->no_holes)
        bl_diag(BL_DIAG_WARNING, rv,
                "BL0206 build %" APR_UINT64_T_FMT
                ": of its log in %s nothing can be left out; this log, and "
                "others, grow beyond BuildLogMaxLog",
                t->build->id, t->host->logs_dir);
    t->host->no_holes = 1;
}

int bl_trim_is_shorter(const bl_trim_t *t)
{
    bl_hole_t hole;

    return bl_middle_is(&hole.from, &hole.to, t->middle);
}

int bl_trim_took(const bl_trim_t *t, apr_off_t at)
{
    bl_hole_t hole;

    return bl_middle_is(&hole.from, &hole.to, t->middle) && at >= hole.from &&
           at < hole.to;
}

/* ---- the end -------------------------------------------------------- */

/* Made once: on a full disk it is tried again and again to write it. */
static const char *note_text(bl_trim_t *t)
{
    if (t->note == NULL)
        t->note = bl_middle_text(t->middle, t->pool);
    return t->note;
}

static apr_status_t write_note(bl_trim_t *t)
{
    bl_record_t note;
    bl_hole_t hole;
    apr_status_t rv;

    memset(&note, 0, sizeof(note));
    note.id = t->note_id;
    note.stream = BL_STDOUT;
    note.flags = BL_REC_NOTE | BL_REC_GAP;
    note.text = note_text(t);
    note.len = strlen(note.text);
    bl_middle_is(&hole.from, &hole.to, t->middle);
    rv = bl_log_fill(t->log, &hole, &note);
    if (rv == APR_SUCCESS)
        bl_tally_add(t->kept, &note);
    return rv;
}

/* Behind the note. */
static apr_status_t begin_reading(bl_trim_t *t)
{
    apr_status_t rv =
        bl_cursor_open(&t->cursor, t->host->logs_dir, t->build->id, t->pool);

    if (rv == APR_SUCCESS)
        rv = bl_cursor_seek(t->cursor, t->note_id, bl_log_tail(t->log));
    return rv;
}

/* @return APR_EOF: all is read; APR_SUCCESS: not yet; an I/O status */
static apr_status_t read_slice(bl_trim_t *t)
{
    apr_size_t bytes = 0;
    bl_record_t rec;

    while (bytes < SLICE_BYTES) {
        apr_status_t rv = bl_cursor_next(&rec, t->cursor, bl_log_tail(t->log));

        if (rv != APR_SUCCESS)
            return rv;
        bl_tally_add(t->kept, &rec);
        bytes += rec.len + BL_REC_OVERHEAD;
    }
    return APR_SUCCESS;
}

/* Everything but the digest is known without reading. */
static void settle_without_digest(bl_trim_t *t, apr_status_t why)
{
    apr_uint64_t note = strlen(note_text(t)) + 1;

    bl_diag(BL_DIAG_ERROR, why,
            "BL0207 build %" APR_UINT64_T_FMT
            ": its log in %s cannot be read again, its record has no sha256",
            t->build->id, t->host->logs_dir);
    t->build->lines -= bl_middle_lines(t->middle);
    t->build->lines += 1;
    t->build->bytes -= bl_middle_bytes(t->middle);
    t->build->bytes += note;
}

apr_status_t bl_trim_settle(bl_trim_t *t, bl_tally_t *all)
{
    apr_status_t rv;

    t->settled = 1;
    if (!bl_trim_is_shorter(t)) {
        bl_tally_finish(all, t->build, t->pool);
        return APR_SUCCESS;
    }
    if (t->cursor == NULL) {
        rv = write_note(t);
        if (rv != APR_SUCCESS)
            return rv;
        rv = begin_reading(t);
    }
    else
        rv = read_slice(t);
    if (rv == APR_SUCCESS)
        return APR_EAGAIN;
    if (rv == APR_EOF)
        bl_tally_finish(t->kept, t->build, t->pool);
    else
        settle_without_digest(t, rv);
    bl_cursor_close(&t->cursor);
    return APR_SUCCESS;
}

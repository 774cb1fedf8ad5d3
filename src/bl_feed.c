/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_feed.c - what viewers see: logs, read from an id on, as bytes
 *
 * A feed keeps readers at a few places; the one that was used longest ago is
 * given up for a new place. One of them follows the live end, the others serve
 * viewers that catch up. Where nobody comes any more, or all is told, a reader
 * is only open logs and their buffers: bl_feed_rest gives it up. Who comes
 * there later has a new one, which knows of no gap that was told: better one
 * is told twice than not at all.
 *
 * The chunks made last are kept in a ring, by the id they begin behind. A
 * viewer that is a little late finds its chunk there; one that is very late
 * makes a reader go back to its place in the logs. A chunk with the gap of a
 * hole is not found there: by the time of the next viewer the hole may have
 * its note. And when a build has ended, what was made while it ran is not: it
 * may hold lines that were left out since.
 *
 * ORDER         the watermark is read before the rows (T2 in bl_table.h), and
 *               only records up to it are taken: so the ids of several logs
 *               come out in their order
 */
#include "bl_feed.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_strings.h>
#include <apr_tables.h>
/* layer 0 */
#include "bl_diag.h"
#include "bl_view.h"
/* layer 1 */
#include "bl_log.h"
#include "bl_tick.h"
/* this side of layer 2 */
#include "bl_encoder.h"
#include "bl_reader.h"

/* A log that cannot be read is a matter of each turn, and told so often. */
#define COMPLAIN_TIME apr_time_from_sec(10)

#define PLACES 4
#define CHUNKS 32

/* What passing over a line costs besides its text, in bytes of a chunk. */
#define PASSED_LINE_BYTES 64

typedef struct {
    bl_reader_t *reader; /* NULL: not in use */
    bl_stamp_t gap_told; /* forgotten ids up to here were told */
    apr_uint64_t used;   /* when, in turns of the feed */
} place_t;

typedef struct {
    bl_stamp_t from;
    bl_chunk_t chunk;
    int filled;
    int passing; /* good for one viewer only */
} kept_chunk_t;

/* What the view says of the build in a row. */
typedef struct {
    apr_uint64_t build;
    bl_view_e decision;
} decided_t;

struct bl_feed_t {
    apr_pool_t *pool;
    apr_pool_t *scratch;
    bl_feed_spec_t spec;
    const char *logs_dir;
    const bl_table_t *table;
    apr_bucket_alloc_t *buckets;
    place_t places[PLACES];
    kept_chunk_t chunks[CHUNKS];
    int newest; /* of chunks */
    apr_uint64_t turns;
    apr_uint64_t rested;         /* turns, when it rested last */
    apr_array_header_t *decided; /* decided_t by row */
    int row;                     /* of the one build; -1: not known */
    bl_stamp_t file_last_id;     /* of a build without a row; 0: not looked */
    apr_off_t file_tail;
    int file_final;
    int ended;               /* the one build had, when we last looked */
    apr_time_t complain_due; /* by bl_tick_now: not before */
    int passing;             /* the chunk that is being made */
    apr_uint32_t lines;      /* whole ones in it */
    bl_encoder_t *encoder;   /* where a chunk is written */
    apr_size_t passed;       /* bytes of lines that are not in it */
    apr_bucket *ping;
    bl_stamp_t ping_at;
    apr_time_t ping_time;
};

/* ---- spec ----------------------------------------------------------- */

static int same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

int bl_feed_spec_equal(const bl_feed_spec_t *a, const bl_feed_spec_t *b)
{
    return a->build == b->build && a->format == b->format &&
           a->form == b->form && a->only_builds == b->only_builds &&
           a->flush == b->flush && a->ping == b->ping &&
           a->resumes == b->resumes &&
           same_text(a->time_format, b->time_format) &&
           same_text(a->view, b->view);
}

static bl_view_e decide(bl_feed_t *f, const bl_table_row_t *row)
{
    const char *project;
    decided_t *known;

    while (f->decided->nelts <= row->row)
        memset(apr_array_push(f->decided), 0, sizeof(decided_t));
    known = &APR_ARRAY_IDX(f->decided, row->row, decided_t);
    if (known->build == row->build)
        return known->decision;
    apr_pool_clear(f->scratch);
    if (bl_table_row_text(&project, NULL, f->table, row->row, row->build,
                          f->scratch) != APR_SUCCESS)
        return BL_VIEW_DENIED; /* the row is another one's by now */
    known->build = row->build;
    known->decision = bl_view_says(f->spec.view, project);
    return known->decision;
}

/* What was left out before the record that comes next is told. */
static void put_hole(bl_feed_t *f, apr_uint64_t build, const bl_reader_t *r,
                     const bl_record_t *rec)
{
    if (!bl_reader_skipped(r))
        return;
    bl_encoder_hole(f->encoder, build, bl_reader_at(r), rec,
                    f->spec.build != 0);
    f->passing = 1;
}

/* What else is left out is told before anything that came after it (R3). */
static void put_missing(bl_feed_t *f, bl_reader_t *r)
{
    bl_stamp_t from;

    if (!bl_reader_missing(r, &from))
        return;
    bl_encoder_gap(f->encoder, bl_reader_at(r), from);
    f->passing = 1;
}

/* @return 1: with this record the stream ends */
static int put_record(bl_feed_t *f, apr_uint64_t build, const bl_record_t *rec)
{
    if (f->spec.only_builds && BL_REC_IS_LINE(rec)) {
        f->passed += rec->len + PASSED_LINE_BYTES;
        return 0;
    }
    f->lines += BL_REC_IS_LINE(rec) && (rec->flags & BL_REC_PIECE) == 0;
    return bl_encoder_record(f->encoder, build, rec, f->spec.build != 0);
}

/* Lines that are left out count as if they were written: others wait no
 * longer for a chunk without them. */
static int is_full(const bl_feed_t *f)
{
    return bl_encoder_len(f->encoder) + f->passed >= BL_FEED_CHUNK_BYTES;
}

/* ---- readers -------------------------------------------------------- */

static place_t *place_at(bl_feed_t *f, bl_stamp_t at)
{
    place_t *oldest = &f->places[0];
    int i;

    f->turns++;
    for (i = 0; i < PLACES; i++) {
        place_t *place = &f->places[i];

        if (place->reader != NULL && bl_reader_at(place->reader) == at) {
            place->used = f->turns;
            return place;
        }
        if (place->used < oldest->used)
            oldest = place;
    }
    if (oldest->reader != NULL)
        bl_reader_destroy(&oldest->reader);
    oldest->reader = bl_reader_create(f->logs_dir, at, f->pool);
    oldest->gap_told = 0;
    oldest->used = f->turns;
    return oldest;
}

/* ---- one build ------------------------------------------------------ */

/* An old build without a row: its log will not grow. */
static apr_status_t look_at_file(bl_feed_t *f)
{
    bl_cursor_t *cursor;
    bl_record_t rec;
    apr_off_t size;
    apr_status_t rv;

    apr_pool_clear(f->scratch);
    rv = bl_cursor_open(&cursor, f->logs_dir, f->spec.build, f->scratch);
    if (rv != APR_SUCCESS)
        return rv;
    rv = bl_cursor_size(&size, cursor);
    if (rv == APR_SUCCESS)
        rv = bl_cursor_last(&rec, cursor, size);
    if (rv == APR_SUCCESS) {
        f->file_last_id = rec.id;
        f->file_tail = bl_cursor_offset(cursor);
        f->file_final = (rec.flags & BL_REC_END) != 0;
    }
    bl_cursor_close(&cursor);
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

static apr_status_t build_state(bl_table_row_t *row, bl_feed_t *f)
{
    apr_status_t rv;

    rv = bl_table_find(row, f->table, f->spec.build, f->row);
    if (rv == APR_SUCCESS) {
        f->row = row->row;
        return APR_SUCCESS;
    }
    /* One that has no end yet gets it when the next runner begins. */
    if (!f->file_final) {
        rv = look_at_file(f);
        if (rv != APR_SUCCESS)
            return rv;
    }
    memset(row, 0, sizeof(*row));
    row->build = f->spec.build;
    row->row = f->row = -1;
    row->final = f->file_final;
    row->last_id = f->file_last_id;
    row->tail = f->file_tail;
    return APR_SUCCESS;
}

static apr_status_t fill_build(bl_chunk_t *chunk, bl_feed_t *f, bl_reader_t *r)
{
    const bl_record_t *rec;
    bl_table_row_t row;
    apr_status_t rv;

    rv = build_state(&row, f);
    if (rv == APR_SUCCESS)
        rv = bl_reader_name(r, f->spec.build, row.tail, 0);
    if (APR_STATUS_IS_ENOENT(rv)) {
        /* It was removed (BuildLogKeep): who was in the middle is told. (In a
         * document there are no words for it.) */
        bl_encoder_gap(f->encoder, bl_reader_at(r), 0);
        chunk->then = BL_CHUNK_END;
        return APR_SUCCESS;
    }
    if (rv != APR_SUCCESS)
        return rv;
    while (!is_full(f) && chunk->then == BL_CHUNK_MORE &&
           bl_reader_peek(&rec, r, BL_STAMP_MAX) != 0) {
        put_hole(f, f->spec.build, r, rec);
        if (put_record(f, f->spec.build, rec))
            chunk->then = BL_CHUNK_END;
        bl_reader_take(r);
    }
    /* Who came back with the id of the end has nothing more to wait for. */
    if (row.final && bl_reader_at(r) >= row.last_id)
        chunk->then = BL_CHUNK_END;
    return APR_SUCCESS;
}

/* ---- all builds ----------------------------------------------------- */

static void complain(bl_feed_t *f, apr_uint64_t build, apr_status_t rv)
{
    apr_time_t now = bl_tick_now();

    if (now < f->complain_due)
        return;
    f->complain_due = now + COMPLAIN_TIME;
    bl_diag(BL_DIAG_ERROR, rv,
            "BL0301 the log of build %" APR_UINT64_T_FMT
            " in %s cannot be read for viewers of all builds",
            build, f->logs_dir);
}

static int is_shortage(apr_status_t rv)
{
    return APR_STATUS_IS_EMFILE(rv) || APR_STATUS_IS_ENFILE(rv);
}

/* Tell the reader which logs there are. *undecided is set when there is news
 * of a project that the view does not know.
 *
 * @return an error when a log that is there cannot be told or read: then
 *         nothing may be passed over */
static apr_status_t name_logs(int *undecided, bl_stamp_t *unreadable,
                              bl_feed_t *f, bl_reader_t *r)
{
    int i, rows = bl_table_row_count(f->table);

    for (i = 0; i < rows; i++) {
        bl_table_row_t row;
        apr_status_t rv;

        if (bl_table_row_read(&row, f->table, i) != APR_SUCCESS)
            continue;
        if (!bl_reader_has(r, row.build)) {
            bl_view_e decision;

            if (row.last_id <= bl_reader_at(r))
                continue;
            decision = decide(f, &row);
            if (decision == BL_VIEW_UNDECIDED)
                *undecided = 1;
            if (decision != BL_VIEW_ALLOWED)
                continue;
        }
        rv = bl_reader_name(r, row.build, row.tail, row.final);
        if (rv != APR_SUCCESS) {
            complain(f, row.build, rv);
            /* Without descriptors it is tried again; else the viewer is told
             * that something is missing, and the other logs go on. */
            if (is_shortage(rv))
                return rv;
            if (row.last_id > *unreadable)
                *unreadable = row.last_id;
        }
    }
    return APR_SUCCESS;
}

/* A log that could be opened cannot be read, or was removed before it was due:
 * nobody waits for it. What it has up to the watermark is passed over with the
 * others, so it is told before any of them. @return 1: it was told */
static int tell_unread(bl_feed_t *f, bl_reader_t *r, bl_stamp_t watermark)
{
    apr_uint64_t build;
    apr_status_t rv = bl_reader_status(r, &build);

    if (rv == APR_SUCCESS || is_shortage(rv))
        return 0;
    if (!APR_STATUS_IS_ENOENT(rv))
        complain(f, build, rv);
    bl_encoder_gap(f->encoder, bl_reader_at(r), watermark);
    return 1;
}

/* Descriptors are lacking. What else went wrong until that was seen has no
 * status: the gap of what is forgotten stands for it. */
static int is_held_up(place_t *place)
{
    apr_uint64_t failed;

    if (!is_shortage(bl_reader_status(place->reader, &failed)))
        return 0;
    place->gap_told = 0;
    return 1;
}

static void take_all(bl_feed_t *f, place_t *place, bl_stamp_t watermark)
{
    bl_reader_t *r = place->reader;
    const bl_record_t *rec;
    apr_uint64_t build = bl_reader_peek(&rec, r, watermark);
    int told = tell_unread(f, r, watermark);

    put_missing(f, r);
    while (build != 0 && !is_full(f)) {
        put_hole(f, build, r, rec);
        put_record(f, build, rec);
        bl_reader_take(r);
        build = bl_reader_peek(&rec, r, watermark);
        if (!told)
            told = tell_unread(f, r, watermark);
        put_missing(f, r);
    }
    /* What was left out is behind us too. */
    if (!is_held_up(place) && build == 0)
        bl_reader_move(r, watermark);
}

/* @return APR_EAGAIN: the rows are being made anew, nothing is known now */
static apr_status_t fill_all(bl_chunk_t *chunk, bl_feed_t *f, place_t *place)
{
    apr_uint32_t runner = bl_table_runner(f->table);
    bl_stamp_t watermark = bl_table_watermark(f->table); /* T2: first */
    bl_reader_t *r = place->reader;
    bl_stamp_t forgotten, begin = bl_reader_at(r), unreadable = 0;
    const bl_record_t *rec;
    apr_uint64_t failed, next;
    int undecided = 0;
    apr_status_t rv = name_logs(&undecided, &unreadable, f, r);

    /* A new runner forgets all rows before it fills them again: what is not
     * there now may be there soon, and must not be passed over. */
    if (runner == 0 || bl_table_runner(f->table) != runner)
        return APR_EAGAIN;
    if (rv != APR_SUCCESS)
        return rv;
    if (undecided && f->spec.resumes) {
        chunk->then = BL_CHUNK_AGAIN;
        return APR_SUCCESS;
    }
    forgotten = bl_table_forgotten(f->table);
    next = bl_reader_peek(&rec, r, watermark);
    if (is_held_up(place)) {
        rv = bl_reader_status(r, &failed);
        complain(f, failed, rv);
        return rv;
    }
    if (begin != 0 && forgotten > begin && forgotten > place->gap_told) {
        /* What is missing may stand among lines that come all the same. */
        bl_stamp_t from = next != 0 ? rec->id : watermark;

        bl_encoder_gap(f->encoder, begin,
                       from > forgotten ? from : forgotten + 1);
        place->gap_told = forgotten;
    }
    else if (unreadable > place->gap_told) {
        bl_encoder_gap(f->encoder, begin, watermark);
        place->gap_told = unreadable;
    }
    take_all(f, place, watermark);
    return APR_SUCCESS;
}

/* ---- chunks --------------------------------------------------------- */

static apr_bucket *written(bl_feed_t *f)
{
    return apr_bucket_heap_create(bl_encoder_bytes(f->encoder),
                                  bl_encoder_len(f->encoder), NULL,
                                  f->buckets);
}

static kept_chunk_t *chunk_find(bl_feed_t *f, bl_stamp_t from)
{
    int i, at = f->newest;

    for (i = 0; i < CHUNKS; i++) {
        kept_chunk_t *kept = &f->chunks[at];

        if (kept->filled && kept->from == from && !kept->passing)
            return kept;
        at = at == 0 ? CHUNKS - 1 : at - 1;
    }
    return NULL;
}

static void chunk_keep(bl_feed_t *f, bl_stamp_t from, const bl_chunk_t *chunk)
{
    kept_chunk_t *kept;

    f->newest = (f->newest + 1) % CHUNKS;
    kept = &f->chunks[f->newest];
    if (kept->filled && kept->chunk.bucket != NULL)
        apr_bucket_destroy(kept->chunk.bucket);
    kept->from = from;
    kept->chunk = *chunk;
    kept->filled = 1;
    kept->passing = f->passing;
}

static void chunks_forget(bl_feed_t *f)
{
    int i;

    for (i = 0; i < CHUNKS; i++) {
        if (f->chunks[i].filled && f->chunks[i].chunk.bucket != NULL)
            apr_bucket_destroy(f->chunks[i].chunk.bucket);
        f->chunks[i].filled = 0;
    }
}

/* From its end on a log is what it is, and so every viewer from then on shall
 * see it. Readers are given up too: they have blocks of it in their buffers.
 */
static void forget_running(bl_feed_t *f)
{
    bl_table_row_t row;
    int i;

    if (f->spec.build == 0 || f->ended ||
        build_state(&row, f) != APR_SUCCESS || !row.final)
        return;
    f->ended = 1;
    chunks_forget(f);
    for (i = 0; i < PLACES; i++) {
        if (f->places[i].reader != NULL)
            bl_reader_again(f->places[i].reader);
    }
}

int bl_feed_has_more(bl_feed_t *f, bl_stamp_t after)
{
    bl_table_row_t row;
    apr_status_t rv;

    if (f->spec.build == 0)
        return bl_table_watermark(f->table) > after;
    rv = build_state(&row, f);
    /* Who is at the end of what has ended is told to go; also who follows what
     * was removed. */
    return APR_STATUS_IS_ENOENT(rv) ||
           (rv == APR_SUCCESS && (row.last_id > after || row.final));
}

bl_stamp_t bl_feed_newest(bl_feed_t *f)
{
    bl_table_row_t row;

    if (f->spec.build == 0)
        return bl_table_watermark(f->table);
    return build_state(&row, f) == APR_SUCCESS ? row.last_id : 0;
}

apr_status_t bl_feed_next(bl_chunk_t *chunk, bl_feed_t *f, bl_stamp_t after)
{
    kept_chunk_t *kept;
    apr_status_t rv = APR_SUCCESS;
    apr_uint64_t failed;
    place_t *place;
    apr_size_t len;

    forget_running(f);
    kept = chunk_find(f, after);
    if (kept != NULL) {
        *chunk = kept->chunk;
        return APR_SUCCESS;
    }
    if (!bl_feed_has_more(f, after))
        return APR_EAGAIN;
    place = place_at(f, after);
    memset(chunk, 0, sizeof(*chunk));
    bl_encoder_clear(f->encoder);
    f->passed = 0;
    f->passing = 0;
    f->lines = 0;
    bl_reader_turn(place->reader);
    if (f->spec.build != 0)
        rv = fill_build(chunk, f, place->reader);
    else
        rv = fill_all(chunk, f, place);
    /* What was read before it went wrong is good. */
    len = bl_encoder_len(f->encoder);
    if (rv == APR_SUCCESS && len == 0)
        rv = bl_reader_status(place->reader, &failed);
    if (rv != APR_SUCCESS)
        return rv;
    chunk->to = bl_reader_at(place->reader);
    if (chunk->to == after && len == 0 && chunk->then == BL_CHUNK_MORE)
        return APR_EAGAIN;
    chunk->lines = f->lines;
    if (len > 0)
        chunk->bucket = written(f);
    chunk_keep(f, after, chunk);
    return APR_SUCCESS;
}

void bl_feed_rest(bl_feed_t *f)
{
    bl_stamp_t newest = bl_feed_newest(f);
    int i;

    for (i = 0; i < PLACES; i++) {
        place_t *place = &f->places[i];

        if (place->reader == NULL ||
            (place->used > f->rested && bl_reader_at(place->reader) < newest))
            continue;
        bl_reader_destroy(&place->reader);
        place->used = 0;
    }
    f->rested = f->turns;
}

apr_bucket *bl_feed_goodbye(bl_feed_t *f, apr_uint32_t retry_ms)
{
    bl_encoder_clear(f->encoder);
    bl_encoder_retry(f->encoder, retry_ms);
    return bl_encoder_len(f->encoder) > 0 ? written(f) : NULL;
}

apr_bucket *bl_feed_ping(bl_feed_t *f, bl_stamp_t at, apr_time_t now)
{
    if (f->ping != NULL && f->ping_at == at &&
        apr_time_sec(f->ping_time) == apr_time_sec(now))
        return f->ping;
    if (f->ping != NULL)
        apr_bucket_destroy(f->ping);
    bl_encoder_clear(f->encoder);
    bl_encoder_ping(f->encoder, at, now);
    f->ping = written(f);
    f->ping_at = at;
    f->ping_time = now;
    return f->ping;
}

/* ---- life ----------------------------------------------------------- */

bl_feed_t *bl_feed_create(const bl_feed_spec_t *spec, const char *logs_dir,
                          const bl_table_t *table, apr_bucket_alloc_t *buckets,
                          apr_pool_t *p)
{
    apr_pool_t *pool;
    bl_feed_t *f;

    apr_pool_create(&pool, p);
    f = apr_pcalloc(pool, sizeof(*f));
    f->pool = pool;
    apr_pool_create(&f->scratch, pool);
    f->spec = *spec;
    f->spec.time_format = apr_pstrdup(pool, spec->time_format);
    f->spec.view = apr_pstrdup(pool, spec->view);
    f->logs_dir = logs_dir;
    f->table = table;
    f->buckets = buckets;
    f->decided = apr_array_make(pool, 16, sizeof(decided_t));
    f->row = -1;
    f->encoder = bl_encoder_create(spec->form, spec->format, spec->time_format,
                                   2 * BL_FEED_CHUNK_BYTES, pool);
    return f;
}

const bl_feed_spec_t *bl_feed_spec(const bl_feed_t *f)
{
    return &f->spec;
}

void bl_feed_destroy(bl_feed_t **feed)
{
    bl_feed_t *f = *feed;

    *feed = NULL;
    chunks_forget(f);
    if (f->ping != NULL)
        apr_bucket_destroy(f->ping);
    apr_pool_destroy(f->pool);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_replay.c - GET .../builds/42/log?format=asciicast: a log as a recording
 */
#include "bl_replay.h"

/* APR */
#include <apr_strings.h>
/* httpd */
#include "mod_buildlog.h"
/* layer 0 */
#include "bl_cast.h"
#include "bl_middle.h"
/* pump side of layer 2 */
#include "bl_encoder.h"
/* layer 3 */
#include "bl_document.h"

/* Handed to httpd at a time. */
#define BLOCK_BYTES (32 * 1024)

/* Before the command in a step's first line. */
#define PROMPT "$ "

typedef struct {
    bl_encoder_t *out;
    const bl_build_t *end; /* NULL: not known */
    bl_stamp_t begin;
} replay_t;

/* What a step is called; of one that is not known, what it runs. */
static const char *label_of(const replay_t *replay, const bl_record_t *rec,
                            apr_size_t *len)
{
    const bl_build_t *end = replay->end;

    if (end != NULL && rec->step <= (unsigned)end->step_count) {
        *len = strlen(end->steps[rec->step - 1].name);
        return end->steps[rec->step - 1].name;
    }
    *len = rec->len;
    if (rec->len < strlen(PROMPT) ||
        memcmp(rec->text, PROMPT, strlen(PROMPT)) != 0)
        return rec->text;
    *len -= strlen(PROMPT);
    return rec->text + strlen(PROMPT);
}

static void put_line(replay_t *replay, const bl_record_t *rec)
{
    if (rec->step > 0) {
        apr_size_t len;
        const char *label = label_of(replay, rec, &len);
        char *at = bl_encoder_room(replay->out, bl_cast_event_max(len));

        bl_encoder_took(replay->out, bl_cast_marker(at, replay->begin, rec->id,
                                                    label, len));
    }
    bl_encoder_took(
        replay->out,
        bl_cast_line(bl_encoder_room(replay->out, bl_cast_event_max(rec->len)),
                     replay->begin, rec));
}

static void put_head(replay_t *replay, const bl_record_t *first,
                     const bl_table_row_t *row, apr_pool_t *p)
{
    const bl_build_t *end = replay->end;
    const char *title =
        apr_psprintf(p, "%s #%" APR_UINT64_T_FMT,
                     end != NULL ? end->title : "build", row->build);
    const char *head;

    replay->begin = first->id;
    head = bl_cast_head(
        title, replay->begin,
        end != NULL && end->ended > first->id ? end->ended - first->id : 0, p);
    bl_encoder_put(replay->out, head, strlen(head));
}

/* It begins with its first line: what a build waited nobody wants to wait. */
static void put_record(replay_t *replay, bl_cursor_t *cursor,
                       const bl_record_t *rec, const bl_table_row_t *row,
                       apr_pool_t *p)
{
    bl_record_t note;

    if (!BL_REC_IS_LINE(rec))
        return;
    if (replay->begin == 0)
        put_head(replay, rec, row, p);
    /* While it runs nothing in its log says what is left out of it. */
    if (!row->final && bl_cursor_skipped(cursor) != NULL) {
        bl_middle_record(&note, rec->id);
        put_line(replay, &note);
    }
    put_line(replay, rec);
}

apr_status_t bl_replay_send(request_rec *r, bl_cursor_t *cursor,
                            const bl_table_row_t *row, const bl_build_t *end)
{
    apr_status_t rv = APR_SUCCESS;
    replay_t replay = {NULL, end, 0};
    bl_record_t rec;

    replay.out = bl_encoder_create(BL_FORM_DOCUMENT, BL_SSE_JSON, NULL,
                                   2 * BLOCK_BYTES, r->pool);
    memset(&rec, 0, sizeof(rec));
    bl_cursor_set(cursor, 0);
    while (rv == APR_SUCCESS &&
           (rv = bl_cursor_next(&rec, cursor, row->tail)) == APR_SUCCESS) {
        put_record(&replay, cursor, &rec, row, r->pool);
        if (bl_encoder_len(replay.out) >= BLOCK_BYTES)
            rv = bl_document_write(r, replay.out);
    }
    if (rv != APR_EOF)
        return rv;
    /* A recording without an event is one. */
    if (replay.begin == 0)
        put_head(&replay, &rec, row, r->pool);
    return bl_document_write(r, replay.out);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_sheet.c - lines of a log as a part of a page
 *
 * LIMITS        what is not shown of a long line is read all the same
 */
#include "bl_sheet.h"

/* httpd */
#include "http_protocol.h"
#include "mod_buildlog.h"
/* layer 3 */
#include "bl_document.h"
#include "bl_frame.h"
#include "bl_seek.h"

/* The line that a stream is at: pieces of both streams come in turns. */
typedef struct {
    bl_html_t html;
    apr_size_t shown;
    apr_uint64_t hidden;
} line_t;

typedef struct {
    request_rec *r;
    bl_window_t *window;
    apr_uint64_t build;
    apr_size_t shown; /* bytes of text, all lines together */
    line_t line[2];   /* of each bl_stream_e */
} sheet_t;

/* ---- a line --------------------------------------------------------- */

/* How much of a record is shown, when this much of its line is already. */
static apr_size_t part_of(const bl_record_t *rec, apr_size_t shown)
{
    apr_size_t len = rec->len;

    if (len <= BL_SHEET_LINE_MOST - shown)
        return len;
    len = BL_SHEET_LINE_MOST - shown;
    /* Not in the middle of a character. */
    while (len > 0 && ((unsigned char)rec->text[len] & 0xC0) == 0x80)
        len--;
    return len;
}

static void tell_hidden(request_rec *r, line_t *line)
{
    if (line->hidden > 0)
        ap_rprintf(r,
                   "<span class=\"n\"> ... and %" APR_UINT64_T_FMT
                   " bytes more</span>",
                   line->hidden);
}

static void put_record(sheet_t *sheet, const bl_record_t *rec)
{
    request_rec *r = sheet->r;
    line_t *line = &sheet->line[rec->stream];
    apr_size_t len = line->hidden > 0 ? 0 : part_of(rec, line->shown);
    const char *name = (rec->flags & BL_REC_NOTE) != 0 ? "n"
                       : rec->stream == BL_STDERR      ? "e"
                                                       : NULL;

    if (name != NULL && len > 0)
        ap_rprintf(r, "<span class=\"%s\">", name);
    bl_frame_more(r, &line->html, rec->text, len);
    if (name != NULL && len > 0)
        bl_frame_put(r, "</span>");
    line->shown += len;
    line->hidden += rec->len - len;
    sheet->shown += len;
    if ((rec->flags & BL_REC_PIECE) != 0)
        return;
    tell_hidden(r, line);
    memset(line, 0, sizeof(*line));
    bl_frame_put(r, "\n");
}

/* ---- which lines ---------------------------------------------------- */

static apr_size_t takes(void *baton, const bl_record_t *rec, apr_size_t before)
{
    (void)baton;
    return part_of(rec, before);
}

/* ---- links ---------------------------------------------------------- */

static void put_link(sheet_t *sheet, apr_uint64_t first, apr_uint64_t count,
                     const char *text)
{
    ap_rprintf(sheet->r,
               "<a href=\"%" APR_UINT64_T_FMT "?first=%" APR_UINT64_T_FMT
               "&amp;count=%" APR_UINT64_T_FMT "\">%s</a> ",
               sheet->build, first, count, text);
}

static void put_links_before(sheet_t *sheet, apr_uint64_t first)
{
    apr_uint64_t count = first > BL_SHEET_LINES ? BL_SHEET_LINES : first - 1;

    if (first <= 1)
        return;
    ap_rprintf(sheet->r, "<p class=\"l\">From line %" APR_UINT64_T_FMT " ",
               first);
    put_link(sheet, 1, BL_SHEET_LINES, "First lines");
    put_link(sheet, first - count, count, "Earlier lines");
    bl_frame_put(sheet->r, "</p>\n");
}

static void put_links_behind(sheet_t *sheet, apr_uint64_t next)
{
    bl_frame_put(sheet->r, "<p class=\"l\">");
    put_link(sheet, next, BL_SHEET_LINES, "Later lines");
    ap_rprintf(sheet->r,
               "<a href=\"%" APR_UINT64_T_FMT "?last=%d\">Last lines</a>"
               "</p>\n",
               sheet->build, BL_SHEET_LINES);
}

/* ---- all of it ------------------------------------------------------ */

/* @param end  the number behind the last that is wanted */
static apr_status_t put_lines(sheet_t *sheet, apr_uint64_t first,
                              apr_uint64_t end)
{
    apr_status_t rv = APR_SUCCESS;
    apr_uint64_t number;
    bl_record_t rec;
    int i, is_whole = 1; /* a line in pieces is not parted */

    put_links_before(sheet, first);
    bl_frame_put(sheet->r, "<pre>\n");
    while (rv == APR_SUCCESS && !sheet->r->connection->aborted &&
           !(is_whole && sheet->shown >= BL_SHEET_BYTES_MOST) &&
           bl_window_number(sheet->window) < end) {
        rv = bl_window_next(&rec, &number, sheet->window);
        if (rv != APR_SUCCESS)
            break;
        put_record(sheet, &rec);
        is_whole = (rec.flags & BL_REC_PIECE) == 0;
    }
    for (i = 0; i < 2; i++)
        tell_hidden(sheet->r, &sheet->line[i]);
    bl_frame_put(sheet->r, "</pre>\n");
    if (rv == APR_SUCCESS)
        put_links_behind(sheet, bl_window_number(sheet->window));
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

static void put_log(request_rec *r, bl_cursor_t *cursor,
                    const bl_query_lines_t *query, const bl_table_row_t *row)
{
    const bl_build_t *end = bl_document_end(cursor, row, r->pool);
    sheet_t sheet = {.r = r, .build = row->build};
    apr_uint64_t first;
    apr_status_t rv = bl_seek_window(&sheet.window, &first, cursor, row, end,
                                     query, r->pool);

    if (rv == APR_SUCCESS && query->first == 0 &&
        bl_window_left(sheet.window) > BL_SHEET_BYTES_MOST)
        rv = bl_window_fit(&first, sheet.window, query->count,
                           BL_SHEET_BYTES_MOST, takes, NULL, r->pool);
    if (rv == APR_SUCCESS)
        /* The last ones: to the tail, also a line that has no end yet. */
        rv = put_lines(&sheet, first,
                       query->first != 0 ? first + query->count
                                         : APR_UINT64_MAX);
    if (rv != APR_SUCCESS)
        bl_document_broken(r, rv, row->build);
}

void bl_sheet_put(request_rec *r, const bl_query_lines_t *query,
                  const bl_table_row_t *row)
{
    bl_cursor_t *cursor;
    const char *detail;

    bl_frame_put(r, "<h2>Log</h2>\n");
    if (bl_document_open(&cursor, &detail, r, row->build) == OK) {
        put_log(r, cursor, query, row);
        return;
    }
    bl_frame_put(r, "<p>");
    bl_frame_text(r, detail);
    bl_frame_put(r, "</p>\n");
}

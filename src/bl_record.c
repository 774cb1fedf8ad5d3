/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_record.c - one record of a log: the CRI container log format
 *
 * FORMAT        see bl_record.h
 * INVARIANTS    decode(encode(x)) is x, for each x as R1 wants it
 * LIMITS        the text is not looked at when it is read: a log that someone
 *               damaged stays readable, and what goes to the wire is made safe
 *               there (E2 in bl_sse.h)
 */
#include "bl_record.h"

/* system */
#include <string.h>

/* The longest tags that encode writes: "F:note:cr:build:end:gap:s999". */
#define TAGS_MAX 28

/* Both have the length of the other: a stream and its two blanks. */
#define STREAM_LEN 8

_Static_assert(BL_STAMP_TEXT_LEN + STREAM_LEN + TAGS_MAX + sizeof(" \n") - 1 <=
                   BL_REC_OVERHEAD,
               "callers make room for BL_REC_OVERHEAD");

static const struct {
    unsigned flag;
    const char *name;
    apr_size_t len;
} tags[] = {
    {BL_REC_NOTE, "note", 4},   {BL_REC_CR, "cr", 2},
    {BL_REC_BUILD, "build", 5}, {BL_REC_END, "end", 3},
    {BL_REC_GAP, "gap", 3},
};

#define TAG_COUNT (sizeof(tags) / sizeof(tags[0]))

/* ---- write ---------------------------------------------------------- */

static char *put_step(char *out, unsigned step)
{
    *out++ = ':';
    *out++ = 's';
    if (step >= 100)
        *out++ = (char)('0' + step / 100);
    if (step >= 10)
        *out++ = (char)('0' + step / 10 % 10);
    *out++ = (char)('0' + step % 10);
    return out;
}

static char *put_tags(char *out, const bl_record_t *rec)
{
    apr_size_t i;

    *out++ = (rec->flags & BL_REC_PIECE) != 0 ? 'P' : 'F';
    for (i = 0; i < TAG_COUNT; i++) {
        if ((rec->flags & tags[i].flag) != 0) {
            *out++ = ':';
            memcpy(out, tags[i].name, tags[i].len);
            out += tags[i].len;
        }
    }
    /* A step out of range would be no tag to any reader. */
    if (rec->step >= 1 && rec->step <= BL_REC_STEP_MAX)
        out = put_step(out, rec->step);
    return out;
}

apr_size_t bl_record_encode(char *out, const bl_record_t *rec)
{
    char *end = out;

    bl_stamp_write(end, rec->id);
    end += BL_STAMP_TEXT_LEN;
    memcpy(end, rec->stream == BL_STDERR ? " stderr " : " stdout ",
           STREAM_LEN);
    end = put_tags(end + STREAM_LEN, rec);
    *end++ = ' ';
    if (rec->len > 0)
        memcpy(end, rec->text, rec->len);
    end += rec->len;
    *end++ = '\n';
    return (apr_size_t)(end - out);
}

/* ---- read ----------------------------------------------------------- */

/* N of a tag sN as put_step writes it; 0: it is another tag. */
static unsigned get_step(const char *tag, apr_size_t len)
{
    unsigned step = 0;
    apr_size_t i;

    if (len < 2 || len > 4 || tag[0] != 's' || tag[1] == '0')
        return 0;
    for (i = 1; i < len; i++) {
        if (tag[i] < '0' || tag[i] > '9')
            return 0;
        step = step * 10 + (unsigned)(tag[i] - '0');
    }
    return step;
}

static void get_tag(bl_record_t *rec, const char *tag, apr_size_t len)
{
    unsigned step = get_step(tag, len);
    apr_size_t i;

    if (step != 0)
        rec->step = step;
    for (i = 0; i < TAG_COUNT; i++) {
        if (len == tags[i].len && memcmp(tag, tags[i].name, len) == 0)
            rec->flags |= tags[i].flag;
    }
}

/* All tags, of which the first says whole or piece. */
static apr_status_t get_tags(bl_record_t *rec, const char *text,
                             const char *end)
{
    if (text == end || (*text != 'F' && *text != 'P'))
        return APR_EGENERAL;
    rec->flags = *text == 'P' ? BL_REC_PIECE : 0;
    rec->step = 0;
    text++;
    while (text < end) {
        const char *colon;

        if (*text != ':')
            return APR_EGENERAL;
        text++;
        colon = memchr(text, ':', (apr_size_t)(end - text));
        if (colon == NULL)
            colon = end;
        get_tag(rec, text, (apr_size_t)(colon - text));
        text = colon;
    }
    return APR_SUCCESS;
}

static apr_status_t get_stream(bl_record_t *rec, const char *text)
{
    if (memcmp(text, " stdout ", STREAM_LEN) == 0)
        rec->stream = BL_STDOUT;
    else if (memcmp(text, " stderr ", STREAM_LEN) == 0)
        rec->stream = BL_STDERR;
    else
        return APR_EGENERAL;
    return APR_SUCCESS;
}

/* The line from text up to the LF at end. */
static apr_status_t get_record(bl_record_t *rec, const char *text,
                               const char *end)
{
    apr_status_t rv;
    const char *blank;

    if (end - text < BL_STAMP_TEXT_LEN + STREAM_LEN)
        return APR_EGENERAL;
    rv = bl_stamp_read(&rec->id, text, BL_STAMP_TEXT_LEN);
    if (rv != APR_SUCCESS)
        return rv;
    text += BL_STAMP_TEXT_LEN;
    rv = get_stream(rec, text);
    if (rv != APR_SUCCESS)
        return rv;
    text += STREAM_LEN;
    blank = memchr(text, ' ', (apr_size_t)(end - text));
    if (blank == NULL)
        return APR_EGENERAL;
    rv = get_tags(rec, text, blank);
    if (rv != APR_SUCCESS)
        return rv;
    rec->text = blank + 1;
    rec->len = (apr_size_t)(end - rec->text);
    return APR_SUCCESS;
}

apr_status_t bl_record_decode(bl_record_t *out, const char *buf,
                              apr_size_t len, apr_size_t *used)
{
    apr_status_t rv = APR_EGENERAL;
    const char *end = len > 0 ? memchr(buf, '\n', len) : NULL;
    bl_record_t rec;

    if (end == NULL) {
        /* Waiting for more of what can be no record would be for ever. */
        *used = len < BL_REC_MAX ? 0 : len;
        return len < BL_REC_MAX ? APR_INCOMPLETE : APR_EGENERAL;
    }
    *used = (apr_size_t)(end - buf) + 1;
    if (*used <= BL_REC_MAX)
        rv = get_record(&rec, buf, end);
    if (rv == APR_SUCCESS)
        *out = rec;
    return rv;
}

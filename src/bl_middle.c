/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_middle.c - what is left out of a log that grows beyond its limit
 *
 * Places where the middle may end one day are marked as records come: between
 * two marks are so many bytes at least. When there is no more room for marks
 * every second one is given up: the fewer there are, the larger the steps.
 */
#include "bl_middle.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_strings.h>

/* The middle grows by that part of the limit; not by more than this, because
 * whoever gives it back to the disk waits for it. */
#define STEP_PART 16
#define STEP_MOST (16 * 1024 * 1024)

#define MARKS 64

struct bl_middle_t {
    apr_int64_t limit;
    apr_int64_t step;
    bl_middle_at_t begin; /* offset 0: not known yet */
    bl_middle_at_t end;
    apr_off_t spacing; /* of marks, at least */
    int count;
    bl_middle_at_t marks[MARKS]; /* behind the end, in their order */
};

bl_middle_t *bl_middle_create(apr_int64_t limit, apr_pool_t *p)
{
    bl_middle_t *m = apr_pcalloc(p, sizeof(*m));

    m->limit = limit;
    m->step = limit / STEP_PART < STEP_MOST ? limit / STEP_PART : STEP_MOST;
    m->spacing = m->step / 2;
    return m;
}

static void thin_out(bl_middle_t *m)
{
    int i;

    for (i = 0; i < MARKS / 2; i++)
        m->marks[i] = m->marks[2 * i + 1];
    m->count = MARKS / 2;
    m->spacing *= 2;
}

int bl_middle_next(bl_middle_t *m, const bl_middle_at_t *at)
{
    const bl_middle_at_t *last = &m->end;

    if (m->begin.offset == 0) {
        if (at->offset < m->limit / 2)
            return 0;
        m->begin = m->end = *at;
        return 1;
    }
    if (m->count > 0)
        last = &m->marks[m->count - 1];
    if (at->offset - last->offset >= m->spacing) {
        if (m->count == MARKS)
            thin_out(m);
        m->marks[m->count++] = *at;
    }
    return 0;
}

/* The last mark that is so far from the tail; NULL: none is. */
static const bl_middle_at_t *mark_before(const bl_middle_t *m,
                                         apr_off_t offset)
{
    int i = m->count;

    while (i > 0 && m->marks[i - 1].offset > offset)
        i--;
    return i > 0 ? &m->marks[i - 1] : NULL;
}

int bl_middle_due(apr_off_t *from, apr_off_t *to, const bl_middle_t *m,
                  apr_off_t tail)
{
    apr_int64_t half = m->limit / 2;
    const bl_middle_at_t *mark;

    if (m->begin.offset == 0 || tail - m->end.offset <= half)
        return 0;
    mark = mark_before(m, tail - half + m->step);
    if (mark == NULL)
        return 0;
    *from = m->begin.offset;
    *to = mark->offset;
    return 1;
}

void bl_middle_gone(bl_middle_t *m, apr_off_t to)
{
    int i = 0;

    while (i < m->count && m->marks[i].offset <= to)
        m->end = m->marks[i++];
    m->count -= i;
    memmove(m->marks, m->marks + i,
            (apr_size_t)m->count * sizeof(m->marks[0]));
    m->spacing = m->step / 2;
}

int bl_middle_is(apr_off_t *from, apr_off_t *to, const bl_middle_t *m)
{
    *from = m->begin.offset;
    *to = m->end.offset;
    return m->end.offset > m->begin.offset;
}

apr_uint64_t bl_middle_lines(const bl_middle_t *m)
{
    return m->end.lines - m->begin.lines;
}

apr_uint64_t bl_middle_bytes(const bl_middle_t *m)
{
    return m->end.bytes - m->begin.bytes;
}

/* ---- what is said of it --------------------------------------------- */

/* As it stands in the configuration: 256M. */
static const char *limit_text(apr_int64_t limit, apr_pool_t *p)
{
    static const char units[] = "KMGT";
    const char *unit = NULL;
    const char *next = units;

    while (*next != '\0' && limit % 1024 == 0) {
        limit /= 1024;
        unit = next++;
    }
    return apr_psprintf(p, "%" APR_INT64_T_FMT "%.*s", limit, unit != NULL,
                        unit != NULL ? unit : "");
}

/* For people: 17.2 MB. */
static const char *amount(apr_uint64_t bytes, apr_pool_t *p)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB"};
    apr_uint64_t unit = 1000;
    apr_size_t i = 0;

    if (bytes < 1000)
        return apr_psprintf(p, "%" APR_UINT64_T_FMT " bytes", bytes);
    while (i + 1 < sizeof(units) / sizeof(units[0]) && bytes / unit >= 1000) {
        unit *= 1000;
        i++;
    }
    return apr_psprintf(p, "%" APR_UINT64_T_FMT ".%u %s", bytes / unit,
                        (unsigned)(bytes % unit * 10 / unit), units[i]);
}

const char *bl_middle_text(const bl_middle_t *m, apr_pool_t *p)
{
    apr_uint64_t lines = bl_middle_lines(m);

    return apr_psprintf(p,
                        "%" APR_UINT64_T_FMT " %s (%s) %s left out here: "
                        "BuildLogMaxLog is %s",
                        lines, lines == 1 ? "line" : "lines",
                        amount(bl_middle_bytes(m), p),
                        lines == 1 ? "was" : "were", limit_text(m->limit, p));
}

const char *bl_middle_text_of(apr_off_t bytes, apr_pool_t *p)
{
    return apr_pstrcat(p, amount((apr_uint64_t)bytes, p),
                       " of the log were left out here: see BuildLogMaxLog",
                       NULL);
}

void bl_middle_record(bl_record_t *rec, bl_stamp_t next)
{
    memset(rec, 0, sizeof(*rec));
    rec->id = next - 1;
    rec->stream = BL_STDOUT;
    rec->flags = BL_REC_NOTE | BL_REC_GAP;
    rec->text = "Lines were left out here: see BuildLogMaxLog";
    rec->len = strlen(rec->text);
}

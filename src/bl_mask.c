/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_mask.c - secret values in a stream of bytes become ***
 *
 * All forms of all values stand in one tree (Aho and Corasick): a node is a
 * beginning of a form, and the state of a stream is the longest node that its
 * bytes end with. What a stream has taken and not yet given stands in a row:
 *
 *      at              pending                          taken
 *      |-- given soon -|--- may become a value, or not ---|
 *           [found]         [found]    [found]
 *
 * What lies before "pending" is decided. Found bytes are decided anywhere: a
 * run of them is given as soon as everything before it is.
 *
 * INVARIANTS    M1-M5: see bl_mask.h; and, between two calls:
 *               - the pending bytes are an end of what the state stands for
 *               - runs are disjoint, do not touch, and grow; the first begins
 *                 behind "at"
 *               - a run has at least BL_MASK_LEAST bytes, but for one whose
 *                 beginning an earlier stream has given: what is given fits
 *                 where it was taken
 */
#include "bl_mask.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_strings.h>
#include <apr_tables.h>
/* layer 0 */
#include "bl_forms.h"

#define STARS "***"
#define STARS_LEN 3

#define BYTES 256

/* 0, the root, is no node of these. */
typedef apr_uint32_t node_id_t;

typedef struct {
    node_id_t child; /* first of a list */
    node_id_t next;
    node_id_t fail;     /* the longest other node that this one ends with */
    apr_uint32_t hold;  /* bytes of the longest beginning that may go on */
    apr_uint32_t match; /* bytes of the longest form that ends here; 0: none */
    unsigned char byte;
} node_t;

struct bl_mask_t {
    node_t *nodes; /* [0] is the root */
    apr_uint32_t count;
    apr_uint32_t longest;
    node_id_t first[BYTES]; /* children of the root */
};

typedef struct {
    apr_size_t from;
    apr_size_t to;
} run_t;

struct bl_masked_t {
    const bl_mask_t *mask;
    node_id_t state;
    char *row;
    apr_size_t at;    /* all before it was given */
    apr_size_t taken; /* end of the row */
    run_t *runs;
    int run_count;
    apr_size_t stars; /* given last, of the run that may go on; 0: none */
};

/* ---- the tree ------------------------------------------------------- */

static node_id_t child_of(const bl_mask_t *mask, node_id_t at,
                          unsigned char byte)
{
    node_id_t child;

    if (at == 0)
        return mask->first[byte];
    child = mask->nodes[at].child;
    while (child != 0 && mask->nodes[child].byte != byte)
        child = mask->nodes[child].next;
    return child;
}

static void plant(bl_mask_t *mask, const char *form)
{
    apr_uint32_t depth = 0;
    node_id_t at = 0;

    for (; form[depth] != '\0'; depth++) {
        unsigned char byte = (unsigned char)form[depth];
        node_id_t child = child_of(mask, at, byte);

        if (child == 0) {
            node_t *node = &mask->nodes[child = mask->count++];

            memset(node, 0, sizeof(*node));
            node->byte = byte;
            node->hold = depth + 1;
            node->next = mask->nodes[at].child;
            mask->nodes[at].child = child;
            if (at == 0)
                mask->first[byte] = child;
        }
        at = child;
    }
    mask->nodes[at].match = depth;
    if (depth > mask->longest)
        mask->longest = depth;
}

static node_id_t step(const bl_mask_t *mask, node_id_t at, unsigned char byte)
{
    node_id_t child = child_of(mask, at, byte);

    while (child == 0 && at != 0) {
        at = mask->nodes[at].fail;
        child = child_of(mask, at, byte);
    }
    return child;
}

/* From the root outwards, so that what a node falls back to is finished. */
static void link_up(bl_mask_t *mask, apr_pool_t *p)
{
    node_id_t *queue = apr_palloc(p, sizeof(*queue) * mask->count);
    apr_uint32_t head = 0, tail = 0;

    queue[tail++] = 0;
    while (head < tail) {
        node_id_t parent = queue[head++], id;

        for (id = mask->nodes[parent].child; id != 0;
             id = mask->nodes[id].next) {
            node_t *node = &mask->nodes[id];

            queue[tail++] = id;
            if (parent != 0)
                node->fail = step(mask, mask->nodes[parent].fail, node->byte);
            if (node->match == 0)
                node->match = mask->nodes[node->fail].match;
            if (node->child == 0)
                node->hold = mask->nodes[node->fail].hold;
        }
    }
}

static bl_mask_t *make(const apr_array_header_t *forms, apr_pool_t *scratch,
                       apr_pool_t *p)
{
    bl_mask_t *mask = apr_pcalloc(p, sizeof(*mask));
    apr_size_t room = 1;
    int i;

    for (i = 0; i < forms->nelts; i++)
        room += strlen(APR_ARRAY_IDX(forms, i, const char *));
    /* Most forms are several times there, or begin like others: what is not
     * used is never touched. */
    mask->nodes = apr_palloc(scratch, sizeof(node_t) * room);
    memset(&mask->nodes[0], 0, sizeof(node_t));
    mask->count = 1;
    for (i = 0; i < forms->nelts; i++)
        plant(mask, APR_ARRAY_IDX(forms, i, const char *));
    link_up(mask, scratch);
    mask->nodes = apr_pmemdup(p, mask->nodes, sizeof(node_t) * mask->count);
    return mask;
}

apr_status_t bl_mask_create(bl_mask_t **out, const char *const *values,
                            int count, apr_pool_t *p)
{
    apr_pool_t *scratch;
    apr_array_header_t *forms;
    apr_size_t bytes = 0;
    int i;

    for (i = 0; i < count; i++) {
        bytes += strlen(values[i]);
        if (bytes > BL_MASK_MOST)
            return APR_ENOSPC;
    }
    apr_pool_create(&scratch, p);
    forms = apr_array_make(scratch, 32, sizeof(char *));
    for (i = 0; i < count; i++)
        bl_forms_add(forms, values[i], BL_MASK_LEAST, scratch);
    *out = forms->nelts > 0 ? make(forms, scratch, p) : NULL;
    apr_pool_destroy(scratch);
    return APR_SUCCESS;
}

/* ---- in ------------------------------------------------------------- */

/* Of the row, so many bytes up to here are found; its beginning may have been
 * given. Nothing found so far ends later: it swallows, or prolongs, the last
 * runs. */
static void found(bl_masked_t *m, apr_size_t len, apr_size_t to)
{
    apr_size_t from = len < to - m->at ? to - len : m->at;

    while (m->run_count > 0 && m->runs[m->run_count - 1].to >= from) {
        run_t *last = &m->runs[--m->run_count];

        if (last->from < from)
            from = last->from;
    }
    m->runs[m->run_count].from = from;
    m->runs[m->run_count].to = to;
    m->run_count++;
}

static void take(bl_masked_t *m, const char *buf, apr_size_t len)
{
    const bl_mask_t *mask = m->mask;
    node_id_t state = m->state;
    apr_size_t i;

    memcpy(m->row + m->taken, buf, len);
    for (i = 0; i < len; i++) {
        /* Most bytes begin nothing. */
        if (state == 0 && mask->first[(unsigned char)buf[i]] == 0)
            continue;
        state = step(mask, state, (unsigned char)buf[i]);
        if (mask->nodes[state].match > 0)
            found(m, mask->nodes[state].match, m->taken + i + 1);
    }
    m->state = state;
    m->taken += len;
}

/* ---- out ------------------------------------------------------------ */

/* Make room at the end of the row: what was given has been read by now. */
static void move_up(bl_masked_t *m)
{
    int i;

    memmove(m->row, m->row + m->at, m->taken - m->at);
    for (i = 0; i < m->run_count; i++) {
        m->runs[i].from -= m->at;
        m->runs[i].to -= m->at;
    }
    m->taken -= m->at;
    m->at = 0;
}

/* Give what is decided, up to pending; it stands at the row's beginning, where
 * "at" is when this is called. */
static apr_size_t give(bl_masked_t *m, apr_size_t pending)
{
    apr_size_t len = 0;
    int used = 0;

    for (;;) {
        run_t *run = used < m->run_count ? &m->runs[used] : NULL;
        apr_size_t stop = pending;

        if (run != NULL && run->from <= m->at) {
            apr_size_t stars = STARS_LEN - m->stars;

            stars = stars < run->to - m->at ? stars : run->to - m->at;
            memcpy(m->row + len, STARS, stars);
            len += stars;
            m->stars += stars;
            m->at = run->to;
            used++;
            continue;
        }
        if (m->at >= pending)
            break;
        if (run != NULL && run->from < stop)
            stop = run->from;
        memmove(m->row + len, m->row + m->at, stop - m->at);
        len += stop - m->at;
        m->stars = 0;
        m->at = stop;
    }
    if (used > 0) {
        m->run_count -= used;
        memmove(m->runs, m->runs + used,
                sizeof(run_t) * (apr_size_t)m->run_count);
    }
    return len;
}

/* ---- interface ------------------------------------------------------ */

bl_masked_t *bl_masked_create(const bl_mask_t *mask, apr_size_t most,
                              apr_pool_t *p)
{
    bl_masked_t *m = apr_pcalloc(p, sizeof(*m));
    apr_size_t room = most + mask->longest;

    m->mask = mask;
    m->row = apr_palloc(p, room);
    /* Between two runs there is a byte; the first may be short. */
    m->runs = apr_palloc(p, sizeof(run_t) * (room / (BL_MASK_LEAST + 1) + 3));
    return m;
}

const char *bl_masked_feed(bl_masked_t *m, const char *buf, apr_size_t *len)
{
    apr_size_t hold;

    move_up(m);
    take(m, buf, *len);
    hold = m->mask->nodes[m->state].hold;
    *len = give(m, hold < m->taken ? m->taken - hold : 0);
    return m->row;
}

const char *bl_masked_finish(bl_masked_t *m, apr_size_t *len)
{
    apr_size_t hold = m->mask->nodes[m->state].hold;

    move_up(m);
    if (hold >= BL_MASK_LEAST && m->taken > 0) /* M4 */
        found(m, hold, m->taken);
    *len = give(m, m->taken);
    m->stars = 0;
    return m->row;
}

const char *bl_mask_text(const bl_mask_t *mask, const char *text,
                         apr_pool_t *p)
{
    apr_size_t len = strlen(text);
    const char *masked = text;
    apr_pool_t *scratch;
    bl_masked_t *m;

    if (mask == NULL)
        return text;
    apr_pool_create(&scratch, p);
    m = bl_masked_create(mask, len, scratch);
    take(m, text, len);
    if (m->run_count > 0) {
        len = give(m, m->taken);
        masked = apr_pstrmemdup(p, m->row, len);
    }
    apr_pool_destroy(scratch);
    return masked;
}

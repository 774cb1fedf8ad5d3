/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_lines.c - the bytes of one output stream, cut into lines
 *
 * A line that lies within the fed buffer and is valid is emitted from there;
 * nothing is copied. Only what a call leaves unfinished is carried, as it
 * came, to the next one. Bytes are repaired when they are emitted, so a
 * character that two reads cut needs no state of its own.
 *
 * STATES        of the carried bytes, and what changes them:
 *
 *                       next bytes                       flush
 *     OPEN   text       call ends in CR:        -> CR    piece
 *     CR     then CR    LF: line, else: frame   -> OPEN  frame      -> SHOWN
 *                                                        (begun: piece)
 *     SHOWN  then CR,   LF: the line, again     -> OPEN  nothing
 *            flushed    (L6), else: nothing
 *
 * INVARIANTS    L1-L6: see bl_lines.h; and, between two calls:
 *               - at most limit bytes are carried
 *               - no frame waits (frames are dropped within one call only)
 *               - SHOWN is never begun: the frame showed the whole line
 *
 * FRAMES        Of a row of frames within one call the last is emitted. It
 *               waits until something else is emitted, or the call ends (a
 *               frame is known by the byte after its CR, so there is always a
 *               rest to hold). One whose CR is the last byte of the call
 *               counts as its last: it may still become a line, but drops
 *               those before it.
 *               A frame that ends a line begun by pieces is never dropped
 *               (L5); and flush emits it as one more piece, so that an LF
 *               still finds the line whole (L6) at any length.
 */
#include "bl_lines.h"

/* system */
#include <string.h>

/* U+FFFD, and the most bytes of text that one byte of input can become. */
#define REPLACEMENT "\xEF\xBF\xBD"
#define REPLACEMENT_LEN 3

#define CHAR_MAX_LEN 4
#define LIMIT_MIN 16

typedef enum {
    LINE_OPEN, /* nothing but text */
    LINE_CR,   /* CRs came after the text: the next byte tells what it is */
    LINE_SHOWN /* LINE_CR, and flush has emitted the text as a frame */
} line_state_e;

struct bl_lines_t {
    apr_size_t limit;
    bl_lines_emit_fn emit;
    void *baton;

    char *carry; /* limit bytes, and one to see where the last one ends */
    apr_size_t len;
    line_state_e state;
    int begun; /* pieces of this line are out */

    const char *frame; /* the frame that waits, in the fed buffer or carry */
    apr_size_t frame_len;

    char *repaired; /* REPLACEMENT_LEN * limit bytes */
};

/* ---- UTF-8 ---------------------------------------------------------- */

typedef enum { U8_WHOLE, U8_SHORT, U8_BAD } u8_e;

/* The character at the start of text, or the longest start of one (a "maximal
 * subpart"). U8_SHORT: more bytes could make it whole. NUL counts as bad. */
static u8_e u8_read(apr_size_t *used, const char *text, apr_size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    unsigned char low = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
    apr_size_t want = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    apr_size_t i;

    *used = 1;
    if (s[0] < 0x80)
        return s[0] != 0 ? U8_WHOLE : U8_BAD;
    if (s[0] < 0xC2 || s[0] > 0xF4)
        return U8_BAD;
    for (i = 1; i < want; i++) {
        *used = i;
        if (i == len)
            return U8_SHORT;
        if (s[i] < low || s[i] > high)
            return U8_BAD;
        low = 0x80;
        high = 0xBF;
    }
    *used = want;
    return U8_WHOLE;
}

static int u8_continues(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

/* Where a piece of at most "at" bytes may end: not within a character. The
 * byte after it, text[at], can be read. Looking back is enough, because a byte
 * that does not continue a character always begins one. */
static apr_size_t u8_cut(const char *text, apr_size_t at)
{
    apr_size_t back;
    apr_size_t used;

    for (back = 1; back < CHAR_MAX_LEN; back++) {
        if (!u8_continues(text[at - back])) {
            u8_read(&used, text + at - back, back + 1);
            return used > back ? at - back : at;
        }
    }
    return at;
}

/* Length of the character at the end of text that is not complete yet. */
static apr_size_t u8_short_tail(const char *text, apr_size_t len)
{
    apr_size_t back;
    apr_size_t used;

    for (back = 1; back < CHAR_MAX_LEN && back <= len; back++) {
        const char *first = text + len - back;

        if (!u8_continues(*first))
            return u8_read(&used, first, back) == U8_SHORT ? back : 0;
    }
    return 0;
}

/* Is one of these eight bytes NUL or not ASCII? */
static int has_odd_byte(const char *text)
{
    apr_uint64_t word;

    memcpy(&word, text, sizeof(word));
    return (((word - APR_UINT64_C(0x0101010101010101)) | word) &
            APR_UINT64_C(0x8080808080808080)) != 0;
}

/* Length of the start of text that is ASCII without NUL. */
static apr_size_t ascii_span(const char *text, apr_size_t len)
{
    apr_size_t i = 0;

    while (len - i >= 8 && !has_odd_byte(text + i))
        i += 8;
    if (i > 0 && len - i < 8 && !has_odd_byte(text + len - 8))
        return len;
    while (i < len && (unsigned char)text[i] - 1u < 0x7Fu)
        i++;
    return i;
}

/* Length of the start of text that is UTF-8 without NUL. */
static apr_size_t good_span(const char *text, apr_size_t len)
{
    apr_size_t i = ascii_span(text, len);
    apr_size_t used;

    while (i < len && u8_read(&used, text + i, len - i) == U8_WHOLE) {
        i += used;
        if (i < len && (unsigned char)text[i] < 0x80)
            i += ascii_span(text + i, len - i);
    }
    return i;
}

/* Copy text with U+FFFD for what is not good; good: length of its good start.
 * Returns the length of what was written. */
static apr_size_t repair(char *out, const char *text, apr_size_t len,
                         apr_size_t good)
{
    char *end = out;

    for (;;) {
        apr_size_t used;

        memcpy(end, text, good);
        end += good;
        text += good;
        len -= good;
        if (len == 0)
            return (apr_size_t)(end - out);
        u8_read(&used, text, len);
        memcpy(end, REPLACEMENT, REPLACEMENT_LEN);
        end += REPLACEMENT_LEN;
        text += used;
        len -= used;
        good = good_span(text, len);
    }
}

/* ---- out ------------------------------------------------------------ */

static void put(bl_lines_t *lines, unsigned flags, const char *text,
                apr_size_t len)
{
    apr_size_t good = good_span(text, len);

    if (good < len) {
        len = repair(lines->repaired, text, len, good);
        text = lines->repaired;
    }
    lines->begun = (flags & BL_REC_PIECE) != 0;
    lines->emit(lines->baton, flags, text, len);
}

static void put_frame(bl_lines_t *lines)
{
    const char *frame = lines->frame;

    if (frame == NULL)
        return;
    lines->frame = NULL;
    put(lines, BL_REC_CR, frame, lines->frame_len);
}

/* ---- in ------------------------------------------------------------- */

/* What the first bytes of a call say about a CR at the end of the last one.
 * Returns where the next line begins. */
static const char *settle_cr(bl_lines_t *lines, const char *p, const char *end)
{
    if (lines->state == LINE_OPEN)
        return p;
    while (p < end && *p == '\r')
        p++;
    if (p == end)
        return p;
    if (*p == '\n') {
        put(lines, 0, lines->carry, lines->len);
        p++;
    }
    else if (lines->begun || (lines->state == LINE_CR && lines->len > 0)) {
        put(lines, BL_REC_CR, lines->carry, lines->len);
    }
    lines->len = 0;
    lines->state = LINE_OPEN;
    return p;
}

/* The carried bytes and the text at p are longer than a line may be: emit
 * what fits. Returns where the text goes on that is not carried. */
static const char *cut_piece(bl_lines_t *lines, const char *p)
{
    apr_size_t taken = lines->limit + 1 - lines->len;
    apr_size_t piece;
    apr_size_t rest;

    put_frame(lines);
    if (lines->len == 0) {
        piece = u8_cut(p, lines->limit);
        put(lines, BL_REC_PIECE, p, piece);
        return p + piece;
    }
    memcpy(lines->carry + lines->len, p, taken);
    piece = u8_cut(lines->carry, lines->limit);
    put(lines, BL_REC_PIECE, lines->carry, piece);

    /* What is left came with this call, unless a character was cut by the
     * end of the last one: then it is carried on. */
    rest = lines->limit + 1 - piece;
    if (rest <= taken) {
        lines->len = 0;
        return p + taken - rest;
    }
    memmove(lines->carry, lines->carry + piece, rest);
    lines->len = rest;
    return p + taken;
}

/* The call ends within a line, or (cr) before it is known what a CR ends. */
static void hold(bl_lines_t *lines, const char *text, apr_size_t len, int cr)
{
    if (cr && len > 0)
        lines->frame = NULL; /* this is the last frame of the call */
    put_frame(lines);
    if (text != lines->carry && len > 0)
        memcpy(lines->carry, text, len);
    lines->len = len;
    lines->state = cr ? LINE_CR : LINE_OPEN;
}

static void end_frame(bl_lines_t *lines, const char *text, apr_size_t len)
{
    if (lines->begun) {
        put(lines, BL_REC_CR, text, len);
    }
    else if (len > 0) {
        lines->frame = text;
        lines->frame_len = len;
    }
}

/* Take the text from p to stop, where the next LF or CR is (or the end), and
 * what ends it. Returns where the next line begins. */
static const char *take_line(bl_lines_t *lines, const char *p,
                             const char *stop, const char *end)
{
    const char *text;
    const char *next = stop;
    apr_size_t len;

    while (lines->len + (apr_size_t)(stop - p) > lines->limit)
        p = cut_piece(lines, p);
    text = p;
    len = (apr_size_t)(stop - p);
    if (lines->len > 0) {
        memcpy(lines->carry + lines->len, p, len);
        text = lines->carry;
        len += lines->len;
        lines->len = 0;
    }
    while (next < end && *next == '\r')
        next++;
    if (next == end) {
        hold(lines, text, len, next > stop);
        return end;
    }
    if (*next == '\n') {
        put_frame(lines);
        put(lines, 0, text, len);
        return next + 1;
    }
    end_frame(lines, text, len);
    return next;
}

static const char *find(char byte, const char *p, const char *end)
{
    const char *at = memchr(p, byte, (apr_size_t)(end - p));

    return at != NULL ? at : end;
}

/* ---- interface ------------------------------------------------------ */

bl_lines_t *bl_lines_create(apr_size_t limit, bl_lines_emit_fn emit,
                            void *baton, apr_pool_t *p)
{
    bl_lines_t *lines = apr_pcalloc(p, sizeof(*lines));

    lines->limit = limit < LIMIT_MIN ? LIMIT_MIN : limit;
    lines->emit = emit;
    lines->baton = baton;
    lines->carry = apr_palloc(p, lines->limit + 1);
    lines->repaired = apr_palloc(p, REPLACEMENT_LEN * lines->limit);
    return lines;
}

void bl_lines_feed(bl_lines_t *lines, const char *buf, apr_size_t len)
{
    const char *end = buf + len;
    const char *p;
    const char *lf;
    const char *cr;

    if (len == 0)
        return;
    p = settle_cr(lines, buf, end);
    /* Each is looked for only once it is passed: a buffer of many lines has
     * no CR, one of many frames no LF, as a rule. */
    lf = find('\n', p, end);
    cr = find('\r', p, end);
    while (p < end) {
        p = take_line(lines, p, lf < cr ? lf : cr, end);
        if (lf < p)
            lf = find('\n', p, end);
        if (cr < p)
            cr = find('\r', p, end);
    }
}

int bl_lines_pending(const bl_lines_t *lines)
{
    return lines->len > 0 && lines->state != LINE_SHOWN;
}

void bl_lines_flush(bl_lines_t *lines)
{
    apr_size_t tail = 0;

    if (!bl_lines_pending(lines))
        return;
    if (lines->state == LINE_CR && !lines->begun) {
        put(lines, BL_REC_CR, lines->carry, lines->len);
        lines->state = LINE_SHOWN;
        return;
    }
    if (lines->state == LINE_OPEN) /* a CR completes no character */
        tail = u8_short_tail(lines->carry, lines->len);
    if (tail == lines->len)
        return;
    put(lines, BL_REC_PIECE, lines->carry, lines->len - tail);
    memmove(lines->carry, lines->carry + lines->len - tail, tail);
    lines->len = tail;
}

void bl_lines_finish(bl_lines_t *lines)
{
    if (lines->begun || bl_lines_pending(lines))
        put(lines, 0, lines->carry, lines->len);
    lines->len = 0;
    lines->state = LINE_OPEN;
}

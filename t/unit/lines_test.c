/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lines_test.c - bytes become lines, and none is lost (L1 .. L6; promise 1),
 * however the reads cut them, in memory that does not grow (promise 4)
 *
 * In a script the bytes are fed as they stand; '|' ends a read, '~' is a
 * flush, '$' the end of the stream, '@' a NUL. What comes out is written one
 * emit a line: F a whole line, C a frame (ended by CR), P a piece.
 */
#include "bl_lines.h"

#include <stdlib.h>

#include <apr_general.h>

#include "tap.h"

#define BAD "\xEF\xBF\xBD"

/* ---- a place for what comes out ------------------------------------- */

typedef struct {
    char *bytes;
    size_t len;
    size_t room;
} text_t;

typedef struct {
    text_t events; /* each emit */
    text_t lines;  /* whole lines, their pieces put together */
    text_t begun;
    apr_size_t limit;
    const char *fed; /* what is fed right now */
    apr_size_t fed_len;
    unsigned direct; /* emits that point into it */
    unsigned wrong;  /* emits that no consumer can take */
} sink_t;

static void add(text_t *text, const void *bytes, size_t len)
{
    if (text->len + len > text->room) {
        text->room = (text->len + len) * 2;
        text->bytes = realloc(text->bytes, text->room);
    }
    if (len > 0)
        memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
}

static void take(void *baton, unsigned flags, const char *text, apr_size_t len)
{
    sink_t *sink = baton;
    const char *kind = flags == 0              ? "F"
                       : flags == BL_REC_CR    ? "C"
                       : flags == BL_REC_PIECE ? "P"
                                               : "?";

    sink->wrong += len > 3 * sink->limit || memchr(text, '\n', len) != NULL ||
                   memchr(text, '\r', len) != NULL ||
                   memchr(text, '\0', len) != NULL;
    sink->direct += sink->fed != NULL && text >= sink->fed &&
                    text + len <= sink->fed + sink->fed_len;
    add(&sink->events, kind, 1);
    add(&sink->events, text, len);
    add(&sink->events, "\n", 1);

    add(&sink->begun, text, len);
    if (flags == 0) {
        add(&sink->lines, sink->begun.bytes, sink->begun.len);
        add(&sink->lines, "\n", 1);
    }
    if (flags != BL_REC_PIECE)
        sink->begun.len = 0;
}

static void sink_open(sink_t *sink, apr_size_t limit)
{
    memset(sink, 0, sizeof(*sink));
    sink->limit = limit;
}

static void sink_close(sink_t *sink)
{
    free(sink->events.bytes);
    free(sink->lines.bytes);
    free(sink->begun.bytes);
}

/* ---- a slow and plain model of what should come out ----------------- */

/* The well-formed sequences of the Unicode standard (table 3-7), less NUL. */
static const struct {
    size_t len;
    unsigned char low[4];
    unsigned char high[4];
} well_formed[] = {
    {1, {0x01}, {0x7F}},
    {2, {0xC2, 0x80}, {0xDF, 0xBF}},
    {3, {0xE0, 0xA0, 0x80}, {0xE0, 0xBF, 0xBF}},
    {3, {0xE1, 0x80, 0x80}, {0xEC, 0xBF, 0xBF}},
    {3, {0xED, 0x80, 0x80}, {0xED, 0x9F, 0xBF}},
    {3, {0xEE, 0x80, 0x80}, {0xEF, 0xBF, 0xBF}},
    {4, {0xF0, 0x90, 0x80, 0x80}, {0xF0, 0xBF, 0xBF, 0xBF}},
    {4, {0xF1, 0x80, 0x80, 0x80}, {0xF3, 0xBF, 0xBF, 0xBF}},
    {4, {0xF4, 0x80, 0x80, 0x80}, {0xF4, 0x8F, 0xBF, 0xBF}},
};

/* Length of the character, or of the longest start of one, at s. *want is the
 * length of the whole character; 0: no character begins so. */
static size_t model_char(const char *s, size_t len, size_t *want)
{
    size_t best = 0;
    size_t row;

    *want = 0;
    for (row = 0; row < sizeof(well_formed) / sizeof(well_formed[0]); row++) {
        size_t i = 0;

        while (i < well_formed[row].len && i < len &&
               (unsigned char)s[i] >= well_formed[row].low[i] &&
               (unsigned char)s[i] <= well_formed[row].high[i])
            i++;
        if (i > best) {
            best = i;
            *want = well_formed[row].len;
        }
    }
    return best > 0 ? best : 1;
}

typedef struct {
    sink_t *sink;
    text_t line;  /* as it came */
    text_t frame; /* that may still be dropped */
    int begun;
    int cr;     /* CR seen after line */
    int cr_old; /* ... in an earlier read */
    int shown;  /* line is out as a frame */
} model_t;

static void model_emit(model_t *m, unsigned flags, const char *s, size_t len)
{
    text_t text = {NULL, 0, 0};
    size_t used;
    size_t want;

    for (; len > 0; s += used, len -= used) {
        used = model_char(s, len, &want);
        if (used == want)
            add(&text, s, used);
        else
            add(&text, BAD, 3);
    }
    m->begun = flags == BL_REC_PIECE;
    take(m->sink, flags, text.bytes != NULL ? text.bytes : "", text.len);
    free(text.bytes);
}

static void model_frame(model_t *m)
{
    if (m->frame.len > 0)
        model_emit(m, BL_REC_CR, m->frame.bytes, m->frame.len);
    m->frame.len = 0;
}

/* Emit the first len bytes of the line as a piece. */
static void model_piece(model_t *m, size_t len)
{
    model_frame(m);
    model_emit(m, BL_REC_PIECE, m->line.bytes, len);
    m->line.len -= len;
    memmove(m->line.bytes, m->line.bytes + len, m->line.len);
}

static void model_end_frame(model_t *m)
{
    if (m->begun || (m->cr_old && !m->shown && m->line.len > 0)) {
        model_emit(m, BL_REC_CR, m->line.bytes, m->line.len);
    }
    else if (!m->shown && m->line.len > 0) {
        m->frame.len = 0;
        add(&m->frame, m->line.bytes, m->line.len);
    }
    m->line.len = 0;
    m->cr = m->cr_old = m->shown = 0;
}

static void model_byte(model_t *m, char byte)
{
    if (m->cr && byte != '\r' && byte != '\n')
        model_end_frame(m);
    if (byte == '\r') {
        m->cr = 1;
    }
    else if (byte == '\n') {
        model_frame(m);
        model_emit(m, 0, m->line.bytes, m->line.len);
        m->line.len = 0;
        m->cr = m->cr_old = m->shown = 0;
    }
    else {
        size_t cut = 0;
        size_t want;

        add(&m->line, &byte, 1);
        if (m->line.len <= m->sink->limit)
            return;
        for (;;) {
            size_t next = cut + model_char(m->line.bytes + cut,
                                           m->line.len - cut, &want);

            if (next > m->sink->limit)
                break;
            cut = next;
        }
        model_piece(m, cut);
    }
}

static void model_feed(model_t *m, const char *s, size_t len)
{
    m->cr_old = m->cr;
    while (len-- > 0)
        model_byte(m, *s++);
    if (m->cr && m->line.len > 0)
        m->frame.len = 0;
    model_frame(m);
}

static void model_flush(model_t *m)
{
    size_t whole = 0;

    if (m->line.len == 0 || m->shown)
        return;
    if (m->cr && !m->begun) {
        model_emit(m, BL_REC_CR, m->line.bytes, m->line.len);
        m->shown = 1;
        return;
    }
    while (whole < m->line.len) {
        size_t want;
        size_t used =
            model_char(m->line.bytes + whole, m->line.len - whole, &want);

        if (!m->cr && used < want && whole + used == m->line.len)
            break;
        whole += used;
    }
    if (whole > 0)
        model_piece(m, whole);
}

static void model_finish(model_t *m)
{
    if (m->begun || (m->line.len > 0 && !m->shown))
        model_emit(m, 0, m->line.bytes, m->line.len);
    free(m->line.bytes);
    free(m->frame.bytes);
    memset(m, 0, sizeof(*m));
}

/* ---- helpers -------------------------------------------------------- */

static apr_pool_t *pool;

/* Feed from memory of its exact size that is gone afterwards, so that neither
 * a read past it nor a pointer kept into it goes unseen. */
static void feed(bl_lines_t *lines, sink_t *sink, const char *s, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);

    memcpy(copy, s, len);
    sink->fed = copy;
    sink->fed_len = len;
    bl_lines_feed(lines, copy, len);
    sink->fed = NULL;
    memset(copy, '#', len);
    free(copy);
}

static void run_script(sink_t *sink, const char *script)
{
    bl_lines_t *lines = bl_lines_create(sink->limit, take, sink, pool);
    text_t read = {NULL, 0, 0};

    for (;; script++) {
        if (*script == '\0' || strchr("|~$", *script) != NULL) {
            if (read.len > 0)
                feed(lines, sink, read.bytes, read.len);
            read.len = 0;
        }
        if (*script == '\0')
            break;
        if (*script == '~')
            bl_lines_flush(lines);
        else if (*script == '$')
            bl_lines_finish(lines);
        else if (*script != '|')
            add(&read, *script == '@' ? "" : script, 1);
    }
    free(read.bytes);
}

static void is_script(const char *name, const char *script, const char *want)
{
    sink_t sink;

    sink_open(&sink, 16);
    run_script(&sink, script);
    is_mem(sink.events.bytes, sink.events.len, want, strlen(want), "%s", name);
    sink_close(&sink);
}

/* ---- what each rule says, by example -------------------------------- */

static void test_line_ends(void)
{
    is_script("L2: LF", "a\nb\n\nc\n", "Fa\nFb\nF\nFc\n");
    is_script("L2: CRLF", "a\r\n\r\nb\r\n", "Fa\nF\nFb\n");
    is_script("L2: CR CR LF is one line end", "x\r\r\n", "Fx\n");
    is_script("L2: CR CR LF in three reads", "x\r|\r|\ny\n", "Fx\nFy\n");
    is_script("L2: CR ends a frame", "a\rb\n", "Ca\nFb\n");
    is_script("L2: CR CR ends one frame", "a\r\rb\n", "Ca\nFb\n");
    is_script("L2: a CR at the end of a read waits", "x\r", "");
    is_script("L2: CR, LF in two reads", "x\r|\n", "Fx\n");
    is_script("L2: CR, text in two reads", "x\r|y\n", "Cx\nFy\n");
    is_script("L2: CR, CR, text in three reads", "x\r|\r|y\n", "Cx\nFy\n");
    is_script("L2: CR alone, LF in two reads", "\r|\na\n", "F\nFa\n");
    is_script("L1: an empty frame is none", "\r\ra\n\r|\rb\n", "Fa\nFb\n");
}

static void test_frames(void)
{
    is_script("L1: of frames in one read the last is kept", "a\rb\rc\n",
              "Cb\nFc\n");
    is_script("L1: and no frame of another read is dropped",
              "a\rb\rc|\rd\re|\rf\n", "Cb\nCd\nCe\nFf\n");
    is_script("L1: each line ends a row of frames", "a\rb\nc\rd\re\rf\n",
              "Ca\nFb\nCe\nFf\n");
    is_script("L1: frames come before what follows them", "a\rb\rc", "Cb\n");
    is_script("L1: one that waits for its end is the last", "a\rb\rc\r|d\n",
              "Cc\nFd\n");
    is_script("L1: and stays it if it proves a line", "a\rb\rc\r|\nd\n",
              "Fc\nFd\n");
    is_script("L1: one that waited is of its own read", "a\r|b\rc\rd\n",
              "Ca\nCc\nFd\n");
    is_script("L1: a frame that two reads bring is one", "ab|cd\r|e\n",
              "Cabcd\nFe\n");
    is_script("L1: begun in one read, dropped in the next", "a|b\rc\rd\n",
              "Cc\nFd\n");
    is_script("L1: a frame waits in spite of a short rest", "ab|c\rd|e\n",
              "Cabc\nFde\n");
}

static void test_flush(void)
{
    is_script("L6: x CR, flush, LF: the line, again", "x\r~|\ny\n",
              "Cx\nFx\nFy\n");
    is_script("L6: also after more CRs", "x\r~\r|~\r\ny\n", "Cx\nFx\nFy\n");
    is_script("L6: x CR, flush, text: not again", "x\r~|y\n", "Cx\nFy\n");
    is_script("L6: x CR, flush, text, CR LF", "x\r~|y\r\n", "Cx\nFy\n");
    is_script("L6: a second flush says nothing", "x\r~~", "Cx\n");
    is_script("L6: a CR without text is not flushed", "\r~\n", "F\n");
    is_script("L5: begun by a piece, ended by text", "ab~cd\nx\n",
              "Pab\nFcd\nFx\n");
    is_script("L5: begun by a piece, ended by LF alone", "ab~\n", "Pab\nF\n");
    is_script("L5: by CR LF alone", "ab~\r|\n", "Pab\nF\n");
    is_script("L5: by CR and text", "ab~\rc\n", "Pab\nC\nFc\n");
    is_script("L5: by CR in a later read", "ab~\r|c\n", "Pab\nC\nFc\n");
    is_script("L5: a frame that ends pieces is not dropped", "a~b\rc\rd\re\n",
              "Pa\nCb\nCd\nFe\n");
    is_script("L5, L6: such a frame, flushed, stays a piece: LF",
              "a~b\r~|\nx\n", "Pa\nPb\nF\nFx\n");
    is_script("L5, L6: such a frame, flushed, stays a piece: text",
              "a~b\r~|x\n", "Pa\nPb\nC\nFx\n");
    is_script("a flush of nothing", "~a\n~b\n~", "Fa\nFb\n");
    is_script("a flush twice", "a~~b~~\n", "Pa\nPb\nF\n");
}

static void test_finish(void)
{
    is_script("finish: a last line without newline", "a\nb$", "Fa\nFb\n");
    is_script("finish: after a newline nothing is left", "a\n$", "Fa\n");
    is_script("finish: of nothing", "$", "");
    is_script("finish: twice", "a$$", "Fa\n");
    is_script("L5: finish: after pieces", "ab~$", "Pab\nF\n");
    is_script("L5: finish: after pieces and text", "ab~cd$", "Pab\nFcd\n");
    is_script("L5: finish: after pieces and CR", "ab~\r$", "Pab\nF\n");
    is_script("finish: a frame that waits is a whole line", "x\r$", "Fx\n");
    is_script("finish: a frame that was flushed is out", "x\r~$", "Cx\n");
    is_script("finish: CR alone is nothing", "\r$", "");
    is_script("L1: finish: a character that never ended", "ab\xE2\x82$",
              "Fab" BAD "\n");
    is_script("finish: nothing of it stays behind", "x\r~$\na\r$b\n",
              "Cx\nF\nFa\nFb\n");
}

static void test_limit(void)
{
    is_script("L4: a line of the limit is whole", "0123456789abcdef\n",
              "F0123456789abcdef\n");
    is_script("L4: also in two reads", "0123456789abcdef|\n",
              "F0123456789abcdef\n");
    is_script("L4: also with CR LF, cut", "0123456789abcdef|\r|\n",
              "F0123456789abcdef\n");
    is_script("L4: a frame of the limit is whole", "0123456789abcdef\rx\n",
              "C0123456789abcdef\nFx\n");
    is_script("L4: one byte more", "0123456789abcdefg\n",
              "P0123456789abcdef\nFg\n");
    is_script("L4: one byte more, in a read of its own",
              "0123456789abcdef|g|\n", "P0123456789abcdef\nFg\n");
    is_script("L4: twice the limit", "0123456789abcdef0123456789ABCDEF\n",
              "P0123456789abcdef\nF0123456789ABCDEF\n");
    is_script("L4: pieces, then the end", "0123456789abcdef0123456789ABCDEF!$",
              "P0123456789abcdef\nP0123456789ABCDEF\nF!\n");
    is_script("L4: a frame goes out before a piece",
              "a\rb\r0123456789abcdefg\n", "Cb\nP0123456789abcdef\nFg\n");
    is_script("L3: a character across the limit",
              "0123456789abcd\xE2\x82\xAC!\n",
              "P0123456789abcd\nF\xE2\x82\xAC!\n");
    is_script("L3: a character up to the limit",
              "0123456789abc\xE2\x82\xAC!\n",
              "P0123456789abc\xE2\x82\xAC\nF!\n");
    is_script("L3: one that the end of a read cuts as well",
              "0123456789abcd\xE2\x82|\xAC!\n",
              "P0123456789abcd\nF\xE2\x82\xAC!\n");
    is_script("L3: one of four bytes, cut after three",
              "0123456789abc\xF0\x9F\x98|\x80!\n",
              "P0123456789abc\nF\xF0\x9F\x98\x80!\n");
    is_script("L3: a start of a character counts as one",
              "0123456789abcde\xE2\x82!\n", "P0123456789abcde\nF" BAD "!\n");
    is_script("L3: flush holds what is not complete", "a\xE2\x82~~|\xAC\n",
              "Pa\nF\xE2\x82\xAC\n");
    is_script("L3: and emits no empty piece", "\xF0\x9F\x98~|\x80\n",
              "F\xF0\x9F\x98\x80\n");
    is_script("L3: flush holds no byte that can be none", "a\x80\xF0\x80~\n",
              "Pa" BAD BAD BAD "\nF\n");
    is_script("L3: nothing completes a character after CR", "a~\xE2\x82\r~|\n",
              "Pa\nP" BAD "\nF\n");
    is_script(
        "L4: three times its input", "@@@@@@@@@@@@@@@@\n",
        "F" BAD BAD BAD BAD BAD BAD BAD BAD BAD BAD BAD BAD BAD BAD BAD BAD
        "\n");
}

static void test_bad_bytes(void)
{
    is_script("L1: NUL", "a@b@@\n@", "Fa" BAD "b" BAD BAD "\n");
    is_script("L1: NUL in a long ASCII line", "0123456789@bcdef\n",
              "F0123456789" BAD "bcdef\n");
    is_script("L1: no character begins so", "\x80\xBF\xC0\xC1\xF5\xFF\n",
              "F" BAD BAD BAD BAD BAD BAD "\n");
    is_script("L1: a start of three, then ASCII", "\xE2\x82z\n",
              "F" BAD "z\n");
    is_script("L1: a start of four, then a character",
              "\xF0\x9F\x98\xC3\xBC\n", "F" BAD "\xC3\xBC\n");
    is_script("L1: overlong", "\xC0\xAF\xE0\x80\xAF\xF0\x80\x80\xAF\n",
              "F" BAD BAD BAD BAD BAD BAD BAD BAD BAD "\n");
    is_script("L1: surrogates", "\xED\xA0\x80\xED\xBF\xBF\n",
              "F" BAD BAD BAD BAD BAD BAD "\n");
    is_script("L1: past U+10FFFF", "\xF4\x90\x80\x80\xF4\x8F\xBF\xBF\n",
              "F" BAD BAD BAD BAD "\xF4\x8F\xBF\xBF\n");
    is_script("L1: a line end within a character", "\xE2\x82\n\xAC\n",
              "F" BAD "\nF" BAD "\n");
    is_script("L1: a carriage return within a character", "\xE2\x82\r\xAC\n",
              "C" BAD "\nF" BAD "\n");
    is_script("L1: other control bytes stay", "\x1B[1m\t\x7F\b\n",
              "F\x1B[1m\t\x7F\b\n");
}

/* ---- what holds for any input --------------------------------------- */

static size_t put_char(char *out, unsigned long point)
{
    size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    size_t i;

    for (i = len - 1; i > 0; i--, point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3F));
    out[0] = (char)((0xF0 << (4 - len) & 0xFF) | point);
    return len;
}

/* Each character there is, cut at each of its bytes; a flush in between. */
static void test_every_character(void)
{
    unsigned wrong[2] = {0, 0};
    unsigned long point;
    sink_t sink;
    bl_lines_t *lines;

    sink_open(&sink, 16);
    lines = bl_lines_create(16, take, &sink, pool);
    for (point = 0x80; point <= 0x10FFFF; point++) {
        char c[8] = "a";
        size_t len;
        size_t i;

        if (point >= 0xD800 && point <= 0xDFFF)
            continue;
        len = 1 + put_char(c + 1, point);
        c[len++] = 'b';
        c[len++] = '\n';
        for (i = 2; i < 2 * len - 2; i++) {
            sink.lines.len = sink.events.len = 0;
            bl_lines_feed(lines, c, i / 2);
            if (i % 2 != 0)
                bl_lines_flush(lines);
            bl_lines_feed(lines, c + i / 2, len - i / 2);
            wrong[i % 2] +=
                sink.lines.len != len || memcmp(sink.lines.bytes, c, len) != 0;
        }
    }
    is_u64(wrong[0], 0, "L1: every character, cut at each byte");
    is_u64(wrong[1], 0, "L1, L3: also with a flush in between");
    is_u64(sink.wrong, 0, "R1: nothing else came of it");
    sink_close(&sink);
}

static unsigned random_below(unsigned n)
{
    static uint64_t state = 20261122;

    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % n;
}

/* Lines, frames, long runs, whole and broken characters. */
static size_t random_input(char *out, size_t max, int with_cr)
{
    static const char *const parts[] = {
        "\n",
        "\n",
        "\r\n",
        "\r",
        "\r\r\n",
        "a",
        "bc",
        "0123456789",
        "\xC3\xBC",
        "\xE2\x82\xAC",
        "\xF0\x9F\x98\x80",
        "\xE2\x82",
        "\xF0",
        "\xED\xA0\x80",
        "\x80",
        "\xFF",
        "@",
    };
    size_t len = 0;

    while (len + 10 < max) {
        const char *part = parts[random_below(sizeof(parts) / sizeof(*parts))];
        size_t size = strlen(part);

        if (!with_cr && strchr(part, '\r') != NULL)
            continue;
        memcpy(out + len, part, size);
        if (*part == '@')
            out[len] = '\0';
        len += size;
    }
    return len;
}

static int is_equal(const text_t *a, const text_t *b)
{
    return a->len == b->len &&
           (a->len == 0 || memcmp(a->bytes, b->bytes, a->len) == 0);
}

/* Feed s in one read: what comes out when nothing is cut. */
static void run_uncut(sink_t *sink, const char *s, size_t len)
{
    bl_lines_t *lines = bl_lines_create(sink->limit, take, sink, pool);

    feed(lines, sink, s, len);
    bl_lines_finish(lines);
}

/* Feed s to both in the same reads of random length; flushes > 0: after one
 * of so many comes a flush. */
static void run_both(sink_t *got, sink_t *want, const char *s, size_t len,
                     unsigned longest, unsigned flushes)
{
    bl_lines_t *lines = bl_lines_create(got->limit, take, got, pool);
    model_t model;

    memset(&model, 0, sizeof(model));
    model.sink = want;
    while (len > 0) {
        size_t size = 1 + random_below(longest);

        size = size < len ? size : len;
        feed(lines, got, s, size);
        model_feed(&model, s, size);
        if (flushes > 0 && random_below(flushes) == 0) {
            bl_lines_flush(lines);
            model_flush(&model);
        }
        got->wrong +=
            bl_lines_pending(lines) != (model.line.len > 0 && !model.shown);
        s += size;
        len -= size;
    }
    bl_lines_finish(lines);
    model_finish(&model);
    got->wrong += bl_lines_pending(lines) != 0;
}

static void test_random(const char *name, int with_cr, unsigned flushes)
{
    unsigned differ = 0;
    unsigned lost = 0;
    unsigned wrong = 0;
    unsigned round;

    for (round = 0; round < 6000; round++) {
        char in[300];
        size_t len = random_input(in, 20 + random_below(279), with_cr);
        sink_t got;
        sink_t want;
        sink_t uncut;

        in[len++] = 'x'; /* a CR at the end is another matter: test_finish */
        sink_open(&got, 16 + random_below(24));
        sink_open(&want, got.limit);
        sink_open(&uncut, got.limit);
        run_both(&got, &want, in, len, 1 + random_below(60), flushes);
        run_uncut(&uncut, in, len);
        differ += !is_equal(&got.events, &want.events);
        lost += !is_equal(&got.lines, &uncut.lines);
        if (!with_cr && flushes == 0)
            lost += !is_equal(&got.events, &uncut.events);
        wrong += got.wrong + uncut.wrong;
        sink_close(&got);
        sink_close(&want);
        sink_close(&uncut);
        apr_pool_clear(pool);
    }
    is_u64(differ, 0, "%s: the same as the model", name);
    is_u64(lost, 0, "%s: the same lines, however the reads cut them", name);
    is_u64(wrong, 0, "%s: R1, L4 and pending hold", name);
}

/* Two reads, cut at each position there is. */
static void test_every_cut(void)
{
    unsigned differ = 0;
    unsigned round;

    for (round = 0; round < 40; round++) {
        char in[300];
        size_t len = random_input(in, sizeof(in), 0);
        size_t cut;
        sink_t uncut;

        sink_open(&uncut, 16 + round % 8);
        run_uncut(&uncut, in, len);
        for (cut = 0; cut <= len; cut++) {
            sink_t got;
            bl_lines_t *lines;

            sink_open(&got, uncut.limit);
            lines = bl_lines_create(got.limit, take, &got, pool);
            feed(lines, &got, in, cut);
            feed(lines, &got, in + cut, len - cut);
            bl_lines_finish(lines);
            differ += !is_equal(&got.events, &uncut.events);
            sink_close(&got);
        }
        sink_close(&uncut);
        apr_pool_clear(pool);
    }
    is_u64(differ, 0, "L1, L4: a cut at any byte changes nothing");
}

/* All sequences of four of the bytes at which UTF-8 decides something. */
static void test_every_sequence(void)
{
    static const char bytes[] = "\x00\x41\x7F\x80\x8F\x90\x9F\xA0\xBF\xC1\xC2"
                                "\xDF\xE0\xE1\xEC\xED\xEF\xF0\xF1\xF4\xF5\xFF";
    const unsigned count = sizeof(bytes) - 1;
    unsigned differ = 0;
    unsigned n;
    sink_t got;
    sink_t want;
    bl_lines_t *lines;

    sink_open(&got, 16);
    sink_open(&want, 16);
    lines = bl_lines_create(16, take, &got, pool);
    for (n = 0; n < count * count * count * count; n++) {
        model_t model;
        char in[4];

        in[0] = bytes[n % count];
        in[1] = bytes[n / count % count];
        in[2] = bytes[n / count / count % count];
        in[3] = bytes[n / count / count / count];
        memset(&model, 0, sizeof(model));
        model.sink = &want;
        got.events.len = want.events.len = got.lines.len = want.lines.len = 0;
        bl_lines_feed(lines, in, 4);
        bl_lines_flush(lines); /* L3: what is held, too */
        bl_lines_finish(lines);
        model_feed(&model, in, 4);
        model_flush(&model);
        model_finish(&model);
        differ += !is_equal(&got.events, &want.events);
    }
    is_u64(differ, 0, "L1, L3: every sequence of four odd bytes");
    sink_close(&got);
    sink_close(&want);
}

/* ---- size and speed ------------------------------------------------- */

#define MEGABYTE (1024 * 1024)

static void test_long_line(apr_size_t limit, size_t read)
{
    char *in = malloc(MEGABYTE + 1);
    size_t i;
    size_t pieces = 0;
    sink_t sink;
    bl_lines_t *lines;

    sink_open(&sink, limit);
    lines = bl_lines_create(limit, take, &sink, pool);
    for (i = 0; i < MEGABYTE; i++)
        in[i] = (char)('!' + i % 89);
    in[MEGABYTE] = '\n';
    for (i = 0; i <= MEGABYTE; i += read)
        feed(lines, &sink, in + i,
             MEGABYTE + 1 - i < read ? MEGABYTE + 1 - i : read);
    for (i = 0; i < sink.events.len; i++)
        pieces += sink.events.bytes[i] == '\n';
    ok(sink.lines.len == MEGABYTE + 1 &&
           memcmp(sink.lines.bytes, in, MEGABYTE + 1) == 0,
       "L4: a line of 1 MB is whole (limit %u, reads of %u)", (unsigned)limit,
       (unsigned)read);
    is_u64(pieces, (MEGABYTE + limit - 1) / limit,
           "L4: and came in as few pieces as can be");
    is_u64(sink.wrong, 0, "L4: none of them too long");
    sink_close(&sink);
    free(in);
}

static void test_no_copy(void)
{
    static const char in[] = "plain ASCII, longer than a word\n\xC3\xBC\n\n"
                             "a\rb\n0123456789\r\nbroken \xC3\nrest";
    sink_t sink;
    bl_lines_t *lines;

    sink_open(&sink, 64);
    lines = bl_lines_create(64, take, &sink, pool);
    feed(lines, &sink, in, sizeof(in) - 1);
    is_u64(sink.direct, 6, "what is whole and valid is not copied");
    sink_close(&sink);
}

/* Promise 4: a pool hands out neighbours unless something else was taken
 * between them. */
static void test_memory(void)
{
    sink_t sink;
    bl_lines_t *lines;
    char *before;
    unsigned i;

    sink_open(&sink, 64);
    lines = bl_lines_create(64, take, &sink, pool);
    before = apr_palloc(pool, 8);
    for (i = 0; i < 2000; i++) {
        char in[300];

        feed(lines, &sink, in, random_input(in, sizeof(in), 1));
        if (i % 3 == 0)
            bl_lines_flush(lines);
    }
    bl_lines_finish(lines);
    ok((char *)apr_palloc(pool, 8) == before + 8,
       "L4: no memory is taken after create");
    sink_close(&sink);
}

static void test_create(void)
{
    sink_t sink;
    bl_lines_t *lines;

    sink_open(&sink, 16);
    lines = bl_lines_create(0, take, &sink, pool);
    feed(lines, &sink, "", 0);
    feed(lines, &sink, "0123456789abcdefg\n", 18);
    is_mem(sink.events.bytes, sink.events.len, "P0123456789abcdef\nFg\n", 21,
           "a limit below 16 is 16");
    sink_close(&sink);
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_line_ends();
    test_frames();
    test_flush();
    test_finish();
    test_limit();
    test_bad_bytes();
    test_every_character();
    test_every_sequence();
    test_every_cut();
    test_random("random lines", 0, 0);
    test_random("random lines, flushed", 0, 3);
    test_random("random lines and frames", 1, 0);
    test_random("random lines and frames, flushed", 1, 3);
    test_long_line(16384, 65536);
    test_long_line(16384, 1000);
    test_long_line(17, 4096);
    test_no_copy();
    test_memory();
    test_create();
    apr_terminate();
    return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ansi_test.c - what a build prints colours a terminal and does nothing else
 * to it (N1, N2 of bl_ansi.h; promise 8)
 */
#include "bl_ansi.h"

#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"

#define BAD "\xEF\xBF\xBD"
#define ESC "\033"

static apr_pool_t *pool;

static const char *line_of(apr_uint64_t build, const char *time_format,
                           bl_stream_e stream, unsigned flags,
                           const char *text)
{
    bl_sse_style_t style;
    bl_record_t rec;
    apr_size_t room, len;
    const char *copy;
    char *out;

    memset(&style, 0, sizeof(style));
    style.time_format = time_format;
    memset(&rec, 0, sizeof(rec));
    rec.id = APR_UINT64_C(1795341600123456);
    rec.stream = stream;
    rec.flags = flags;
    rec.text = text;
    rec.len = strlen(text);
    room = bl_ansi_line_max(rec.len);
    out = malloc(room); /* so that a sanitizer sees one byte too many */
    len = bl_ansi_line(out, &style, build, &rec);
    copy = apr_pstrmemdup(pool, out, len);
    ok(len <= room, "no more than announced");
    free(out);
    return copy;
}

static const char *line(const char *time_format, bl_stream_e stream,
                        unsigned flags, const char *text)
{
    return line_of(0, time_format, stream, flags, text);
}

static const struct {
    const char *text;
    const char *shown; /* of stdout, without a stamp */
} cases[] = {
    {"", ""},
    {"hello", "hello"},
    {"a\tb", "a\tb"},
    {"caf\xC3\xA9 \xC2\xB0 \xE6\x9E\x84 \xF0\x9F\x9A\x80",
     "caf\xC3\xA9 \xC2\xB0 \xE6\x9E\x84 \xF0\x9F\x9A\x80"},
    /* The build's own colours. */
    {ESC "[32mgreen" ESC "[0m", ESC "[32mgreen" ESC "[0m" ESC "[0m"},
    {ESC "[1;38;5;208mopen", ESC "[1;38;5;208mopen" ESC "[0m"},
    {ESC "[38:2:1:2:3mx" ESC "[mx", ESC "[38:2:1:2:3mx" ESC "[mx" ESC "[0m"},
    /* What would do something else. */
    {ESC "[2Jx" ESC "[H" ESC "[1A" ESC "[?25l" ESC "[6n", "x"},
    {ESC "[>4;2mx" ESC "[?4mx" ESC "[31 mx", "xxx"},
    {ESC "]0;title\007x", "x"},
    {ESC "]52;c;Zm9v" ESC "\\x", "x"},
    {ESC "]8;;http://x/" ESC "\\link" ESC "]8;;" ESC "\\", "link"},
    {ESC "P+q544e" ESC "\\x" ESC "_a" ESC "\\y", "xy"},
    {ESC "cx" ESC "(0x" ESC "#8x", "xxx"},
    {"\xC2\x9B"
     "31mx\xC2\x9D"
     "0;t\xC2\x9Cy",
     "xy"},
    {"\x01\x07\x08\x7Fx", BAD BAD BAD BAD "x"},
    {"a\rb\nc", "a" BAD "b" BAD "c"},
    /* None, or none that ends. */
    {ESC, ""},
    {ESC "[", ""},
    {ESC "[31", ""},
    {"x" ESC "]0;" ESC "[31mrest", "xrest"},
    {"x" ESC "]0;all the rest", "x"},
    {ESC "[31" ESC "[1mx", "x"},
    {"\xFF\xC2", "\xFF" BAD},
};

static void test_text(void)
{
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        is_str(line("", BL_STDOUT, 0, cases[i].text),
               apr_pstrcat(pool, cases[i].shown, "\n", NULL), "N2: text %zu",
               i);
}

static void test_colours(void)
{
    is_str(line("", BL_STDERR, 0, "oops"), ESC "[31moops" ESC "[0m\n",
           "stderr is red");
    is_str(line("", BL_STDOUT, BL_REC_NOTE, "$ make"),
           ESC "[1m$ make" ESC "[0m\n", "a note is bold");
    is_str(line("", BL_STDERR, 0, ESC "[32mok"),
           ESC "[31m" ESC "[32mok" ESC "[0m\n", "N1: all of it ends");
    is_str(line("", BL_STDOUT, BL_REC_PIECE, "10%"), "10%\n",
           "a piece is a line");
    is_str(line("", BL_STDOUT, BL_REC_CR, "10%"), "10%\n",
           "and so is a progress frame");
    is_str(line("at %Y", BL_STDOUT, 0, "x"), ESC "[2m[at 2026]" ESC "[0m x\n",
           "the stamp is faint");
    is_str(line(ESC "[2J%%%n", BL_STDOUT, 0, "x"),
           ESC "[2m[%" BAD "]" ESC "[0m x\n",
           "N2: nor does a stamp do anything");
    is_str(line_of(42, "%Y", BL_STDOUT, 0, "x"),
           ESC "[2m[2026 #42]" ESC "[0m x\n", "of which build");
    is_str(line_of(APR_UINT64_MAX, "", BL_STDOUT, 0, ""),
           ESC "[2m[#18446744073709551615]" ESC "[0m \n", "without a time");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_text();
    test_colours();
    apr_terminate();
    return done_testing();
}

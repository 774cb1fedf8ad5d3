/* SPDX-License-Identifier: Apache-2.0 */
/*
 * html_test.c - what a build prints is text in a page, whatever it is, and
 * however it comes (H1, H2 of bl_html.h; promise 8)
 */
#include "bl_html.h"

#include <stdlib.h>

#include <apr_general.h>

#include "tap.h"

#define BAD "\xEF\xBF\xBD"

static apr_pool_t *pool;

static const struct {
    const char *text;
    const char *html;
} cases[] = {
    {"", ""},
    {"added 120 packages in 3s", "added 120 packages in 3s"},
    {"<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"},
    {"a&b \"c\" 'd'", "a&amp;b &quot;c&quot; &#39;d&#39;"},
    {"&lt;&#60;", "&amp;lt;&amp;#60;"},
    {"</pre><!-- -->", "&lt;/pre&gt;&lt;!-- --&gt;"},
    {"caf\xC3\xA9 \xE6\x9E\x84\xE5\xBB\xBA \xF0\x9F\x9A\x80",
     "caf\xC3\xA9 \xE6\x9E\x84\xE5\xBB\xBA \xF0\x9F\x9A\x80"},
    /* Control characters. */
    {"a\tb", "a\tb"},
    {"a\nb\rc", "a" BAD "b" BAD "c"},
    {"\x01\x07\x08\x0C\x7F", BAD BAD BAD BAD BAD},
    /* What is no UTF-8. */
    {"\x80\xFF\xC0\xAF", BAD BAD BAD BAD},
    {"\xC3", BAD},
    {"\xE2\x82", BAD BAD},
    {"\xE2\x82<", BAD BAD "&lt;"},
    {"\xED\xA0\x80", BAD BAD BAD},
    {"\xF4\x90\x80\x80", BAD BAD BAD BAD},
    {"\xE0\x80\xBC\xF0\x80\x80\xBC", BAD BAD BAD BAD BAD BAD BAD},
    /* What turns the text around it. */
    {"a\xE2\x80\xAE"
     "b\xE2\x81\xA6"
     "c",
     "a" BAD "b" BAD "c"},
    {"\xE2\x80\x8F\xE2\x80\xA9", "\xE2\x80\x8F\xE2\x80\xA9"},
    /* Escape sequences. */
    {"\033[1;31mred\033[0m", "red"},
    {"\033[38;2;1;2;3mx\033[K\033[2Jy", "xy"},
    {"\033[?25lx\033[ q", "x"},
    {"\033]0;title\007x", "x"},
    {"\033]8;;javascript:alert(1)\033\\link\033]8;;\033\\", "link"},
    {"\033Pq#0\033\\x\033_a\033\\y\033^b\007z", "xyz"},
    {"\033(B\0337x\033cy\033=", "xy"},
    {"\xC2\x9B"
     "31mx\xC2\x9D"
     "0;t\xC2\x9Cy\xC2\x85z",
     "xyz"},
    /* None, or none that ends. */
    {"\033", ""},
    {"\033[", ""},
    {"\033]0;<b>", ""},
    {"\033[31<b>", "&gt;"},
    {"\033[3\xC3\xA9", "\xC3\xA9"},
    {"\033[3\xFF<", BAD "&lt;"},
    {"\033\033[1mx", "x"},
    {"\033[3\033[1mx", "x"},
    {"\033]0;\xFF\033[1mx", "x"},
    {"\033\n<", BAD "&lt;"},
};

/* The same in pieces of so many characters, into so little room. */
static const char *in_pieces(const char *text, apr_size_t room)
{
    char *all = apr_palloc(pool, BL_HTML_GROWTH * strlen(text) + 1);
    char *at = all;
    bl_html_t html;

    memset(&html, 0, sizeof(html));
    while (*text != '\0') {
        apr_size_t piece = 1;

        /* Only whole characters: a piece of a line is cut there. */
        while (((unsigned char)text[piece] & 0xC0) == 0x80)
            piece++;
        while (piece > 0) {
            char *out = malloc(room); /* so that a sanitizer sees more */
            apr_size_t n = bl_html_text(out, room, &html, &text, &piece);

            memcpy(at, out, n);
            at += n;
            free(out);
        }
    }
    *at = '\0';
    return all;
}

static void test_room(void)
{
    static char text[100000];
    char out[BL_HTML_GROWTH];
    const char *rest = text;
    apr_size_t len = sizeof(text), n, all = 0, turns = 0;
    bl_html_t html;

    memset(&html, 0, sizeof(html));
    memset(text, '<', sizeof(text));
    while (len > 0 && turns++ <= sizeof(text)) {
        n = bl_html_text(out, sizeof(out), &html, &rest, &len);
        all += n;
    }
    is_u64(all, 4 * sizeof(text), "little room, much text: all of it");
}

int main(void)
{
    size_t i;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_str(bl_html_escape(cases[i].text, pool), cases[i].html,
               "case %d, whole", (int)i + 1);
        is_str(in_pieces(cases[i].text, BL_HTML_GROWTH), cases[i].html,
               "case %d, in pieces", (int)i + 1);
    }
    test_room();
    return done_testing();
}

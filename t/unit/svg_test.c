/* SPDX-License-Identifier: Apache-2.0 */
/*
 * svg_test.c - a badge is a picture, whatever a project is called (V1 to V3 of
 * bl_svg.h; promise 8)
 */
#include "bl_svg.h"

#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"

#define BAD "\xEF\xBF\xBD"

static apr_pool_t *pool;

/* What stands between two marks, the first time. */
static const char *between(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from), *end;

    if (at == NULL)
        return "(not there)";
    at += strlen(from);
    end = strstr(at, to);
    return end == NULL ? "(no end)"
                       : apr_pstrmemdup(pool, at, (apr_size_t)(end - at));
}

static int width_of(const char *label)
{
    return atoi(between(bl_svg_badge(label, "failed", BL_SVG_BAD, pool),
                        "width=\"", "\""));
}

static const struct {
    const char *label;
    const char *name; /* with the word */
} names[] = {
    {"Shop", "Shop: failed"},
    {"", ": failed"},
    {"</title><script>alert(1)</script>",
     "&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;: failed"},
    {"\"' onload='x'", "&quot;&#39; onload=&#39;x&#39;: failed"},
    {"a&b ]]> <!--", "a&amp;b ]]&gt; &lt;!--: failed"},
    {"\xE6\x9E\x84\xE5\xBB\xBA", "\xE6\x9E\x84\xE5\xBB\xBA: failed"},
    /* What XML does not know, though it is UTF-8 (and what is none). */
    {"a\xEF\xBF\xBE\xEF\xBF\xBF!", "a" BAD BAD "!: failed"},
    {"\xEF\xBF\xBC\xEF\xBF", "\xEF\xBF\xBC" BAD BAD ": failed"},
    {"\x01\x0B\xFF\xED\xA0\x80", BAD BAD BAD BAD BAD BAD ": failed"},
    {"\033[31mred\033[0m", "red: failed"},
};

static void test_names(void)
{
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *svg =
            bl_svg_badge(names[i].label, "failed", BL_SVG_BAD, pool);

        is_str(between(svg, "<title>", "</title>"), names[i].name,
               "V3: title %zu", i);
        is_str(between(svg, "aria-label=\"", "\""), names[i].name,
               "V1, V3: name %zu", i);
        ok(strstr(svg, "role=\"img\"") != NULL &&
               strncmp(svg, "<svg ", 5) == 0 &&
               strcmp(svg + strlen(svg) - 7, "</svg>\n") == 0 &&
               strstr(svg, "<script") == NULL && strstr(svg, "style=") == NULL,
           "V2, V3: a picture %zu", i);
    }
}

/* As many as fit, and no half of any. */
static void test_long(void)
{
    static const char *const units[] = {
        "a", "&", "\"", "\xC3\xA9", "\xE6\x9E\x84", "\xF0\x9F\x9A\x80",
    };
    static const char *const escaped[] = {
        "a", "&amp;", "&quot;", "\xC3\xA9", "\xE6\x9E\x84", "\xF0\x9F\x9A\x80",
    };
    size_t i;
    int n;

    for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        char *label = "", *want = "";
        const char *svg;

        for (n = 0; n < BL_SVG_LABEL_MOST; n++) {
            label = apr_pstrcat(pool, label, units[i], NULL);
            want = apr_pstrcat(pool, want, escaped[i], NULL);
        }
        svg = bl_svg_badge(label, "x", BL_SVG_GOOD, pool);
        is_str(between(svg, "Glyphs\">", "</text>"), want, "%s: all of it",
               units[i]);
        label = apr_pstrcat(pool, label, units[i], NULL);
        svg = bl_svg_badge(label, "x", BL_SVG_GOOD, pool);
        is_str(between(svg, "Glyphs\">", "</text>"),
               apr_pstrcat(pool, want, "\xE2\x80\xA6", NULL),
               "%s: one more is cut off", units[i]);
        is_str(between(svg, "<title>", ": x"),
               apr_pstrcat(pool, want, escaped[i], NULL),
               "%s: not from its name", units[i]);
    }
}

static void test_width(void)
{
    int none = width_of("");

    ok(width_of("i") < width_of("a") && width_of("a") < width_of("m") &&
           width_of("a") < width_of("\xE6\x9E\x84") && none < width_of("i"),
       "characters have widths");
    ok(width_of("&") < width_of("mm"), "one that is escaped is one");
    ok(strstr(bl_svg_badge("", "x", BL_SVG_ODD, pool), "textLength=\"0\"") ==
           NULL,
       "nothing is not made to fit");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_names();
    test_long();
    test_width();
    return done_testing();
}

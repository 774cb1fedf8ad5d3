/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_test.c - whatever a text is, JSON can be made of it and a client reads
 * the same (J1, J2 in bl_json.c; promise 1); what a client sends is an object
 * of sane shape or is refused with a reason (promise 7)
 */
#include "bl_json.h"

#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#define ID APR_UINT64_C(1795341600123456)
#define FFFD "\xEF\xBF\xBD"

static apr_pool_t *pool;

static apr_pool_t *subpool(void)
{
    apr_pool_t *p;

    if (apr_pool_create(&p, pool) != APR_SUCCESS)
        abort();
    return p;
}

/* ---- making --------------------------------------------------------- */

static void test_making(void)
{
    bl_json_t *object = bl_json_object(pool);
    bl_json_t *array = bl_json_array(pool);
    bl_json_t *inner = bl_json_object(pool);

    is_str(bl_json_text(object, pool), "{}", "an empty object");
    is_str(bl_json_text(array, pool), "[]", "an empty array");

    bl_json_set_string(object, "z", "/srv/\"a\"\n");
    bl_json_set_string(object, "no", NULL);
    bl_json_set_int(object, "least", APR_INT64_MIN);
    bl_json_set_int(object, "most", APR_INT64_MAX);
    bl_json_set_bool(object, "yes", 7);
    bl_json_set_bool(object, "false", 0);
    bl_json_set_null(object, "null");
    bl_json_set_time(object, "time", ID);
    bl_json_set_time(object, "never", 0);
    bl_json_set_int(inner, "i", 1);
    bl_json_append(array, inner);
    bl_json_set(object, "a", array);
    is_str(bl_json_text(object, pool),
           "{\"z\":\"/srv/\\\"a\\\"\\n\",\"no\":null,"
           "\"least\":-9223372036854775808,\"most\":9223372036854775807,"
           "\"yes\":true,\"false\":false,\"null\":null,"
           "\"time\":\"2026-11-22T10:00:00.123456Z\",\"never\":null,"
           "\"a\":[{\"i\":1}]}",
           "one line, keys in their order, '/' as it is");

    bl_json_set_int(object, "z", 1);
    ok(strncmp(bl_json_text(object, pool), "{\"z\":1,", 7) == 0,
       "a key that is set again keeps its place");
}

static void test_repair(void)
{
    /* The examples of the Unicode standard, tables 3-8 to 3-11, and more. */
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"plain", "plain"},
        {"", ""},
        {"\xC3\xBC \xE2\x9C\x93 \xF0\x9F\x9A\x80",
         "\xC3\xBC \xE2\x9C\x93 \xF0\x9F\x9A\x80"},
        {"\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF\xF4\x8F\xBF\xBF",
         "\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF\xF4\x8F\xBF\xBF"},
        {"\xC2\x80\xE0\xA0\x80\xF0\x90\x80\x80",
         "\xC2\x80\xE0\xA0\x80\xF0\x90\x80\x80"},
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41",
         FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A"},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41",
         FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A"},
        {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42",
         FFFD FFFD FFFD FFFD FFFD "A" FFFD FFFD "B"},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", FFFD FFFD FFFD FFFD "A"},
        {"cut \xE2\x9C", "cut " FFFD},
        {"cut \xF0\x9F\x9A", "cut " FFFD},
        {"cut \xC3", "cut " FFFD},
        {"\xC3", FFFD},
        {"\xF5 \xC1 \xC2", FFFD " " FFFD " " FFFD},
        {"\xF5\x80\x80\x80", FFFD FFFD FFFD FFFD},
    };
    unsigned i;

    for (i = 0; i < COUNT_OF(cases); i++) {
        bl_json_t *object = bl_json_object(pool);
        bl_json_t *back;
        const char *got = "unreadable";
        const char *why;
        const char *text;

        bl_json_set_string(object, "t", cases[i].text);
        text = bl_json_text(object, pool);
        if (bl_json_parse(&back, text, strlen(text), &why, pool) ==
            APR_SUCCESS)
            got = bl_json_string(back, "t");
        is_str(got, cases[i].want, "repair: case %u", i);
    }
}

/* Each start of a value has its own count: no pool has to outlive another. */
static void test_lifetime(void)
{
    apr_pool_t *parents = subpool();
    apr_pool_t *children = subpool();
    apr_pool_t *elements = subpool();
    bl_json_t *object = bl_json_object(parents);
    bl_json_t *array = bl_json_array(children);
    bl_json_t *child = bl_json_object(children);
    bl_json_t *element;

    bl_json_set_string(child, "name", "install");
    bl_json_append(array, child);
    bl_json_set(object, "steps", array);
    apr_pool_destroy(children);
    is_str(bl_json_text(object, pool), "{\"steps\":[{\"name\":\"install\"}]}",
           "a value lives on in the one that holds it");

    element = bl_json_element(object, "steps", 0, elements);
    apr_pool_destroy(parents);
    is_str(bl_json_string(element, "name"), "install",
           "an element lives in its own pool");
    apr_pool_destroy(elements);
}

/* ---- reading -------------------------------------------------------- */

static bl_json_t *parse(const char *text)
{
    bl_json_t *object = NULL;
    const char *why = "";

    if (bl_json_parse(&object, text, strlen(text), &why, pool) !=
        APR_SUCCESS) {
        printf("# %s\n", why);
        abort();
    }
    return object;
}

static void test_reading(void)
{
    bl_json_t *object =
        parse(" {\"s\":\"x\",\"e\":\"\",\"i\":-5,\"r\":1.5,\"n\":null,"
              "\"t\":\"2026-11-22T10:00:00.123456Z\",\"b\":false,"
              "\"a\":[{\"k\":1},{\"k\":2},3],\"y\":true,"
              "\"l\":[\"x\",7]}\n\t ");
    bl_json_t *number;

    is_str(bl_json_string(object, "s"), "x", "a string");
    is_str(bl_json_string(object, "e"), "", "an empty string is a string");
    ok(bl_json_string(object, "i") == NULL &&
           bl_json_string(object, "n") == NULL &&
           bl_json_string(object, "none") == NULL,
       "no string");
    ok(bl_json_int(object, "i", 9) == -5, "an integer");
    ok(bl_json_int(object, "s", 9) == 9 && bl_json_int(object, "r", 9) == 9 &&
           bl_json_int(object, "b", 9) == 9 &&
           bl_json_int(object, "none", 9) == 9,
       "no integer: the fallback");
    is_u64(bl_json_time(object, "t"), ID, "a time");
    ok(bl_json_time(object, "s") == 0 && bl_json_time(object, "i") == 0 &&
           bl_json_time(object, "n") == 0 && bl_json_time(object, "none") == 0,
       "no time");
    ok(bl_json_has(object, "b") && bl_json_has(object, "a") &&
           !bl_json_has(object, "n") && !bl_json_has(object, "none"),
       "has: there and not null");
    ok(bl_json_int(bl_json_element(object, "a", 1, pool), "k", 0) == 2,
       "an element");
    ok(bl_json_element(object, "a", 3, pool) == NULL &&
           bl_json_element(object, "s", 0, pool) == NULL &&
           bl_json_element(object, "none", 0, pool) == NULL,
       "no element");

    ok(bl_json_is_true(object, "y") && !bl_json_is_true(object, "b"), "true");
    is_str(bl_json_string_at(object, "l", 0), "x", "a string of an array");
    ok(bl_json_string_at(object, "l", 1) == NULL &&
           bl_json_string_at(object, "l", 2) == NULL &&
           bl_json_string_at(object, "s", 0) == NULL,
       "none such");
    ok(bl_json_count(object, "a") == 3 && bl_json_count(object, "s") == 0 &&
           bl_json_count(object, "none") == 0,
       "how many elements");
    ok(!bl_json_is_true(object, "s") && !bl_json_is_true(object, "n") &&
           !bl_json_is_true(object, "none"),
       "not true");
    number = bl_json_element(object, "a", 2, pool);
    ok(bl_json_string(number, "k") == NULL &&
           bl_json_int(number, "k", 9) == 9 && !bl_json_has(number, "k") &&
           bl_json_element(number, "k", 0, pool) == NULL,
       "an element that is no object has nothing");
}

static const char *nested(unsigned depth)
{
    char *text = apr_pcalloc(pool, 8 * depth + 8);
    unsigned i;

    for (i = 0; i + 1 < depth; i++)
        strcat(text, i % 2 == 0 ? "{\"a\":" : "[");
    strcat(text, "{}");
    while (i-- > 0)
        strcat(text, i % 2 == 0 ? "}" : "]");
    return text;
}

static void refuse(const char *text, apr_size_t len, const char *name)
{
    bl_json_t *untouched = bl_json_object(pool);
    bl_json_t *out = untouched;
    const char *why = NULL;
    apr_status_t rv = bl_json_parse(&out, text, len, &why, pool);
    const char *c;

    ok(rv == APR_EGENERAL && out == untouched && why != NULL && *why != '\0',
       "refused: %s: %s", name, why == NULL ? "" : why);
    for (c = why; c != NULL && *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7F) {
            ok(0, "refused: %s: the reason is plain text", name);
            return;
        }
    }
}

static void test_refusals(void)
{
    static const struct {
        const char *name;
        const char *text;
        apr_size_t len;
    } cases[] = {
#define CASE(name, text) {name, text, sizeof(text) - 1}
        CASE("nothing", ""),
        CASE("blanks", "  \n"),
        CASE("an array", "[]"),
        CASE("a string", "\"x\""),
        CASE("a number", "1"),
        CASE("null", "null"),
        CASE("not JSON", "projectPath=/srv"),
        CASE("no end", "{\"a\":1"),
        CASE("no value", "{\"a\":}"),
        CASE("a comma too many", "{\"a\":1,}"),
        CASE("quotes missing", "{a:1}"),
        CASE("single quotes", "{'a':1}"),
        CASE("a comment", "{} // x"),
        CASE("something behind", "{} x"),
        CASE("two objects", "{}{}"),
        CASE("NUL behind", "{}\0"),
        CASE("NUL in a string", "{\"a\":\"x\0y\"}"),
        CASE("an escaped NUL", "{\"a\":\"x\\u0000y\"}"),
        CASE("an escaped NUL in a key", "{\"x\\u0000y\":1}"),
        CASE("a key twice", "{\"a\":1,\"a\":2}"),
        CASE("a key twice, escaped", "{\"a\":1,\"\\u0061\":2}"),
        CASE("a key twice, deeper", "{\"b\":[{\"a\":1,\"a\":2}]}"),
        CASE("no UTF-8", "{\"a\":\"\xFF\"}"),
        CASE("overlong UTF-8", "{\"a\":\"\xC0\xAF\"}"),
        CASE("a surrogate in UTF-8", "{\"a\":\"\xED\xA0\x80\"}"),
        CASE("half a pair of surrogates", "{\"a\":\"\\ud800\"}"),
        CASE("a line end in a string", "{\"a\":\"\n\"}"),
        CASE("a control byte in a string", "{\"a\":\"\x01\x7f\x1b\"}"),
        CASE("control bytes", "\x1b\x7f\x01"),
        CASE("a byte order mark", "\xEF\xBB\xBF{}"),
        CASE("an integer too large", "{\"a\":9223372036854775808}"),
        CASE("a real too large", "{\"a\":1e999}"),
        CASE("a number with a zero in front", "{\"a\":01}"),
        CASE("NaN", "{\"a\":NaN}"),
#undef CASE
    };
    static const char whole[] =
        "{\"a\":[1,-2.5,true,null,{\"b\":\"\\u00fc\xC3\xBC\\n\"}]}";
    apr_size_t len;
    unsigned i;

    for (i = 0; i < COUNT_OF(cases); i++)
        refuse(cases[i].text, cases[i].len, cases[i].name);
    for (len = 0; len < sizeof(whole) - 1; len++)
        refuse(whole, len, apr_psprintf(pool, "%d bytes", (int)len));
    parse(whole);
}

static void test_depth(void)
{
    const char *deep = nested(33);
    const char *deepest;

    ok(parse(nested(1)) != NULL && parse(nested(32)) != NULL,
       "32 deep is taken");
    refuse(deep, strlen(deep), "33 deep");
    deepest = nested(5000);
    refuse(deepest, strlen(deepest), "5000 deep");
    ok(parse("{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[[[["
             "[[[[[[[[[[[[[[[[[[[[[[[[[[[[{{{{{{{{{{\"}") != NULL,
       "brackets in a string are text");
    ok(parse(
           "{\"a\":[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],"
           "[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]}") !=
           NULL,
       "many side by side are not deep");
}

/* ---- in a stream ---------------------------------------------------- */

/* What the escapes are, written down without a thought for speed. */
static apr_size_t escape_plainly(char *out, const char *text, apr_size_t len)
{
    static const char from[] = "\"\\\b\t\n\f\r";
    static const char to[] = "\"\\btnfr";
    apr_size_t at = 0;
    apr_size_t i;

    for (i = 0; i < len; i++) {
        const char *found = memchr(from, text[i], sizeof(from) - 1);
        unsigned char c = (unsigned char)text[i];

        if (found != NULL) {
            out[at++] = '\\';
            out[at++] = to[found - from];
        }
        else if (c < 0x20) {
            at += (apr_size_t)snprintf(out + at, 7, "\\u%04x", c);
        }
        else {
            out[at++] = text[i];
        }
    }
    return at;
}

/* Every byte at every place in and around the word that is looked at. */
static void test_escape(void)
{
    char want[200];
    char text[24];
    unsigned bad = 0;
    unsigned c;
    apr_size_t at;
    apr_size_t len;

    for (c = 0; c < 256; c++) {
        for (at = 0; at < 2 * sizeof(text); at++) {
            apr_size_t got_len;
            apr_size_t want_len;
            char *got = malloc(BL_JSON_ESCAPE_GROWTH * sizeof(text));

            /* Around it the neighbours of the quote: clean, but only just. */
            memset(text, at % 2 == 0 ? '!' : '#', sizeof(text));
            text[at / 2] = (char)c;
            got_len = bl_json_escape(got, text, sizeof(text));
            want_len = escape_plainly(want, text, sizeof(text));
            bad += got_len != want_len || memcmp(got, want, want_len) != 0;
            free(got);
        }
    }
    is_u64(bad, 0, "escape: each byte at each place");

    memset(text, 0x1f, sizeof(text));
    bad = 0;
    for (len = 0; len <= sizeof(text); len++) {
        /* Exactly the room that is asked for; one byte more is seen. */
        char *got = malloc(BL_JSON_ESCAPE_GROWTH * len + (len == 0));

        bad += bl_json_escape(got, text, len) != BL_JSON_ESCAPE_GROWTH * len;
        free(got);
    }
    is_u64(bad, 0, "escape: no byte becomes more than was said");
}

static void test_escape_reads_back(void)
{
    char text[128];
    char json[BL_JSON_ESCAPE_GROWTH * sizeof(text) + 16] = "{\"t\":\"";
    apr_size_t len = strlen(json);
    const char *got;
    unsigned c;

    for (c = 1; c < 128; c++)
        text[c - 1] = (char)c;
    text[127] = '\0';
    len += bl_json_escape(json + len, text, 127);
    memcpy(json + len, "\"}", 3);
    got = bl_json_string(parse(json), "t");
    is_str(got, text, "escape: what it wrote is read back");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);

    test_making();
    test_repair();
    test_lifetime();
    test_reading();
    test_refusals();
    test_depth();
    test_escape();
    test_escape_reads_back();

    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mask_test.c - no byte of a secret value comes out, however the reads cut it,
 * and everything else does, as soon as it can (M1 .. M5; issue 6, item 5)
 */
#include "bl_mask.h"

#include <stdlib.h>
#include <time.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <apr_tables.h>

#include "bl_forms.h"
#include "tap.h"

#define MOST 8192 /* bytes of a text */

static apr_pool_t *pool;

/* ---- a slow and plain model of what should come out ----------------- */

static apr_array_header_t *forms; /* of the values of this test */

static const char *form_at(int i)
{
    return APR_ARRAY_IDX(forms, i, const char *);
}

/* Which bytes belong to a form, in the first len bytes of a text. */
static void model_cover(char *covered, const char *text, size_t len)
{
    size_t at;
    int i;

    memset(covered, 0, len);
    for (i = 0; i < forms->nelts; i++) {
        size_t n = strlen(form_at(i));

        for (at = 0; at + n <= len; at++) {
            if (memcmp(text + at, form_at(i), n) == 0)
                memset(covered + at, 1, n);
        }
    }
}

/* Bytes at the end that a form may begin with, and not end. */
static size_t model_hold(const char *text, size_t len)
{
    size_t best = 0, n;
    int i;

    for (i = 0; i < forms->nelts; i++) {
        for (n = strlen(form_at(i)) - 1; n > best; n--) {
            if (n <= len && memcmp(text + len - n, form_at(i), n) == 0)
                best = n;
        }
    }
    return best;
}

static size_t model_write(char *out, const char *text, const char *covered,
                          size_t len)
{
    size_t at, n = 0;

    for (at = 0; at < len; at++) {
        if (!covered[at])
            out[n++] = text[at];
        else if (at == 0 || !covered[at - 1]) {
            memcpy(out + n, "***", 3);
            n += 3;
        }
    }
    return n;
}

/* What has to be out when so much of a text was fed. */
static size_t model_so_far(char *out, const char *text, size_t len)
{
    static char covered[MOST];
    size_t shown = len - model_hold(text, len);

    model_cover(covered, text, len);
    while (shown < len && covered[shown])
        shown++;
    return model_write(out, text, covered, shown);
}

/* ... and at the end of the stream. */
static size_t model_all(char *out, const char *text, size_t len)
{
    static char covered[MOST];
    size_t hold = model_hold(text, len);

    model_cover(covered, text, len);
    if (hold >= BL_MASK_LEAST)
        memset(covered + len - hold, 1, hold);
    return model_write(out, text, covered, len);
}

/* ---- a place for what comes out ------------------------------------- */

typedef struct {
    char bytes[2 * MOST];
    size_t len;
} sink_t;

static void take(sink_t *sink, const char *text, apr_size_t len)
{
    memcpy(sink->bytes + sink->len, text, len);
    sink->len += len;
}

static void feed(sink_t *sink, bl_masked_t *m, const char *text, size_t n)
{
    /* Its own memory, and gone afterwards: nothing may point to it. */
    char *read = malloc(n + 1);
    apr_size_t len = n;
    const char *given;

    memcpy(read, text, n);
    given = bl_masked_feed(m, read, &len);
    memset(read, '#', n);
    free(read);
    take(sink, given, len);
}

static void finish(sink_t *sink, bl_masked_t *m)
{
    apr_size_t len = 99;
    const char *given = bl_masked_finish(m, &len);

    take(sink, given, len);
}

static bl_mask_t *mask_of(const char *const *values, int count)
{
    bl_mask_t *mask = NULL;
    int i;

    forms = apr_array_make(pool, 8, sizeof(char *));
    for (i = 0; i < count; i++)
        bl_forms_add(forms, values[i], BL_MASK_LEAST, pool);
    if (bl_mask_create(&mask, values, count, pool) != APR_SUCCESS)
        ok(0, "the values are taken");
    return mask;
}

/* ---- what is masked ------------------------------------------------- */

#define VALUES_MOST 5

typedef struct {
    const char *name;
    const char *values[VALUES_MOST];
    const char *text;
    const char *want; /* with the end of the stream */
} case_t;

static const case_t cases[] = {
    {"a value", {"sesame"}, "open sesame!\n", "open ***!\n"},
    {"twice", {"sesame"}, "sesame sesame", "*** ***"},
    {"touching", {"sesame"}, "<sesamesesame>", "<***>"},
    {"nothing", {"sesame"}, "open sesam, ses ame\n", "open sesam, ses ame\n"},
    {"only itself", {"sesame"}, "sesame", "***"},
    {"blanks around it", {"  sesame\t\n"}, "open sesame \n", "open *** \n"},
    {"within another",
     {"sesame", "open sesame now"},
     "sesame, open sesame now, open sesame later",
     "***, ***, open *** later"},
    {"within another, first",
     {"open sesame now", "sesame"},
     "sesame, open sesame now, open sesame later",
     "***, ***, open *** later"},
    {"beginning of another",
     {"abcd", "abcdefgh"},
     "abcd abcdefg abcdefgh",
     "*** ***efg ***"},
    {"end of another",
     {"efgh", "abcdefgh"},
     "efgh bcdefgh abcdefgh",
     "*** bcd*** ***"},
    {"overlapping",
     {"abcdef", "defghi"},
     "-abcdefghi-abcdefdefghi-",
     "-***-***-"},
    {"overlapping itself", {"abab"}, "-ababab-aba-", "-***-aba-"},
    {"two in one that is not",
     {"one1", "two2", "-one1-two2-end"},
     "x-one1-two2-enx",
     "x-***-***-enx"},
    {"falls back", {"aaab", "aacd"}, "aaacd aaaab", "a*** a***"},
    {"several lines",
     {"first line\nsecond\r\n  third\nend"},
     "first line\nsecond\r\n  third\nend\n",
     "***\n"},
    {"several lines, one by one",
     {"first line\nsecond\r\n  third\nend"},
     "> first line\n> second\n> third\n> end\n",
     "> ***\n> ***\n> ***\n> end\n"},
    {"several lines, a begin",
     {"first line\nsecond\nthird"},
     "first line\nsecond\nthi\n",
     "***\n***\nthi\n"},
    {"a carriage return in it",
     {"one\rtwo2"},
     "one\rtwo2 one\r\ntwo2\n",
     "*** one\r\n***\n"},
    {"no text",
     {"\xFF\xFE\x80\x01"},
     "a\xFF\xFE\x80\x01z\xFF\xFE",
     "a***z\xFF\xFE"},
    {"base64",
     {"open sesame"},
     "b3BlbiBzZXNhbWU= b3BlbiBzZXNhbWU\n",
     "*** ***\n"},
    {"base64 with a line end",
     {"open sesame"},
     "b3BlbiBzZXNhbWUK\n",
     "***K\n"},
    {"base64 of user:password",
     {"sesame"},
     "Authorization: Basic YWxpOnNlc2FtZQ==, Og==\n",
     "Authorization: Basic YWxpOn***, Og==\n"},
    {"base64, third place",
     {"sesame"},
     "Basic YWxpMTpzZXNhbWU6\n",
     "Basic YWxpMTp***6\n"},
    {"base64url", {"<<?\?>>"}, "PDw_Pz4- PDw/Pz4+\n", "*** ***\n"},
    {"percent",
     {"p&ss wörd/"},
     "p%26ss%20w%C3%B6rd%2F p%26ss+w%c3%b6rd%2f p&ss%20w%C3%B6rd/\n",
     "*** *** ***\n"},
    {"an end that a value begins with", {"sesame"}, "open sesa", "open ***"},
    {"a short end that a value begins with",
     {"sesame"},
     "open ses",
     "open ses"},
    {"an end in a run", {"sesame", "mexico"}, "sesame", "***"},
    {"too short by itself", {"abc", "sesame"}, "abc sesame", "abc ***"},
    {"a line that is too short",
     {"a\nlonger\n}"},
     "x\nlonger\n} }\na",
     "x\n***\n} }\na"},
};

static int value_count(const case_t *c)
{
    int n = 0;

    while (n < VALUES_MOST && c->values[n] != NULL)
        n++;
    return n;
}

/* Two reads, cut anywhere; and a byte at a time, and looked at after each. */
static void every_cut(const case_t *c, const bl_mask_t *mask)
{
    static sink_t sink;
    static char want[2 * MOST], so_far[2 * MOST];
    size_t len = strlen(c->text), cut, want_len;
    unsigned wrong = 0;
    bl_masked_t *m;

    want_len = model_all(want, c->text, len);
    is_mem(want, want_len, c->want, strlen(c->want), "%s: the model", c->name);
    for (cut = 0; cut <= len; cut++) {
        sink.len = 0;
        m = bl_masked_create(mask, len, pool);
        feed(&sink, m, c->text, cut);
        feed(&sink, m, c->text + cut, len - cut);
        finish(&sink, m);
        if (sink.len != want_len || memcmp(sink.bytes, want, want_len) != 0)
            is_mem(sink.bytes, sink.len, want, want_len, "%s: cut at %zu",
                   c->name, cut);
    }
    sink.len = 0;
    m = bl_masked_create(mask, len, pool);
    for (cut = 0; cut < len; cut++) {
        size_t n = model_so_far(so_far, c->text, cut + 1);

        feed(&sink, m, c->text + cut, 1);
        wrong += sink.len != n || memcmp(sink.bytes, so_far, n) != 0;
    }
    is_u64(wrong, 0, "%s: byte by byte, each as soon as it can be", c->name);
    finish(&sink, m);
    is_mem(sink.bytes, sink.len, c->want, strlen(c->want), "%s: %s", c->name,
           "the whole");
}

static void test_cases(void)
{
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const bl_mask_t *mask =
            mask_of(cases[i].values, value_count(&cases[i]));

        if (ok(mask != NULL, "%s: there is something to mask", cases[i].name))
            every_cut(&cases[i], mask);
    }
}

/* ---- against the model ---------------------------------------------- */

static unsigned random_below(unsigned n)
{
    return (unsigned)(random() % n);
}

/* Few letters, so that much overlaps. */
static size_t random_text(char *out, size_t least, size_t most,
                          const char *letters)
{
    size_t len = least + random_below((unsigned)(most - least + 1)), i;

    for (i = 0; i < len; i++)
        out[i] = letters[random_below((unsigned)strlen(letters))];
    out[len] = '\0';
    return len;
}

static int one_random(const char *letters)
{
    static char value[VALUES_MOST][32], text[MOST], want[2 * MOST];
    static char so_far[2 * MOST];
    static sink_t sink;
    const char *values[VALUES_MOST];
    int count = 1 + (int)random_below(VALUES_MOST), i, wrong = 0;
    size_t len, at = 0, want_len;
    bl_mask_t *mask;
    bl_masked_t *m;

    for (i = 0; i < count; i++) {
        random_text(value[i], 4, i == 0 ? 6 : 20, letters);
        values[i] = value[i];
    }
    mask = mask_of(values, count);
    if (mask == NULL)
        return 1; /* nothing but line ends */
    len = random_text(text, 0, 400, letters);
    for (i = 0; i < 6; i++) { /* some that are there for certain, or nearly */
        const char *one = values[random_below((unsigned)count)];
        size_t n = strlen(one) - random_below(2);

        if (len > n)
            memcpy(text + random_below((unsigned)(len - n)), one, n);
    }
    m = bl_masked_create(mask, 64, pool);
    sink.len = 0;
    while (at < len) {
        size_t n = 1 + random_below(random_below(4) == 0 ? 60 : 5);

        n = n < len - at ? n : len - at;
        feed(&sink, m, text + at, n);
        at += n;
        n = model_so_far(so_far, text, at);
        wrong += sink.len != n || memcmp(sink.bytes, so_far, n) != 0;
    }
    finish(&sink, m);
    want_len = model_all(want, text, len);
    wrong += sink.len != want_len || memcmp(sink.bytes, want, want_len) != 0;
    if (wrong) {
        for (i = 0; i < count; i++)
            tap_bytes("value", values[i], strlen(values[i]));
        tap_bytes("text", text, len);
        tap_bytes("got", sink.bytes, sink.len);
        tap_bytes("want", want, want_len);
    }
    return !wrong;
}

static void test_random(void)
{
    static const char *const letters[] = {"ab", "abc", "ab\n ",
                                          "aAbB%+/=", "abcdefghijklmnop \r\n"};
    size_t set;
    int i, good;

    for (set = 0; set < sizeof(letters) / sizeof(letters[0]); set++) {
        srandom(20261122);
        for (i = 0, good = 1; i < 500 && good; i++) {
            apr_pool_clear(pool);
            good = one_random(letters[set]);
        }
        ok(good, "500 random texts of %zu letters, as the model says",
           strlen(letters[set]));
    }
}

/* ---- what is not ---------------------------------------------------- */

static void test_nothing(void)
{
    const char *const none[] = {"", "a", "abc", " \n ", "\n\n\n\n", "ab\ncd"};
    const char *one[1];
    bl_mask_t *mask = (bl_mask_t *)1;
    char *large = apr_palloc(pool, BL_MASK_MOST + 2);
    size_t i;

    for (i = 0; i < 5; i++) {
        one[0] = none[i];
        is_u64(bl_mask_create(&mask, one, 1, pool), APR_SUCCESS, "too short");
        ok(mask == NULL, "... and nothing to mask");
    }
    is_u64(bl_mask_create(&mask, NULL, 0, pool), APR_SUCCESS, "no value");
    ok(mask == NULL, "... and nothing to mask");
    one[0] = none[5];
    is_u64(bl_mask_create(&mask, one, 1, pool), APR_SUCCESS,
           "two short lines are long enough together");
    is_str(bl_mask_text(mask, "ab cd ab\ncd", pool), "ab cd ***", "... so");

    memset(large, 'x', BL_MASK_MOST + 1);
    large[BL_MASK_MOST + 1] = '\0';
    one[0] = large;
    is_u64(bl_mask_create(&mask, one, 1, pool), APR_ENOSPC, "too much");
    large[BL_MASK_MOST] = '\0';
    is_u64(bl_mask_create(&mask, one, 1, pool), APR_SUCCESS, "just enough");
    is_str(bl_mask_text(mask, apr_pstrcat(pool, "a", large, "xz", NULL), pool),
           "a***z", "... and it is masked");
}

static void test_text(void)
{
    const char *const values[] = {"sesame", "https://x"};
    bl_mask_t *mask = mask_of(values, 2);
    const char *text = "$ curl https";

    is_str(bl_mask_text(mask, "$ open sesame", pool), "$ open ***", "a text");
    ok(bl_mask_text(mask, text, pool) == text,
       "in a whole text what a value begins with is no value");
    ok(bl_mask_text(NULL, text, pool) == text, "no mask");
    is_str(bl_mask_text(mask, "", pool), "", "no text");
}

/* M5: what overlaps itself as much as can be takes no longer than what does
 * not. Half a minute would be quadratic; a busy machine is not. */
/* A value goes on behind the end of a stream: a step ended, and what it has
 * left behind holds the pipe. */
static void test_over_the_end(void)
{
    static const char *const value[] = {"open sesame"};
    static const struct {
        const char *first, *second, *want;
    } ends[] = {
        {"open ses", "ame!", "***|***!"},
        {"open sesa", "me!", "***|**!"},
        {"open sesam", "e!", "***|*!"},
        {"op", "en sesame!", "op|***!"},
        {"open ses", "open sesame!", "***|***!"},
        {"open ses", "", "***|"},
        {"open ses", "x", "***|x"},
    };
    const bl_mask_t *mask = mask_of(value, 1);
    size_t i;

    for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        bl_masked_t *m = bl_masked_create(mask, 64, pool);
        sink_t sink = {0};

        feed(&sink, m, ends[i].first, strlen(ends[i].first));
        finish(&sink, m);
        take(&sink, "|", 1);
        feed(&sink, m, ends[i].second, strlen(ends[i].second));
        finish(&sink, m);
        finish(&sink, m);
        is_mem(sink.bytes, sink.len, ends[i].want, strlen(ends[i].want),
               "an end between \"%s\" and \"%s\"", ends[i].first,
               ends[i].second);
    }
}

static void test_time(void)
{
    enum { LEN = 65536 };
    char *value = apr_palloc(pool, BL_MASK_MOST + 1);
    char *read = apr_palloc(pool, LEN);
    const char *values[1];
    bl_mask_t *mask = NULL;
    bl_masked_t *m;
    apr_size_t given = 0, len;
    clock_t from = clock();
    int i;

    memset(value, 'a', BL_MASK_MOST);
    value[BL_MASK_MOST] = '\0';
    values[0] = value;
    bl_mask_create(&mask, values, 1, pool);
    m = bl_masked_create(mask, LEN, pool);
    memset(read, 'a', LEN);
    for (i = 0; i < 64; i++) {
        len = LEN;
        bl_masked_feed(m, read, &len);
        given += len;
    }
    bl_masked_finish(m, &len);
    is_u64(given + len, 3, "4 MB of one run are one ***");
    ok(clock() - from < 15 * CLOCKS_PER_SEC, "... in linear time");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_cases();
    test_random();
    test_over_the_end();
    apr_pool_clear(pool);
    test_nothing();
    test_text();
    test_time();
    return done_testing();
}

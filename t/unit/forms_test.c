/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forms_test.c - a value is found as encoders write it, alone and as part of
 * something longer (bl_forms.h; issue 6, item 5)
 */
#include "bl_forms.h"

#include <stdlib.h>

#include <apr_encode.h>
#include <apr_general.h>
#include <apr_strings.h>

#include "bl_mask.h"
#include "tap.h"

static apr_pool_t *pool;

static apr_array_header_t *forms_of(const char *value)
{
    apr_array_header_t *list = apr_array_make(pool, 8, sizeof(char *));
    int n = bl_forms_add(list, value, BL_MASK_LEAST, pool);

    is_u64((unsigned)n, (unsigned)list->nelts, "all that were added count");
    return list;
}

static int has(const apr_array_header_t *list, const char *form)
{
    int i;

    for (i = 0; i < list->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(list, i, const char *), form) == 0)
            return 1;
    }
    return 0;
}

/* ---- what others make of a value ------------------------------------ */

/* Written by programs: base64(1), base64 -w0 | tr -d =, encodeURIComponent,
 * encodeURI, URLSearchParams, Python's quote, quote_plus, quote(safe=""),
 * PHP's urlencode. */
static const struct {
    const char *value;
    const char *forms[12];
} known[] = {
    {"sesame", {"sesame", "c2VzYW1l", "Nlc2FtZQ==", "Nlc2FtZQ", "zZXNhbWU="}},
    {"s3same", {"s3same", "czNzYW1l"}},
    {"sesame1", {"c2VzYW1lMQ==", "c2VzYW1lMQ="}},
    {"a b&c=~(d)*/\xC3\xBC%",
     {"a b&c=~(d)*/\xC3\xBC%", "a%20b%26c%3D~(d)*%2F%C3%BC%25",
      "a%20b&c=~(d)*/%C3%BC%25", "a+b%26c%3D%7E%28d%29*%2F%C3%BC%25",
      "a%20b%26c%3D~%28d%29%2A/%C3%BC%25", "a+b%26c%3D~%28d%29%2A%2F%C3%BC%25",
      "a%20b%26c%3D~%28d%29%2A%2F%C3%BC%25",
      "a+b%26c%3D%7E%28d%29%2A%2F%C3%BC%25", "a%20b%26c%3d~(d)*%2f%c3%bc%25",
      "YSBiJmM9fihkKSovw7wl"}},
    {" \tone \r\n  two2\t\n\n x \nthree\n ",
     {"one \r\n  two2\t\n\n x \nthree", "two2", "three",
      "one%20%0D%0A%20%20two2%09%0A%0A%20x%20%0Athree",
      "b25lIA0KICB0d28yCQoKIHggCnRocmVl"}},
};

static void test_known(void)
{
    size_t i, j;

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        apr_array_header_t *list = forms_of(known[i].value);

        for (j = 0; j < 12 && known[i].forms[j] != NULL; j++)
            ok(has(list, known[i].forms[j]), "value %zu: form %zu", i, j);
    }
    ok(!has(forms_of("one \n two2 \n x"), "one"), "\"one\" is too short");
    ok(has(forms_of("one \n two2 \n x"), "two2"), "... \"two2\" is not");
    is_u64((unsigned)forms_of(" abc ")->nelts, 0, "too short: no form");
    is_u64((unsigned)forms_of("")->nelts, 0, "nothing: no form");
}

/* ---- in something longer -------------------------------------------- */

static size_t random_bytes(unsigned char *out, size_t least, size_t most)
{
    size_t len = least + (size_t)random() % (most - least + 1), i;

    for (i = 0; i < len; i++)
        out[i] = (unsigned char)(0x21 + random() % 0xDE);
    out[len] = '\0';
    return len;
}

/* What base64 shows of a value: in the characters that it shares with its
 * neighbours at most 2 or 4 bits, in others none. */
static int one_in_base64(int flags)
{
    unsigned char value[64], all[128];
    size_t before = random_bytes(all, 0, 7), after;
    size_t len = random_bytes(value, 4, 40), most;
    const char *values[] = {(const char *)value}, *text;
    const char *shown;
    bl_mask_t *mask = NULL;

    memcpy(all + before, value, len);
    after = random_bytes(all + before + len, 0, 7);
    bl_mask_create(&mask, values, 1, pool);
    text = apr_pencode_base64_binary(
        pool, all, (apr_ssize_t)(before + len + after), flags, NULL);
    shown = bl_mask_text(mask, text, pool);
    /* The characters with a bit of what stands before, and of what is behind;
     * "=" stands alone when nothing else is behind. */
    most = (8 * before + 5) / 6 + 3 +
           (after > 0 ? strlen(text) - 8 * (before + len) / 6 : 0);
    if (strstr(shown, "***") != NULL && strlen(shown) <= most)
        return 1;
    tap_bytes("value", value, len);
    printf("# text %s\n# shown %s (at most %zu)\n", text, shown, most);
    return 0;
}

static void test_in_base64(void)
{
    static const struct {
        const char *name;
        int flags;
    } kinds[] = {
        {"base64", APR_ENCODE_NONE},
        {"base64 without padding", APR_ENCODE_NOPADDING},
        {"base64url", APR_ENCODE_BASE64URL},
        {"base64url with padding", APR_ENCODE_URL},
    };
    size_t kind;
    int i, good;

    for (kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
        srandom(20261122);
        for (i = 0, good = 1; i < 500 && good; i++) {
            apr_pool_clear(pool);
            good = one_in_base64(kinds[kind].flags);
        }
        ok(good, "%s of something with a value in it shows nothing of that",
           kinds[kind].name);
    }
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_known();
    test_in_base64();
    return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sign_test.c - who knows a secret can sign, and nobody else; a message is
 * signed as others sign it (issue 7, items 2 and 3)
 */
#include "bl_sign.h"

#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"

static apr_pool_t *pool;

/* RFC 4231, test cases 1, 2 and 6. */
static void test_digests(void)
{
    static const struct {
        const char *key, *a, *b, *want;
    } cases[] = {
        {"\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"
         "\x0b\x0b\x0b\x0b",
         "Hi ", "There",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {"Jefe", "what do ya want ", "for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    };
    char long_key[131], hex[BL_SIGN_HEX_LEN + 1];
    bl_sign_key_t key;
    bl_sign_t sign;
    unsigned i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bl_sign_part_t parts[] = {{cases[i].a, strlen(cases[i].a)},
                                  {"", 0},
                                  {cases[i].b, strlen(cases[i].b)}};

        key.bytes = cases[i].key;
        key.len = strlen(cases[i].key);
        is_u64(bl_sign_make(&sign, &key, parts, 3), APR_SUCCESS, "digest");
        bl_sign_hex(hex, &sign);
        is_str(hex, cases[i].want, "case %u: in pieces as in one", i);
        ok(bl_sign_is_hex(&sign, cases[i].want), "... and it is that");
    }
    memset(long_key, 0xaa, sizeof(long_key));
    key.bytes = long_key;
    key.len = sizeof(long_key);
    {
        bl_sign_part_t part = {
            "Test Using Larger Than Block-Size Key - Hash Key First", 54};

        bl_sign_make(&sign, &key, &part, 1);
    }
    bl_sign_hex(hex, &sign);
    is_str(hex,
           "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
           "a key longer than a block");
}

static void test_hex(void)
{
    char hex[BL_SIGN_HEX_LEN + 2];
    bl_sign_t sign;
    int i, wrong = 0;

    memset(&sign, 0xa5, sizeof(sign));
    bl_sign_hex(hex, &sign);
    ok(bl_sign_is_hex(&sign, hex), "its own");
    ok(!bl_sign_is_hex(&sign, NULL) && !bl_sign_is_hex(&sign, ""), "none");
    for (i = 0; i < BL_SIGN_HEX_LEN; i++) {
        hex[i] ^= 1;
        wrong += bl_sign_is_hex(&sign, hex);
        hex[i] ^= 1;
    }
    hex[BL_SIGN_HEX_LEN] = '0';
    hex[BL_SIGN_HEX_LEN + 1] = '\0';
    wrong += bl_sign_is_hex(&sign, hex);
    hex[BL_SIGN_HEX_LEN - 1] = '\0';
    wrong += bl_sign_is_hex(&sign, hex);
    is_u64((uint64_t)wrong, 0, "with another digit, one more, one less: no");
}

/* Reckoned with openssl(1). */
static void test_message(void)
{
    static const char body[] = "{\"ref\":\"refs/heads/main\"}";
    char coded[BL_SIGN_BASE64_LEN + 1];
    const char *header;
    bl_sign_key_t key;
    bl_sign_t sign;

    is_u64(bl_sign_key(&key, "whsec_c2VjcmV0IGJ5dGVzIQ==", pool), APR_SUCCESS,
           "a secret in base64");
    is_mem(key.bytes, key.len, "secret bytes!", 13, "... is its bytes");
    is_u64(bl_sign_message(&sign, &key, "msg_1", "1763805600", body,
                           strlen(body)),
           APR_SUCCESS, "a message");
    bl_sign_base64(coded, &sign);
    is_str(coded, "K4Ee5W+rifEL1B+wGg4ts/BPoxejt1Xdn5LUu3ne9PQ=",
           "... as others sign it");
    header = apr_pstrcat(pool, "v1,", coded, NULL);
    ok(bl_sign_is_among(&sign, header), "the only one");
    ok(bl_sign_is_among(&sign, apr_pstrcat(pool, "v1a,xyz v1,AAAA ", header,
                                           "  v2,x", NULL)),
       "one of several");
    ok(!bl_sign_is_among(&sign, NULL) && !bl_sign_is_among(&sign, "") &&
           !bl_sign_is_among(&sign, " ") && !bl_sign_is_among(&sign, "v1,"),
       "none");
    ok(!bl_sign_is_among(&sign, apr_pstrcat(pool, "v2,", coded, NULL)) &&
           !bl_sign_is_among(&sign, coded) &&
           !bl_sign_is_among(&sign, apr_pstrcat(pool, header, "=", NULL)),
       "of another version, of none, with something behind it");
    coded[0] ^= 1;
    ok(!bl_sign_is_among(&sign, apr_pstrcat(pool, "v1,", coded, NULL)),
       "another");
}

static void test_secrets(void)
{
    static const char *const bad[] = {
        "",           "whsec_",         "whsec_a",    "whsec_abc",
        "whsec_abc!", "whsec_ab==cd==", "whsec_====", "whsec_a===",
        "whsec_ab=c", "whsec_abcd efg"};
    static const char *const good[][2] = {{"whsec_YWI=", "ab"},
                                          {"whsec_YWJj", "abc"},
                                          {"whsec_YQ==", "a"},
                                          {"plain text", "plain text"},
                                          {"WHSEC_abc", "WHSEC_abc"}};
    bl_sign_key_t key;
    unsigned i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        is_u64(bl_sign_key(&key, bad[i], pool), APR_EINVAL, "\"%s\": none",
               bad[i]);
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        is_u64(bl_sign_key(&key, good[i][0], pool), APR_SUCCESS, "%s",
               good[i][0]);
        is_mem(key.bytes, key.len, good[i][1], strlen(good[i][1]), "... is %s",
               good[i][1]);
    }
    key.bytes = "token";
    key.len = 5;
    ok(bl_sign_is_key(&key, "token"), "the secret itself");
    ok(!bl_sign_is_key(&key, NULL) && !bl_sign_is_key(&key, "") &&
           !bl_sign_is_key(&key, "toke") && !bl_sign_is_key(&key, "tokens") &&
           !bl_sign_is_key(&key, "Token"),
       "what is not");
}

static void test_time(void)
{
    apr_time_t now = apr_time_from_sec(1763805600);

    ok(bl_sign_is_fresh("1763805600", now), "now");
    ok(bl_sign_is_fresh("1763805300", now) &&
           bl_sign_is_fresh("1763805900", now),
       "five minutes before, and after");
    ok(!bl_sign_is_fresh("1763805299", now) &&
           !bl_sign_is_fresh("1763805901", now),
       "a second more");
    ok(!bl_sign_is_fresh("", now) && !bl_sign_is_fresh("0", now) &&
           !bl_sign_is_fresh("-1763805600", now) &&
           !bl_sign_is_fresh("1763805600.5", now) &&
           !bl_sign_is_fresh(" 1763805600", now) &&
           !bl_sign_is_fresh("1763805600x", now) &&
           !bl_sign_is_fresh("18446745837515157216", now),
       "no time");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_digests();
    test_hex();
    test_message();
    test_secrets();
    test_time();
    return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal_test.c - what is sealed can be read with its key, and what it is about,
 * alone; and is noise to others (issue 6, item 5)
 */
#include "bl_seal.h"

#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"

#define TEXT "open sesame"
#define ABOUT "build 42"

static apr_pool_t *pool;
static bl_seal_key_t key;

static apr_status_t open_it(const char *sealed, apr_size_t len,
                            const bl_seal_key_t *k, const char *about)
{
    const char *text = NULL;
    apr_size_t text_len = 0;
    apr_status_t rv = bl_seal_open(&text, &text_len, k, sealed, len, about,
                                   strlen(about), pool);

    if (rv == APR_SUCCESS)
        is_mem(text, text_len, TEXT, strlen(TEXT), "the text");
    else
        ok(text == NULL, "nothing comes out");
    return rv;
}

int main(void)
{
    const char *sealed = NULL, *again = NULL, *text = "";
    apr_size_t len = 0, again_len = 0, text_len = 9, i;
    unsigned opened = 0;
    bl_seal_key_t other;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    is_u64(bl_seal_key_make(&key), APR_SUCCESS, "a key");
    is_u64(bl_seal_key_make(&other), APR_SUCCESS, "another");
    ok(memcmp(&key, &other, sizeof(key)) != 0, "... is another");

    is_u64(bl_seal_close(&sealed, &len, &key, TEXT, strlen(TEXT), ABOUT,
                         strlen(ABOUT), pool),
           APR_SUCCESS, "close");
    ok(memmem(sealed, len, TEXT, 4) == NULL, "nothing of it can be read");
    bl_seal_close(&again, &again_len, &key, TEXT, strlen(TEXT), ABOUT,
                  strlen(ABOUT), pool);
    ok(again_len == len && memcmp(sealed, again, 12) != 0 &&
           memcmp(sealed + 12, again + 12, strlen(TEXT)) != 0,
       "a second time it is other noise");
    is_u64(open_it(sealed, len, &key, ABOUT), APR_SUCCESS, "open");
    is_u64(open_it(sealed, len, &other, ABOUT), APR_EMISMATCH, "another key");
    is_u64(open_it(sealed, len, &key, "build 43"), APR_EMISMATCH,
           "about something else");
    for (i = 0; i < len; i++) {
        char *copy = apr_pmemdup(pool, sealed, len);

        opened += bl_seal_open(&text, &text_len, &key, sealed, i, ABOUT,
                               strlen(ABOUT), pool) == APR_SUCCESS;
        copy[i] ^= 1;
        opened += bl_seal_open(&text, &text_len, &key, copy, len, ABOUT,
                               strlen(ABOUT), pool) == APR_SUCCESS;
    }
    is_u64(opened, 0, "cut short, or with another bit: %u bytes",
           (unsigned)len);

    is_u64(bl_seal_close(&sealed, &len, &key, "", 0, "", 0, pool), APR_SUCCESS,
           "nothing, about nothing");
    is_u64(bl_seal_open(&text, &text_len, &key, sealed, len, "", 0, pool),
           APR_SUCCESS, "... opens");
    is_u64(text_len, 0, "... to nothing");
    return done_testing();
}

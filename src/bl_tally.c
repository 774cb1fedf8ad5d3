/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_tally.c - what a log amounts to as text: lines, bytes, SHA-256
 */
#include "bl_tally.h"

/* libc */
#include <string.h>
/* OpenSSL */
#include <openssl/evp.h>
/* APR */
#include <apr_escape.h>
#include <apr_strings.h>

/* A digest of many short lines costs more for the calls than for the bytes:
 * they are put together first. */
#define BLOCK_BYTES 8192

struct bl_tally_t {
    apr_uint64_t lines;
    apr_uint64_t bytes;
    EVP_MD_CTX *digest; /* NULL: libcrypto has no SHA-256 for us */
    apr_size_t len;     /* of block */
    char block[BLOCK_BYTES];
};

static apr_status_t free_digest(void *baton)
{
    bl_tally_t *t = baton;

    EVP_MD_CTX_free(t->digest);
    return APR_SUCCESS;
}

bl_tally_t *bl_tally_create(apr_pool_t *p)
{
    bl_tally_t *t = apr_palloc(p, sizeof(*t));

    t->lines = 0;
    t->bytes = 0;
    t->len = 0;
    t->digest = EVP_MD_CTX_new();
    if (t->digest != NULL &&
        EVP_DigestInit_ex(t->digest, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(t->digest);
        t->digest = NULL;
    }
    apr_pool_cleanup_register(p, t, free_digest, apr_pool_cleanup_null);
    return t;
}

bl_tally_t *bl_tally_copy(const bl_tally_t *tally, apr_pool_t *p)
{
    bl_tally_t *t = apr_pmemdup(p, tally, sizeof(*t));

    t->digest = tally->digest != NULL ? EVP_MD_CTX_new() : NULL;
    if (t->digest != NULL &&
        EVP_MD_CTX_copy_ex(t->digest, tally->digest) != 1) {
        EVP_MD_CTX_free(t->digest);
        t->digest = NULL;
    }
    apr_pool_cleanup_register(p, t, free_digest, apr_pool_cleanup_null);
    return t;
}

static void take(bl_tally_t *t, const char *bytes, apr_size_t len)
{
    if (t->digest == NULL)
        return;
    if (len > BLOCK_BYTES - t->len) {
        EVP_DigestUpdate(t->digest, t->block, t->len);
        t->len = 0;
    }
    if (len > BLOCK_BYTES) {
        EVP_DigestUpdate(t->digest, bytes, len);
        return;
    }
    memcpy(t->block + t->len, bytes, len);
    t->len += len;
}

void bl_tally_add(bl_tally_t *t, const bl_record_t *rec)
{
    if (!BL_REC_IS_LINE(rec))
        return;
    take(t, rec->text, rec->len);
    t->bytes += rec->len;
    if ((rec->flags & BL_REC_PIECE) == 0) {
        take(t, "\n", 1);
        t->bytes++;
        t->lines++;
    }
}

void bl_tally_count(const bl_tally_t *t, bl_build_t *build)
{
    build->lines = t->lines;
    build->bytes = t->bytes;
}

void bl_tally_finish(bl_tally_t *t, bl_build_t *build, apr_pool_t *p)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    bl_tally_count(t, build);
    if (t->digest == NULL ||
        EVP_DigestUpdate(t->digest, t->block, t->len) != 1 ||
        EVP_DigestFinal_ex(t->digest, sum, &len) != 1)
        return;
    build->sha256 = apr_pescape_hex(p, sum, len, 0);
}

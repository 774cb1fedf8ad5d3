/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_seal.c - secrets that must be on disk, readable in this server alone
 *
 * FORMAT        nonce, 12 bytes | cipher text, as long as the text | tag, 16
 */
#include "bl_seal.h"

/* libc */
#include <limits.h>
#include <string.h>
/* OpenSSL */
#include <openssl/evp.h>
#include <openssl/rand.h>

#define NONCE_LEN 12
#define TAG_LEN 16

apr_status_t bl_seal_key_make(bl_seal_key_t *out)
{
    return RAND_bytes(out->bytes, (int)sizeof(out->bytes)) == 1
               ? APR_SUCCESS
               : APR_ENOTENOUGHENTROPY;
}

/* Lengths are an int's there. */
static int fit_int(apr_size_t a, apr_size_t b)
{
    return a < INT_MAX / 2 && b < INT_MAX / 2;
}

apr_status_t bl_seal_close(const char **out, apr_size_t *out_len,
                           const bl_seal_key_t *key, const char *text,
                           apr_size_t len, const char *about,
                           apr_size_t about_len, apr_pool_t *p)
{
    unsigned char *sealed = apr_palloc(p, NONCE_LEN + len + TAG_LEN);
    unsigned char *cipher = sealed + NONCE_LEN;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n, good;

    good = ctx != NULL && fit_int(len, about_len) &&
           RAND_bytes(sealed, NONCE_LEN) == 1 &&
           EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes,
                              sealed) == 1 &&
           EVP_EncryptUpdate(ctx, NULL, &n, (const unsigned char *)about,
                             (int)about_len) == 1 &&
           EVP_EncryptUpdate(ctx, cipher, &n, (const unsigned char *)text,
                             (int)len) == 1 &&
           EVP_EncryptFinal_ex(ctx, cipher + len, &n) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_LEN,
                               cipher + len) == 1;
    EVP_CIPHER_CTX_free(ctx);
    if (!good)
        return APR_EGENERAL;
    *out = (const char *)sealed;
    *out_len = NONCE_LEN + len + TAG_LEN;
    return APR_SUCCESS;
}

apr_status_t bl_seal_open(const char **out, apr_size_t *out_len,
                          const bl_seal_key_t *key, const char *sealed,
                          apr_size_t sealed_len, const char *about,
                          apr_size_t about_len, apr_pool_t *p)
{
    const unsigned char *nonce = (const unsigned char *)sealed;
    const unsigned char *cipher = nonce + NONCE_LEN;
    unsigned char tag[TAG_LEN], *text;
    EVP_CIPHER_CTX *ctx;
    apr_size_t len;
    int n, good;

    if (sealed_len < NONCE_LEN + TAG_LEN || !fit_int(sealed_len, about_len))
        return APR_EMISMATCH;
    len = sealed_len - NONCE_LEN - TAG_LEN;
    memcpy(tag, cipher + len, TAG_LEN);
    text = apr_palloc(p, len + 1);
    ctx = EVP_CIPHER_CTX_new();
    good = ctx != NULL &&
           EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes,
                              nonce) == 1 &&
           EVP_DecryptUpdate(ctx, NULL, &n, (const unsigned char *)about,
                             (int)about_len) == 1 &&
           EVP_DecryptUpdate(ctx, text, &n, cipher, (int)len) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag) == 1 &&
           EVP_DecryptFinal_ex(ctx, text + len, &n) == 1;
    EVP_CIPHER_CTX_free(ctx);
    if (!good)
        return APR_EMISMATCH;
    text[len] = '\0';
    *out = (const char *)text;
    *out_len = len;
    return APR_SUCCESS;
}

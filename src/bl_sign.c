/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_sign.c - who knows a secret: HMAC-SHA256, and signed messages
 */
#include "bl_sign.h"

/* libc */
#include <limits.h>
#include <string.h>
/* OpenSSL */
#include <openssl/crypto.h>
#include <openssl/evp.h>
/* APR */
#include <apr_lib.h>
#include <apr_strings.h>

#define VERSION "v1,"

/* More digits than a time has for a long while, and few enough to count. */
#define TIME_DIGITS_MOST 12

/* ---- secrets -------------------------------------------------------- */

/* Only base64 as it should be: whole groups, padding at the end alone. */
static int is_base64(const char *text, apr_size_t len)
{
    apr_size_t i, padding = 0;

    for (i = 0; i < len; i++) {
        if (text[i] == '=')
            padding++;
        else if (padding > 0 ||
                 (!apr_isalnum(text[i]) && text[i] != '+' && text[i] != '/'))
            return 0;
    }
    return len > 0 && len % 4 == 0 && padding <= 2;
}

apr_status_t bl_sign_key(bl_sign_key_t *out, const char *text, apr_pool_t *p)
{
    const char *coded = text + strlen(BL_SIGN_PREFIX);
    unsigned char *bytes;
    apr_size_t len;
    int decoded;

    if (strncmp(text, BL_SIGN_PREFIX, strlen(BL_SIGN_PREFIX)) != 0) {
        out->bytes = text;
        out->len = strlen(text);
        return out->len > 0 ? APR_SUCCESS : APR_EINVAL;
    }
    len = strlen(coded);
    if (!is_base64(coded, len) || len > INT_MAX / 2)
        return APR_EINVAL;
    bytes = apr_palloc(p, len);
    decoded = EVP_DecodeBlock(bytes, (const unsigned char *)coded, (int)len);
    if (decoded < 0)
        return APR_EINVAL;
    /* It counts what the padding stands for. */
    out->bytes = (const char *)bytes;
    out->len = (apr_size_t)decoded - (coded[len - 1] == '=') -
               (coded[len - 2] == '=');
    return APR_SUCCESS;
}

/* ---- digests -------------------------------------------------------- */

apr_status_t bl_sign_make(bl_sign_t *out, const bl_sign_key_t *key,
                          const bl_sign_part_t *parts, int count)
{
    EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(
        EVP_PKEY_HMAC, NULL, (const unsigned char *)key->bytes, key->len);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = sizeof(out->bytes);
    int good, i;

    good = pkey != NULL && ctx != NULL &&
           EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pkey) == 1;
    for (i = 0; i < count && good; i++)
        good = EVP_DigestSignUpdate(ctx, parts[i].bytes, parts[i].len) == 1;
    good = good && EVP_DigestSignFinal(ctx, out->bytes, &len) == 1 &&
           len == sizeof(out->bytes);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return good ? APR_SUCCESS : APR_EGENERAL;
}

apr_status_t bl_sign_message(bl_sign_t *out, const bl_sign_key_t *key,
                             const char *id, const char *time,
                             const char *body, apr_size_t len)
{
    const bl_sign_part_t parts[] = {{id, strlen(id)},
                                    {".", 1},
                                    {time, strlen(time)},
                                    {".", 1},
                                    {body, len}};

    return bl_sign_make(out, key, parts, 5);
}

void bl_sign_hex(char out[BL_SIGN_HEX_LEN + 1], const bl_sign_t *sign)
{
    static const char digits[] = "0123456789abcdef";
    apr_size_t i;

    for (i = 0; i < BL_SIGN_LEN; i++) {
        out[2 * i] = digits[sign->bytes[i] >> 4];
        out[2 * i + 1] = digits[sign->bytes[i] & 0x0F];
    }
    out[BL_SIGN_HEX_LEN] = '\0';
}

void bl_sign_base64(char out[BL_SIGN_BASE64_LEN + 1], const bl_sign_t *sign)
{
    EVP_EncodeBlock((unsigned char *)out, sign->bytes, BL_SIGN_LEN);
}

/* ---- comparing (G1) ------------------------------------------------- */

int bl_sign_is_hex(const bl_sign_t *sign, const char *text)
{
    char ours[BL_SIGN_HEX_LEN + 1];

    bl_sign_hex(ours, sign);
    return text != NULL && strlen(text) == BL_SIGN_HEX_LEN &&
           CRYPTO_memcmp(ours, text, BL_SIGN_HEX_LEN) == 0;
}

int bl_sign_is_among(const bl_sign_t *sign, const char *text)
{
    char ours[BL_SIGN_BASE64_LEN + 1];
    int found = 0;

    bl_sign_base64(ours, sign);
    while (text != NULL && *text != '\0') {
        apr_size_t len = strcspn(text, " ");

        if (len == strlen(VERSION) + BL_SIGN_BASE64_LEN &&
            strncmp(text, VERSION, strlen(VERSION)) == 0)
            found |= CRYPTO_memcmp(ours, text + strlen(VERSION),
                                   BL_SIGN_BASE64_LEN) == 0;
        text += len + strspn(text + len, " ");
    }
    return found;
}

/* Their digests, so that no length of theirs is seen by the time. */
int bl_sign_is_key(const bl_sign_key_t *key, const char *text)
{
    bl_sign_part_t theirs = {text != NULL ? text : "",
                             text != NULL ? strlen(text) : 0};
    bl_sign_part_t ours = {key->bytes, key->len};
    bl_sign_t a, b;

    return bl_sign_make(&a, key, &theirs, 1) == APR_SUCCESS &&
           bl_sign_make(&b, key, &ours, 1) == APR_SUCCESS &&
           CRYPTO_memcmp(a.bytes, b.bytes, BL_SIGN_LEN) == 0;
}

/* ---- time ----------------------------------------------------------- */

int bl_sign_is_fresh(const char *time, apr_time_t now)
{
    apr_int64_t seconds = 0;
    const char *s;

    for (s = time; apr_isdigit(*s) && s - time < TIME_DIGITS_MOST; s++)
        seconds = seconds * 10 + (*s - '0');
    if (s == time || *s != '\0')
        return 0;
    return apr_time_from_sec(seconds) >= now - BL_SIGN_TOLERANCE &&
           apr_time_from_sec(seconds) <= now + BL_SIGN_TOLERANCE;
}

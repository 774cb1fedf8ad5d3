/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_sign.h - who knows a secret: HMAC-SHA256, and signed messages
 *
 * Layer:    0 (value). Pure; the door to libcrypto's HMAC and to its
 * comparison in constant time. Runs in:  anywhere. Owns:     the digest, how
 * it is written, the scheme of signed messages. Not here: which header of
 * which forge says what (bl_hook).
 *
 * Signed messages are those of "Standard Webhooks": a message has an id and a
 * time (seconds since the epoch); its signature is "v1," and the base64 of the
 * HMAC of "<id>.<time>.<body>". A secret that begins with "whsec_" is the
 * base64 of its bytes, any other is its bytes.
 *
 * G1  what depends on a secret is compared in constant time
 */
#ifndef BL_SIGN_H
#define BL_SIGN_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_time.h>

#define BL_SIGN_LEN 32
#define BL_SIGN_HEX_LEN 64
#define BL_SIGN_BASE64_LEN 44

/* How such a secret begins. */
#define BL_SIGN_PREFIX "whsec_"

/* So far the time of a message may be from that of its receiver. */
#define BL_SIGN_TOLERANCE apr_time_from_sec(300)

typedef struct {
    unsigned char bytes[BL_SIGN_LEN];
} bl_sign_t;

/* The bytes of a secret. */
typedef struct {
    const char *bytes;
    apr_size_t len; /* > 0 */
} bl_sign_key_t;

/* A piece of what is signed. */
typedef struct {
    const char *bytes;
    apr_size_t len;
} bl_sign_part_t;

/**
 * The bytes of a secret of signed messages.
 *
 * @return APR_SUCCESS; APR_EINVAL: behind whsec_ is no base64, or nothing
 */
apr_status_t bl_sign_key(bl_sign_key_t *out, const char *text, apr_pool_t *p);

/** HMAC-SHA256 of the parts, one behind the other. @return APR_SUCCESS;
 * APR_EGENERAL: libcrypto cannot */
apr_status_t bl_sign_make(bl_sign_t *out, const bl_sign_key_t *key,
                          const bl_sign_part_t *parts, int count);

/** HMAC-SHA256 of one message: see above. */
apr_status_t bl_sign_message(bl_sign_t *out, const bl_sign_key_t *key,
                             const char *id, const char *time,
                             const char *body, apr_size_t len);

/** In lower case, with a NUL. */
void bl_sign_hex(char out[BL_SIGN_HEX_LEN + 1], const bl_sign_t *sign);
void bl_sign_base64(char out[BL_SIGN_BASE64_LEN + 1], const bl_sign_t *sign);

/** G1. @param text  NULL: no */
int bl_sign_is_hex(const bl_sign_t *sign, const char *text);

/** G1. Is it one of the signatures of a header ("v1,... v1,...")?
 * @param text  NULL: no */
int bl_sign_is_among(const bl_sign_t *sign, const char *text);

/** G1. Is this text the secret itself? @param text  NULL: no */
int bl_sign_is_key(const bl_sign_key_t *key, const char *text);

/** Is this the time of a message that was signed just now? */
int bl_sign_is_fresh(const char *time, apr_time_t now);

#endif /* BL_SIGN_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_seal.h - secrets that must be on disk, readable in this server alone
 *
 * Layer:    0 (value). No I/O; the door to libcrypto's ciphers and to its
 *           random bytes.
 * Runs in:  parent (the key), runner.
 * Owns:     AES-256-GCM with a nonce of its own for each text.
 * Not here: what is sealed, and where it is kept (bl_spool).
 *
 * The key lives in the memory of the processes of one server, and ends with
 * them: what was sealed with it is then nothing but noise.
 */
#ifndef BL_SEAL_H
#define BL_SEAL_H

#include <apr_errno.h>
#include <apr_pools.h>

typedef struct {
    unsigned char bytes[32];
} bl_seal_key_t;

/** @return APR_SUCCESS; APR_ENOTENOUGHENTROPY: there are no random bytes */
apr_status_t bl_seal_key_make(bl_seal_key_t *out);

/**
 * Seal a text.
 *
 * @param about  is not secret, and is needed to open it: the seal says that
 *               both belong together
 * @return APR_SUCCESS; APR_EGENERAL: libcrypto cannot
 */
apr_status_t bl_seal_close(const char **out, apr_size_t *out_len,
                           const bl_seal_key_t *key, const char *text,
                           apr_size_t len, const char *about,
                           apr_size_t about_len, apr_pool_t *p);

/**
 * Open it again.
 *
 * @param out  *out_len bytes, and a NUL behind them
 * @return APR_SUCCESS; APR_EMISMATCH: it was sealed with another key, or about
 *         something else, or is damaged
 */
apr_status_t bl_seal_open(const char **out, apr_size_t *out_len,
                          const bl_seal_key_t *key, const char *sealed,
                          apr_size_t len, const char *about,
                          apr_size_t about_len, apr_pool_t *p);

#endif /* BL_SEAL_H */

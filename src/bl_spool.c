/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_spool.c - the orders of builds that wait, on disk
 *
 * FORMAT        the message (bl_wire.h); if it names secrets, "BLS1" and the
 *               message sealed (bl_seal.h), about "BLS1" and the build's
 * number
 */
#include "bl_spool.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_strings.h>
/* layer 1 */
#include "bl_replace.h"

#define OWNER_ONLY (APR_FPROT_UREAD | APR_FPROT_UWRITE)
#define SUFFIX ".order"

#define SEALED "BLS1"
#define SEALED_LEN (sizeof(SEALED) - 1)

/* Of a file: an order, and what a seal adds. */
#define FILE_MOST (BL_WIRE_HEADER_LEN + BL_WIRE_BODY_MAX + 64)

const char *bl_spool_dir(const char *state_dir, apr_pool_t *p)
{
    return apr_pstrcat(p, state_dir, "/queue", NULL);
}

apr_status_t bl_spool_make(const char *dir, apr_pool_t *p)
{
    apr_status_t rv = apr_dir_make(dir, OWNER_ONLY | APR_FPROT_UEXECUTE, p);

    return APR_STATUS_IS_EEXIST(rv) ? APR_SUCCESS : rv;
}

static const char *path_of(const char *dir, apr_uint64_t build, apr_pool_t *p)
{
    return apr_psprintf(p, "%s/%" APR_UINT64_T_FMT SUFFIX, dir, build);
}

/* ---- secrets (P1) --------------------------------------------------- */

/* Another build's order is none of this one. */
static const char *about(apr_uint64_t build, apr_pool_t *p)
{
    return apr_psprintf(p, SEALED "%" APR_UINT64_T_FMT, build);
}

static apr_status_t seal(const char **bytes, apr_size_t *len,
                         const bl_seal_key_t *key, apr_uint64_t build,
                         apr_pool_t *p)
{
    const char *what = about(build, p), *sealed;
    apr_size_t sealed_len;
    char *both;
    apr_status_t rv;

    rv = bl_seal_close(&sealed, &sealed_len, key, *bytes, *len, what,
                       strlen(what), p);
    if (rv != APR_SUCCESS)
        return rv;
    both = apr_palloc(p, SEALED_LEN + sealed_len);
    memcpy(both, SEALED, SEALED_LEN);
    memcpy(both + SEALED_LEN, sealed, sealed_len);
    *bytes = both;
    *len = SEALED_LEN + sealed_len;
    return APR_SUCCESS;
}

static int is_sealed(const char *bytes, apr_size_t len)
{
    return len >= SEALED_LEN && memcmp(bytes, SEALED, SEALED_LEN) == 0;
}

static apr_status_t unseal(const char **bytes, apr_size_t *len,
                           const bl_seal_key_t *key, apr_uint64_t build,
                           apr_pool_t *p)
{
    const char *what = about(build, p);

    return bl_seal_open(bytes, len, key, *bytes + SEALED_LEN,
                        *len - SEALED_LEN, what, strlen(what), p);
}

/* ---- files ---------------------------------------------------------- */

apr_status_t bl_spool_save(const char *dir, apr_uint64_t build,
                           const bl_order_t *order, const bl_seal_key_t *key,
                           apr_pool_t *p)
{
    const char *bytes;
    apr_size_t len;
    apr_status_t rv = bl_wire_order_write(&bytes, &len, order, p);

    /* All of it: what is secret may stand in other variables, in commands and
     * in messages, too. */
    if (rv == APR_SUCCESS && order->mask_count > 0)
        rv = seal(&bytes, &len, key, build, p);
    if (rv != APR_SUCCESS)
        return rv;
    return bl_replace(path_of(dir, build, p), bytes, len, p);
}

apr_status_t bl_spool_load(bl_order_t **out, const char *dir,
                           apr_uint64_t build, const bl_seal_key_t *key,
                           apr_pool_t *p)
{
    apr_size_t len = 0, need = 0;
    bl_wire_frame_t frame;
    const char *bytes;
    bl_order_t *order;
    int sealed;
    apr_status_t rv =
        bl_replace_read(&bytes, &len, path_of(dir, build, p), FILE_MOST, p);

    if (rv != APR_SUCCESS)
        return rv;
    sealed = is_sealed(bytes, len);
    if (sealed) {
        rv = unseal(&bytes, &len, key, build, p);
        if (rv != APR_SUCCESS)
            return rv;
    }
    if (bl_wire_frame_read(&frame, &need, bytes, len) != APR_SUCCESS ||
        need != len || bl_wire_order_read(&order, &frame, p) != APR_SUCCESS ||
        sealed != (order->mask_count > 0))
        return APR_EGENERAL;
    *out = order;
    return APR_SUCCESS;
}

void bl_spool_remove(const char *dir, apr_uint64_t build, apr_pool_t *p)
{
    apr_file_remove(path_of(dir, build, p), p);
}

static int is_kept(const char *name, const apr_array_header_t *kept,
                   apr_pool_t *p)
{
    int i;

    for (i = 0; i < kept->nelts; i++) {
        const char *file = apr_psprintf(p, "%" APR_UINT64_T_FMT SUFFIX,
                                        APR_ARRAY_IDX(kept, i, apr_uint64_t));

        if (strcmp(file, name) == 0)
            return 1;
    }
    return 0;
}

void bl_spool_sweep(const char *dir, const apr_array_header_t *kept,
                    apr_pool_t *p)
{
    apr_pool_t *scratch;
    apr_finfo_t info;
    apr_dir_t *open;

    if (apr_dir_open(&open, dir, p) != APR_SUCCESS)
        return;
    apr_pool_create(&scratch, p);
    while (apr_dir_read(&info, APR_FINFO_NAME, open) == APR_SUCCESS) {
        apr_pool_clear(scratch);
        if (info.name[0] != '.' && !is_kept(info.name, kept, scratch))
            apr_file_remove(apr_pstrcat(scratch, dir, "/", info.name, NULL),
                            scratch);
    }
    apr_dir_close(open);
    apr_pool_destroy(scratch);
}

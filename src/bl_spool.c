/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_spool.c - the orders of builds that wait, on disk
 *
 * FORMAT        the message (bl_wire.h) without the values of its secrets; if
 *               it names secrets, these behind it, sealed (bl_seal.h)
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

/* Of a file: an order, and a seal around as much at most. */
#define FILE_MOST (2 * (BL_WIRE_HEADER_LEN + BL_WIRE_BODY_MAX))

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

/* The order without its secrets, and these: entries with a NUL behind each. */
static void take_apart(bl_order_t *open, const char **secrets, apr_size_t *len,
                       const bl_order_t *order, apr_pool_t *p)
{
    apr_size_t most = 0;
    char *text, *end;
    int i;

    *open = *order;
    open->env_count = 0;
    open->env =
        apr_palloc(p, sizeof(char *) * (apr_size_t)(order->env_count + 1));
    for (i = 0; i < order->env_count; i++)
        most += strlen(order->env[i]) + 1;
    text = end = apr_palloc(p, most + 1);
    for (i = 0; i < order->env_count; i++) {
        const char *entry = order->env[i];

        if (bl_wire_is_secret(order, entry)) {
            memcpy(end, entry, strlen(entry) + 1);
            end += strlen(entry) + 1;
        }
        else
            open->env[open->env_count++] = entry;
    }
    *secrets = text;
    *len = (apr_size_t)(end - text);
}

static void put_together(bl_order_t *order, const char *secrets,
                         apr_size_t len, apr_pool_t *p)
{
    apr_array_header_t *env =
        apr_array_make(p, order->env_count + 8, sizeof(char *));
    const char *entry;
    int i;

    for (i = 0; i < order->env_count; i++)
        APR_ARRAY_PUSH(env, const char *) = order->env[i];
    for (entry = secrets; entry < secrets + len; entry += strlen(entry) + 1)
        APR_ARRAY_PUSH(env, const char *) = entry;
    order->env = (const char **)env->elts;
    order->env_count = env->nelts;
}

/* ---- files ---------------------------------------------------------- */

apr_status_t bl_spool_save(const char *dir, apr_uint64_t build,
                           const bl_order_t *order, const bl_seal_key_t *key,
                           apr_pool_t *p)
{
    const char *frame, *secrets, *sealed = "", *bytes;
    apr_size_t frame_len, secrets_len, sealed_len = 0;
    bl_order_t open;
    apr_status_t rv;

    take_apart(&open, &secrets, &secrets_len, order, p);
    rv = bl_wire_order_write(&frame, &frame_len, &open, p);
    /* A seal stands behind each order with names of secrets, so that none is
     * missing unnoticed. */
    if (rv == APR_SUCCESS && order->mask_count > 0)
        rv = bl_seal_close(&sealed, &sealed_len, key, secrets, secrets_len,
                           frame, frame_len, p);
    if (rv != APR_SUCCESS)
        return rv;
    bytes = frame;
    if (sealed_len > 0) {
        char *both = apr_palloc(p, frame_len + sealed_len);

        memcpy(both, frame, frame_len);
        memcpy(both + frame_len, sealed, sealed_len);
        bytes = both;
    }
    return bl_replace(path_of(dir, build, p), bytes, frame_len + sealed_len,
                      p);
}

/* The whole file; *out is NULL when it is longer than any order. */
static apr_status_t read_file(char **out, apr_size_t *len, const char *path,
                              apr_pool_t *p)
{
    apr_finfo_t info;
    apr_file_t *file;
    apr_status_t rv;

    *out = NULL;
    rv = apr_file_open(&file, path, APR_FOPEN_READ, 0, p);
    if (rv != APR_SUCCESS)
        return rv;
    rv = apr_file_info_get(&info, APR_FINFO_SIZE, file);
    if (rv == APR_SUCCESS && info.size <= FILE_MOST) {
        *out = apr_palloc(p, (apr_size_t)info.size + 1);
        rv = apr_file_read_full(file, *out, (apr_size_t)info.size, len);
    }
    apr_file_close(file);
    return APR_STATUS_IS_EOF(rv) ? APR_SUCCESS : rv;
}

apr_status_t bl_spool_load(bl_order_t **out, const char *dir,
                           apr_uint64_t build, const bl_seal_key_t *key,
                           apr_pool_t *p)
{
    apr_size_t len = 0, need = 0, secrets_len;
    const char *secrets;
    bl_wire_frame_t frame;
    bl_order_t *order;
    char *buf;
    apr_status_t rv = read_file(&buf, &len, path_of(dir, build, p), p);

    if (rv != APR_SUCCESS)
        return rv;
    if (buf == NULL ||
        bl_wire_frame_read(&frame, &need, buf, len) != APR_SUCCESS ||
        bl_wire_order_read(&order, &frame, p) != APR_SUCCESS ||
        (need < len) != (order->mask_count > 0))
        return APR_EGENERAL;
    if (need < len) {
        rv = bl_seal_open(&secrets, &secrets_len, key, buf + need, len - need,
                          buf, need, p);
        if (rv != APR_SUCCESS)
            return rv;
        put_together(order, secrets, secrets_len, p);
    }
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

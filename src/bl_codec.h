/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_codec.h - fields of a message, written and read by the same words
 *
 * Layer:    0 (value). Pure.
 * Runs in:  anywhere.
 * Owns:     how a field is written (bl_wire.h has the format), and the checks
 *           of its length and value.
 * Not here: frames, which message has which fields (bl_wire).
 *
 * Who has a message says once, in one function, which fields it has and what
 * their values may be; the codec knows the direction. So fields have a fixed
 * order, and only an optional one may be missing. A list is its count and as
 * many fields (or groups of them).
 *
 * W3  what is written can be read, and what can be read is what would be
 *     written, byte by byte
 * W4  nothing is allocated before its length or count was checked
 */
#ifndef BL_CODEC_H
#define BL_CODEC_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_time.h>

typedef enum {
    BL_CODEC_MEASURE,
    BL_CODEC_WRITE,
    BL_CODEC_READ
} bl_codec_direction_e;

typedef struct {
    bl_codec_direction_e direction;
    int broken;      /* a limit, or the format: all that follows is void */
    char *out;       /* WRITE: the body */
    const char *in;  /* READ: the body */
    apr_size_t at;   /* done so far */
    apr_size_t size; /* of the body; MEASURE: the most that it may have */
    apr_pool_t *p;   /* READ: for what is read */
} bl_codec_t;

/* Says what is in a message. */
typedef void (*bl_codec_fn)(bl_codec_t *c, void *message);

/* ---- fields: for such a function ------------------------------------ */

/** Else it is broken. */
void bl_codec_require(bl_codec_t *c, int ok);

void bl_codec_text(bl_codec_t *c, int key, const char **text);
/** It may be missing: then *text is NULL. */
void bl_codec_optional(bl_codec_t *c, int key, const char **text);
/** Will the field come (READ), or shall it (there)? */
int bl_codec_is_there(const bl_codec_t *c, int key, int there);

void bl_codec_number(bl_codec_t *c, int key, apr_uint64_t *n,
                     apr_uint64_t least, apr_uint64_t most);
void bl_codec_uint32(bl_codec_t *c, int key, apr_uint32_t *n,
                     apr_uint32_t least, apr_uint32_t most);
/** What is negative is above the most, seen as what has no sign. */
void bl_codec_time(bl_codec_t *c, int key, apr_interval_time_t *t,
                   apr_uint64_t least);
void bl_codec_size(bl_codec_t *c, int key, apr_int64_t *size,
                   apr_uint64_t least, apr_uint64_t most);
void bl_codec_count(bl_codec_t *c, int key, int *count, int least, int most);

/* ---- whole messages ------------------------------------------------- */

/** @return APR_SUCCESS; APR_EINVAL: it has what it may not */
apr_status_t bl_codec_measure(apr_size_t *len, bl_codec_fn code, void *message,
                              apr_size_t most);

/** @param out  as much room as was measured */
void bl_codec_write(char *out, apr_size_t len, bl_codec_fn code,
                    void *message);

/** @return APR_SUCCESS; APR_EGENERAL: message may be half filled */
apr_status_t bl_codec_read(void *message, const char *in, apr_size_t len,
                           bl_codec_fn code, apr_pool_t *p);

/* ---- numbers: little-endian ----------------------------------------- */

void bl_codec_number_put(char *out, apr_uint64_t n, int bytes);
apr_uint64_t bl_codec_number_get(const char *in, int bytes);

#endif /* BL_CODEC_H */

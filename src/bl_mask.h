/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_mask.h - secret values in a stream of bytes become ***
 *
 * Layer:    0 (value). No I/O, no clock.
 * Runs in:  runner. One bl_mask_t per build, one bl_masked_t per pipe.
 * Owns:     finding values however reads cut them, what stands in their place.
 * Not here: in which forms a value may be printed (bl_forms).
 *
 * M1  no byte that belongs to an occurrence of a form of a value comes out;
 *     occurrences may overlap, touch, or lie in each other
 * M2  each run of such bytes comes out as one ***, everything else as it came;
 *     the cuts between reads change nothing
 * M3  what could still become a value with the bytes to come is held back,
 *     however long they take: never more than the longest form less a byte
 * M4  at the end of a stream the beginning of a value comes out as *** too, if
 *     it has BL_MASK_LEAST bytes: what printed it may have been killed. Should
 *     the next stream begin with the rest of it, that is no less a part of it:
 *     what comes out of it is as short as it is, and *** at most
 * M5  time is linear in what is fed, memory does not grow with it
 */
#ifndef BL_MASK_H
#define BL_MASK_H

#include <apr_errno.h>
#include <apr_pools.h>

/* A shorter value is not masked: it stands anywhere, and what is masked would
 * tell where. */
#define BL_MASK_LEAST 4

/* Bytes of all values of a build together: what looks for their forms takes
 * some hundred times as much memory. */
#define BL_MASK_MOST (32 * 1024)

typedef struct bl_mask_t bl_mask_t;
typedef struct bl_masked_t bl_masked_t;

/**
 * Make what looks for values.
 *
 * @param values  those without a form long enough are passed over
 * @return APR_SUCCESS, *out is NULL if there is nothing to mask; APR_ENOSPC:
 *         more than BL_MASK_MOST
 */
apr_status_t bl_mask_create(bl_mask_t **out, const char *const *values,
                            int count, apr_pool_t *p);

/** A whole text, masked (M4 is not for it); mask NULL, or nothing found: the
 * text itself. */
const char *bl_mask_text(const bl_mask_t *mask, const char *text,
                         apr_pool_t *p);

/** @param most  bytes that are fed at once, at most */
bl_masked_t *bl_masked_create(const bl_mask_t *mask, apr_size_t most,
                              apr_pool_t *p);

/**
 * Take what one read brought.
 *
 * @param len  in: of buf, out: of what is returned; it is never more than was
 *             fed and not yet returned
 * @return what can be shown, until the next call
 */
const char *bl_masked_feed(bl_masked_t *masked, const char *buf,
                           apr_size_t *len);

/** The stream is over (another may begin): the rest of it. */
const char *bl_masked_finish(bl_masked_t *masked, apr_size_t *len);

#endif /* BL_MASK_H */

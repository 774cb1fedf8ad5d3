/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_post.h - POSTs to other servers, several at once (the only door to
 * libcurl)
 *
 * Layer:    2 (actor, runner side).
 * Runs in:  the courier's process, its only thread.
 * Owns:     connections, time limits, what an answer means.
 * Not here: what is sent and to whom, when it is tried again (bl_courier).
 *
 * http and https alone; redirects are not followed, for what is signed for one
 * receiver is not for another; certificates are checked. Proxies are those of
 * httpd's environment (https_proxy and so on).
 */
#ifndef BL_POST_H
#define BL_POST_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_time.h>

#include "bl_wire.h"

/* So many go on at once: one to each receiver that there may be. */
#define BL_POST_MOST BL_WIRE_TARGETS_MAX

typedef struct bl_post_t bl_post_t;

/* How one ended. */
typedef enum {
    BL_POST_TAKEN,   /* 2xx */
    BL_POST_FAILED,  /* no whole head of an answer, or one that may become
                        another */
    BL_POST_REFUSED, /* it would be the same again */
} bl_post_end_e;

typedef struct {
    void *baton;
    bl_post_end_e end;
    int silent;      /* there was no answer, not even a status */
    const char *why; /* for people; lives until the next bl_post_next */
    apr_interval_time_t retry_after; /* what the receiver asked for; 0: none */
} bl_posted_t;

/** Begin, once in a process. @return APR_SUCCESS; APR_EGENERAL: libcurl does
 * not work */
apr_status_t bl_post_open(bl_post_t **out, apr_pool_t *p);

/** How many go on? */
int bl_post_count(const bl_post_t *post);

/**
 * Begin one. The body, and all else, is copied.
 *
 * @param headers  "Name: value"
 * @return APR_SUCCESS; APR_EGENERAL: libcurl does not take it; APR_ENOMEM:
 *         there are BL_POST_MOST already
 */
apr_status_t bl_post_begin(bl_post_t *post, const char *url,
                           const char *const *headers, int header_count,
                           const char *body, void *baton);

/** Go on with all of them, until one has ended, until there is something to
 * read from fd, or for so long. @param fd  -1: none */
void bl_post_wait(bl_post_t *post, int fd, apr_interval_time_t time);

/** One that has ended. @return 0: none */
int bl_post_next(bl_post_t *post, bl_posted_t *out);

#endif /* BL_POST_H */

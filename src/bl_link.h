/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_link.h - how bytes reach a viewer whose connection httpd keeps
 *
 * Layer:    2 (actor, pump side): an interface, filled by layer 3.
 * Runs in:  pump thread.
 * Owns:     nothing; who fills it says what it owns.
 * Not here: viewers without a link: their bytes go straight to a socket that
 *           is the pump's alone (bl_client).
 *
 * A link has two users, and is freed when both have let it go: the pump
 * (close) and httpd (release). Each may be the first.
 *
 *     httpd lost the connection:  bl_pump_req_lose -> close -> release
 *     the pump ends the stream:   close -> httpd ends the connection
 */
#ifndef BL_LINK_H
#define BL_LINK_H

#include <apr_errno.h>
#include <apr_ring.h>

#include <sys/uio.h>

typedef struct bl_link_t bl_link_t;

typedef struct {
    /**
     * Take what fits of these parts; never blocks.
     *
     * @param written  bytes that were taken: the link has them now
     * @return APR_SUCCESS; APR_EAGAIN: none, before the viewer's descriptor
     *         can be written; another status: the viewer is gone
     */
    apr_status_t (*write)(bl_link_t *link, const struct iovec *parts,
                          int count, apr_size_t *written);
    /** Write what was taken. @return as above */
    apr_status_t (*flush)(bl_link_t *link);
    /** The stream is over for the pump, which touches the link no more. */
    void (*close)(bl_link_t *link);
    /** The pump has heard that httpd lost the connection. */
    void (*release)(bl_link_t *link);
} bl_link_ops_t;

struct bl_link_t {
    APR_RING_ENTRY(bl_link_t) ring; /* the pump's: of those that were lost */
    const bl_link_ops_t *ops;
    struct bl_client_t *client; /* the pump's; NULL: not yet, or no more */
};
APR_RING_HEAD(bl_link_ring_t, bl_link_t);

#endif /* BL_LINK_H */

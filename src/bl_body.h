/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_body.h - the body of a POST
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     how it is read, and that nobody waits for one that is too large.
 * Not here: what is in it.
 */
#ifndef BL_BODY_H
#define BL_BODY_H

#include "httpd.h"

#define BL_BODY_FORM "application/x-www-form-urlencoded"
#define BL_BODY_JSON "application/json"

/** Is this Content-Type, with whatever parameters, that type? */
int bl_body_is(const char *content_type, const char *type);

/**
 * Read it whole. httpd's own limit (LimitRequestBody) holds as well.
 *
 * @param most    bytes that it may have
 * @param detail  on failure why
 * @return OK; the status to answer with
 */
int bl_body_read(request_rec *r, apr_size_t most, const char **body,
                 apr_size_t *len, const char **detail);

#endif /* BL_BODY_H */

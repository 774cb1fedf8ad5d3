/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_error.h - answers that refuse: application/problem+json (RFC 9457), or a
 * page for who prefers HTML
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     the form of an error answer.
 */
#ifndef BL_ERROR_H
#define BL_ERROR_H

#include "httpd.h"

/**
 * Answer with an error, whole.
 *
 * @param detail  for people: what was wrong and what is allowed; never more
 *                than the client may know
 * @return what the handler returns
 */
int bl_error_send(request_rec *r, int status, const char *detail);

/** 405 with Allow. @param allow  "GET, HEAD" */
int bl_error_method(request_rec *r, const char *allow);

/** 503 with Retry-After in seconds. */
int bl_error_unavailable(request_rec *r, int retry_after, const char *detail);

#endif /* BL_ERROR_H */

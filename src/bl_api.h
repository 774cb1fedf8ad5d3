/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_api.h - the answers in JSON: start a build, look at builds and projects
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     request bodies, their checks, the form of the answers.
 * Not here: streams (bl_stream).
 */
#ifndef BL_API_H
#define BL_API_H

#include "httpd.h"

#include "bl_table.h"

/** GET .../builds/42, .../builds/42/log, .../projects. */
int bl_api_read(request_rec *r);

/**
 * Find a build that this user may see.
 *
 * @param row      its row; row.row is -1 when it is an old one, known by its
 *                 log only (then row.tail is the size of the log)
 * @param project  its real path
 * @param json     its record; NULL when its log has no end and no runner has
 *                 looked at it yet (row.row is -1, row.final 0)
 * @param build    0: there is none
 * @return APR_SUCCESS; APR_ENOENT: no such build, or it may not be seen; else
 *         it is not known, for its log cannot be opened now
 */
apr_status_t bl_api_find_build(bl_table_row_t *row, const char **project,
                               const char **json, request_rec *r,
                               apr_uint64_t build);

#define BL_API_NO_BUILD "There is no such build."
#define BL_API_NO_LOG_NOW "The log of this build cannot be opened now."
#define BL_API_RETRY_SECONDS 5

/** Refuse what bl_api_find_build did not find: 404, or 503 and a word to the
 * administrator. @return for the handler */
int bl_api_refuse_build(request_rec *r, apr_status_t rv);

/** That word alone. */
void bl_api_cannot_open(request_rec *r, apr_status_t rv);

/** Answer with a JSON text. @return for the handler */
int bl_api_answer(request_rec *r, int status, const char *json);

/** What follows the last "/builds/" of the address, wherever the handler is
 * mapped. NULL: it has none. */
const char *bl_api_below_builds(const request_rec *r);

/** The number in an address .../builds/42 that ends with suffix. @return 0:
 * it is no such address */
apr_uint64_t bl_api_build_of(const request_rec *r, const char *suffix);

/** Read a number of a build: decimal, no sign, no leading zero.
 * @return 0: none */
apr_uint64_t bl_api_read_number(const char *text);

#endif /* BL_API_H */

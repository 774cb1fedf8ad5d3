/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_document.h - what all documents made of a log share
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     how a log that cannot be opened or read is said, and when an
 * answer made of one may be kept. Not here: the documents: the whole
 * (bl_download), a part of it (bl_excerpt), a page (bl_page).
 */
#ifndef BL_DOCUMENT_H
#define BL_DOCUMENT_H

#include "httpd.h"

#include "bl_build.h"
#include "bl_encoder.h"
#include "bl_log.h"
#include "bl_table.h"

/**
 * Open the log of a build.
 *
 * @return OK; or the status to answer with, *detail says why: 404 it is gone,
 *         503 not now. *out is set only on OK
 */
int bl_document_open(bl_cursor_t **out, const char **detail, request_rec *r,
                     apr_uint64_t build);

/** Answer with what bl_document_open returned. */
int bl_document_refuse(request_rec *r, int status, const char *detail);

/** The record at the end of a log.
 * @return NULL: it has no end that says what the text amounts to */
const bl_build_t *bl_document_end(bl_cursor_t *cursor,
                                  const bl_table_row_t *row, apr_pool_t *p);

/**
 * Set ETag and Last-Modified of an answer made of a log that has ended. It may
 * be kept, and has to be asked for again: the user's rights may change.
 *
 * @param etag  with its quotes
 */
void bl_document_validate(request_rec *r, const bl_build_t *end,
                          const char *etag);

/** Send what was written, and begin anew.
 * @return APR_ECONNABORTED: the client has gone */
apr_status_t bl_document_write(request_rec *r, bl_encoder_t *encoder);

/** The log could not be read to its end, when it is too late for a status:
 * let the answer look as broken as it is. */
void bl_document_broken(request_rec *r, apr_status_t rv, apr_uint64_t build);

#endif /* BL_DOCUMENT_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_download.h - GET .../builds/42/log: a log as a document
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     the head of the document: its type, its validators; how its bytes
 *           reach httpd.
 * Not here: what the bytes are (bl_plain), following a build (bl_follow).
 *
 * A log that has ended is a document like a file: it has a strong ETag and
 * Last-Modified, and its text a length, so that httpd itself answers
 * conditions and ranges. One that grows has none of that: all of what there is
 * is sent, whatever was asked for.
 */
#ifndef BL_DOWNLOAD_H
#define BL_DOWNLOAD_H

#include "httpd.h"

#include "bl_table.h"

/**
 * Send the log, read block by block: what there is of it, or, if the client
 * wants to follow a build that has not ended, until it has.
 *
 * @param row  of the build; the user may see it
 * @return what the handler returns
 */
int bl_download_send(request_rec *r, const bl_table_row_t *row);

#endif /* BL_DOWNLOAD_H */

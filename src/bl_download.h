/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_download.h - a log as one document: text, or a JSON object a line
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     the form of the document.
 * Not here: following a build that runs (bl_stream).
 */
#ifndef BL_DOWNLOAD_H
#define BL_DOWNLOAD_H

#include "httpd.h"

#include "bl_table.h"

/**
 * Send the log as it is now, read block by block.
 *
 * @param row  of the build; the user may see it
 * @return what the handler returns
 */
int bl_download_send(request_rec *r, const bl_table_row_t *row);

#endif /* BL_DOWNLOAD_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_query.h - the queries: of a stream, of a download, of lines
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     the names and checks of their parameters.
 */
#ifndef BL_QUERY_H
#define BL_QUERY_H

#include "httpd.h"

#include <apr_tables.h>

#include "bl_encoder.h"

typedef enum {
    BL_WANT_DEFAULT, /* one build: from the start; all: from now on */
    BL_WANT_START,
    BL_WANT_TAIL,   /* the last lines: tail of them, 0 means from now on */
    BL_WANT_AFTER,  /* after the id */
    BL_WANT_UNKNOWN /* the client was somewhere that is no place of ours */
} bl_want_e;

typedef struct {
    apr_uint64_t build; /* 0: all */
    bl_form_e form;     /* not BL_FORM_DOCUMENT */
    bl_sse_format_e format;
    bl_want_e want;
    bl_stamp_t after;
    apr_uint32_t tail;
    int only_builds; /* no lines */
} bl_query_t;

/** The fields of a request's query, decoded; the last of several equal names
 * counts. @return APR_EGENERAL: it is not encoded as it must be */
apr_status_t bl_query_split(apr_table_t *out, request_rec *r);

/** Most lines that tail= may ask for. */
#define BL_QUERY_TAIL_MOST 100000

/**
 * Read the query, the Accept and the Last-Event-ID header. What the query says
 * of the format wins over Accept. The header, or one of its forms
 * in the query (lastEventId, last_event_id), wins over from and tail: it is
 * what a client sends that comes back.
 *
 * @param detail  on failure what was wrong and what is allowed
 * @return APR_SUCCESS; APR_EGENERAL
 */
apr_status_t bl_query_read(bl_query_t *out, const char **detail,
                           request_rec *r);

/* Of a log as a document. */
typedef enum { BL_LOG_TEXT, BL_LOG_JSON, BL_LOG_CAST } bl_log_format_e;

typedef struct {
    bl_log_format_e format;
    int follow; /* until the build ends; not of BL_LOG_CAST */
} bl_query_log_t;

/**
 * Read the query of a download. What the query says of the format wins over
 * the Accept header.
 *
 * @param detail  on failure what was wrong and what is allowed
 * @return APR_SUCCESS; APR_EGENERAL
 */
apr_status_t bl_query_read_log(bl_query_log_t *out, const char **detail,
                               request_rec *r);

/** Most lines in one answer, and how many when nobody says. */
#define BL_QUERY_LINES_MOST 5000
#define BL_QUERY_LINES_DEFAULT 1000

/* Of lines by their numbers. */
typedef struct {
    apr_uint64_t first; /* 0: the last ones */
    apr_uint64_t count; /* 1 .. BL_QUERY_LINES_MOST */
    bl_stamp_t after;   /* of the first line, go on behind this record; 0: all
                           of it */
} bl_query_lines_t;

/**
 * Read the query of lines: first, count and after, or last.
 *
 * @param out     holds what is so when the query says nothing of it
 * @param detail  on failure what was wrong and what is allowed
 * @return APR_SUCCESS; APR_EGENERAL
 */
apr_status_t bl_query_read_lines(bl_query_lines_t *out, const char **detail,
                                 request_rec *r);

#endif /* BL_QUERY_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_json.h - JSON values: the only door to jansson
 *
 * Layer:    0 (value). Pure.
 * Runs in:  anywhere; a value belongs to one thread.
 * Owns:     the use of the library, its memory, its error texts.
 * Not here: which fields a message has.
 *
 * A value lives in the pool it was made with; values put into an object or
 * array live as long as that one. Strings that are not UTF-8 are repaired
 * (U+FFFD) on the way in, so writing never fails.
 */
#ifndef BL_JSON_H
#define BL_JSON_H

#include <apr_pools.h>

#include "bl_stamp.h"

typedef struct bl_json_t bl_json_t;

/* ---- making --------------------------------------------------------- */

bl_json_t *bl_json_object(apr_pool_t *p);
bl_json_t *bl_json_array(apr_pool_t *p);

/** text NULL sets null. */
void bl_json_set_string(bl_json_t *object, const char *key, const char *text);
void bl_json_set_int(bl_json_t *object, const char *key, apr_int64_t n);
void bl_json_set_bool(bl_json_t *object, const char *key, int yes);
void bl_json_set_null(bl_json_t *object, const char *key);
/** RFC 3339 UTC; stamp 0 sets null. */
void bl_json_set_time(bl_json_t *object, const char *key, bl_stamp_t stamp);
void bl_json_set(bl_json_t *object, const char *key, bl_json_t *value);
void bl_json_append(bl_json_t *array, bl_json_t *value);

/** One line, keys in the order they were set, '/' not escaped. */
const char *bl_json_text(const bl_json_t *value, apr_pool_t *p);

/* ---- reading -------------------------------------------------------- */

/**
 * Parse a text that must be one object: no duplicate keys, no depth beyond
 * 32, nothing behind it but blanks. "\u0000" in a string is refused.
 *
 * @param why  on failure what was wrong and where, for people
 * @return APR_SUCCESS; APR_EGENERAL, *out untouched
 */
apr_status_t bl_json_parse(bl_json_t **out, const char *text, apr_size_t len,
                           const char **why, apr_pool_t *p);

/** NULL: no such key, or not a string. Lives as long as the value, or until
 * the key is set again. */
const char *bl_json_string(const bl_json_t *object, const char *key);
/** fallback: no such key, or not an integer. */
apr_int64_t bl_json_int(const bl_json_t *object, const char *key,
                        apr_int64_t fallback);
/** 0: no such key, null, or not a time as bl_json_set_time writes it. */
bl_stamp_t bl_json_time(const bl_json_t *object, const char *key);
/** Is there such a key, with a value that is not null? */
int bl_json_has(const bl_json_t *object, const char *key);
/** Element i of the array under key; NULL: none such. */
bl_json_t *bl_json_element(const bl_json_t *object, const char *key,
                           apr_size_t i, apr_pool_t *p);

/** Is it there, and true? */
int bl_json_is_true(const bl_json_t *object, const char *key);
/** Elements of the array under key; 0: no such key, or no array. */
apr_size_t bl_json_count(const bl_json_t *object, const char *key);
/** Element i of the array under key as a string; NULL: none such. */
const char *bl_json_string_at(const bl_json_t *object, const char *key,
                              apr_size_t i);

/* ---- in a stream ---------------------------------------------------- */

/* Most bytes that one byte of text may become. */
#define BL_JSON_ESCAPE_GROWTH 6

/**
 * Write text as the inside of a JSON string, without quotes. Bytes from 0x80
 * on pass as they are (a log's text is UTF-8).
 *
 * @param out  room for BL_JSON_ESCAPE_GROWTH * len bytes
 * @return bytes written
 */
apr_size_t bl_json_escape(char *out, const char *text, apr_size_t len);

#endif /* BL_JSON_H */

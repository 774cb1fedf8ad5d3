/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_json.c - JSON values: the only door to jansson
 *
 * MEMORY        A bl_json_t is a handle in a pool; the value behind it is
 *               jansson's and counted. The pool's cleanup gives the handle's
 *               count back; a parent has a count of its own on each child, so
 *               a child lives on inside it when its own pool is gone.
 * INVARIANTS    J1 every string inside is valid UTF-8 without NUL: made so by
 *                  repair on the way in, checked by jansson when parsing
 *               J2 so a text can be made of every value
 * DIAGNOSTICS   Parsing tells why. Out of memory ends the process the way the
 *               pool would (its abort function), as does a key that is not
 *               UTF-8 or a set on what is no object: errors of the caller.
 * LIMITS        integers are apr_int64_t; larger ones are refused
 */
#include "bl_json.h"

/* system */
#include <stdlib.h>
#include <string.h>
/* APR */
#include <apr_strings.h>
/* JSON */
#include <jansson.h>

/* Objects and arrays inside each other, the outermost one included. */
#define DEPTH_MAX 32

/* U+FFFD in UTF-8. */
#define REPLACEMENT "\xEF\xBF\xBD"
#define REPLACEMENT_LEN 3

struct bl_json_t {
    json_t *json;
    apr_pool_t *p;
};

/* ---- memory --------------------------------------------------------- */

/* jansson and the pool draw on the same heap: they also end the same way. */
static void give_up(apr_pool_t *p) __attribute__((noreturn));
static void give_up(apr_pool_t *p)
{
    apr_abortfunc_t pool_abort = apr_pool_abort_get(p);

    if (pool_abort != NULL)
        pool_abort(APR_ENOMEM);
    abort();
}

static apr_status_t release(void *json)
{
    json_decref(json);
    return APR_SUCCESS;
}

/* Takes over one count of json. */
static bl_json_t *handle_make(json_t *json, apr_pool_t *p)
{
    bl_json_t *value;

    if (json == NULL)
        give_up(p);
    value = apr_palloc(p, sizeof(*value));
    value->json = json;
    value->p = p;
    apr_pool_cleanup_register(p, json, release, apr_pool_cleanup_null);
    return value;
}

/* ---- UTF-8 ---------------------------------------------------------- */

/*
 * The character at the start of text, after table 3-7 of the Unicode
 * standard.
 *
 * @return its bytes; if it is not valid (*valid is 0) those of the maximal
 *         subpart, which one U+FFFD replaces
 */
static apr_size_t character_at(const unsigned char *text, apr_size_t len,
                               int *valid)
{
    unsigned char lead = text[0];
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    apr_size_t size;
    apr_size_t i;

    *valid = 1;
    if (lead < 0x80)
        return 1;
    *valid = 0;
    if (lead < 0xC2 || lead > 0xF4)
        return 1;
    size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (lead == 0xE0)
        low = 0xA0; /* below: overlong */
    else if (lead == 0xED)
        high = 0x9F; /* above: surrogates */
    else if (lead == 0xF0)
        low = 0x90; /* below: overlong */
    else if (lead == 0xF4)
        high = 0x8F; /* above: no character */

    for (i = 1; i < size; i++) {
        if (i == len || text[i] < low || text[i] > high)
            return i;
        low = 0x80;
        high = 0xBF;
    }
    *valid = 1;
    return size;
}

/* Bytes before the first one that is not UTF-8. */
static apr_size_t valid_length(const char *text, apr_size_t len)
{
    apr_size_t done = 0;
    int valid = 1;

    while (done < len) {
        apr_size_t size = character_at((const unsigned char *)text + done,
                                       len - done, &valid);
        if (!valid)
            break;
        done += size;
    }
    return done;
}

/* J1. Not the common case: space for the worst one does no harm. */
static json_t *string_repaired(const char *text, apr_size_t len, apr_pool_t *p)
{
    apr_pool_t *scratch;
    json_t *json;
    char *out;
    char *at;

    if (apr_pool_create(&scratch, p) != APR_SUCCESS)
        return NULL;
    out = at = apr_palloc(scratch, len * REPLACEMENT_LEN);
    while (len > 0) {
        int valid;
        apr_size_t size =
            character_at((const unsigned char *)text, len, &valid);

        memcpy(at, valid ? text : REPLACEMENT, valid ? size : REPLACEMENT_LEN);
        at += valid ? size : REPLACEMENT_LEN;
        text += size;
        len -= size;
    }
    json = json_stringn_nocheck(out, (apr_size_t)(at - out));
    apr_pool_destroy(scratch);
    return json;
}

static json_t *string_make(const char *text, apr_pool_t *p)
{
    apr_size_t len;

    if (text == NULL)
        return json_null();
    len = strlen(text);
    if (valid_length(text, len) == len)
        return json_stringn_nocheck(text, len);
    return string_repaired(text, len, p);
}

/* ---- making --------------------------------------------------------- */

bl_json_t *bl_json_object(apr_pool_t *p)
{
    return handle_make(json_object(), p);
}

bl_json_t *bl_json_array(apr_pool_t *p)
{
    return handle_make(json_array(), p);
}

/* Takes over the count of child, which is NULL if there was no memory. */
static void put(bl_json_t *object, const char *key, json_t *child)
{
    if (json_object_set_new(object->json, key, child) != 0)
        give_up(object->p);
}

void bl_json_set_string(bl_json_t *object, const char *key, const char *text)
{
    put(object, key, string_make(text, object->p));
}

void bl_json_set_int(bl_json_t *object, const char *key, apr_int64_t n)
{
    put(object, key, json_integer(n));
}

void bl_json_set_bool(bl_json_t *object, const char *key, int yes)
{
    put(object, key, json_boolean(yes));
}

void bl_json_set_null(bl_json_t *object, const char *key)
{
    put(object, key, json_null());
}

void bl_json_set_time(bl_json_t *object, const char *key, bl_stamp_t stamp)
{
    char text[BL_STAMP_TEXT_LEN];

    if (stamp == 0) {
        bl_json_set_null(object, key);
        return;
    }
    bl_stamp_write(text, stamp);
    put(object, key, json_stringn_nocheck(text, sizeof(text)));
}

void bl_json_set(bl_json_t *object, const char *key, bl_json_t *value)
{
    put(object, key, json_incref(value->json));
}

void bl_json_append(bl_json_t *array, bl_json_t *value)
{
    if (json_array_append(array->json, value->json) != 0)
        give_up(array->p);
}

const char *bl_json_text(const bl_json_t *value, apr_pool_t *p)
{
    const size_t flags = JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY;
    size_t len = json_dumpb(value->json, NULL, 0, flags);
    char *text;

    /* 0 is how it fails, and no value has an empty text. */
    if (len == 0)
        give_up(p);
    text = apr_palloc(p, len + 1);
    if (json_dumpb(value->json, text, len, flags) != len)
        give_up(p);
    text[len] = '\0';
    return text;
}

/* ---- reading -------------------------------------------------------- */

/* Exact for JSON; for anything else the parser has the last word. Looked at
 * first, so that a hostile text does not take the parser to its own limit. */
static int is_too_deep(const char *text, apr_size_t len)
{
    int depth = 0;
    int in_string = 0;
    apr_size_t i;

    for (i = 0; i < len; i++) {
        char c = text[i];

        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = 0;
        }
        else if (c == '"') {
            in_string = 1;
        }
        else if (c == '{' || c == '[') {
            if (++depth > DEPTH_MAX)
                return 1;
        }
        else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return 0;
}

/* The library quotes the text that it stopped at; that may be anything. */
static const char *explain(const json_error_t *error, apr_pool_t *p)
{
    char *why = apr_psprintf(p, "line %d, column %d: %s", error->line,
                             error->column, error->text);
    char *c;

    for (c = why; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = '?';
    }
    return why;
}

apr_status_t bl_json_parse(bl_json_t **out, const char *text, apr_size_t len,
                           const char **why, apr_pool_t *p)
{
    json_error_t error;
    json_t *json;

    if (is_too_deep(text, len)) {
        *why = "too many objects or arrays inside each other";
        return APR_EGENERAL;
    }
    json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        *why = explain(&error, p);
        return APR_EGENERAL;
    }
    if (!json_is_object(json)) {
        json_decref(json);
        *why = "an array, not an object";
        return APR_EGENERAL;
    }
    *out = handle_make(json, p);
    return APR_SUCCESS;
}

const char *bl_json_string(const bl_json_t *object, const char *key)
{
    return json_string_value(json_object_get(object->json, key));
}

apr_int64_t bl_json_int(const bl_json_t *object, const char *key,
                        apr_int64_t fallback)
{
    json_t *found = json_object_get(object->json, key);

    return json_is_integer(found) ? json_integer_value(found) : fallback;
}

bl_stamp_t bl_json_time(const bl_json_t *object, const char *key)
{
    json_t *found = json_object_get(object->json, key);
    bl_stamp_t stamp = 0;

    if (!json_is_string(found) ||
        bl_stamp_read(&stamp, json_string_value(found),
                      json_string_length(found)) != APR_SUCCESS)
        return 0;
    return stamp;
}

int bl_json_has(const bl_json_t *object, const char *key)
{
    json_t *found = json_object_get(object->json, key);

    return found != NULL && !json_is_null(found);
}

bl_json_t *bl_json_element(const bl_json_t *object, const char *key,
                           apr_size_t i, apr_pool_t *p)
{
    json_t *found = json_array_get(json_object_get(object->json, key), i);

    return found == NULL ? NULL : handle_make(json_incref(found), p);
}

int bl_json_is_true(const bl_json_t *object, const char *key)
{
    return json_is_true(json_object_get(object->json, key));
}

apr_size_t bl_json_count(const bl_json_t *object, const char *key)
{
    return json_array_size(json_object_get(object->json, key));
}

const char *bl_json_string_at(const bl_json_t *object, const char *key,
                              apr_size_t i)
{
    return json_string_value(
        json_array_get(json_object_get(object->json, key), i));
}

/* ---- in a stream ---------------------------------------------------- */

/* What follows the backslash; 'u' stands for u00XX, 0 for no escape. */
static const char escape_of[256] = {
    ['\0'] = 'u',   ['\x01'] = 'u', ['\x02'] = 'u', ['\x03'] = 'u',
    ['\x04'] = 'u', ['\x05'] = 'u', ['\x06'] = 'u', ['\x07'] = 'u',
    ['\b'] = 'b',   ['\t'] = 't',   ['\n'] = 'n',   ['\x0b'] = 'u',
    ['\f'] = 'f',   ['\r'] = 'r',   ['\x0e'] = 'u', ['\x0f'] = 'u',
    ['\x10'] = 'u', ['\x11'] = 'u', ['\x12'] = 'u', ['\x13'] = 'u',
    ['\x14'] = 'u', ['\x15'] = 'u', ['\x16'] = 'u', ['\x17'] = 'u',
    ['\x18'] = 'u', ['\x19'] = 'u', ['\x1a'] = 'u', ['\x1b'] = 'u',
    ['\x1c'] = 'u', ['\x1d'] = 'u', ['\x1e'] = 'u', ['\x1f'] = 'u',
    ['"'] = '"',    ['\\'] = '\\',
};

/* One byte in each of the eight places of a word. */
#define EACH_BYTE(b) (APR_UINT64_C(0x0101010101010101) * (b))

/* Is there a byte of word that wants an escape? Eight at a time, since most
 * text has none. Taking n away sets the top bit of a byte that is less than n
 * and had it clear; XOR makes an equal byte 0, which is less than 1. A borrow
 * goes out only from such a byte, so there is no alarm without one. */
static int needs_escape(apr_uint64_t word)
{
    apr_uint64_t quote = word ^ EACH_BYTE('"');
    apr_uint64_t backslash = word ^ EACH_BYTE('\\');
    apr_uint64_t hits = ((word - EACH_BYTE(0x20)) & ~word) |
                        ((quote - EACH_BYTE(1)) & ~quote) |
                        ((backslash - EACH_BYTE(1)) & ~backslash);

    return (hits & EACH_BYTE(0x80)) != 0;
}

static apr_size_t clean_run(const char *text, apr_size_t len)
{
    apr_size_t run = 0;
    apr_uint64_t word;

    while (len - run >= sizeof(word)) {
        memcpy(&word, text + run, sizeof(word));
        if (needs_escape(word))
            break;
        run += sizeof(word);
    }
    while (run < len && escape_of[(unsigned char)text[run]] == 0)
        run++;
    return run;
}

static char *escape_byte(char *at, unsigned char byte)
{
    static const char hex[] = "0123456789abcdef";
    char letter = escape_of[byte];

    *at++ = '\\';
    *at++ = letter;
    if (letter == 'u') {
        *at++ = '0';
        *at++ = '0';
        *at++ = hex[byte >> 4];
        *at++ = hex[byte & 0x0F];
    }
    return at;
}

apr_size_t bl_json_escape(char *out, const char *text, apr_size_t len)
{
    const char *end = text + len;
    char *at = out;

    while (text < end) {
        apr_size_t run = clean_run(text, (apr_size_t)(end - text));

        memcpy(at, text, run);
        at += run;
        text += run;
        if (text < end)
            at = escape_byte(at, (unsigned char)*text++);
    }
    return (apr_size_t)(at - out);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_accept.c - which of several types a client prefers (RFC 9110, 12.5.1)
 *
 * FORMAT        #( type "/" subtype *( ";" parameter ) ), where a parameter
 *               may hold a quoted string, and "q" is 0 to 1 with at most three
 *               decimals
 */
#include "bl_accept.h"

/* libc */
#include <string.h>
#include <strings.h>

#define QUALITY_MOST 1000 /* q=1 */

typedef struct {
    const char *at;
    apr_size_t len;
} span_t;

static span_t trim(span_t s)
{
    while (s.len > 0 && (*s.at == ' ' || *s.at == '\t')) {
        s.at++;
        s.len--;
    }
    while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Take what stands before the next separator that is in no quoted string. */
static span_t next_of(span_t *rest, char separator)
{
    span_t found = *rest;
    int quoted = 0;
    apr_size_t i;

    for (i = 0; i < rest->len; i++) {
        if (quoted && rest->at[i] == '\\')
            i++;
        else if (rest->at[i] == '"')
            quoted = !quoted;
        else if (!quoted && rest->at[i] == separator)
            break;
    }
    if (i > rest->len) /* a backslash was last */
        i = rest->len;
    found.len = i;
    if (i < rest->len)
        i++;
    rest->at += i;
    rest->len -= i;
    return trim(found);
}

/* "0.8" in thousandths; -1: it is none. */
static int quality_of(span_t s)
{
    int quality, unit = QUALITY_MOST;
    apr_size_t i;

    if (s.len == 0 || s.len > 5 || (s.at[0] != '0' && s.at[0] != '1') ||
        (s.len > 1 && s.at[1] != '.'))
        return -1;
    quality = (s.at[0] - '0') * unit;
    for (i = 2; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return -1;
        unit /= 10;
        quality += (s.at[i] - '0') * unit;
    }
    return quality <= QUALITY_MOST ? quality : -1;
}

static int is_text(span_t s, const char *text, apr_size_t len)
{
    return s.len == len && strncasecmp(s.at, text, len) == 0;
}

/* How specifically a range names a type: 1: all, 2: all of its kind, 3: this
 * one; 0: it does not. */
static int match(span_t range, const char *type)
{
    apr_size_t kind = strcspn(type, "/");

    if (is_text(range, type, strlen(type)))
        return 3;
    if (is_text(range, "*/*", 3))
        return 1;
    return range.len == kind + 2 && strncasecmp(range.at, type, kind) == 0 &&
                   memcmp(range.at + kind, "/*", 2) == 0
               ? 2
               : 0;
}

/* One element: the quality that it gives to a type, and how specifically.
 * @return 0: it says nothing of it */
static int read_range(int *quality, span_t element, const char *type)
{
    int specific = match(next_of(&element, ';'), type);

    *quality = QUALITY_MOST;
    while (specific > 0 && element.len > 0) {
        span_t value = next_of(&element, ';');
        span_t name = next_of(&value, '=');

        if (is_text(name, "q", 1))
            *quality = quality_of(trim(value));
    }
    return *quality >= 0 ? specific : 0;
}

/* Comparable: quality, then how specifically it was named. */
static int rank(span_t accept, const char *type)
{
    int best = 0, best_quality = 0;

    while (accept.len > 0) {
        int quality;
        int specific = read_range(&quality, next_of(&accept, ','), type);

        if (specific > best) {
            best = specific;
            best_quality = quality;
        }
    }
    return best_quality > 0 ? best_quality * 4 + best : 0;
}

int bl_accept_best(const char *accept, apr_size_t len,
                   const char *const *offers, int count)
{
    span_t header = {accept, len};
    int i, best = 0, best_rank = 0;

    for (i = 0; i < count; i++) {
        int its = rank(header, offers[i]);

        if (its > best_rank) {
            best = i;
            best_rank = its;
        }
    }
    return best;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_accept.h - which of several types a client prefers (RFC 9110, 12.5.1)
 *
 * Layer:    0 (value). Pure.
 * Runs in:  anywhere.
 * Owns:     reading an Accept header.
 * Not here: what is offered (bl_frame).
 *
 * A type has the quality of the most specific range that matches it. Of equal
 * quality the type wins that is named more specifically (a browser for
 * terminals names text/html, and accepts all else that an application might
 * take), then the one that is offered first. Parameters of a range but q are
 * passed over; what is no range is, too.
 */
#ifndef BL_ACCEPT_H
#define BL_ACCEPT_H

#include <apr.h>

/**
 * Choose a type.
 *
 * @param accept  the header's value, len bytes; len 0: there is none
 * @param offers  count types, "text/html", in the order of our own preference
 * @return the index of the best; 0 also when none would be accepted
 */
int bl_accept_best(const char *accept, apr_size_t len,
                   const char *const *offers, int count);

#endif /* BL_ACCEPT_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_forms.h - the forms in which a program may print a value
 *
 * Layer:    0 (value). Pure.
 * Runs in:  runner.
 * Owns:     which forms there are, and how short one may be.
 * Not here: finding them (bl_mask).
 *
 * Of a value without the blanks and line ends around it:
 *
 *   itself; if it has several lines, each line without the blanks around it
 *   base64, with either alphabet, alone or as part of something longer
 *   percent-encoded, as the usual encoders do it, in either case
 *
 * A form that an encoder breaks into lines, or that is encoded twice, or in
 * another way (hex, escapes of JSON or of a shell), is none of these.
 */
#ifndef BL_FORMS_H
#define BL_FORMS_H

#include <apr_pools.h>
#include <apr_tables.h>

/**
 * Add the forms of a value to a list of const char *. The same may be added
 * more than once.
 *
 * @param least  shorter forms are left out
 * @return how many were added
 */
int bl_forms_add(apr_array_header_t *list, const char *value, apr_size_t least,
                 apr_pool_t *p);

/** Bytes of a value without the blanks and line ends around it. */
apr_size_t bl_forms_len(const char *value);

#endif /* BL_FORMS_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_control.h - characters, and the sequences by which output controls a
 * terminal
 *
 * Layer:    0 (value). Pure.
 * Runs in:  anywhere.
 * Owns:     where a character ends, where a sequence begins and ends.
 * Not here: what becomes of them (bl_html, bl_ansi).
 *
 * Sequences are those of ECMA-48:
 *     ESC [ (parameters 30-3F, intermediates 20-2F)* final 40-7E
 *     ESC ] P X ^ _ string, up to BEL, ESC \ or U+009C
 *     ESC (intermediates 20-2F)* final 30-7E
 * and U+009B, U+0090, U+0098, U+009D to U+009F for ESC and their letter. What
 * does not go on as it should is none. A string without an end takes the rest
 * of its text with it, as it does in a terminal.
 */
#ifndef BL_CONTROL_H
#define BL_CONTROL_H

#include <apr.h>

/* Inside of which sequence a text is; 0: of none. */
typedef enum {
    BL_CONTROL_NONE,
    BL_CONTROL_ESCAPE,
    BL_CONTROL_INTERMEDIATE,
    BL_CONTROL_CONTROL,
    BL_CONTROL_STRING,
    BL_CONTROL_STRING_ESCAPE
} bl_control_e;

/**
 * Read the character at the start of a text.
 *
 * @param len  at least 1
 * @return its bytes; 0: it is not UTF-8
 */
apr_size_t bl_control_character(apr_uint32_t *c, const char *text,
                                apr_size_t len);

/** In a sequence: does it take this character? *state is what follows. */
int bl_control_takes(bl_control_e *state, apr_uint32_t c);

/** Outside of a sequence: does this character begin one, or is it one alone?
 */
int bl_control_begins(bl_control_e *state, apr_uint32_t c);

#endif /* BL_CONTROL_H */

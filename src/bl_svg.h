/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_svg.h - a badge: two words side by side, as a picture
 *
 * Layer:    0 (value). Pure.
 * Runs in:  anywhere.
 * Owns:     what a badge looks like.
 * Not here: what it says, and to whom (bl_badge).
 *
 * V1  what is written is well-formed XML, whatever the texts are: they are
 *     text there as in a page (H1, H2 in bl_html.h), and have no character
 *     that XML does not know
 * V2  it has no script, no style and no link: it is the same under any policy
 * V3  who does not see it is told both texts, whole (role, name, title)
 *
 * No font is asked how wide a text is: that is estimated, and the picture says
 * how wide it shall be, so that it fits whatever font is there.
 */
#ifndef BL_SVG_H
#define BL_SVG_H

#include <apr_pools.h>

/* Characters of the label that are in the picture; all are in its name. */
#define BL_SVG_LABEL_MOST 40

typedef enum {
    BL_SVG_GOOD,
    BL_SVG_BAD,
    BL_SVG_ODD, /* neither good nor bad */
    BL_SVG_TONES
} bl_svg_tone_e;

/**
 * @param label  on the left, grey; any bytes
 * @param word   on the right, in a colour; any bytes
 */
const char *bl_svg_badge(const char *label, const char *word,
                         bl_svg_tone_e tone, apr_pool_t *p);

#endif /* BL_SVG_H */

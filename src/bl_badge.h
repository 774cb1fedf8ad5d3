/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_badge.h - GET .../badge?projectPath=: how a project's last build ended
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     which build is the last one, what is said of it, how long an
 *           answer holds.
 * Not here: the picture (bl_svg).
 *
 * The last build is the one that ended last: one that waits or runs has no
 * result yet. Who may not see the project is answered as if it were none.
 */
#ifndef BL_BADGE_H
#define BL_BADGE_H

#include "httpd.h"

int bl_badge_send(request_rec *r);

#endif /* BL_BADGE_H */

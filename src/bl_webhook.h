/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_webhook.h - POST .../hook/NAME: a forge says what was pushed
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     from a delivery to an order, and what the forge is answered.
 * Not here: what forges say and how they prove it (bl_hook, bl_push), where
 *           hooks are configured (bl_peer).
 */
#ifndef BL_WEBHOOK_H
#define BL_WEBHOOK_H

#include "httpd.h"

/** Take a delivery. */
int bl_webhook_take(request_rec *r);

#endif /* BL_WEBHOOK_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_order.h - what clients ask the runner for: start a build, end one
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     POST bodies, from path to permitted project to order, and what is
 *           answered.
 * Not here: whose page may ask (bl_route), the way to the runner (bl_ask).
 */
#ifndef BL_ORDER_H
#define BL_ORDER_H

#include "httpd.h"

/** POST .../build: start a build. */
int bl_order_build(request_rec *r);

/** POST .../builds/42/cancel: end it. Who may start builds of a project may
 * end them. */
int bl_order_cancel(request_rec *r);

#endif /* BL_ORDER_H */

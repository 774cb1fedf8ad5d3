/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_order.h - what clients ask the runner for: start a build, end one
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     from path to permitted project to order, and what is answered.
 * Not here: whose page may ask (bl_route), the way to the runner (bl_ask).
 */
#ifndef BL_ORDER_H
#define BL_ORDER_H

#include "httpd.h"

#include "bl_project.h"
#include "bl_wire.h"

/* Variables that whoever asks adds to the environment. */
#define BL_ORIGIN_ENV 3

/* Who asks for a build, and what of it the build is told. */
typedef struct {
    const char *user;                 /* NULL: nobody authenticated */
    int env_count;                    /* at most BL_ORIGIN_ENV */
    const char *env[BL_ORIGIN_ENV];   /* "NAME=value" */
    const char *marks[BL_WIRE_MARKS]; /* of bl_order_t */
} bl_origin_t;

/**
 * Start a build of a project, and answer.
 *
 * @param builds  the address below which builds are
 * @param again   set if this delivery has begun a build already, which is then
 *                not answered yet; NULL: it is none
 * @return OK; DECLINED: *again is set
 */
int bl_order_place(request_rec *r, const bl_project_t *project,
                   const bl_origin_t *origin, const char *builds,
                   const char **again);

/** POST .../build: start a build. */
int bl_order_build(request_rec *r);

/** POST .../builds/42/cancel: end it. Who may start builds of a project may
 * end them. */
int bl_order_cancel(request_rec *r);

#endif /* BL_ORDER_H */

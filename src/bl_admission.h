/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_admission.h - which orders a runner accepts, and what it answers
 *
 * Layer:    2 (actor, runner side).
 * Runs in:  runner.
 * Owns:     deliveries of hooks that have begun a build, the look whether a
 *           log could be stored.
 * Not here: the socket (bl_intake), what becomes of a build that was accepted
 *           (bl_queue).
 *
 * What is accepted is stored before it is said: a runner that is killed then
 * leaves it to the next one.
 */
#ifndef BL_ADMISSION_H
#define BL_ADMISSION_H

#include "bl_host.h"
#include "bl_notifier.h"
#include "bl_numbers.h"
#include "bl_queue.h"
#include "bl_wire.h"

typedef struct bl_admission_t bl_admission_t;

/* What it needs; all of it lives as long as it. */
typedef struct {
    const char *state_dir;
    const bl_limits_t *limits; /* what they say when it is asked */
    bl_queue_t *queue;
    bl_numbers_t *numbers;
    bl_notifier_t *notifier;
} bl_admission_parts_t;

bl_admission_t *bl_admission_create(bl_host_t *host,
                                    const bl_admission_parts_t *parts,
                                    apr_pool_t *p);

/** From now on nothing is accepted: the server stops. */
void bl_admission_close(bl_admission_t *admission);

/* What is said over the socket (bl_intake_calls_t): a frame made in p. */
void bl_admission_order(bl_admission_t *admission, const bl_order_t *order,
                        const char **reply, apr_size_t *len, apr_pool_t *p);
void bl_admission_cancel(bl_admission_t *admission, const bl_cancel_t *cancel,
                         const char **reply, apr_size_t *len, apr_pool_t *p);
void bl_admission_probe(bl_admission_t *admission, const char **reply,
                        apr_size_t *len, apr_pool_t *p);

#endif /* BL_ADMISSION_H */

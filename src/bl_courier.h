/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_courier.h - what runs inside the process that tells other servers how
 * builds ended
 *
 * Layer:    2 (actor, runner side), private to bl_notifier.c and bl_courier.c.
 * Runs in:  the courier's process.
 */
#ifndef BL_COURIER_H
#define BL_COURIER_H

#include "bl_wire.h"

typedef struct {
    const char *logs_dir;
    const char *dir; /* of notices */
    int target_count;
    const bl_target_t *targets;
} bl_courier_setup_t;

/** Be the courier, in its process: never returns. */
void bl_courier_main(const bl_courier_setup_t *setup)
    __attribute__((noreturn));

#endif /* BL_COURIER_H */

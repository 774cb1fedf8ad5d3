/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_scribe.h - what runs inside the historian's process
 *
 * Layer:    2 (actor, runner side), private to bl_historian.c and
 *           bl_scribe.c.
 * Runs in:  the historian's process.
 */
#ifndef BL_SCRIBE_H
#define BL_SCRIBE_H

/** Be the historian, in its process: never returns. */
void bl_scribe_main(const char *logs_dir, const char *driver,
                    const char *params) __attribute__((noreturn));

#endif /* BL_SCRIBE_H */

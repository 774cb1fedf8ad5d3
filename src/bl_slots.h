/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_slots.h - the children of httpd: who they are, who sleeps, their viewers
 *
 * Layer:    1 (store). Shared memory, no pointers in it.
 * Runs in:  all processes. Each function says who may call it.
 * Owns:     a slot for each child, which belongs to the child that claimed it;
 *           the count of viewers.
 * Not here: where slots lie, the watermark (bl_table), how a pump is woken
 *           (bl_wake), counters (bl_counts).
 *
 * No wake-up is lost: a pump arms its slot, then looks at the watermark once
 * more, then sleeps; the runner raises the watermark, then looks who is armed.
 * One of them sees the other.
 */
#ifndef BL_SLOTS_H
#define BL_SLOTS_H

#include <apr_errno.h>
#include <apr_pools.h>

#include "bl_counts.h"

typedef struct bl_slots_t bl_slots_t;

/* Most pumps (httpd children) that can be woken. */
#define BL_SLOTS_MAX 256

/* How the connection of a viewer is kept. */
typedef enum {
    BL_VIEWER_DETACHED, /* its socket is the pump's alone */
    BL_VIEWER_PARKED,   /* the MPM watches it, the pump writes to it */
    BL_VIEWER_HELD,     /* a thread of httpd passes on what the pump writes */
    BL_VIEWER_KINDS
} bl_viewer_e;

/** Bytes that so many slots take. */
apr_size_t bl_slots_size(int slots);

/** @param memory  zero, or what another process has made of it; aligned to a
 * line of the cache
 * @param counts  of these slots */
bl_slots_t *bl_slots_at(void *memory, int slots, bl_counts_t *counts,
                        apr_pool_t *p);

/** Something that pumps must look at happened: take a slot that has viewers,
 * sleeps and was not yet woken, from slot *at on. @return 0: no more */
int bl_slots_next_to_wake(bl_slots_t *slots, int *at);

int bl_slots_count(const bl_slots_t *slots);

/** Whose slot it is; 0: it is free. */
apr_uint32_t bl_slots_pid(const bl_slots_t *slots, int slot);

/** Child: claim a free slot. @return the slot; -1: none free */
int bl_slots_claim(bl_slots_t *slots, apr_uint32_t pid);

/** Has the process with this pid a slot? So it is a child of httpd. */
int bl_slots_have(const bl_slots_t *slots, apr_uint32_t pid);

/** Child at its end, or parent for a child that died: by pid. */
void bl_slots_release(bl_slots_t *slots, apr_uint32_t pid);

/** Pump thread: about to sleep. Look at the watermark once more after it. */
void bl_slots_arm(bl_slots_t *slots, int slot);
/** Pump thread: awake, need not be woken. */
void bl_slots_disarm(bl_slots_t *slots, int slot);

/**
 * Request thread or pump: count one more viewer of this slot.
 *
 * @param max  viewers over all slots and kinds
 * @return APR_ENOSPC: there are that many already, and it is not counted
 */
apr_status_t bl_slots_viewer_add(bl_slots_t *slots, int slot, bl_viewer_e kind,
                                 apr_uint32_t max);
void bl_slots_viewer_remove(bl_slots_t *slots, int slot, bl_viewer_e kind);

/** Over all slots and kinds. */
apr_uint32_t bl_slots_viewers(const bl_slots_t *slots);
/** Of one kind. @param slot  -1: over all slots */
apr_uint32_t bl_slots_viewers_of(const bl_slots_t *slots, int slot,
                                 bl_viewer_e kind);

#endif /* BL_SLOTS_H */

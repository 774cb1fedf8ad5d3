/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_slots.c - the children of httpd: who they are, who sleeps, their viewers
 *
 * INVARIANTS    see bl_slots.h
 */
#include "bl_slots.h"

#define CACHE_LINE 64

/* One cache line each: children write their own without disturbing others. */
typedef struct {
    apr_uint32_t pid;   /* 0: free */
    apr_uint32_t armed; /* 1: sleeps, wants to be woken */
    apr_uint32_t viewers[BL_VIEWER_KINDS];
    char pad[44];
} slot_t;

typedef char slot_is_a_line[sizeof(slot_t) == CACHE_LINE ? 1 : -1];

/* Of each process its own, as that of bl_table. */
struct bl_slots_t {
    slot_t *slot;
    int count;
    bl_counts_t *counts;
};

#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELEASE)

apr_size_t bl_slots_size(int slots)
{
    return (apr_size_t)slots * sizeof(slot_t);
}

bl_slots_t *bl_slots_at(void *memory, int slots, bl_counts_t *counts,
                        apr_pool_t *p)
{
    bl_slots_t *s = apr_palloc(p, sizeof(*s));

    s->slot = memory;
    s->count = slots;
    s->counts = counts;
    return s;
}

int bl_slots_next_to_wake(bl_slots_t *s, int *at)
{
    int i;

    for (i = *at; i < s->count; i++) {
        slot_t *slot = &s->slot[i];

        if (__atomic_load_n(&slot->armed, __ATOMIC_SEQ_CST) != 0 &&
            __atomic_exchange_n(&slot->armed, 0, __ATOMIC_SEQ_CST) != 0) {
            *at = i;
            return 1;
        }
    }
    return 0;
}

int bl_slots_count(const bl_slots_t *s)
{
    return s->count;
}

apr_uint32_t bl_slots_pid(const bl_slots_t *s, int slot)
{
    return LOAD(s->slot[slot].pid);
}

static void forget_viewers(bl_slots_t *s, int slot)
{
    int kind;

    for (kind = 0; kind < BL_VIEWER_KINDS; kind++)
        STORE(s->slot[slot].viewers[kind], 0);
    bl_counts_set_lag(s->counts, slot, 0, 0);
}

int bl_slots_claim(bl_slots_t *s, apr_uint32_t pid)
{
    int i;

    for (i = 0; i < s->count; i++) {
        apr_uint32_t none = 0;

        if (__atomic_compare_exchange_n(&s->slot[i].pid, &none, pid, 0,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            STORE(s->slot[i].armed, 0);
            forget_viewers(s, i);
            return i;
        }
    }
    return -1;
}

void bl_slots_release(bl_slots_t *s, apr_uint32_t pid)
{
    int i;

    for (i = 0; i < s->count; i++) {
        if (LOAD(s->slot[i].pid) == pid) {
            STORE(s->slot[i].armed, 0);
            forget_viewers(s, i);
            STORE(s->slot[i].pid, 0);
        }
    }
}

int bl_slots_have(const bl_slots_t *s, apr_uint32_t pid)
{
    int i;

    for (i = 0; i < s->count && pid != 0; i++) {
        if (LOAD(s->slot[i].pid) == pid)
            return 1;
    }
    return 0;
}

void bl_slots_arm(bl_slots_t *s, int slot)
{
    __atomic_store_n(&s->slot[slot].armed, 1, __ATOMIC_SEQ_CST);
}

void bl_slots_disarm(bl_slots_t *s, int slot)
{
    __atomic_store_n(&s->slot[slot].armed, 0, __ATOMIC_SEQ_CST);
}

apr_status_t bl_slots_viewer_add(bl_slots_t *s, int slot, bl_viewer_e kind,
                                 apr_uint32_t max)
{
    /* First counted, then compared: two at once may both be refused, but
     * never both be let in above the limit. */
    __atomic_add_fetch(&s->slot[slot].viewers[kind], 1, __ATOMIC_SEQ_CST);
    if (bl_slots_viewers(s) <= max)
        return APR_SUCCESS;
    bl_slots_viewer_remove(s, slot, kind);
    return APR_ENOSPC;
}

void bl_slots_viewer_remove(bl_slots_t *s, int slot, bl_viewer_e kind)
{
    __atomic_sub_fetch(&s->slot[slot].viewers[kind], 1, __ATOMIC_SEQ_CST);
}

apr_uint32_t bl_slots_viewers(const bl_slots_t *s)
{
    apr_uint32_t sum = 0;
    int kind;

    for (kind = 0; kind < BL_VIEWER_KINDS; kind++)
        sum += bl_slots_viewers_of(s, -1, (bl_viewer_e)kind);
    return sum;
}

apr_uint32_t bl_slots_viewers_of(const bl_slots_t *s, int slot,
                                 bl_viewer_e kind)
{
    int i = slot < 0 ? 0 : slot;
    int end = slot < 0 ? s->count : slot + 1;
    apr_uint32_t sum = 0;

    for (; i < end; i++)
        sum += __atomic_load_n(&s->slot[i].viewers[kind], __ATOMIC_SEQ_CST);
    return sum;
}

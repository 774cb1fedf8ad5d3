/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_hook.h - a delivery of a forge: is it genuine, which event is it, was it
 * here before
 *
 * Layer:    0 (value). Pure, no clock.
 * Runs in:  request threads.
 * Owns:     what each forge calls its headers, and how it proves who it is.
 * Not here: what was pushed (bl_push), HMAC itself (bl_sign), what was seen
 *           (bl_seen).
 *
 *     github   X-Hub-Signature-256: sha256=HEX, of the body
 *     gitea    X-Gitea-Signature: HEX, of the body (Forgejo sends it, too)
 *     gitlab   a signed message (bl_sign.h) if the secret begins with whsec_,
 *              else X-Gitlab-Token: the secret
 *     plain    a signed message
 *
 * H1  nothing of a delivery is looked at before it is known to be genuine
 * H2  how long it takes to find that it is not depends on its length alone
 */
#ifndef BL_HOOK_H
#define BL_HOOK_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

#include "bl_sign.h"

typedef enum {
    BL_HOOK_GITHUB,
    BL_HOOK_GITLAB,
    BL_HOOK_GITEA,
    BL_HOOK_PLAIN,
    BL_HOOK_KIND_COUNT
} bl_hook_kind_e;

/* Bytes of a name. */
#define BL_HOOK_NAME_MOST 64

typedef struct {
    const char *name;
    bl_hook_kind_e kind;
    int is_token; /* gitlab: the secret comes with the request */
    bl_sign_key_t key;
    apr_array_header_t *branches; /* const char *: patterns (bl_push.h) */
    apr_array_header_t *paths;
} bl_hook_t;

typedef enum { BL_HOOK_PING, BL_HOOK_PUSH, BL_HOOK_OTHER } bl_hook_event_e;

/* By how many marks a delivery is known again, at most. */
#define BL_HOOK_MARKS 2

typedef struct {
    bl_hook_event_e event;
    const char *event_name; /* as the forge says it; "" if it says none */
    int mark_count;
    bl_sign_t marks[BL_HOOK_MARKS];
} bl_delivery_t;

/** @return APR_SUCCESS; APR_EINVAL: no such kind, *out untouched */
apr_status_t bl_hook_kind_read(bl_hook_kind_e *out, const char *name);

/** 1 to 64 letters, digits, ".", "_", "-", of which the first is a letter or a
 * digit. */
int bl_hook_is_name(const char *name);

/** Take the secret that stands in a file. @return APR_SUCCESS; APR_EINVAL: it
 * is none for this kind */
apr_status_t bl_hook_set_secret(bl_hook_t *hook, const char *text,
                                apr_pool_t *p);

/** A header's value; NULL: there is none. */
typedef const char *(*bl_hook_header_fn)(void *baton, const char *name);

/**
 * Is this delivery one of those who know the hook's secret?
 *
 * @param out  what it is; set only if it is genuine
 * @return NULL: it is; else why not, for the administrator's log: the one who
 *         sent it must not be told
 */
const char *bl_hook_verify(bl_delivery_t *out, const bl_hook_t *hook,
                           bl_hook_header_fn header, void *baton,
                           const char *body, apr_size_t len, apr_time_t now);

#endif /* BL_HOOK_H */

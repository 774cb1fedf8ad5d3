/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_peer.h - other servers: who may ask for builds (BuildLogHook), who is
 * told how they ended (BuildLogNotify)
 *
 * Layer:    3 (httpd glue).
 * Runs in:  while the configuration is read; afterwards request threads, which
 *           only read.
 * Owns:     the directives' words, the secrets' files, hooks by name.
 * Not here: what a delivery is (bl_hook, bl_webhook), how others are told
 *           (bl_notifier).
 */
#ifndef BL_PEER_H
#define BL_PEER_H

#include "httpd.h"
#include "http_config.h"

#include "bl_hook.h"
#include "bl_wire.h"

/** BuildLogHook NAME KIND FILE [branch=PATTERN ...] [path=PATTERN ...] */
const char *bl_peer_add_hook(cmd_parms *cmd, void *dir, int argc,
                             char *const argv[]);

/**
 * The hook of this name that a section of this server has.
 *
 * @param dir  set to the section's directory
 * @return NULL: there is none
 */
const bl_hook_t *bl_peer_hook(const server_rec *s, const char *name,
                              const char **dir);

/** BuildLogNotify URL [secret=FILE], or none */
const char *bl_peer_add_target(cmd_parms *cmd, void *dir, const char *url,
                               const char *secret);

/** All that any BuildLogNotify names, in p, the configuration's pool. */
bl_target_t *bl_peer_targets(int *count, apr_pool_t *p);

#endif /* BL_PEER_H */

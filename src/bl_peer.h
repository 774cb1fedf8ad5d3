/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_peer.h - other servers: who may ask for builds (BuildLogHook)
 *
 * Layer:    3 (httpd glue).
 * Runs in:  while the configuration is read; afterwards request threads, which
 *           only read.
 * Owns:     the directive's words, the secrets' files, hooks by name.
 * Not here: what a delivery is (bl_hook, bl_webhook).
 */
#ifndef BL_PEER_H
#define BL_PEER_H

#include "httpd.h"
#include "http_config.h"

#include "bl_hook.h"

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

#endif /* BL_PEER_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_directive.h - the module's directives: checked, and stored
 *
 * Layer:    3 (httpd glue).
 * Runs in:  the parent, while the configuration is read.
 * Owns:     the directives' names, where they may stand, what they take.
 * Not here: their defaults and merging (bl_config), what they do.
 *
 * C1  a wrong value stops the server with a line that names the directive, the
 *     value and what is allowed
 * C2  no directive is taken from .htaccess
 */
#ifndef BL_DIRECTIVE_H
#define BL_DIRECTIVE_H

#include "httpd.h"
#include "http_config.h"

/** For the module record. */
extern const command_rec bl_directives[];

#endif /* BL_DIRECTIVE_H */

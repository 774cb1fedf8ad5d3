/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_trust.h - what of a request can be believed: who asks, what the address
 * is, under which name the server was asked
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     what files .htaccess and error documents may do at the module's
 *           addresses, and the defence against DNS rebinding.
 * Not here: what the user may (bl_project), pages of other sites (bl_route).
 *
 * A .htaccess belongs to whoever may write there, who need not be the server's
 * administrator. At an address of the module it may refuse clients, as
 * anywhere; but it makes no address one of the module's, and it does not say
 * who a client is: for the projects' Require would believe it.
 */
#ifndef BL_TRUST_H
#define BL_TRUST_H

#include "httpd.h"

#include "http_config.h"

typedef struct {
    const char *user;       /* authenticated; NULL: nobody that is known */
    int is_ours;            /* the server's configuration set the handler */
    ap_conf_vector_t *conf; /* of the address, without .htaccess */
    apr_table_t *env;       /* as httpd's own configuration sets it */
} bl_trust_t;

/** Decide, or tell again what was decided for this request. */
const bl_trust_t *bl_trust_of(request_rec *r);

/**
 * Can this request not be one of a page that made its own name lead here (DNS
 * rebinding)? To the browser such a page is of the same origin; but it knows
 * no password, and has no certificate for its name.
 *
 * @return 0: not encrypted, nobody is logged in, and the name in Host is none
 *         of the server's
 */
int bl_trust_host(request_rec *r);

/**
 * Is nothing known of who asks? A browser tells who its user is, by password,
 * session or certificate, for what pages of other sites show, too.
 */
int bl_trust_is_nobody(request_rec *r);

#endif /* BL_TRUST_H */

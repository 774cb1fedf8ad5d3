/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_capacity.c - can this server hold the viewers that it is configured for?
 *
 * DIAGNOSTICS   BL0111 descriptors, BL0112 children that are ended when idle,
 *               BL0113 connections that the event MPM lets in
 */
#include "bl_capacity.h"

/* libc */
#include <limits.h>
#include <stdlib.h>
/* httpd */
#include "ap_mpm.h"
#include "http_config.h"
#include "http_core.h"
#include "mod_buildlog.h"
/* layer 3 */
#include "bl_config.h"
#include "bl_conn.h"
#include "bl_parked.h"

/* Of the event MPM. */
#define DEFAULT_FACTOR 2.0

static int query(int what, int otherwise)
{
    int value = otherwise;

    return ap_mpm_query(what, &value) == APR_SUCCESS ? value : otherwise;
}

/* Upwards. */
static unsigned divide(unsigned a, unsigned b)
{
    return (a + b - 1) / b;
}

/* ---- plain connections: descriptors --------------------------------- */

/* How many children there are for sure: the MPM ends those that make more
 * threads (or processes) idle than it is told to spare, and viewers leave
 * their threads idle. */
static unsigned children_kept(unsigned threads, unsigned children)
{
    int spare = threads > 1 ? query(AP_MPMQ_MAX_SPARE_THREADS, INT_MAX)
                            : query(AP_MPMQ_MAX_SPARE_DAEMONS, INT_MAX);
    unsigned kept = spare <= 0 ? 1 : (unsigned)spare / threads;

    kept = kept > 0 ? kept : 1;
    return kept < children ? kept : children;
}

static void check_descriptors(server_rec *s, unsigned threads,
                              unsigned children)
{
    unsigned clients = bl_config_server()->max_clients;
    unsigned reserve = (unsigned)bl_conn_fds_reserved();
    unsigned each = (unsigned)bl_conn_fds_most();
    unsigned kept = children_kept(threads, children);
    /* Who did not ask for a number has no use for a warning. */
    int level =
        bl_config_server()->max_clients_is_set ? APLOG_WARNING : APLOG_INFO;

    if (divide(clients, children) > each)
        ap_log_error(
            APLOG_MARK, level, 0, s,
            "BL0111 BuildLogMaxClients %u cannot be reached: %u children have "
            "descriptors for %u viewers each; raise the limit of open files "
            "to %u (ulimit -n; Debian: APACHE_ULIMIT_MAX_FILES), or lower "
            "BuildLogMaxClients",
            clients, children, each, divide(clients, children) + reserve);
    else if (divide(clients, kept) > each)
        ap_log_error(
            APLOG_MARK, level, 0, s,
            "BL0112 BuildLogMaxClients %u cannot be reached: of idle children "
            "%u are kept, which have descriptors for %u viewers each; set "
            "%s to %u, or raise the limit of open files to %u (ulimit -n; "
            "Debian: APACHE_ULIMIT_MAX_FILES)",
            clients, kept, each,
            threads > 1 ? "MaxSpareThreads" : "MaxSpareServers",
            divide(clients, each) * threads, divide(clients, kept) + reserve);
}

/* ---- parked connections: what the MPM lets in ----------------------- */

/* The argument of a directive, wherever it stands. The last one wins. */
static const char *find_directive(const ap_directive_t *at, const char *name)
{
    const char *found = NULL;

    for (; at != NULL; at = at->next) {
        const char *below = NULL;

        if (ap_cstr_casecmp(at->directive, name) == 0)
            found = at->args;
        else if (at->first_child != NULL)
            below = find_directive(at->first_child, name);
        found = below != NULL ? below : found;
    }
    return found;
}

static void check_parked(server_rec *s, unsigned threads)
{
    const char *text = find_directive(ap_conftree, "AsyncRequestWorkerFactor");
    double factor = text != NULL ? strtod(text, NULL) : DEFAULT_FACTOR;
    unsigned most = bl_parked_most();

    /* A child's threads besides: for ordinary requests. */
    if (!bl_parked_is_known() || (double)most <= threads * factor)
        return;
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                 "BL0113 BuildLogMaxParked %u: with AsyncRequestWorkerFactor "
                 "%g and %u threads a child lets %u connections in, and then "
                 "no others; set AsyncRequestWorkerFactor to %u, or "
                 "BuildLogMaxParked to %u",
                 most, factor, threads, (unsigned)(threads * (1 + factor)),
                 divide(most, threads), (unsigned)(threads * factor));
}

static int post_config(apr_pool_t *p, apr_pool_t *log, apr_pool_t *temp,
                       server_rec *s)
{
    unsigned threads, children;

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG)
        return OK;
    threads = (unsigned)query(AP_MPMQ_MAX_THREADS, 1);
    children = (unsigned)query(AP_MPMQ_MAX_DAEMONS, 1);
    threads = threads > 0 ? threads : 1;
    children = children > 0 ? children : 1;
    check_descriptors(s, threads, children);
    check_parked(s, threads);
    return OK;
}

void bl_capacity_register_hooks(apr_pool_t *p)
{
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_LAST);
}

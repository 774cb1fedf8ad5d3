/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_conn.c - how a stream's connection is kept
 */
#include "bl_conn.h"

/* libc */
#include <errno.h>
#include <fcntl.h>
/* httpd */
#include "http_core.h"
#include "mod_buildlog.h"
#include "util_filter.h"

/* Descriptors of streams stand above those that httpd counts on being low. */
#define FD_LEAST 16

const char *bl_conn_kind_name(bl_conn_kind_e kind)
{
    return kind == BL_CONN_DETACHED ? "detached" : "polled";
}

/* A filter that a stream may go on without: the one that writes to the socket,
 * and mod_reqtimeout's, which only looks for the end of a request. */
static int is_dispensable(const ap_filter_t *f)
{
    return strcmp(f->frec->name, "core") == 0 ||
           strcmp(f->frec->name, "reqtimeout") == 0;
}

/* No TLS, nothing that counts, limits or changes bytes. */
static int is_bare(const conn_rec *c)
{
    const ap_filter_t *f;

    if (c->master != NULL || c->output_filters == NULL)
        return 0;
    for (f = c->output_filters; f != NULL; f = f->next) {
        if (!is_dispensable(f))
            return 0;
    }
    return 1;
}

bl_conn_kind_e bl_conn_kind(const request_rec *r)
{
    return is_bare(r->connection) ? BL_CONN_DETACHED : BL_CONN_POLLED;
}

void bl_conn_prepare(request_rec *r)
{
    r->connection->keepalive = AP_CONN_CLOSE;
}

apr_status_t bl_conn_detach(apr_os_sock_t *fd, request_rec *r)
{
    apr_socket_t *socket = ap_get_conn_socket(r->connection);
    apr_os_sock_t ours;
    apr_status_t rv = apr_os_sock_get(&ours, socket);

    if (rv != APR_SUCCESS)
        return rv;
    ours = fcntl(ours, F_DUPFD_CLOEXEC, FD_LEAST);
    if (ours < 0)
        return APR_FROM_OS_ERROR(errno);
    /* For httpd the client is gone: nothing is written any more, not even the
     * end of the body, and closing is no shutdown(2) of what we share. */
    r->connection->aborted = 1;
    *fd = ours;
    return APR_SUCCESS;
}

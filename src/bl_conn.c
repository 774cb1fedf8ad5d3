/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_conn.c - how the connection of a stream is kept
 */
#include "bl_conn.h"

/* libc */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>
/* APR */
#include <apr_portable.h>
#include <apr_strings.h>
/* httpd */
#include "ap_mpm.h"
#include "http_core.h"
#include "http_protocol.h"
#include "mod_buildlog.h"
#include "util_filter.h"
/* layer 3 */
#include "bl_child.h"
#include "bl_config.h"
#include "bl_daemon.h"
#include "bl_held.h"
#include "bl_parked.h"

/* Descriptors of streams stand above those that httpd counts on being low. */
#define FD_LEAST 16

/* What a child needs besides its viewers: logs, listeners, and some for each
 * thread that answers a request. */
#define FDS_OF_CHILD 64
#define FDS_OF_THREAD 2

/* What is read at once of what nobody wants. */
#define UNWANTED_BYTES 4096

/* ---- which kind ----------------------------------------------------- */

/* The output filters that a stream may go on without: the one that writes to
 * the socket, and mod_reqtimeout's, which only looks for the end of a request.
 */
static int is_dispensable(const ap_filter_t *f)
{
    return strcmp(f->frec->name, "core") == 0 ||
           strcmp(f->frec->name, "reqtimeout") == 0;
}

static int is_tls(const ap_filter_t *f)
{
    return strncmp(f->frec->name, "ssl/tls", 7) == 0;
}

/* Nothing between us and the socket. */
static int is_bare(const conn_rec *c)
{
    const ap_filter_t *f;

    for (f = c->output_filters; f != NULL; f = f->next) {
        if (!is_dispensable(f))
            return 0;
    }
    return 1;
}

int bl_conn_is_only_tls(const conn_rec *c)
{
    const ap_filter_t *f;
    int found = 0;

    for (f = c->output_filters; f != NULL; f = f->next) {
        if (is_tls(f))
            found = 1;
        else if (!is_dispensable(f))
            return 0;
    }
    return found;
}

/* ---- descriptors ---------------------------------------------------- */

int bl_conn_fds_reserved(void)
{
    int threads = 0;

    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    return FDS_OF_CHILD + FDS_OF_THREAD * threads;
}

int bl_conn_fds_most(void)
{
    struct rlimit limit;
    int reserve = bl_conn_fds_reserved(), all;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
        limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > INT_MAX)
        return INT_MAX;
    all = (int)limit.rlim_cur;
    return all - (reserve < all / 2 ? reserve : all / 2);
}

const char *bl_conn_take_socket(bl_arrival_t *arrival, request_rec *r)
{
    static int told;
    apr_os_sock_t fd;
    apr_status_t rv;

    rv = apr_os_sock_get(&fd, ap_get_conn_socket(r->connection));
    if (rv == APR_SUCCESS) {
        /* The lowest that is free: so its number tells how many there are.
         * httpd ends a child that cannot accept: it is not driven so far. */
        fd = fcntl(fd, F_DUPFD_CLOEXEC, FD_LEAST);
        if (fd >= 0 && fd < bl_conn_fds_most()) {
            arrival->conn.fd = fd;
            return NULL;
        }
        rv = fd < 0 ? APR_FROM_OS_ERROR(errno) : APR_EMFILE;
        if (fd >= 0)
            close(fd);
    }
    if (!told)
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, rv, r,
                      "BL0406 no more descriptors for viewers in this child: "
                      "further ones are told to come back; raise its limit "
                      "(ulimit -n; Debian: APACHE_ULIMIT_MAX_FILES)");
    told = 1;
    return "This server process has no more descriptors for viewers. Try "
           "again later.";
}

apr_status_t bl_conn_adopt(bl_arrival_t *arrival, const conn_rec *c)
{
    apr_status_t rv = bl_pump_req_adopt(bl_child_pump(), arrival);

    if (rv != APR_SUCCESS) {
        ap_log_cerror(APLOG_MARK, APLOG_ERR, rv, c,
                      "BL0401 a viewer could not be kept; it will come back");
        bl_pump_req_forget(bl_child_pump(), arrival);
    }
    return rv;
}

int bl_conn_is_open(conn_rec *c, apr_bucket_brigade *bb)
{
    apr_status_t rv;
    int open;

    rv = ap_get_brigade(c->input_filters, bb, AP_MODE_READBYTES,
                        APR_NONBLOCK_READ, UNWANTED_BYTES);
    open =
        rv == APR_SUCCESS
            ? APR_BRIGADE_EMPTY(bb) || !APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(bb))
            : APR_STATUS_IS_EAGAIN(rv) || APR_STATUS_IS_EINTR(rv);
    apr_brigade_cleanup(bb);
    return open;
}

void bl_conn_forget_timeout(conn_rec *c)
{
    ap_filter_t *f;

    for (f = c->input_filters; f != NULL; f = f->next) {
        if (strcmp(f->frec->name, "reqtimeout") == 0) {
            ap_remove_input_filter(f);
            return;
        }
    }
}

/* ---- detached: plain HTTP/1.x, any MPM ------------------------------ */

static void keep_detached(bl_arrival_t *arrival, request_rec *r)
{
    /* For httpd the client is gone: nothing is written any more, not even the
     * end of the body; it closes its descriptor without a shutdown(2) of what
     * we share, and frees everything. */
    r->connection->aborted = 1;
    bl_conn_adopt(arrival, r->connection);
}

static const bl_conn_t detached = {"detached", BL_VIEWER_DETACHED,
                                   bl_conn_take_socket, keep_detached};

/* ---- the choice ----------------------------------------------------- */

const bl_conn_t *bl_conn_of(const request_rec *r)
{
    const conn_rec *c = r->connection;

    /* A stream of HTTP/2 is not a connection: to keep it would keep a thread,
     * of which its client has six. */
    if (c->master != NULL || bl_child_pump() == NULL)
        return NULL;
    /* Included in another document: the connection is that one's. */
    if (r->main != NULL)
        return NULL;
    if (is_bare(c))
        return &detached;
    if (bl_parked_is_possible(c))
        return &bl_parked;
    return &bl_held;
}

static const bl_count_e count_of[BL_VIEWER_KINDS] = {
    [BL_VIEWER_DETACHED] = BL_COUNT_DETACHED,
    [BL_VIEWER_PARKED] = BL_COUNT_PARKED,
    [BL_VIEWER_HELD] = BL_COUNT_HELD,
};

const char *bl_conn_begin(bl_arrival_t **out, const bl_conn_t *conn,
                          const bl_feed_spec_t *spec, bl_stamp_t at,
                          request_rec *r)
{
    apr_uint32_t most = bl_config_server()->max_clients;
    bl_arrival_t *arrival;
    const char *limit;

    if (bl_slots_viewer_add(bl_table_slots(bl_daemon_table()), bl_child_slot(),
                            conn->kind, most) != APR_SUCCESS) {
        bl_child_count(BL_COUNT_BUSY, 1);
        return apr_psprintf(r->pool,
                            "%u viewers are connected, and BuildLogMaxClients "
                            "allows no more. Try again later.",
                            most);
    }
    arrival = bl_pump_req_arrive(spec, at, conn->kind);
    limit = conn->prepare(arrival, r);
    if (limit != NULL) {
        bl_pump_req_forget(bl_child_pump(), arrival);
        bl_child_count(BL_COUNT_BUSY, 1);
        return limit;
    }
    bl_child_count(count_of[conn->kind], 1);
    /* The body ends with the connection: the same bytes for all, HTTP/1.0 and
     * 1.1. */
    r->connection->keepalive = AP_CONN_CLOSE;
    *out = arrival;
    return NULL;
}

void bl_conn_go(bl_arrival_t *arrival, const bl_conn_t *conn, request_rec *r)
{
    if (ap_rflush(r) < 0 || r->connection->aborted)
        bl_pump_req_forget(bl_child_pump(), arrival);
    else
        conn->keep(arrival, r);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_client.c - one viewer's connection in the pump
 */
#include "bl_client.h"

/* libc */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
/* APR */
#include <apr_network_io.h>

/* Buckets in one sendv; more only means another call. */
#define PARTS_MAX 16

/* The longest pause of TCP between two questions to a peer that takes no more,
 * twice: one may be lost. */
#define PROBE_PAUSE apr_time_from_sec(240)

/* What the kernel takes for a pause, in seconds. */
#define PROBE_LEAST 1
#define PROBE_MOST 32767
#define PROBES_UNANSWERED 2

bl_client_t *bl_client_create(apr_bucket_alloc_t *buckets, apr_pool_t *p)
{
    bl_client_t *c = apr_pcalloc(p, sizeof(*c));

    APR_RING_ELEM_INIT(c, link);
    APR_RING_ELEM_INIT(c, timed);
    c->out = apr_brigade_create(p, buckets);
    c->fd.p = p;
    c->fd.desc_type = APR_POLL_SOCKET;
    c->fd.client_data = c;
    return c;
}

static apr_status_t poll_for(bl_client_t *c, int events,
                             apr_pollset_t *pollset)
{
    apr_status_t rv;

    if (c->polled && c->fd.reqevents == events)
        return APR_SUCCESS;
    if (c->polled)
        apr_pollset_remove(pollset, &c->fd);
    c->polled = 0;
    c->fd.reqevents = (apr_int16_t)events;
    if (events == 0)
        return APR_SUCCESS;
    rv = apr_pollset_add(pollset, &c->fd);
    c->polled = rv == APR_SUCCESS;
    return rv;
}

/* What the pollset tells of it while nothing waits to be written. That httpd's
 * connections hang up is httpd's to see, and would be told without end. */
static int quiet_events(const bl_client_t *c)
{
    return c->conn.link == NULL ? APR_POLLIN : 0;
}

apr_status_t bl_client_open(bl_client_t *c, const bl_client_conn_t *conn,
                            int send_buffer, apr_pollset_t *pollset)
{
    apr_os_sock_t fd = conn->fd;
    apr_status_t rv;

    c->group = NULL;
    c->at = 0;
    c->last = 0;
    c->pending = 0;
    c->conn = *conn;
    if (conn->link != NULL)
        conn->link->client = c;
    rv = apr_os_sock_put(&c->socket, &fd, c->fd.p);
    if (rv != APR_SUCCESS)
        return rv;
    c->fd.desc.s = c->socket;
    /* A struct that is used again believes that its socket is nonblocking
     * already: both are told. */
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    apr_socket_timeout_set(c->socket, 0);
    apr_socket_opt_set(c->socket, APR_SO_SNDBUF, send_buffer);
    return poll_for(c, quiet_events(c), pollset);
}

void bl_client_close(bl_client_t *c, apr_pollset_t *pollset)
{
    bl_link_t *link = c->conn.link;

    if (c->polled)
        apr_pollset_remove(pollset, &c->fd);
    c->polled = 0;
    apr_brigade_cleanup(c->out);
    if (link == NULL) {
        /* Unread input would make close() a reset that overtakes our last
         * bytes. */
        bl_client_listen(c);
        apr_socket_shutdown(c->socket, APR_SHUTDOWN_WRITE);
    }
    apr_socket_close(c->socket);
    if (link != NULL) {
        link->client = NULL;
        link->ops->close(link);
    }
}

void bl_client_push(bl_client_t *c, apr_bucket *bucket)
{
    apr_bucket *copy;

    if (apr_bucket_copy(bucket, &copy) == APR_SUCCESS)
        APR_BRIGADE_INSERT_TAIL(c->out, copy);
}

int bl_client_is_flushed(const bl_client_t *c)
{
    return APR_BRIGADE_EMPTY(c->out) && !c->pending;
}

/* Take n bytes off the front. */
static void brigade_drop(apr_bucket_brigade *bb, apr_size_t n)
{
    while (n > 0) {
        apr_bucket *first = APR_BRIGADE_FIRST(bb);

        if (first->length > n)
            apr_bucket_split(first, n);
        n -= first->length;
        apr_bucket_delete(first);
    }
}

apr_status_t bl_client_flush(bl_client_t *c, apr_uint64_t *total)
{
    bl_link_t *link = c->conn.link;
    apr_status_t rv;

    while (!APR_BRIGADE_EMPTY(c->out)) {
        struct iovec parts[PARTS_MAX];
        int count = PARTS_MAX;
        apr_size_t written = 0;

        rv = apr_brigade_to_iovec(c->out, parts, &count);
        if (rv != APR_SUCCESS)
            return rv;
        rv = link == NULL ? apr_socket_sendv(c->socket, parts, count, &written)
                          : link->ops->write(link, parts, count, &written);
        if (rv != APR_SUCCESS)
            return rv;
        *total += written;
        brigade_drop(c->out, written);
    }
    if (link == NULL)
        return APR_SUCCESS;
    rv = link->ops->flush(link);
    c->pending = APR_STATUS_IS_EAGAIN(rv);
    return rv;
}

apr_status_t bl_client_want_write(bl_client_t *c, int want,
                                  apr_pollset_t *pollset)
{
    int events = quiet_events(c);

    return poll_for(c, want ? events | APR_POLLOUT : events, pollset);
}

int bl_client_listen(bl_client_t *c)
{
    char unwanted[1024];
    apr_size_t len = sizeof(unwanted);
    apr_status_t rv = apr_socket_recv(c->socket, unwanted, &len);

    /* One read: who sends without end costs no more than a poll each. */
    if (rv == APR_SUCCESS)
        return len > 0;
    return APR_STATUS_IS_EAGAIN(rv) || APR_STATUS_IS_EINTR(rv);
}

void bl_client_probe(bl_client_t *c, apr_interval_time_t pause)
{
#ifdef TCP_KEEPIDLE
    apr_int64_t seconds = apr_time_sec(pause);
    int on = 1, count = PROBES_UNANSWERED, idle;

    idle = seconds < PROBE_LEAST  ? PROBE_LEAST
           : seconds > PROBE_MOST ? PROBE_MOST
                                  : (int)seconds;
    /* All fails where a thread of httpd is at the other end: no harm. */
    setsockopt(c->conn.fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(c->conn.fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(c->conn.fd, IPPROTO_TCP, TCP_KEEPINTVL, &idle, sizeof(idle));
    setsockopt(c->conn.fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
#endif
}

int bl_client_is_dead(const bl_client_t *c, apr_interval_time_t patience)
{
#ifdef TCP_INFO
    struct tcp_info info;
    socklen_t len = sizeof(info);
    apr_interval_time_t silence;

    memset(&info, 0, sizeof(info));
    if (getsockopt(c->conn.fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return 0; /* a thread of httpd is at the other end */
    silence = apr_time_from_msec((apr_interval_time_t)info.tcpi_last_ack_recv);
    /* Who takes no more is asked again and again, but ever more rarely. */
    if (info.tcpi_unacked == 0)
        return info.tcpi_probes > 0 && silence > patience + PROBE_PAUSE;
    return silence > patience;
#else
    return 0;
#endif
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_held.c - streams that keep a thread of httpd
 */
#include "bl_held.h"

/* libc */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
/* APR */
#include <apr_portable.h>
#include <apr_strings.h>
/* httpd */
#include "ap_mpm.h"
#include "http_core.h"
#include "mod_buildlog.h"
#include "util_filter.h"
/* layer 1 */
#include "bl_tick.h"
/* layer 3 */
#include "bl_child.h"
#include "bl_daemon.h"

/* So long a thread is held; then the viewer comes back, perhaps behind others.
 */
#define HELD_TIME apr_time_from_sec(30)

/* So much longer a client may take for its last bytes. */
#define LAST_BYTES_TIME apr_time_from_sec(5)

/* ...and so much, when this process ends: as the pump's other viewers. */
#define STOP_TIME apr_time_from_msec(700)

/* One of so many threads. */
#define SHARE 4

/* How often it is looked whether this process should end: prefork says it only
 * here. */
#define LOOK_MS 250

#define RELAY_BYTES 16384

/* As the pump's for other viewers. */
#define SEND_BYTES (128 * 1024)

/* ---- limits --------------------------------------------------------- */

static const char *prepare(bl_arrival_t *arrival, request_rec *r)
{
    int threads = 1, processes = 1, most, slot = bl_child_slot();
    apr_uint32_t held;

    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    most = threads;
    if (threads <= 1) {
        /* A process is a thread: all of them share. */
        ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &processes);
        most = processes;
        slot = -1;
    }
    most = most / SHARE > 0 ? most / SHARE : 1;
    held = bl_slots_viewers_of(bl_table_slots(bl_daemon_table()), slot,
                               BL_VIEWER_HELD);
    if (held <= (apr_uint32_t)most)
        return NULL;
    return apr_psprintf(
        r->pool,
        "A stream on this connection needs a thread of the server, and the "
        "%d that may be used for streams are taken. Try again later.",
        most);
}

/* ---- the thread's loop ---------------------------------------------- */

typedef struct {
    request_rec *r;
    int fd;           /* our end */
    apr_time_t until; /* by bl_tick: nothing is waited for any longer */
    apr_bucket_brigade *in;
    apr_bucket_brigade *out;
} relay_t;

static int is_stopping(void)
{
    int state = AP_MPMQ_RUNNING;

    return ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS &&
           state == AP_MPMQ_STOPPING;
}

/* Pass on what the pump wrote. The client's socket has room, so that no filter
 * waits for it: the thread waits only where it can be told to stop.
 * @return 0: it is over */
static int pass_on(relay_t *relay)
{
    conn_rec *c = relay->r->connection;
    char buf[RELAY_BYTES];
    ssize_t n = read(relay->fd, buf, sizeof(buf));
    apr_status_t rv;

    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    if (n == 0)
        return 0;
    APR_BRIGADE_INSERT_TAIL(
        relay->out,
        apr_bucket_transient_create(buf, (apr_size_t)n, c->bucket_alloc));
    APR_BRIGADE_INSERT_TAIL(relay->out,
                            apr_bucket_flush_create(c->bucket_alloc));
    rv = ap_pass_brigade(relay->r->output_filters, relay->out);
    apr_brigade_cleanup(relay->out);
    return rv == APR_SUCCESS && !c->aborted;
}

/* @return 0: the client has gone */
static int client_is_there(relay_t *relay, const struct pollfd *client)
{
    if ((client->revents & (POLLERR | POLLHUP)) != 0)
        return 0;
    return (client->revents & POLLIN) == 0 ||
           bl_conn_is_open(relay->r->connection, relay->in);
}

/* It is over for the pump, or for this process: what is left is waited for no
 * longer than this. */
static void end_within(relay_t *relay, apr_interval_time_t time)
{
    apr_time_t until = bl_tick_now() + time;

    if (until < relay->until)
        relay->until = until;
}

/* @return 0: all was passed on; 1: the client did not take all, or has gone */
static int run(relay_t *relay)
{
    struct pollfd fds[2];
    int waiting = 0; /* there is something for the client */

    memset(fds, 0, sizeof(fds));
    fds[0].fd = relay->fd;
    apr_os_sock_get(&fds[1].fd, ap_get_conn_socket(relay->r->connection));
    for (;;) {
        int n;

        fds[0].events = waiting ? 0 : POLLIN;
        fds[1].events = waiting ? POLLIN | POLLOUT : POLLIN;
        /* Behind the pump's end a hang-up is told without end. */
        if (waiting && (fds[0].revents & POLLHUP) != 0)
            n = poll(fds + 1, 1, LOOK_MS);
        else
            n = poll(fds, 2, LOOK_MS);
        if (n < 0 && errno != EINTR)
            return 1;
        if (is_stopping()) {
            bl_child_begin_stop(); /* the pump says goodbye and closes */
            end_within(relay, STOP_TIME);
        }
        if (bl_tick_now() >= relay->until)
            return 1;
        if (n <= 0)
            continue;
        if ((fds[0].revents & POLLHUP) != 0)
            end_within(relay, LAST_BYTES_TIME);
        if (!client_is_there(relay, &fds[1]))
            return 1;
        if (!waiting)
            waiting = fds[0].revents != 0;
        else if ((fds[1].revents & POLLOUT) != 0) {
            if (!pass_on(relay))
                return relay->r->connection->aborted != 0;
            waiting = 0;
        }
    }
}

static void keep(bl_arrival_t *arrival, request_rec *r)
{
    conn_rec *c = r->connection;
    relay_t relay;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, errno, r,
                      "BL0407 no pair of sockets for a viewer; it will come "
                      "back");
        bl_pump_req_forget(bl_child_pump(), arrival);
        return;
    }
    memset(&relay, 0, sizeof(relay));
    relay.r = r;
    relay.fd = ends[1];
    arrival->conn.fd = ends[0];
    arrival->conn.until = bl_tick_now() + HELD_TIME;
    relay.until = arrival->conn.until + LAST_BYTES_TIME;
    relay.in = apr_brigade_create(r->pool, c->bucket_alloc);
    relay.out = apr_brigade_create(r->pool, c->bucket_alloc);
    bl_conn_forget_timeout(c);
    apr_socket_opt_set(ap_get_conn_socket(c), APR_SO_SNDBUF, SEND_BYTES);
    /* One that did not take all is not waited for at the end of the request
     * either. */
    if (bl_conn_adopt(arrival, c) == APR_SUCCESS && run(&relay))
        c->aborted = 1;
    close(relay.fd);
}

const bl_conn_t bl_held = {"held", BL_VIEWER_HELD, prepare, keep};

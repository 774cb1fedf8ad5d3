/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_ask.c - what httpd says to the runner: httpd's side of it
 *
 * DIAGNOSTICS   BL0105, BL0106, BL0118
 */
#include "bl_ask.h"

/* libc */
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
/* APR */
#include <apr_strings.h>
/* httpd */
#include "mod_buildlog.h"

/* A request waits so long for the runner. */
#define ASK_TIME apr_time_from_sec(5)

/* ...one that only asks how it is so long: it is asked again and again. */
#define READY_TIME apr_time_from_sec(1)

/* The directory is the builder's: a build can put a socket of its own in the
 * place of this one, and would be told what other builds are to be run with.
 */
static int is_ours(int fd, bl_ask_door_t door)
{
    struct ucred made = {0, 0, 0};
    socklen_t len = sizeof(made);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &made, &len) == 0 &&
           made.pid == door.listener;
}

static int connect_runner(bl_ask_door_t door, apr_interval_time_t patience,
                          server_rec *s)
{
    struct timeval time = {patience / APR_USEC_PER_SEC, 0};
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    memset(&address, 0, sizeof(address));
    address.sun_family = AF_UNIX;
    apr_cpystrn(address.sun_path, door.path, sizeof(address.sun_path));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    if (is_ours(fd, door))
        return fd;
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                 "BL0118 %s was put there by somebody else: nothing is told "
                 "to it; stop and start httpd",
                 door.path);
    close(fd);
    errno = EACCES;
    return -1;
}

/* The new generation's limits, and its error log. */
void bl_ask_set_limits(bl_ask_door_t door, const bl_limits_t *limits,
                       server_rec *s, apr_pool_t *p)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    int log = STDERR_FILENO, fd;
    struct msghdr message;
    struct cmsghdr *c;
    const char *frame;
    struct iovec part;
    apr_size_t len;

    if (bl_wire_limits_write(&frame, &len, limits, p) != APR_SUCCESS)
        return;
    part.iov_base = (void *)frame;
    part.iov_len = len;
    memset(&message, 0, sizeof(message));
    memset(&control, 0, sizeof(control));
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.room;
    message.msg_controllen = sizeof(control.room);
    c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &log, sizeof(log));
    fd = connect_runner(door, ASK_TIME, s);
    if (fd < 0 || sendmsg(fd, &message, MSG_NOSIGNAL) != (ssize_t)len)
        ap_log_error(APLOG_MARK, APLOG_WARNING, errno, s,
                     "BL0105 the runner could not be told its new limits");
    if (fd >= 0)
        close(fd);
}

static apr_status_t send_all(int fd, const char *buf, apr_size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, buf, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return APR_FROM_OS_ERROR(errno);
        buf += n;
        len -= (apr_size_t)n;
    }
    return APR_SUCCESS;
}

static apr_status_t receive_frame(bl_wire_frame_t *frame, int fd,
                                  apr_pool_t *p)
{
    apr_size_t len = 0, need = BL_WIRE_HEADER_LEN;
    char *buf = apr_palloc(p, need);

    for (;;) {
        apr_size_t have = need;
        ssize_t n = recv(fd, buf + len, need - len, 0);
        apr_status_t rv;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return APR_FROM_OS_ERROR(errno);
        if (n == 0)
            return APR_EOF;
        len += (apr_size_t)n;
        rv = bl_wire_frame_read(frame, &need, buf, len);
        if (rv != APR_INCOMPLETE)
            return rv;
        if (need > have) {
            char *more = apr_palloc(p, need);

            memcpy(more, buf, len);
            buf = more;
        }
    }
}

/* One message, one reply. */
static void ask(bl_asked_t *asked, bl_ask_door_t door,
                apr_interval_time_t patience, const char *text, apr_size_t len,
                request_rec *r)
{
    bl_wire_frame_t frame;
    apr_status_t rv;
    int fd;

    memset(asked, 0, sizeof(*asked));
    asked->what = BL_ASKED_NO_RUNNER;
    fd = connect_runner(door, patience, r->server);
    if (fd < 0)
        return;
    rv = send_all(fd, text, len);
    if (rv == APR_SUCCESS)
        rv = receive_frame(&frame, fd, r->pool);
    close(fd);
    if (rv == APR_SUCCESS && bl_wire_accepted_read(&asked->accepted, &frame,
                                                   r->pool) == APR_SUCCESS)
        asked->what = BL_ASKED_ACCEPTED;
    else if (rv == APR_SUCCESS && bl_wire_refused_read(&asked->refused, &frame,
                                                       r->pool) == APR_SUCCESS)
        asked->what = BL_ASKED_REFUSED;
    else if (rv == APR_SUCCESS &&
             bl_wire_bare_read(&frame, BL_WIRE_READY) == APR_SUCCESS)
        asked->what = BL_ASKED_ACCEPTED;
    else
        ap_log_rerror(APLOG_MARK, APLOG_ERR, rv, r,
                      "BL0106 the runner did not answer");
}

static void refuse(bl_asked_t *asked, const char *why)
{
    memset(asked, 0, sizeof(*asked));
    asked->what = BL_ASKED_REFUSED;
    asked->refused.why = BL_REFUSED_ORDER;
    asked->refused.text = why;
}

void bl_ask_build(bl_asked_t *asked, bl_ask_door_t door,
                  const bl_order_t *order, request_rec *r)
{
    const char *text;
    apr_size_t len;

    if (bl_wire_order_write(&text, &len, order, r->pool) == APR_SUCCESS)
        ask(asked, door, ASK_TIME, text, len, r);
    else
        refuse(asked,
               "The configuration of the project is too large for a build.");
}

void bl_ask_cancel(bl_asked_t *asked, bl_ask_door_t door,
                   const bl_cancel_t *cancel, request_rec *r)
{
    const char *text;
    apr_size_t len;

    if (bl_wire_cancel_write(&text, &len, cancel, r->pool) == APR_SUCCESS)
        ask(asked, door, ASK_TIME, text, len, r);
    else
        refuse(asked, "The request cannot be passed on.");
}

void bl_ask_ready(bl_asked_t *asked, bl_ask_door_t door, request_rec *r)
{
    const char *text;
    apr_size_t len;

    bl_wire_bare_write(&text, &len, BL_WIRE_PROBE, r->pool);
    ask(asked, door, READY_TIME, text, len, r);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_intake.c - what httpd says to the runner: the socket's side of it
 *
 * DIAGNOSTICS   BL0220 a stranger, BL0221 a message that is none
 */
#include "bl_intake.h"

/* libc */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
/* APR */
#include <apr_portable.h>
#include <apr_ring.h>
/* layer 0 */
#include "bl_diag.h"
/* layer 1 */
#include "bl_table.h"
#include "bl_tree.h"

/* A message is written at once by our own code; who is slower is no peer. */
#define MESSAGE_TIME apr_time_from_sec(5)

/* Strangers are told of so often: whoever they are, they fill no log. */
#define STRANGER_TIME apr_time_from_sec(10)

/* What httpd may be in a container. */
#define INIT 1

/* Without descriptors nothing is taken for so long: peers wait in the queue.
 */
#define PAUSE_TIME apr_time_from_sec(1)

typedef struct peer_t peer_t;
struct peer_t {
    APR_RING_ENTRY(peer_t) link;
    bl_intake_t *intake;
    apr_pool_t *pool;
    int fd;
    int is_parent;
    int log_fd; /* came with the message; -1: none */
    bl_watch_t watch;
    apr_time_t deadline;
    char *buf;
    apr_size_t len;
    apr_size_t cap;
};
APR_RING_HEAD(peer_ring_t, peer_t);

struct bl_intake_t {
    apr_pool_t *pool;
    bl_host_t *host;
    int fd;
    pid_t parent;
    uid_t user;
    bl_intake_calls_t calls;
    bl_watch_t watch;
    struct peer_ring_t peers;
    apr_time_t again_at; /* by host->tick; 0: connections are taken */
    apr_time_t tell_at;  /* of the next stranger, by host->tick */
    int spare_fd;        /* -1: in use */
};

static void peer_close(peer_t *peer)
{
    bl_watch_set(peer->intake->host, &peer->watch, 0);
    APR_RING_REMOVE(peer, link);
    if (peer->log_fd >= 0)
        close(peer->log_fd);
    close(peer->fd);
    apr_pool_destroy(peer->pool);
}

/* The reply fits into the empty buffer of a new connection. */
static void peer_answer(peer_t *peer, const char *reply, apr_size_t len)
{
    if (send(peer->fd, reply, len, MSG_NOSIGNAL | MSG_DONTWAIT) !=
        (ssize_t)len)
        bl_diag(BL_DIAG_WARNING, 0, "BL0222 a reply could not be sent");
}

/* A request that waited too long has given its client an answer by now. */
static int peer_hung_up(const peer_t *peer)
{
    char byte;

    return recv(peer->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void peer_take(peer_t *peer, const bl_wire_frame_t *frame)
{
    bl_intake_t *intake = peer->intake;
    const char *reply = NULL;
    apr_size_t len = 0;
    bl_order_t *order;
    bl_limits_t limits;
    bl_cancel_t cancel;

    switch (frame->type) {
    case BL_WIRE_ORDER:
        if (bl_wire_order_read(&order, frame, peer->pool) != APR_SUCCESS)
            break;
        if (peer_hung_up(peer))
            return;
        intake->calls.order(intake->calls.baton, order, &reply, &len,
                            peer->pool);
        peer_answer(peer, reply, len);
        return;
    case BL_WIRE_CANCEL:
        if (bl_wire_cancel_read(&cancel, frame, peer->pool) != APR_SUCCESS)
            break;
        intake->calls.cancel(intake->calls.baton, &cancel, &reply, &len,
                             peer->pool);
        peer_answer(peer, reply, len);
        return;
    case BL_WIRE_PROBE:
        if (bl_wire_bare_read(frame, BL_WIRE_PROBE) != APR_SUCCESS)
            break;
        intake->calls.probe(intake->calls.baton, &reply, &len, peer->pool);
        peer_answer(peer, reply, len);
        return;
    case BL_WIRE_LIMITS:
        if (!peer->is_parent ||
            bl_wire_limits_read(&limits, frame, peer->pool) != APR_SUCCESS)
            break;
        intake->calls.limits(intake->calls.baton, &limits, peer->log_fd);
        peer->log_fd = -1;
        return;
    default:
        break;
    }
    bl_diag(BL_DIAG_WARNING, 0, "BL0221 a message of type %d was refused",
            (int)frame->type);
}

static ssize_t peer_receive(peer_t *peer)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {peer->buf + peer->len, peer->cap - peer->len};
    struct msghdr message;
    struct cmsghdr *c;
    ssize_t n;

    memset(&message, 0, sizeof(message));
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.room;
    /* Not CMSG_SPACE: its padding has room for a second descriptor, which
     * nobody would close. */
    message.msg_controllen = CMSG_LEN(sizeof(int));
    n = recvmsg(peer->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return n;
    c = CMSG_FIRSTHDR(&message);
    if (c != NULL && c->cmsg_level == SOL_SOCKET &&
        c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int))) {
        if (peer->log_fd >= 0)
            close(peer->log_fd);
        memcpy(&peer->log_fd, CMSG_DATA(c), sizeof(int));
    }
    return n;
}

static void peer_reserve(peer_t *peer, apr_size_t need)
{
    char *buf;

    if (need <= peer->cap)
        return;
    buf = apr_palloc(peer->pool, need);
    memcpy(buf, peer->buf, peer->len);
    peer->buf = buf;
    peer->cap = need;
}

static void peer_ready(void *baton, apr_int16_t events)
{
    peer_t *peer = baton;
    bl_wire_frame_t frame;
    apr_size_t need = 0;
    apr_status_t rv;
    ssize_t n = peer_receive(peer);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        peer_close(peer);
        return;
    }
    peer->len += (apr_size_t)n;
    rv = bl_wire_frame_read(&frame, &need, peer->buf, peer->len);
    if (rv == APR_INCOMPLETE) {
        peer_reserve(peer, need);
        return;
    }
    if (rv == APR_SUCCESS)
        peer_take(peer, &frame);
    else
        bl_diag(BL_DIAG_WARNING, 0, "BL0221 no message of ours was refused");
    peer_close(peer);
}

/* httpd's parent or one of its children, and nothing else that these users may
 * run: no CGI program, no build. */
static int peer_allowed(const bl_intake_t *intake, const struct ucred *cred)
{
    if (cred->uid != 0 && cred->uid != intake->user)
        return 0;
    if (cred->pid == intake->parent ||
        bl_slots_have(bl_table_slots(intake->host->table),
                      (apr_uint32_t)cred->pid))
        return 1;
    /* A child has a slot in the table, as a rule. To ask /proc takes a
     * descriptor, and that the runner may see it (hidepid). Of process 1
     * everybody is a child whose own parent has gone. */
    return intake->parent != INIT &&
           bl_tree_parent(cred->pid) == intake->parent;
}

static void peer_add(bl_intake_t *intake, int fd, const struct ucred *cred)
{
    apr_file_t *file = NULL;
    apr_os_file_t os = fd;
    apr_pool_t *pool;
    peer_t *peer;

    apr_pool_create(&pool, intake->pool);
    peer = apr_pcalloc(pool, sizeof(*peer));
    peer->intake = intake;
    peer->pool = pool;
    peer->fd = fd;
    peer->is_parent = cred->pid == intake->parent;
    peer->log_fd = -1;
    peer->deadline = intake->host->tick + MESSAGE_TIME;
    peer->buf = apr_palloc(pool, BL_WIRE_HEADER_LEN);
    peer->cap = BL_WIRE_HEADER_LEN;
    apr_os_file_put(&file, &os, APR_FOPEN_READ, pool);
    bl_watch_file(&peer->watch, file, peer_ready, peer, pool);
    bl_watch_set(intake->host, &peer->watch, 1);
    APR_RING_INSERT_TAIL(&intake->peers, peer, peer_t, link);
}

/* When all descriptors are used up one is given away that was kept for this:
 * so builds can be cancelled, and who orders one is told what is the matter.
 */
static int take_connection(bl_intake_t *intake)
{
    int fd = accept4(intake->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0 || errno != EMFILE || intake->spare_fd < 0)
        return fd;
    close(intake->spare_fd);
    intake->spare_fd = -1;
    return accept4(intake->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void keep_spare(bl_intake_t *intake)
{
    if (intake->spare_fd < 0)
        intake->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void intake_ready(void *baton, apr_int16_t events)
{
    bl_intake_t *intake = baton;
    struct ucred cred;
    socklen_t len = sizeof(cred);
    int fd = take_connection(intake);

    if (fd < 0) {
        if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
            return;
        /* No descriptor is left: the peer waits, and so do we, for a tick. */
        bl_diag(BL_DIAG_ERROR, APR_FROM_OS_ERROR(errno),
                "BL0223 a connection of httpd cannot be accepted; it is tried "
                "again");
        intake->again_at = intake->host->tick + PAUSE_TIME;
        bl_watch_set(intake->host, &intake->watch, 0);
        return;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0 ||
        !peer_allowed(intake, &cred)) {
        if (intake->host->tick >= intake->tell_at) {
            intake->tell_at = intake->host->tick + STRANGER_TIME;
            bl_diag(
                BL_DIAG_WARNING, 0,
                "BL0220 process %ld of user %ld may not speak to the runner",
                (long)cred.pid, (long)cred.uid);
        }
        close(fd);
        return;
    }
    peer_add(intake, fd, &cred);
}

apr_status_t bl_intake_create(bl_intake_t **out, bl_host_t *host, int fd,
                              pid_t parent, uid_t user,
                              const bl_intake_calls_t *calls, apr_pool_t *p)
{
    bl_intake_t *intake = apr_pcalloc(p, sizeof(*intake));
    apr_file_t *file = NULL;
    apr_os_file_t os = fd;
    apr_status_t rv;

    intake->pool = p;
    intake->host = host;
    intake->fd = fd;
    intake->parent = parent;
    intake->user = user;
    intake->calls = *calls;
    intake->spare_fd = -1;
    keep_spare(intake);
    APR_RING_INIT(&intake->peers, peer_t, link);
    rv = apr_os_file_put(&file, &os, APR_FOPEN_READ, p);
    if (rv != APR_SUCCESS)
        return rv;
    bl_watch_file(&intake->watch, file, intake_ready, intake, p);
    bl_watch_set(host, &intake->watch, 1);
    *out = intake;
    return APR_SUCCESS;
}

void bl_intake_tick(bl_intake_t *intake)
{
    keep_spare(intake);
    if (intake->again_at != 0 && intake->host->tick >= intake->again_at) {
        intake->again_at = 0;
        bl_watch_set(intake->host, &intake->watch, 1);
    }
    /* They came in the order of their deadlines. */
    while (!APR_RING_EMPTY(&intake->peers, peer_t, link)) {
        peer_t *peer = APR_RING_FIRST(&intake->peers);

        if (peer->deadline > intake->host->tick)
            return;
        peer_close(peer);
    }
}

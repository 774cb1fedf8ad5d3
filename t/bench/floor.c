/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor.c - the bound of `make bench`: what one core can do at all
 *
 *   floor PORT <LINES
 *
 * One thread, one epoll. Each line of stdin becomes an event of one buffer in
 * memory, each viewer is a place in it, and what follows that place is given
 * to send(2). No HTTP but one fixed answer, no ids, no storage, no checks, no
 * limits: whatever serves the same lines to the same viewers and does more
 * cannot be faster by much. When stdin ends the last event is `end`. It
 * listens on loopback only and ends with the process that started it.
 */
/* system */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Address space; only what is used becomes memory. */
#define TEXT_MAX_BYTES ((size_t)1 << 30)
#define READ_BYTES (256 * 1024)
#define VIEWERS_MAX 65536
#define EVENTS_AT_ONCE 512

#define ANSWER "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

typedef struct viewer_t {
    int fd;      /* -1: none */
    int joined;  /* has asked and been answered */
    int blocked; /* its socket is full; epoll says when it is not */
    size_t sent; /* its place in text */
} viewer_t;

static int epoll_fd;
static int listener;
static char *text;
static size_t text_len;
static viewer_t *viewers; /* by descriptor */
static int viewers_end;   /* past the highest descriptor so far */

static void die(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(int fd, unsigned int what)
{
    struct epoll_event e = {.events = what, .data = {.fd = fd}};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) != 0)
        die("epoll_ctl");
}

static void append(const char *bytes, size_t len)
{
    if (len > TEXT_MAX_BYTES - text_len) {
        errno = ENOMEM;
        die("more lines than it has room for");
    }
    memcpy(text + text_len, bytes, len);
    text_len += len;
}

/* ---- viewers -------------------------------------------------------- */

static void drop(viewer_t *v)
{
    close(v->fd);
    v->fd = -1;
}

static void serve(viewer_t *v)
{
    while (v->sent < text_len) {
        ssize_t n = send(v->fd, text + v->sent, text_len - v->sent,
                         MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN) {
            v->blocked = 1;
            return;
        }
        if (n < 0) {
            drop(v);
            return;
        }
        v->sent += (size_t)n;
    }
}

static void accept_all(void)
{
    int on = 1;
    int fd;

    while ((fd = accept4(listener, NULL, NULL,
                         SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd >= VIEWERS_MAX) {
            close(fd);
            continue;
        }
        viewers[fd] = (viewer_t){.fd = fd};
        if (fd >= viewers_end)
            viewers_end = fd + 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        watch(fd, EPOLLIN | EPOLLOUT | EPOLLET);
    }
}

/* What it asks is not looked at; a head comes in one piece on loopback. */
static void hear(viewer_t *v)
{
    char request[2048];
    ssize_t n = recv(v->fd, request, sizeof(request), MSG_DONTWAIT);

    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        drop(v);
        return;
    }
    if (n < 0 || v->joined)
        return;
    v->joined = 1;
    v->sent = text_len;
    if (send(v->fd, ANSWER, sizeof(ANSWER) - 1, MSG_NOSIGNAL) < 0)
        drop(v);
}

/* ---- lines ---------------------------------------------------------- */

/* Whole lines become events; what is left moves to the front. */
static size_t take_lines(char *bytes, size_t len)
{
    char *at = bytes, *end = bytes + len, *lf;

    while ((lf = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        append("data: ", 6);
        append(at, (size_t)(lf - at));
        append("\n\n", 2);
        at = lf + 1;
    }
    memmove(bytes, at, (size_t)(end - at));
    return (size_t)(end - at);
}

static void read_lines(void)
{
    static char bytes[READ_BYTES];
    static size_t held;
    ssize_t n = read(STDIN_FILENO, bytes + held, sizeof(bytes) - held);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        append("event: end\ndata: {}\n\n", 21);
        epoll_ctl(epoll_fd, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
    }
    else {
        held = take_lines(bytes, held + (size_t)n);
    }
    for (int fd = 0; fd < viewers_end; fd++) {
        viewer_t *v = &viewers[fd];

        if (v->fd == fd && v->joined && !v->blocked)
            serve(v);
    }
}

static void turn(const struct epoll_event *e)
{
    viewer_t *v;

    if (e->data.fd == listener) {
        accept_all();
        return;
    }
    if (e->data.fd == STDIN_FILENO) {
        read_lines();
        return;
    }
    v = &viewers[e->data.fd];
    if (v->fd >= 0 && (e->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        hear(v);
    if (v->fd >= 0 && v->joined && (e->events & EPOLLOUT) != 0) {
        v->blocked = 0;
        serve(v);
    }
}

/* ---- the process ---------------------------------------------------- */

static void listen_on(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int on = 1;

    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0)
        die("socket");
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener, (struct sockaddr *)&a, sizeof(a)) != 0 ||
        listen(listener, 4096) != 0)
        die("listen");
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS_AT_ONCE];

    if (argc != 2) {
        fprintf(stderr, "usage: floor PORT <LINES\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    text = mmap(NULL, TEXT_MAX_BYTES, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    viewers = mmap(NULL, VIEWERS_MAX * sizeof(*viewers),
                   PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (text == MAP_FAILED || viewers == MAP_FAILED || epoll_fd < 0)
        die("start");
    listen_on((int)strtol(argv[1], NULL, 10));
    watch(listener, EPOLLIN);
    watch(STDIN_FILENO, EPOLLIN);

    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS_AT_ONCE, -1);

        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < n; i++)
            turn(&events[i]);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crowd.c - viewers that come and leave, or come and stay; for tests, benches
 *
 *   crowd -p PORT -u PATH [-k plain|tls|h2|h2c] [-T THREADS] [-n TIMES]
 *         [-m leave|stay] [-W MS] [-t SECONDS]
 *
 * leave: THREADS threads together open TIMES connections, each thread one
 * after the other, and leave in one of these ways, by the connection's number.
 * -t: no new ones after so many seconds.
 *
 *   request  closes right behind the request
 *   bytes    closes behind the first bytes of the answer, the rest unread
 *   event    closes behind the first whole event
 *   reset    resets the connection behind the head of the answer
 *   half     closes its own side behind the head, then waits for the server's
 *   notify   TLS: behind the head it says so (close_notify), and closes
 *   cancel   HTTP/2: resets its stream, and waits for the answer to a ping
 *
 * stay: opens TIMES connections by THREADS threads, says "ready" on stderr
 * when each has its first event or has failed, and reads what comes until
 * stdin ends or after -t seconds. What the server ends is not opened again.
 *
 * The result is one line of JSON on stdout:
 *
 *   early     left before there could be an answer (way "request")
 *   answered  answers 2xx; busy: of these, such with the event `busy`
 *   refused   other answers, by status
 *   unclosed  leave, way "half": the server did not close in HALF_MS
 *   gone      leave, way "cancel": the server closed instead of answering, as
 *             httpd may with idle connections when its workers are all busy
 *   held      stay: connections that were open at the end
 *   ended     stay: the server ended the answer; cut_off: and not in order
 *   errors    what a server must not do: it refuses to connect (connect), or
 *             the TLS handshake; closes, or resets the stream, before there
 *             was an answer; says nothing for -W ms (timeout); sends what is
 *             no HTTP (bad); ends an answer 200 before its first event (cut)
 *
 * Exit code 0 when there were no errors, else 1; 2: wrong usage.
 *
 * No certificate is verified, no session resumed, no connection used twice.
 */
/* system */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
/* openssl */
#include <openssl/err.h>
#include <openssl/ssl.h>

/* Ports of one source address; 127.0.0.0/8 has more addresses. */
#define PORTS_PER_ADDRESS 20000
/* More than a TLS record: behind a read nothing is left inside OpenSSL, and
 * epoll knows of all the rest. */
#define READ_BYTES (32 * 1024)
/* A read that leaves the rest in the socket: closing it is then a reset. */
#define FIRST_BYTES 16
#define HALF_MS 1000
#define THREADS_MAX 512
#define PATH_MAX_BYTES 1000
/* Of a line only its beginning matters. */
#define LINE_KEPT 48
/* Errors that are told one by one; all are counted. */
#define NOTES_MAX 10

/* HTTP/2 (RFC 9113) */
#define FRAME_HEAD 9
#define FRAME_MAX (16 * 1024)
/* All there can be: 2 GB for a viewer, and no window is ever opened again. */
#define WINDOW_BYTES (0x7fffffffU - 65535U)
enum { DATA, HEADERS, RST_STREAM = 3, SETTINGS, PING = 6, GOAWAY, WINDOW };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };
#define CANCEL 8

typedef enum { PLAIN, TLS, H2, H2C, KINDS } kind_t;
typedef enum { REQUEST, BYTES, EVENT, RESET, HALF, NOTIFY, CANCELS } way_t;
typedef enum { HAS_STATUS, HAS_HEAD, HAS_EVENT, HAS_PONG } goal_t;
typedef enum { CONNECT, SHAKE, CLOSED, SILENT, RST, BAD, CUT, NONE } cause_t;
typedef enum { DO_CONNECT, DO_READ, DO_WRITE } op_t;

static const char *const kinds[] = {"plain", "tls", "h2", "h2c"};
static const char *const causes[] = {
    "connect", "handshake", "closed", "timeout", "reset", "bad", "cut"};
/* The ways of each kind, in the order of its connections. */
static const struct {
    int n;
    way_t way[7];
} ways[KINDS] = {
    [PLAIN] = {5, {REQUEST, BYTES, EVENT, RESET, HALF}},
    [TLS] = {6, {REQUEST, BYTES, EVENT, RESET, HALF, NOTIFY}},
    [H2] = {7, {REQUEST, BYTES, EVENT, RESET, HALF, NOTIFY, CANCELS}},
    [H2C] = {6, {REQUEST, BYTES, EVENT, RESET, HALF, CANCELS}},
};

typedef struct viewer_t {
    int fd, number;
    SSL *ssl;
    cause_t cause;
    int status;
    int has_head, has_pong;
    int says_end; /* the answer's end is not that of the connection... */
    int ended;    /* ...and is there */
    char line[LINE_KEPT + 1];
    size_t line_len;
    int has_data, busy; /* of the event; of any event */
    int events;
    unsigned char frame[FRAME_HEAD + FRAME_MAX];
    size_t frame_len;
} viewer_t;

static struct {
    const char *path;
    kind_t kind;
    int port, threads, times, wait_ms, limit_s, stay;
} want = {.threads = 1, .times = 1, .wait_ms = 10000};

static struct {
    uint64_t begun, early, answered, busy, unclosed, gone, bytes;
    uint64_t held, ended, cut_off;
    uint64_t refused[1000], error[NONE];
} got; /* by all threads: count() */

static char request[PATH_MAX_BYTES + 512];
static size_t request_len;
static SSL_CTX *tls;
static int epoll_fd;
static int next_number; /* of the next connection */
static int settled;     /* stay: answered or failed */
static int over;        /* no new connections */
static uint64_t began;  /* now_ms() */

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void die(const char *what)
{
    fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void count(uint64_t *what, int n)
{
    __atomic_fetch_add(what, (uint64_t)n, __ATOMIC_RELAXED);
}

/* The first cause holds. errno tells more, for some. */
static void fail(viewer_t *v, cause_t cause)
{
    static int notes;

    if (v->cause != NONE)
        return;
    v->cause = cause;
    if (__atomic_fetch_add(&notes, 1, __ATOMIC_RELAXED) < NOTES_MAX)
        fprintf(stderr, "crowd: connection %d: %s (status %d; %m)\n",
                v->number, causes[cause], v->status);
}

/* ---- a socket with or without TLS ----------------------------------- */

/* @return bytes, or 1 for DO_CONNECT; 0: the server's end, in order; -1, with
 * EAGAIN when it was not ready in time */
static ssize_t io(viewer_t *v, op_t op, void *bytes, size_t len)
{
    int n, error;

    errno = 0;
    if (v->ssl == NULL)
        return op == DO_READ ? recv(v->fd, bytes, len, 0)
                             : send(v->fd, bytes, len, 0);
    ERR_clear_error();
    n = op == DO_READ    ? SSL_read(v->ssl, bytes, (int)len)
        : op == DO_WRITE ? SSL_write(v->ssl, bytes, (int)len)
                         : SSL_connect(v->ssl);
    if (n > 0)
        return n;
    error = SSL_get_error(v->ssl, n);
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        errno = EAGAIN;
    else if (errno == 0 || errno == EAGAIN)
        errno = EPROTO;
    return -1;
}

static void set_patience(const viewer_t *v, int ms)
{
    struct timeval t = {ms / 1000, ms % 1000 * 1000};

    setsockopt(v->fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
    setsockopt(v->fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

/* What is sent is short, and fits into the buffer of its socket. */
static void send_all(viewer_t *v, void *bytes, size_t len)
{
    if (v->cause == NONE && io(v, DO_WRITE, bytes, len) != (ssize_t)len)
        fail(v, errno == EAGAIN ? SILENT : CLOSED);
}

/* ---- lines of a head, and of events --------------------------------- */

static void take_head_line(viewer_t *v)
{
    if (v->status == 0) {
        if (strncmp(v->line, "HTTP/1.", 7) == 0 && strlen(v->line) >= 12)
            v->status = atoi(v->line + 9);
        if (v->status < 200 || v->status > 999)
            fail(v, BAD);
    }
    else if (strcasecmp(v->line, "transfer-encoding: chunked") == 0) {
        v->says_end = 1;
    }
    else if (v->line[0] == '\0') {
        v->has_head = 1;
        v->ended = v->status == 204;
    }
}

/* Of chunks only the last is looked for: their sizes end by CR LF, lines of
 * events by LF, and begin no field that matters. */
static void take_line(viewer_t *v)
{
    int cr = v->line_len > 0 && v->line[v->line_len - 1] == '\r';

    v->line[v->line_len - (size_t)cr] = '\0';
    if (!v->has_head) {
        take_head_line(v);
    }
    else if (v->line[0] == '\0') {
        v->events += v->has_data;
        v->has_data = 0;
    }
    else if (strncmp(v->line, "data:", 5) == 0) {
        v->has_data = 1;
    }
    else if (strcmp(v->line, "event: busy") == 0) {
        v->busy = 1;
    }
    else if (cr && strcmp(v->line, "0") == 0) {
        v->ended = 1;
    }
}

static void take_text(viewer_t *v, const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n') {
            take_line(v);
            v->line_len = 0;
        }
        else if (v->line_len < LINE_KEPT) {
            v->line[v->line_len++] = (char)bytes[i];
        }
    }
}

/* ---- HTTP/2 --------------------------------------------------------- */

static char *put_32(char *at, uint32_t n)
{
    n = htonl(n);
    memcpy(at, &n, 4);
    return at + 4;
}

static char *put_frame(char *at, size_t len, int type, int flags, int stream)
{
    put_32(at, (uint32_t)len << 8);
    at[3] = (char)type;
    at[4] = (char)flags;
    return put_32(at + 5, (uint32_t)stream);
}

/* HPACK (RFC 7541): not indexed, name and value as they are. */
static char *put_field(char *at, const char *name, const char *value)
{
    size_t len = strlen(value);

    *at++ = 0;
    *at++ = (char)strlen(name);
    at = stpcpy(at, name);
    *at++ = (char)(len < 127 ? len : 127);
    if (len >= 127) {
        for (len -= 127; len >= 128; len >>= 7)
            *at++ = (char)(len | 128);
        *at++ = (char)len;
    }
    return stpcpy(at, value);
}

static void make_h2_request(const char *authority)
{
    char *at = stpcpy(request, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), *head;

    at = put_frame(at, 0, SETTINGS, 0, 0);
    at = put_32(put_frame(at, 4, WINDOW, 0, 0), WINDOW_BYTES);
    head = at;
    at = put_field(at + FRAME_HEAD, ":method", "GET");
    at = put_field(at, ":scheme", want.kind == H2 ? "https" : "http");
    at = put_field(at, ":authority", authority);
    at = put_field(at, ":path", want.path);
    at = put_field(at, "accept", "text/event-stream");
    put_frame(head, (size_t)(at - head) - FRAME_HEAD, HEADERS,
              END_STREAM | END_HEADERS, 1);
    at = put_32(put_frame(at, 4, WINDOW, 0, 1), WINDOW_BYTES);
    request_len = (size_t)(at - request);
}

/* :status comes first. It is an entry of the static table, or three digits,
 * which may be in Huffman's code: there 0 to 2 have five bits, others six. */
static int status_of(const unsigned char *block)
{
    static const int indexed[] = {200, 204, 206, 304, 400, 404, 500};
    unsigned int bits = (unsigned int)block[2] << 16 |
                        (unsigned int)block[3] << 8 | (unsigned int)block[4];
    int status = 0;

    if (block[0] >= 0x88 && block[0] <= 0x8e)
        return indexed[block[0] - 0x88];
    if ((block[0] & 0xa8) != 0x08)
        return 0;
    if ((block[1] & 0x80) == 0)
        return (block[2] - '0') * 100 + (block[3] - '0') * 10 + block[4] - '0';
    for (int i = 0; i < 3; i++) {
        int is_short = bits >> 19 < 3;

        status =
            status * 10 + (int)(is_short ? bits >> 19 : (bits >> 18) - 22);
        bits = bits << (is_short ? 5 : 6) & 0xffffff;
    }
    return status;
}

static void acknowledge(viewer_t *v, int type, const unsigned char *payload)
{
    char frame[FRAME_HEAD + 8];
    size_t len = type == PING ? 8 : 0;

    memcpy(put_frame(frame, len, type, ACK, 0), payload, len);
    send_all(v, frame, FRAME_HEAD + len);
}

static void take_headers(viewer_t *v, const unsigned char *block)
{
    if (v->has_head) /* trailers */
        return;
    v->status = status_of(block);
    v->has_head = v->says_end = 1;
    if (v->status < 200 || v->status > 999)
        fail(v, BAD);
}

static void take_frame(viewer_t *v, size_t len)
{
    const unsigned char *payload = v->frame + FRAME_HEAD;
    int type = v->frame[3], flags = v->frame[4];

    /* H2Padding is for who wants it; this reader does not. */
    if (type <= HEADERS && (flags & PADDED) != 0)
        fail(v, BAD);
    else if (type == HEADERS)
        take_headers(v, payload);
    else if (type == DATA)
        take_text(v, payload, len);
    else if (type == PING && (flags & ACK) != 0)
        v->has_pong = 1;
    else if ((type == SETTINGS || type == PING) && (flags & ACK) == 0)
        acknowledge(v, type, payload);
    /* A GOAWAY that lets our stream go on names it, or a later one. */
    else if (!v->ended &&
             (type == RST_STREAM ||
              (type == GOAWAY && memcmp(payload, "\0\0\0", 4) == 0)))
        fail(v, RST);
    if (type <= HEADERS && (flags & END_STREAM) != 0)
        v->ended = 1;
}

/* One that is longer than it may be is no frame. */
static void take_frames(viewer_t *v, const unsigned char *bytes, size_t len)
{
    for (; len > 0 && v->cause == NONE; bytes++, len--) {
        size_t whole;

        v->frame[v->frame_len++] = *bytes;
        if (v->frame_len < FRAME_HEAD)
            continue;
        whole = (size_t)v->frame[0] << 16 | (size_t)v->frame[1] << 8 |
                (size_t)v->frame[2];
        if (whole > FRAME_MAX)
            fail(v, BAD);
        if (v->frame_len == FRAME_HEAD + whole) {
            v->frame_len = 0;
            take_frame(v, whole);
        }
    }
}

/* ---- a viewer ------------------------------------------------------- */

static void make_request(void)
{
    char authority[32];

    snprintf(authority, sizeof(authority), "127.0.0.1:%d", want.port);
    if (want.kind == H2 || want.kind == H2C)
        make_h2_request(authority);
    else
        request_len = (size_t)snprintf(
            request, sizeof(request),
            "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n\r\n",
            want.path, authority);
}

static void take(viewer_t *v, const unsigned char *bytes, size_t len)
{
    count(&got.bytes, (int)len);
    if (want.kind == H2 || want.kind == H2C)
        take_frames(v, bytes, len);
    else
        take_text(v, bytes, len);
}

static void connect_viewer(viewer_t *v)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET,
        .sin_addr = {
            htonl(0x7F000002U + (uint32_t)(v->number / PORTS_PER_ADDRESS))}};
    int on = 1;

    v->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (v->fd < 0)
        die("socket");
    setsockopt(v->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    setsockopt(v->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    set_patience(v, want.wait_ms);
    if (bind(v->fd, (struct sockaddr *)&a, sizeof(a)) != 0)
        die("bind");
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons((uint16_t)want.port);
    if (connect(v->fd, (struct sockaddr *)&a, sizeof(a)) != 0)
        fail(v, CONNECT);
}

static void begin_tls(viewer_t *v)
{
    const unsigned char *protocol;
    unsigned int len;

    v->ssl = SSL_new(tls);
    if (v->ssl == NULL || SSL_set_fd(v->ssl, v->fd) != 1)
        die("SSL_new");
    if (io(v, DO_CONNECT, NULL, 0) <= 0)
        fail(v, SHAKE);
    SSL_get0_alpn_selected(v->ssl, &protocol, &len);
    if (want.kind == H2 && (len != 2 || memcmp(protocol, "h2", 2) != 0))
        fail(v, SHAKE);
}

/* The request is on its way, or v->cause says why not. */
static void open_viewer(viewer_t *v, int number)
{
    memset(v, 0, sizeof(*v));
    v->number = number;
    v->cause = NONE;
    count(&got.begun, 1);
    connect_viewer(v);
    if (v->cause == NONE && tls != NULL)
        begin_tls(v);
    send_all(v, request, request_len);
}

/* SSL_free says nothing to the server: a viewer who wants to has done so. */
static void close_viewer(viewer_t *v)
{
    SSL_free(v->ssl);
    close(v->fd);
}

static int has(const viewer_t *v, goal_t goal)
{
    return goal == HAS_STATUS ? v->status != 0
           : goal == HAS_HEAD ? v->has_head
           : goal == HAS_PONG
               ? v->has_pong
               : v->events > 0 || (v->has_head && v->status != 200);
}

static void read_until(viewer_t *v, goal_t goal)
{
    unsigned char bytes[READ_BYTES];
    size_t most = goal == HAS_STATUS ? FIRST_BYTES : sizeof(bytes);
    uint64_t deadline = now_ms() + (uint64_t)want.wait_ms;

    while (v->cause == NONE && !has(v, goal)) {
        ssize_t n = io(v, DO_READ, bytes, most);

        if (n > 0)
            take(v, bytes, (size_t)n);
        if ((n < 0 && errno == EAGAIN) || now_ms() > deadline)
            fail(v, SILENT);
        else if (n <= 0 && goal == HAS_PONG)
            return;
        else if (n <= 0 && !v->has_head)
            fail(v, CLOSED);
        else if (n <= 0 || (v->ended && goal == HAS_EVENT && !has(v, goal)))
            fail(v, CUT);
    }
}

static void tally(const viewer_t *v)
{
    if (v->cause != NONE)
        count(&got.error[v->cause], 1);
    else if (v->status == 0)
        count(&got.early, 1);
    else if (v->status >= 300)
        count(&got.refused[v->status], 1);
    else
        count(&got.answered, 1);
    count(&got.busy, v->busy);
}

static int is_late(void)
{
    return __atomic_load_n(&over, __ATOMIC_RELAXED) ||
           (want.limit_s > 0 &&
            now_ms() >= began + (uint64_t)want.limit_s * 1000);
}

static int take_number(int *number)
{
    if (is_late())
        return 0;
    *number = __atomic_fetch_add(&next_number, 1, __ATOMIC_RELAXED);
    return *number < want.times;
}

/* ---- leave ---------------------------------------------------------- */

static void leave_half(viewer_t *v)
{
    char bytes[READ_BYTES];
    uint64_t deadline = now_ms() + HALF_MS;
    ssize_t n;

    set_patience(v, HALF_MS);
    shutdown(v->fd, SHUT_WR);
    do {
        n = io(v, DO_READ, bytes, sizeof(bytes));
    } while (n > 0 && now_ms() < deadline);
    if (n > 0 || (n < 0 && errno == EAGAIN))
        count(&got.unclosed, 1);
}

/* As a page does that is closed while another one of its site is open. */
static void leave_stream(viewer_t *v)
{
    char frames[2 * FRAME_HEAD + 4 + 8], *at = frames;

    at = put_32(put_frame(at, 4, RST_STREAM, 0, 1), CANCEL);
    at = put_32(put_frame(at, 8, PING, 0, 0), 1);
    at = put_32(at, 2);
    if (io(v, DO_WRITE, frames, (size_t)(at - frames)) > 0)
        read_until(v, HAS_PONG);
    if (v->cause == NONE && !v->has_pong)
        count(&got.gone, 1);
}

static void leave(viewer_t *v, way_t way)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    if (way == RESET)
        setsockopt(v->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    else if (way == HALF)
        leave_half(v);
    else if (way == NOTIFY)
        SSL_shutdown(v->ssl);
    else if (way == CANCELS)
        leave_stream(v);
}

static void *leave_all(void *dummy)
{
    viewer_t v;
    int number;

    while (take_number(&number)) {
        way_t way = ways[want.kind].way[number % ways[want.kind].n];

        open_viewer(&v, number);
        if (way != REQUEST)
            read_until(&v, way == BYTES   ? HAS_STATUS
                           : way == EVENT ? HAS_EVENT
                                          : HAS_HEAD);
        if (v.cause == NONE)
            leave(&v, way);
        tally(&v);
        close_viewer(&v);
    }
    return NULL;
}

/* ---- stay ----------------------------------------------------------- */

static void end_viewer(viewer_t *v, int in_order)
{
    count(&got.ended, 1);
    count(&got.cut_off, !in_order);
    close_viewer(v);
    free(v);
}

/* From epoll_ctl on it is the main thread's. */
static void hand_over(viewer_t *v)
{
    struct epoll_event e = {.events = EPOLLIN, .data = {.ptr = v}};

    count(&got.held, 1);
    if (fcntl(v->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, v->fd, &e) != 0)
        die("epoll_ctl");
}

static void *open_all(void *dummy)
{
    int number;

    while (take_number(&number)) {
        viewer_t *v = malloc(sizeof(*v));

        if (v == NULL)
            die("memory");
        open_viewer(v, number);
        read_until(v, HAS_EVENT);
        tally(v);
        if (v->cause == NONE && v->status == 200 && !v->ended) {
            hand_over(v);
        }
        else if (v->cause == NONE && v->status == 200) {
            end_viewer(v, 1);
        }
        else {
            close_viewer(v);
            free(v);
        }
        __atomic_fetch_add(&settled, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* Main thread. */
static void serve(viewer_t *v)
{
    static unsigned char bytes[READ_BYTES];
    ssize_t n = io(v, DO_READ, bytes, sizeof(bytes));

    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0)
        take(v, bytes, (size_t)n);
    if (n > 0 && !v->ended && v->cause == NONE)
        return;
    count(&got.held, -1);
    end_viewer(v, v->ended || (n == 0 && !v->says_end));
}

static void watch_stdin(void)
{
    struct epoll_event in = {.events = EPOLLIN, .data = {.ptr = NULL}};

    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        die("epoll_create1");
    /* EPERM: a file, or /dev/null; only -t can end it then. */
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &in) != 0 &&
        (errno != EPERM || want.limit_s == 0))
        die("stdin is a pipe that ends when the run is over, or say -t");
}

static void stay(void)
{
    struct epoll_event events[256];
    int ready = 0;
    char byte;

    while (!is_late()) {
        int n = epoll_wait(epoll_fd, events, 256, 50);

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr != NULL)
                serve(events[i].data.ptr);
            else if (read(STDIN_FILENO, &byte, 1) <= 0)
                __atomic_store_n(&over, 1, __ATOMIC_RELAXED);
        }
        if (!ready &&
            __atomic_load_n(&settled, __ATOMIC_RELAXED) == want.times) {
            ready = 1;
            fprintf(stderr, "ready\n");
        }
    }
}

/* ---- the run -------------------------------------------------------- */

static void run(void)
{
    static pthread_t threads[THREADS_MAX];

    began = now_ms();
    if (want.stay)
        watch_stdin();
    for (int i = 0; i < want.threads; i++) {
        errno = pthread_create(&threads[i], NULL,
                               want.stay ? open_all : leave_all, NULL);
        if (errno != 0)
            die("pthread_create");
    }
    if (want.stay)
        stay();
    for (int i = 0; i < want.threads; i++)
        pthread_join(threads[i], NULL);
}

static int report(void)
{
    const char *comma = "";
    uint64_t errors = 0;

    printf("{\"connections\":%" PRIu64 ",\"early\":%" PRIu64
           ",\"answered\":%" PRIu64 ",\"busy\":%" PRIu64 ",\"refused\":{",
           got.begun, got.early, got.answered, got.busy);
    for (int i = 0; i < 1000; i++) {
        if (got.refused[i] > 0) {
            printf("%s\"%d\":%" PRIu64, comma, i, got.refused[i]);
            comma = ",";
        }
    }
    printf("},\"errors\":{");
    for (int i = 0; i < NONE; i++) {
        errors += got.error[i];
        printf("\"%s\":%" PRIu64 ",", causes[i], got.error[i]);
    }
    printf("\"all\":%" PRIu64 "},\"unclosed\":%" PRIu64 ",\"gone\":%" PRIu64
           ",\"held\":%" PRIu64 ",\"ended\":%" PRIu64 ",\"cut_off\":%" PRIu64
           ",\"bytes\":%" PRIu64 ",\"seconds\":%.3f}\n",
           errors, got.unclosed, got.gone, got.held, got.ended, got.cut_off,
           got.bytes, (double)(now_ms() - began) / 1000);
    return errors == 0 ? 0 : 1;
}

static void usage(const char *what)
{
    fprintf(stderr, "crowd: %s\n", what);
    exit(2);
}

static int index_of(const char *name, const char *const *names, int n)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(name, names[i]) == 0)
            return i;
    }
    usage("-k is plain, tls, h2 or h2c; -m is leave or stay");
    return -1;
}

static void read_options(int argc, char **argv)
{
    static const char *const modes[] = {"leave", "stay"};
    const struct {
        int letter, *value;
    } numbers[] = {{'p', &want.port},
                   {'T', &want.threads},
                   {'n', &want.times},
                   {'W', &want.wait_ms},
                   {'t', &want.limit_s}};
    int opt;

    while ((opt = getopt(argc, argv, "p:u:k:T:n:m:W:t:")) != -1) {
        if (opt == '?')
            exit(2);
        if (opt == 'u')
            want.path = optarg;
        if (opt == 'k')
            want.kind = (kind_t)index_of(optarg, kinds, KINDS);
        if (opt == 'm')
            want.stay = index_of(optarg, modes, 2);
        for (int i = 0; i < 5; i++) {
            if (opt == numbers[i].letter)
                *numbers[i].value = atoi(optarg);
        }
    }
    if (want.port < 1 || want.path == NULL ||
        strlen(want.path) > PATH_MAX_BYTES || want.threads < 1 ||
        want.threads > THREADS_MAX || want.times < 1 || want.wait_ms < 1)
        usage("-p and -u are needed; numbers from 1 on, 512 threads at most");
}

static void set_up_tls(void)
{
    static const unsigned char http1[] = "\x08http/1.1", http2[] = "\x02h2";

    tls = SSL_CTX_new(TLS_client_method());
    if (tls == NULL ||
        SSL_CTX_set_alpn_protos(tls, want.kind == H2 ? http2 : http1,
                                want.kind == H2 ? 3 : 9) != 0)
        die("SSL_CTX_new");
    SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
    /* Each viewer has a whole handshake of its own. */
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
}

int main(int argc, char **argv)
{
    struct rlimit files;

    read_options(argc, argv);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (want.kind == TLS || want.kind == H2)
        set_up_tls();
    make_request();
    run();
    return report();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.c - many viewers of one stream, and what they got; for `make bench`
 *
 *   load -p PORT -u PATH -n READERS [-w SLOW] [-s STALLED] [-l LINES]
 *        [-b BYTES] [-d LINES] [-e] [-g] [-t SECONDS]
 *
 * One thread, one epoll. It opens its viewers, says "ready" on stderr when all
 * have been answered, reads the lines that print.c prints, and looks at each:
 *
 *   lost        a number was left out, or had not come at the end
 *   doubled     a number that is not greater than the one before
 *   disordered  the same, of a viewer that lost some: it may be one of those
 *   cut         a line that is not as long as -b says, or holds another
 *   id_errors   with -g: an id that is not greater than the one before (of a
 *               named event: that is less), or a line without one
 *   latency     from the stamp in the line until read(2) had returned
 *
 * Readers read all, slow ones SLOW_BYTES every SLOW_MS, stalled ones nothing
 * after the answer's head. With -d a reader drops its connection after so many
 * lines, again and again, and resumes with Last-Event-ID. It is over when each
 * reader has the event `end` (-e) or the last of LINES, when nothing comes any
 * more, or after -t. Then the result goes to stdout, one line of JSON, and the
 * connections stay until stdin ends, so that the server can be looked at as it
 * is. When stdin ends early, it is over as well.
 *
 * It asks by HTTP/1.0: the body ends with the connection and is not chunked.
 */
/* system */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS 1000000ULL
#define NS_PER_S 1000000000ULL

/* Connections that were begun and are not answered yet. */
#define OPENING_MAX 64
#define SLOW_BYTES 4096
#define SLOW_MS 100
/* A browser waits longer; here it only has to be a real gap. */
#define RESUME_AFTER_MS 200
/* Nothing came for so long: nothing will. */
#define QUIET_MS 5000
/* Ports of one source address; 127.0.0.0/8 has more addresses. */
#define PORTS_PER_ADDRESS 20000
#define READ_BYTES (256 * 1024)
#define LINE_MAX_BYTES (64 * 1024)
#define ID_MAX_BYTES 40

typedef enum { READER, SLOW, STALLED } kind_t;
typedef enum { CLOSED, WAITS, HEAD, BODY } phase_t;

typedef enum { NO_LINE, GOOD_LINE, CUT_LINE } found_t;

/* The event that is being read; it counts when its empty line comes. */
typedef struct event_t {
    char id[ID_MAX_BYTES];
    int named;
    int end;
    found_t found;
    uint64_t seq;
    uint64_t stamp;
} event_t;

typedef struct viewer_t {
    int fd;
    kind_t kind;
    phase_t phase;
    int done;   /* has all that it waits for, or will get no more */
    char *held; /* a line, or the head, that is not whole yet */
    size_t held_len;
    size_t held_room;
    event_t event;
    char last_id[ID_MAX_BYTES];
    uint64_t last_id_number;
    uint64_t last_seq;
    uint64_t lost;
    uint64_t drop_at;   /* drops when it has this line; 0: never */
    uint64_t resume_at; /* monotonic; in phase WAITS */
} viewer_t;

static struct {
    int port;
    const char *path;
    int readers, slow, stalled, total;
    uint64_t lines;
    size_t bytes;
    uint64_t drop_every;
    int wait_for_end;
    int ids_grow;
    uint64_t limit_s;
} want = {.bytes = 100, .limit_s = 60};

static struct {
    uint64_t lines, lost, doubled, disordered, cut, id_errors;
    uint64_t ended, resumed, refused, closed, received;
    uint64_t first_stamp, last_read;
} got;

static viewer_t *viewers;
static int epoll_fd;
static int opened;   /* of want.total, at least once */
static int opening;  /* begun, not answered */
static int answered; /* first answers */
static int done;     /* readers */
static int waiting;  /* in phase WAITS */
static int stdin_ended;
static uint64_t read_at; /* realtime of the read whose bytes are looked at */

static uint64_t now_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- latencies ------------------------------------------------------ */

/* Buckets of 1/32 of their power of two: 3 % is exact enough. */
#define STEP_BITS 5
#define STEPS (1U << STEP_BITS)
static uint64_t bucket[64 * STEPS];
static uint64_t latency_max;

static void latency_add(uint64_t ns)
{
    unsigned int power;

    if (ns > latency_max)
        latency_max = ns;
    if (ns < STEPS)
        ns = STEPS;
    power = 63U - (unsigned int)__builtin_clzll(ns);
    bucket[power * STEPS + ((ns >> (power - STEP_BITS)) & (STEPS - 1))]++;
}

static double latency_ms(double part)
{
    uint64_t before = 0;
    uint64_t rank = (uint64_t)(part * (double)got.lines);

    for (unsigned int i = 0; i < 64 * STEPS; i++) {
        before += bucket[i];
        if (before > rank) {
            unsigned int power = i / STEPS;
            uint64_t low = (uint64_t)(STEPS + i % STEPS)
                           << (power - STEP_BITS);

            return (double)low / (double)NS_PER_MS;
        }
    }
    return (double)latency_max / (double)NS_PER_MS;
}

/* ---- lines and events ----------------------------------------------- */

static uint64_t number(const char **at, const char *end)
{
    uint64_t n = 0;

    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++)
        n = n * 10 + (uint64_t)(**at - '0');
    return n;
}

/* A stamp of the server may stand before the line: from '#' on it is ours. */
static void look_at_data(event_t *event, const char *data, size_t len)
{
    const char *end = data + len;
    const char *at = memchr(data, '#', len);

    if (at == NULL) {
        if (len > 0 && end[-1] == ';')
            event->found = CUT_LINE;
        return;
    }
    event->found = CUT_LINE;
    if ((size_t)(end - at) != want.bytes || end[-1] != ';')
        return;
    at++;
    event->seq = number(&at, end);
    if (at == end || *at != ' ')
        return;
    at++;
    event->stamp = number(&at, end);
    if (event->seq > 0 && event->stamp > 0 && *at == ' ')
        event->found = GOOD_LINE;
}

static void count_line(viewer_t *v, uint64_t seq, uint64_t stamp)
{
    if (seq <= v->last_seq) {
        if (v->lost > 0)
            got.disordered++;
        else
            got.doubled++;
        return;
    }
    v->lost += seq - v->last_seq - 1;
    got.lost += seq - v->last_seq - 1;
    v->last_seq = seq;
    got.lines++;
    if (got.first_stamp == 0 || stamp < got.first_stamp)
        got.first_stamp = stamp;
    if (v->kind == READER)
        latency_add(read_at > stamp ? read_at - stamp : 0);
}

static void count_id(viewer_t *v, const event_t *event)
{
    memcpy(v->last_id, event->id, sizeof(v->last_id));
    if (want.ids_grow) {
        const char *at = v->last_id;
        uint64_t n = number(&at, at + strlen(at));

        /* A ping may say the place again at which the viewer is. */
        if (*at != '\0' || n < v->last_id_number ||
            (n == v->last_id_number && !event->named))
            got.id_errors++;
        v->last_id_number = n;
    }
}

static void count_event(viewer_t *v)
{
    event_t *event = &v->event;

    if (event->id[0] != '\0')
        count_id(v, event);
    else if (want.ids_grow && event->found == GOOD_LINE)
        got.id_errors++;
    if (event->found == GOOD_LINE && !event->named)
        count_line(v, event->seq, event->stamp);
    else if (event->found != NO_LINE && !event->named)
        got.cut++;
    if (event->end)
        got.ended++;
    if (!v->done &&
        (want.wait_for_end ? event->end
                           : want.lines > 0 && v->last_seq >= want.lines)) {
        v->done = 1;
        if (v->kind == READER)
            done++;
    }
    event->id[0] = '\0';
    event->named = event->end = 0;
    event->found = NO_LINE;
}

static int is_field(const char *line, size_t len, const char *name,
                    size_t name_len)
{
    return len >= name_len && memcmp(line, name, name_len) == 0;
}

static void take_line(viewer_t *v, const char *line, size_t len)
{
    if (len > 0 && line[len - 1] == '\r')
        len--;
    if (len == 0) {
        count_event(v);
    }
    else if (is_field(line, len, "data: ", 6)) {
        look_at_data(&v->event, line + 6, len - 6);
    }
    else if (is_field(line, len, "id: ", 4)) {
        size_t n = len - 4 < ID_MAX_BYTES ? len - 4 : ID_MAX_BYTES - 1;

        memcpy(v->event.id, line + 4, n);
        v->event.id[n] = '\0';
    }
    else if (is_field(line, len, "event: ", 7)) {
        v->event.named = 1;
        v->event.end = len == 10 && memcmp(line + 7, "end", 3) == 0;
    }
}

/* ---- connections ---------------------------------------------------- */

static void hold(viewer_t *v, const char *bytes, size_t len)
{
    if (v->held_len + len > LINE_MAX_BYTES) {
        fprintf(stderr, "load: a line of more than %d bytes\n",
                LINE_MAX_BYTES);
        exit(1);
    }
    if (v->held_len + len > v->held_room) {
        v->held_room = v->held_len + len + 256;
        v->held = realloc(v->held, v->held_room);
        if (v->held == NULL)
            die("memory");
    }
    memcpy(v->held + v->held_len, bytes, len);
    v->held_len += len;
}

static void disconnect(viewer_t *v, phase_t phase)
{
    if (v->phase == HEAD)
        opening--;
    close(v->fd);
    v->fd = -1;
    v->phase = phase;
    v->held_len = 0;
    memset(&v->event, 0, sizeof(v->event));
}

/* It will not come back: nothing more is waited for. */
static void give_up(viewer_t *v, uint64_t *why)
{
    disconnect(v, CLOSED);
    if (v->done)
        return;
    (*why)++;
    v->done = 1;
    if (v->kind == READER)
        done++;
}

static void bind_source(int fd, int index)
{
    struct sockaddr_in from = {
        .sin_family = AF_INET,
        .sin_addr = {
            htonl(0x7F000002U + (uint32_t)(index / PORTS_PER_ADDRESS))}};
    int on = 1;

    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0)
        die("bind");
}

static void ask(viewer_t *v)
{
    char request[1024];
    int len =
        snprintf(request, sizeof(request),
                 "GET %.400s HTTP/1.0\r\nHost: 127.0.0.1\r\n"
                 "Accept: text/event-stream\r\n%s%s%s\r\n",
                 want.path, v->last_id[0] != '\0' ? "Last-Event-ID: " : "",
                 v->last_id, v->last_id[0] != '\0' ? "\r\n" : "");

    if (send(v->fd, request, (size_t)len, MSG_NOSIGNAL) != len)
        give_up(v, &got.refused);
}

/* On loopback connect(2) has ended when the listener has room. It blocks:
 * what is refused is known at once. */
static void open_viewer(viewer_t *v)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)want.port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct epoll_event e = {.events = EPOLLIN, .data = {.ptr = v}};
    int on = 1;

    v->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (v->fd < 0)
        die("socket");
    bind_source(v->fd, (int)(v - viewers));
    v->phase = HEAD;
    opening++;
    if (connect(v->fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        give_up(v, &got.refused);
        return;
    }
    setsockopt(v->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (fcntl(v->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, v->fd, &e) != 0)
        die("epoll_ctl");
    ask(v);
}

static void open_some(void)
{
    while (opened < want.total && opening < OPENING_MAX)
        open_viewer(&viewers[opened++]);
}

/* The head is in held. Returns where its body begins there, 0: not whole, or
 * refused. */
static size_t take_head(viewer_t *v)
{
    const char *end = memmem(v->held, v->held_len, "\r\n\r\n", 4);

    if (end == NULL)
        return 0;
    if (v->held_len < 12 || memcmp(v->held, "HTTP/1.", 7) != 0 ||
        memcmp(v->held + 8, " 200", 4) != 0) {
        give_up(v, &got.refused);
        return 0;
    }
    opening--;
    v->phase = BODY;
    if (v->last_id[0] != '\0')
        got.resumed++;
    else
        answered++;
    if (v->kind != READER)
        epoll_ctl(epoll_fd, EPOLL_CTL_DEL, v->fd, NULL);
    return (size_t)(end - v->held) + 4;
}

static int must_drop(const viewer_t *v)
{
    return v->drop_at > 0 && v->last_seq >= v->drop_at && !v->done;
}

static void take_bytes(viewer_t *v, const char *bytes, size_t len)
{
    const char *end = bytes + len, *lf;

    while ((lf = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL) {
        if (v->held_len > 0) {
            hold(v, bytes, (size_t)(lf - bytes));
            take_line(v, v->held, v->held_len);
            v->held_len = 0;
        }
        else {
            take_line(v, bytes, (size_t)(lf - bytes));
        }
        bytes = lf + 1;
        if (must_drop(v)) {
            /* What was read beyond it is thrown away: as when it was cut. */
            v->drop_at += want.drop_every;
            v->resume_at =
                now_ns(CLOCK_MONOTONIC) + RESUME_AFTER_MS * NS_PER_MS;
            waiting++;
            disconnect(v, WAITS);
            return;
        }
    }
    if (bytes < end)
        hold(v, bytes, (size_t)(end - bytes));
}

static void take_read(viewer_t *v, const char *bytes, size_t len)
{
    size_t body;
    char *rest;

    if (v->phase == BODY) {
        take_bytes(v, bytes, len);
        return;
    }
    hold(v, bytes, len);
    body = take_head(v);
    if (body == 0)
        return;
    len = v->held_len - body;
    rest = malloc(len + 1);
    if (rest == NULL)
        die("memory");
    memcpy(rest, v->held + body, len);
    v->held_len = 0;
    take_bytes(v, rest, len);
    free(rest);
}

static void read_some(viewer_t *v, size_t most)
{
    static char bytes[READ_BYTES];
    ssize_t n = recv(v->fd, bytes, most, 0);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        give_up(v, v->phase == HEAD ? &got.refused : &got.closed);
        return;
    }
    read_at = now_ns(CLOCK_REALTIME);
    if (v->kind == READER)
        got.last_read = read_at;
    got.received += (uint64_t)n;
    take_read(v, bytes, (size_t)n);
}

/* ---- the run -------------------------------------------------------- */

static void do_due(uint64_t now)
{
    static uint64_t slow_at;

    if (want.slow > 0 && now >= slow_at) {
        slow_at = now + SLOW_MS * NS_PER_MS;
        for (int i = want.readers; i < want.readers + want.slow; i++) {
            if (viewers[i].phase == BODY)
                read_some(&viewers[i], SLOW_BYTES);
        }
    }
    for (int i = 0; waiting > 0 && i < want.readers; i++) {
        if (viewers[i].phase == WAITS && now >= viewers[i].resume_at) {
            waiting--;
            open_viewer(&viewers[i]);
        }
    }
}

static int is_over(uint64_t now, uint64_t limit, int ready)
{
    if (stdin_ended || now >= limit)
        return 1;
    if (!ready)
        return 0;
    if (want.lines > 0 && done == want.readers)
        return 1;
    return got.last_read > 0 && got.lines > 0 && waiting == 0 &&
           now_ns(CLOCK_REALTIME) > got.last_read + QUIET_MS * NS_PER_MS;
}

static void turn(void)
{
    struct epoll_event events[256];
    int n = epoll_wait(epoll_fd, events, 256,
                       waiting > 0 || want.slow > 0 ? 10 : 200);

    if (n < 0 && errno != EINTR)
        die("epoll_wait");
    for (int i = 0; i < n; i++) {
        viewer_t *v = events[i].data.ptr;

        if (v == NULL)
            stdin_ended = 1;
        else if (v->phase == HEAD || v->phase == BODY)
            read_some(v, READ_BYTES);
    }
}

static void run(void)
{
    uint64_t now = now_ns(CLOCK_MONOTONIC);
    uint64_t limit = now + want.limit_s * NS_PER_S;
    int ready = 0;

    while (!is_over(now, limit, ready)) {
        open_some();
        turn();
        now = now_ns(CLOCK_MONOTONIC);
        do_due(now);
        if (!ready && opened == want.total && opening == 0) {
            ready = 1;
            fprintf(stderr, "ready\n");
        }
    }
}

static void report(void)
{
    struct rusage use;
    double wall = 0;

    for (int i = 0; i < want.readers; i++) {
        if (viewers[i].last_seq < want.lines)
            got.lost += want.lines - viewers[i].last_seq;
    }
    if (got.first_stamp > 0 && got.last_read > got.first_stamp)
        wall = (double)(got.last_read - got.first_stamp) / (double)NS_PER_S;
    getrusage(RUSAGE_SELF, &use);
    printf("{\"viewers\":%d,\"answered\":%d,\"lines\":%" PRIu64
           ",\"lost\":%" PRIu64 ",\"doubled\":%" PRIu64
           ",\"disordered\":%" PRIu64 ",\"cut\":%" PRIu64
           ",\"id_errors\":%" PRIu64 ",\"ended\":%" PRIu64
           ",\"resumed\":%" PRIu64 ",\"refused\":%" PRIu64
           ",\"closed\":%" PRIu64 ",\"bytes\":%" PRIu64 ",",
           want.total, answered, got.lines, got.lost, got.doubled,
           got.disordered, got.cut, got.id_errors, got.ended, got.resumed,
           got.refused, got.closed, got.received);
    printf("\"wall_s\":%.6f,\"p50_ms\":%.4f,\"p99_ms\":%.4f,\"max_ms\":%.4f,"
           "\"cpu_s\":%.3f}\n",
           wall, latency_ms(0.50), latency_ms(0.99), latency_ms(1.0),
           (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
               (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
    fflush(stdout);
}

static void read_options(int argc, char **argv)
{
    int opt;

    while ((opt = getopt(argc, argv, "p:u:n:w:s:l:b:d:egt:")) != -1) {
        uint64_t n = optarg != NULL ? strtoull(optarg, NULL, 10) : 0;

        switch (opt) {
        case 'p':
            want.port = (int)n;
            break;
        case 'u':
            want.path = optarg;
            break;
        case 'n':
            want.readers = (int)n;
            break;
        case 'w':
            want.slow = (int)n;
            break;
        case 's':
            want.stalled = (int)n;
            break;
        case 'l':
            want.lines = n;
            break;
        case 'b':
            want.bytes = (size_t)n;
            break;
        case 'd':
            want.drop_every = n;
            break;
        case 'e':
            want.wait_for_end = 1;
            break;
        case 'g':
            want.ids_grow = 1;
            break;
        case 't':
            want.limit_s = n;
            break;
        default:
            exit(2);
        }
    }
    if (want.port == 0 || want.path == NULL || want.readers < 1) {
        fprintf(stderr, "load: -p, -u and -n are needed\n");
        exit(2);
    }
}

/* Readers first, then slow ones, then stalled ones. Drops are spread, so that
 * readers are away at different times. */
static void make_viewers(void)
{
    want.total = want.readers + want.slow + want.stalled;
    viewers = calloc((size_t)want.total, sizeof(*viewers));
    if (viewers == NULL)
        die("memory");
    for (int i = 0; i < want.total; i++) {
        viewers[i].fd = -1;
        viewers[i].kind = i < want.readers               ? READER
                          : i < want.readers + want.slow ? SLOW
                                                         : STALLED;
        if (viewers[i].kind == READER && want.drop_every > 0)
            viewers[i].drop_at = want.drop_every + want.drop_every *
                                                       (uint64_t)i /
                                                       (uint64_t)want.readers;
    }
}

int main(int argc, char **argv)
{
    struct epoll_event in = {.events = EPOLLIN, .data = {.ptr = NULL}};
    char byte;

    read_options(argc, argv);
    make_viewers();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &in) != 0)
        die("stdin is a pipe that ends when the run is over");
    run();
    report();
    while (!stdin_ended && read(STDIN_FILENO, &byte, 1) > 0)
        ;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake_test.c - the runner's socket hears httpd, and nobody else; and what
 * comes may be cut, slow, much, garbage or more than was asked for: each
 * connection is closed, nothing is kept of it, and the next one is answered
 * (promises 7 and 8)
 *
 * The test is httpd's parent here; what it forks are httpd's children.
 */
#include "bl_intake.h"

/* libc */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
/* APR */
#include <apr_general.h>
#include <apr_strings.h>
/* ours */
#include "bl_diag.h"
#include "bl_tick.h"

#include "tap.h"

static apr_pool_t *pool;
static bl_host_t host;
static bl_intake_t *intake;
static struct sockaddr_un address;

/* What was taken. */
static int orders, cancels, limits_taken, log_fds, strangers, refusals;

static void on_order(void *baton, const bl_order_t *order, const char **reply,
                     apr_size_t *len, apr_pool_t *p)
{
    bl_accepted_t accepted = {7, "{}"};

    orders += strcmp(order->project, "/srv/demo") == 0;
    bl_wire_accepted_write(reply, len, &accepted, p);
}

static void on_cancel(void *baton, const bl_cancel_t *cancel,
                      const char **reply, apr_size_t *len, apr_pool_t *p)
{
    bl_refusal_t refusal = {BL_REFUSED_OVER, "no"};

    cancels += cancel->build == 5;
    bl_wire_refused_write(reply, len, &refusal, p);
}

static void on_limits(void *baton, const bl_limits_t *limits, int log_fd)
{
    limits_taken++;
    if (log_fd >= 0) {
        log_fds++;
        close(log_fd);
    }
}

static void on_diag(bl_diag_level_e level, apr_status_t rv, const char *text)
{
    strangers += strncmp(text, "BL0220", 6) == 0;
    refusals += strncmp(text, "BL0221", 6) == 0;
}

/* ---- the runner's loop ---------------------------------------------- */

/* All that is there to be done now. */
static void turn(void)
{
    const apr_pollfd_t *found;
    apr_int32_t count, i;

    for (;;) {
        host.tick = bl_tick_now();
        if (apr_pollset_poll(host.pollset, 0, &count, &found) != APR_SUCCESS)
            break;
        /* A watch that is called may end others: one a turn. */
        for (i = 0; i < count && i < 1; i++) {
            bl_watch_t *watch = found[i].client_data;

            watch->ready(watch->baton, found[i].rtnevents);
        }
    }
    bl_intake_tick(intake);
}

static void listen_as(pid_t parent)
{
    static const bl_intake_calls_t calls = {on_order, on_cancel, NULL,
                                            on_limits, NULL};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    unlink(address.sun_path);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, 511) != 0 ||
        apr_pollset_create(&host.pollset, 1024, pool, APR_POLLSET_NOCOPY) !=
            APR_SUCCESS ||
        bl_intake_create(&intake, &host, fd, parent, getuid(), &calls, pool) !=
            APR_SUCCESS) {
        printf("Bail out! no socket\n");
        exit(1);
    }
}

/* ---- peers ---------------------------------------------------------- */

static int call(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Has the other end closed, with so many bytes before? -1: it has not */
static int answer_of(int fd)
{
    char buf[4096];
    struct pollfd p = {fd, POLLIN, 0};
    ssize_t n;
    int got = 0;

    while (poll(&p, 1, 0) > 0) {
        n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
        if (n <= 0)
            return got;
        got += (int)n;
    }
    return -1;
}

/* Say it, and listen. @return as answer_of */
static int said(const char *bytes, apr_size_t len, int hang_up)
{
    int fd = call(), got;

    turn();
    if (len > 0)
        send(fd, bytes, len, MSG_NOSIGNAL); /* it may have been closed */
    if (hang_up)
        shutdown(fd, SHUT_WR);
    turn();
    got = answer_of(fd);
    close(fd);
    turn();
    return got;
}

static int descriptors(void)
{
    int fd, count = 0;

    for (fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static const char *frame;
static apr_size_t frame_len;

static void make_order(apr_size_t more)
{
    static bl_wire_step_t step = {"run", "true"};
    static const char *env[1];
    char *long_one = apr_palloc(pool, more + 3);
    bl_order_t order;

    memset(&order, 0, sizeof(order));
    memset(long_one, 'x', more + 2);
    long_one[1] = '=';
    long_one[more + 2] = '\0';
    env[0] = long_one;
    order.project = "/srv/demo";
    order.title = "demo";
    order.step_count = 1;
    order.steps = &step;
    order.env_count = 1;
    order.env = env;
    order.timeout = order.idle_timeout = 1;
    order.max_log = BL_WIRE_LOG_LEAST;
    if (bl_wire_order_write(&frame, &frame_len, &order, pool) != APR_SUCCESS)
        printf("Bail out! no order\n");
}

/* ---- who may speak --------------------------------------------------- */

/* A process below this one asks for a build. @return what it got */
static int asked_by(int depth)
{
    int status, tries;
    pid_t pid = fork();

    if (pid == 0) {
        int fd, got;

        if (depth > 1)
            _exit(asked_by(depth - 1) + 1);
        fd = call();
        if (send(fd, frame, frame_len, MSG_NOSIGNAL) < 0)
            _exit(1); /* closed already */
        got = recv(fd, &(char){0}, 1, 0) > 0;
        _exit(got + 1);
    }
    for (tries = 0; tries < 12000; tries++) {
        /* Below the first one nobody has the runner's loop. */
        if (depth > 0 && getpid() == (pid_t)host.skew)
            turn();
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WEXITSTATUS(status) - 1;
        apr_sleep(apr_time_from_msec(5));
    }
    return -1;
}

/* Of processes without a slot in the table /proc is asked, which takes a
 * descriptor; of others it is known without one. */
static void test_no_descriptors(void)
{
    bl_table_t *other = host.table;
    struct rlimit few, was;
    int fds[64], count = 0, got = 0, before, i, status, ready[2];
    struct timeval patience = {60, 0};
    char buf[256];
    ssize_t n;
    pid_t pid;

    bl_slots_claim(bl_table_slots(host.table), 1);
    if (pipe(ready) != 0)
        return;
    pid = fork();
    if (pid == 0) {
        /* The runner, for once: its peer is the process above it. */
        listen_as(1);
        bl_slots_claim(bl_table_slots(host.table), (apr_uint32_t)getppid());
        getrlimit(RLIMIT_NOFILE, &was);
        few = was;
        few.rlim_cur = 64;
        setrlimit(RLIMIT_NOFILE, &few);
        while (count < 64 && (fds[count] = open("/dev/null", O_RDONLY)) >= 0)
            count++;
        before = orders;
        if (write(ready[1], "", 1) != 1)
            _exit(200);
        for (i = 0; i < 6000 && orders == before; i++) {
            turn();
            apr_sleep(apr_time_from_msec(10));
        }
        _exit(orders - before + (count == 0 ? 100 : 0));
    }
    if (read(ready[0], buf, 1) == 1) {
        int fd = call();

        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        send(fd, frame, frame_len, MSG_NOSIGNAL);
        while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
            got += (int)n;
        close(fd);
    }
    close(ready[0]);
    close(ready[1]);
    waitpid(pid, &status, 0);
    ok(got > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 1,
       "who has a slot is heard when there is no descriptor for a look");
    host.table = other;
}

static void test_who(void)
{
    pid_t other;
    int before;

    host.skew = getpid(); /* of no use here otherwise */
    ok(said(frame, frame_len, 0) > 0 && orders == 1, "the parent is heard");
    is_u64((uint64_t)asked_by(1), 1, "a child of it is answered");
    is_u64((uint64_t)orders, 2, "and its order taken");
    before = strangers;
    is_u64((uint64_t)asked_by(2), 0, "a child of a child is not");
    is_u64((uint64_t)orders, 2, "its order is not taken");
    is_u64((uint64_t)(strangers - before), 1, "it is said");

    /* Somebody else's server: a process that is no parent of ours. */
    other = fork();
    if (other == 0) {
        pause();
        _exit(0);
    }
    listen_as(other);
    before = strangers;
    is_u64((uint64_t)said(frame, frame_len, 0), 0,
           "nor is one of the same user that is none of httpd's");
    is_u64((uint64_t)orders, 2, "its order is not taken");
    is_u64((uint64_t)(strangers - before), 1, "it is said");
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
}

/* Process 1, as httpd is in a container, becomes the parent of all whose own
 * has gone: a CGI program only has to fork twice. */
static void test_adopted(void)
{
    int before = strangers, taken = orders, i;
    pid_t pid;

    listen_as(1);
    pid = fork();
    if (pid == 0) {
        if (fork() != 0)
            _exit(0);
        for (i = 0; i < 1000 && getppid() != 1; i++)
            apr_sleep(apr_time_from_msec(5));
        i = getppid() == 1 ? call() : -1;
        if (i >= 0 && send(i, frame, frame_len, MSG_NOSIGNAL) > 0)
            recv(i, &(char){0}, 1, 0); /* it stays until it is answered */
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    for (i = 0; i < 1000 && strangers == before && orders == taken; i++) {
        turn();
        apr_sleep(apr_time_from_msec(5));
    }
    if (strangers == before && orders == taken)
        printf("# no process comes to process 1 here\n");
    is_u64((uint64_t)orders, (uint64_t)taken,
           "nor is one that httpd only adopted");
}

/* ---- what may be said ------------------------------------------------ */

static void test_pieces(void)
{
    apr_size_t at;
    unsigned bad = 0;
    int before = orders, fd = call();

    turn();
    for (at = 0; at < frame_len; at++) {
        bad += answer_of(fd) != -1;
        send(fd, frame + at, 1, MSG_NOSIGNAL);
        turn();
    }
    ok(answer_of(fd) > 0 && orders == before + 1,
       "an order that comes byte by byte");
    is_u64(bad, 0, "has no answer before its end");
    close(fd);

    for (at = 0; at < frame_len; at++)
        bad += said(frame, at, 1) != 0;
    is_u64(bad, 0, "an order cut at any byte is closed without a word");
    is_u64((uint64_t)orders, (uint64_t)before + 1, "and not taken");
}

static void test_garbage(void)
{
    char bytes[256];
    unsigned i, bad = 0, kept = 0;
    int before = orders + cancels + limits_taken;

    for (i = 0; i < 20000; i++) {
        unsigned n = 1 + (unsigned)rand() % (unsigned)sizeof(bytes), k;
        int got;

        for (k = 0; k < n; k++)
            bytes[k] = (char)rand();
        got = said(bytes, n, 0);
        /* The beginning may be ours by chance. */
        kept += got == -1 && bytes[0] != 'B';
        bad += got > 0;
    }
    is_u64(bad, 0, "garbage gets no answer");
    is_u64(kept, 0, "its first byte is enough: nobody waits for more");
    for (i = 0; i < 20000; i++) {
        char *changed = apr_pmemdup(pool, frame, frame_len);
        unsigned at = (unsigned)rand() % (unsigned)frame_len;

        changed[at] = (char)(changed[at] ^ (1 + rand() % 255));
        said(changed, frame_len, 1);
        if (i % 1000 == 0)
            turn();
    }
    ok(orders + cancels + limits_taken >= before,
       "an order with a byte that is another: this is still here");
    ok(said(frame, frame_len, 0) > 0, "and answers");
}

static void put(char *at, apr_uint32_t n)
{
    int i;

    for (i = 0; i < 4; i++)
        at[i] = (char)(n >> (8 * i));
}

static void test_lengths(void)
{
    static const apr_uint32_t lengths[] = {BL_WIRE_BODY_MAX + 1, 0x7fffffff,
                                           0x80000000, 0xffffffff, 0xfffffff4};
    char header[BL_WIRE_HEADER_LEN];
    unsigned i, bad = 0;
    int before = orders;

    memcpy(header, frame, sizeof(header));
    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        put(header + 8, lengths[i]);
        bad += said(header, sizeof(header), 0) != 0;
    }
    is_u64(bad, 0, "lengths above the most are closed at once");
    put(header + 8, 0);
    ok(said(header, sizeof(header), 0) == 0, "an order without a body");
    memcpy(header, frame, sizeof(header));
    for (i = 0; i < 10; i++) {
        put(header + 4, i == 0 ? 0xffffffff : i == 1 ? 0 : i + 4);
        bad += said(header, sizeof(header), 1) != 0;
    }
    is_u64(bad, 0, "types that are none");
    make_order(BL_WIRE_BODY_MAX - 400);
    {
        int fd = call(), got;
        apr_size_t at = 0;

        turn();
        while (at < frame_len) {
            ssize_t n = send(fd, frame + at, frame_len - at, MSG_DONTWAIT);

            if (n > 0)
                at += (apr_size_t)n;
            turn();
        }
        got = answer_of(fd);
        close(fd);
        ok(got > 0 && orders == before + 1, "the largest one is taken");
    }
    make_order(20);
}

/* What it answers itself is no question. */
static void test_wrong_way(void)
{
    bl_accepted_t accepted = {7, "{}"};
    bl_refusal_t refusal = {BL_REFUSED_OVER, "no"};
    bl_cancel_t cancel = {5, "alice"};
    int before = orders + cancels + limits_taken, was = refusals;
    const char *text;
    apr_size_t len;

    bl_wire_accepted_write(&text, &len, &accepted, pool);
    ok(said(text, len, 0) == 0, "accepted");
    bl_wire_refused_write(&text, &len, &refusal, pool);
    ok(said(text, len, 0) == 0, "refused");
    is_u64((uint64_t)(orders + cancels + limits_taken), (uint64_t)before,
           "what the runner says itself is not heard");
    is_u64((uint64_t)refusals - (uint64_t)was, 2, "and said");
    bl_wire_cancel_write(&text, &len, &cancel, pool);
    ok(said(text, len, 0) > 0 && cancels == 1, "a cancel is");
}

/* ---- descriptors ------------------------------------------------------ */

static void send_with(const char *bytes, apr_size_t len, int count)
{
    char room[CMSG_SPACE(sizeof(int) * 8)];
    struct iovec part = {(void *)bytes, len};
    struct msghdr message;
    struct cmsghdr *c;
    int fd = call(), fds[8], i;

    memset(&message, 0, sizeof(message));
    memset(room, 0, sizeof(room));
    for (i = 0; i < count; i++)
        fds[i] = STDERR_FILENO;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = room;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * (apr_size_t)count);
    c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * (apr_size_t)count);
    memcpy(CMSG_DATA(c), fds, sizeof(int) * (apr_size_t)count);
    turn();
    sendmsg(fd, &message, MSG_NOSIGNAL);
    turn();
    close(fd);
    turn();
}

static void test_descriptors(void)
{
    bl_limits_t limits = {1, 1, 256, 0, 0, 0, 0, NULL};
    int before = descriptors(), i;
    const char *text;
    apr_size_t len;

    bl_wire_limits_write(&text, &len, &limits, pool);
    send_with(text, len, 1);
    ok(limits_taken == 1 && log_fds == 1, "limits, with an error log");
    for (i = 1; i <= 8; i++) {
        send_with(frame, frame_len, i);
        send_with("garbage", 7, i);
        send_with(frame, 5, i);
        send_with(text, len, i);
    }
    is_u64((uint64_t)descriptors(), (uint64_t)before,
           "no descriptor that came is left open");
}

/* ---- many, and slow ---------------------------------------------------- */

static void test_many(void)
{
    enum { MANY = 300 };
    int fds[MANY], i, before = descriptors(), taken = orders;
    unsigned open_ones = 0, closed = 0;

    for (i = 0; i < MANY; i++) {
        fds[i] = call();
        send(fds[i], frame, (apr_size_t)(i % 30), MSG_NOSIGNAL);
        turn();
    }
    for (i = 0; i < MANY; i++)
        open_ones += answer_of(fds[i]) == -1;
    is_u64(open_ones, MANY, "many that say half of something are waited for");
    ok(said(frame, frame_len, 0) > 0 && orders == taken + 1,
       "meanwhile another is answered");
    /* Their time is over. */
    host.tick = bl_tick_now() + apr_time_from_sec(6);
    bl_intake_tick(intake);
    for (i = 0; i < MANY; i++) {
        closed += answer_of(fds[i]) == 0;
        close(fds[i]);
    }
    is_u64(closed, MANY, "but not for long");
    turn();
    is_u64((uint64_t)descriptors(), (uint64_t)before,
           "nothing is left of them");
}

/* Nobody is there any more to be told that it was accepted. */
static void test_gone(void)
{
    int before = orders, fd = call();

    turn();
    send(fd, frame, frame_len, MSG_NOSIGNAL);
    close(fd);
    turn();
    is_u64((uint64_t)orders, (uint64_t)before,
           "an order of somebody who has gone is not taken");
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    char dir[64];

    apr_initialize();
    apr_pool_create(&pool, NULL);
    if (tmp == NULL || strlen(tmp) > 40)
        tmp = "/tmp";
    apr_snprintf(dir, sizeof(dir), "%s/intake-XXXXXX", tmp);
    if (mkdtemp(dir) == NULL) {
        printf("Bail out! no directory below %s\n", tmp);
        return 1;
    }
    address.sun_family = AF_UNIX;
    apr_snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", dir);
    bl_diag_set(on_diag);
    if (bl_table_create(&host.table, 4, pool) != APR_SUCCESS) {
        printf("Bail out! no table\n");
        return 1;
    }
    make_order(20);
    srand(20261122);

    listen_as(getpid());
    test_pieces();
    test_garbage();
    test_lengths();
    test_wrong_way();
    test_descriptors();
    test_many();
    test_gone();
    orders = 0;
    test_who();
    test_adopted();
    test_no_descriptors();

    unlink(address.sun_path);
    rmdir(dir);
    apr_terminate();
    return done_testing();
}

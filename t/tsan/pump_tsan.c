/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pump_tsan.c - pumps, table and wake-ups with many threads, for
 * ThreadSanitizer (promises 1, 3 and 6; A1 to A3, T1 to T3, the order of
 * src/README.md)
 *
 *   pump_tsan [SECONDS]
 *
 * What are processes with httpd are threads here, so that the sanitizer sees
 * all of them:
 *
 *   a runner     writes logs, publishes them, wakes; is another one at times
 *   a mpm        stops a pump in the middle of its work, and begins another
 *   viewers      as request threads do they hand a connection to a pump, with
 *                a link or without; then they read, slowly or not at all,
 * leave, and come back with their last id pollers      read a feed of their
 * own, and look at the table
 *
 * Each viewer counts the lines that it gets: none is missing, double or out of
 * order. Beyond that there are no checks: a data race is the sanitizer's to
 * find, which ends the program with another status.
 */
/* libc */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
/* APR */
#include <apr_general.h>
#include <apr_strings.h>
/* ours */
#include "bl_diag.h"
#include "bl_feed.h"
#include "bl_log.h"
#include "bl_pump.h"
#include "bl_table.h"
#include "bl_tick.h"
#include "bl_wake.h"

#include "tap.h"

#define PUMPS 2
#define VIEWERS 24
#define POLLERS 2
#define LIVE 3    /* builds at a time */
#define LINES 400 /* of a build */
#define KEPT 6    /* ended builds whose logs are there */
#define BUILDS_MOST 20000
#define VIEWERS_MOST (VIEWERS * 2)

#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELEASE)
#define COUNT(x, n) __atomic_add_fetch(&(x), (n), __ATOMIC_RELAXED)

static char dir[64];
static bl_table_t *table;
static bl_wake_t *wake;
static int over; /* by LOAD and STORE */

static struct {
    uint64_t lines, builds, deliveries, connections, gaps, resumes, pumps,
        runners, polls, refused, wrong;
} count;

/* A random number of each thread. */
static unsigned below(unsigned *seed, unsigned n)
{
    return (unsigned)rand_r(seed) % n;
}

__attribute__((format(printf, 1, 2))) static void wrong(const char *fmt, ...)
{
    va_list args;

    if (COUNT(count.wrong, 1) > 20)
        return;
    va_start(args, fmt);
    printf("# ");
    vprintf(fmt, args);
    printf("\n");
    va_end(args);
}

/* ---- the runner -------------------------------------------------------- */

typedef struct {
    apr_uint64_t number; /* 0: none */
    bl_log_t *log;
    int row;
    int lines;
} build_t;

static bl_stamp_t last_id;
static apr_uint64_t last_build; /* viewers read it by LOAD */

static void put(build_t *b, const char *text, unsigned flags)
{
    bl_record_t rec;

    memset(&rec, 0, sizeof(rec));
    last_id = bl_stamp_next(last_id, apr_time_now());
    rec.id = last_id;
    rec.flags = flags;
    rec.text = text;
    rec.len = strlen(text);
    bl_log_add(b->log, &rec);
}

static void commit(build_t *b, int final)
{
    if (bl_log_commit(b->log) != APR_SUCCESS)
        wrong("a log cannot be written");
    if (final)
        bl_table_row_set(table, b->row, 1, "{\"final\":1}");
    bl_table_row_publish(table, b->row, bl_log_tail(b->log),
                         bl_log_last_id(b->log));
}

static void publish(void)
{
    int slot;

    bl_table_set_last_id(table, last_id);
    bl_table_publish(table, last_id);
    for (slot = 0; bl_slots_next_to_wake(bl_table_slots(table), &slot); slot++)
        bl_wake_send(wake, slot);
}

static void begin_build(build_t *b, apr_pool_t *p)
{
    b->number = last_build + 1;
    b->lines = 0;
    if (bl_log_create(&b->log, dir, b->number, p) != APR_SUCCESS ||
        bl_table_row_add(table, &b->row, b->number, "/srv/demo", "{}") !=
            APR_SUCCESS) {
        wrong("no log, or no row");
        b->number = 0;
        return;
    }
    put(b, "{}", BL_REC_NOTE | BL_REC_BUILD);
    commit(b, 0);
    COUNT(count.builds, 1);
    STORE(last_build, b->number);
}

static void print_lines(build_t *b, int n)
{
    char text[128];

    while (n-- > 0 && b->lines < LINES) {
        apr_snprintf(text, sizeof(text), "line %d %0*d", b->lines,
                     b->lines * 37 % 80 + 1, 0);
        put(b, text, 0);
        b->lines++;
        COUNT(count.lines, 1);
    }
    commit(b, 0);
}

static void end_build(build_t *b)
{
    put(b, "{\"state\":\"succeeded\"}", BL_REC_NOTE | BL_REC_END);
    commit(b, 1);
    bl_log_close(&b->log);
    b->number = 0;
}

/* BuildLogKeep: the log of an old build goes, then its row. */
static void remove_build(apr_uint64_t number, apr_pool_t *p)
{
    bl_table_row_t row;

    unlink(bl_log_path(dir, number, p));
    if (bl_table_find(&row, table, number, -1) == APR_SUCCESS && row.final) {
        bl_table_set_forgotten(table, row.last_id);
        bl_table_row_drop(table, row.row);
    }
}

/* Another runner: rows are forgotten and made anew. */
static void begin_anew(build_t *builds)
{
    int i;

    bl_table_set_runner(table, 0);
    bl_table_reset(table);
    for (i = 0; i < LIVE; i++) {
        if (builds[i].number == 0)
            continue;
        bl_table_row_add(table, &builds[i].row, builds[i].number, "/srv/demo",
                         "{}");
        commit(&builds[i], 0);
    }
    /* What had ended has no row any more, and is told of as a gap. */
    bl_table_set_forgotten(table, last_id);
    bl_table_set_runner(table, (apr_uint32_t)(1 + count.runners));
    COUNT(count.runners, 1);
}

static void *runner_main(void *baton)
{
    build_t builds[LIVE];
    unsigned seed = 1;
    apr_pool_t *pool, *scratch;
    int i;

    apr_pool_create(&pool, NULL);
    apr_pool_create(&scratch, pool);
    memset(builds, 0, sizeof(builds));
    while (!LOAD(over)) {
        apr_pool_clear(scratch);
        for (i = 0; i < LIVE; i++) {
            build_t *b = &builds[i];

            if (b->number == 0)
                begin_build(b, pool);
            else if (b->lines < LINES)
                print_lines(b, 1 + (int)below(&seed, 20));
            else {
                if (b->number > KEPT + LIVE)
                    remove_build(b->number - KEPT - LIVE, scratch);
                end_build(b);
            }
        }
        if (below(&seed, 2000) == 0)
            begin_anew(builds);
        publish();
        if (below(&seed, 4) == 0)
            usleep(below(&seed, 3000));
    }
    for (i = 0; i < LIVE; i++) {
        if (builds[i].number != 0)
            end_build(&builds[i]);
    }
    publish();
    apr_pool_destroy(pool);
    return NULL;
}

/* ---- pumps ---------------------------------------------------------------
 */

typedef struct {
    pthread_rwlock_t lock; /* guards pump; held to read while it is used */
    bl_pump_t *pump;
    apr_pool_t *pool;
    int slot;
} place_t;

static place_t places[PUMPS];

static void pump_begin(place_t *place, unsigned pid)
{
    apr_pool_create(&place->pool, NULL);
    place->slot = bl_slots_claim(bl_table_slots(table), pid);
    if (place->slot < 0 ||
        bl_pump_create(&place->pump, table, wake, place->slot, 0, dir,
                       place->pool) != APR_SUCCESS)
        wrong("no slot, or no pump");
    COUNT(count.pumps, 1);
}

static void pump_end(place_t *place, unsigned pid)
{
    bl_pump_join(place->pump);
    if (bl_slots_viewers_of(bl_table_slots(table), place->slot,
                            BL_VIEWER_DETACHED) != 0 ||
        bl_slots_viewers_of(bl_table_slots(table), place->slot,
                            BL_VIEWER_PARKED) != 0)
        wrong("A3: a pump that ended counts viewers still");
    bl_slots_release(bl_table_slots(table), pid);
    apr_pool_destroy(place->pool);
}

static void *mpm_main(void *baton)
{
    unsigned seed = 2, pid = 100 + PUMPS, at = 0;

    while (!LOAD(over)) {
        place_t *place = &places[at++ % PUMPS];

        usleep(200000 + below(&seed, 600000));
        /* While others hand viewers to it. */
        pthread_rwlock_rdlock(&place->lock);
        bl_pump_begin_stop(place->pump);
        pthread_rwlock_unlock(&place->lock);
        usleep(below(&seed, 20000));
        pthread_rwlock_wrlock(&place->lock);
        pump_end(place, pid - PUMPS);
        pump_begin(place, pid++);
        pthread_rwlock_unlock(&place->lock);
    }
    for (at = 0; at < PUMPS; at++)
        pump_end(&places[(at + pid) % PUMPS], pid - PUMPS + at);
    return NULL;
}

/* ---- links: connections that httpd keeps
 * ------------------------------------ */

typedef struct {
    bl_link_t link;
    pthread_mutex_t lock; /* guards the two below */
    int closed;           /* by the pump */
    int lost;             /* the pump was told, and releases it */
    int fd;
} held_t;

static apr_status_t held_write(bl_link_t *link, const struct iovec *parts,
                               int parts_count, apr_size_t *written)
{
    held_t *held = (held_t *)link;
    ssize_t n = writev(held->fd, parts, parts_count);

    if (n < 0)
        return APR_FROM_OS_ERROR(errno);
    *written = (apr_size_t)n;
    return APR_SUCCESS;
}

static apr_status_t held_flush(bl_link_t *link)
{
    return APR_SUCCESS;
}

static void held_close(bl_link_t *link)
{
    held_t *held = (held_t *)link;

    pthread_mutex_lock(&held->lock);
    held->closed = 1;
    shutdown(held->fd, SHUT_RDWR);
    pthread_mutex_unlock(&held->lock);
}

static void held_free(held_t *held)
{
    close(held->fd);
    pthread_mutex_destroy(&held->lock);
    free(held);
}

static void held_release(bl_link_t *link)
{
    held_free((held_t *)link);
}

static const bl_link_ops_t held_ops = {held_write, held_flush, held_close,
                                       held_release};

static held_t *held_new(int fd)
{
    held_t *held = calloc(1, sizeof(*held));

    pthread_mutex_init(&held->lock, NULL);
    held->link.ops = &held_ops;
    held->fd = dup(fd);
    return held;
}

/* httpd is done with the connection. */
static void held_lose(held_t *held, place_t *place)
{
    int closed;

    pthread_mutex_lock(&held->lock);
    closed = held->closed;
    held->lost = !closed;
    pthread_mutex_unlock(&held->lock);
    if (closed)
        held_free(held);
    else
        bl_pump_req_lose(place->pump, &held->link);
}

/* ---- viewers
 * ---------------------------------------------------------------- */

typedef struct {
    unsigned seed;
    bl_feed_spec_t spec;
    bl_stamp_t at; /* last id */
    int came_back;
    int ended;
    bl_stamp_t gap; /* up to here lines may be missing */
    /* The line that is due, by build; 0: not seen yet. */
    int due[BUILDS_MOST];
    char buf[64 * 1024];
    size_t len;
} viewer_t;

static uint64_t number_behind(const char *text, size_t len, const char *name)
{
    const char *at = memmem(text, len, name, strlen(name));

    return at != NULL ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static void take_line(viewer_t *v, const char *event, size_t len,
                      bl_stamp_t id)
{
    apr_uint64_t build = number_behind(event, len, "\"build\":");
    int n = (int)number_behind(event, len, "\"text\":\"line ");
    int *due;

    if (memmem(event, len, "\"text\":\"line ", 13) == NULL)
        return;
    if (build == 0 || build >= BUILDS_MOST) {
        wrong("a line of build %d", (int)build);
        return;
    }
    due = &v->due[build];
    /* Of all builds it may have come in the middle. */
    if (v->spec.build == 0 && *due == 0 && n > 0)
        *due = n;
    if (n != *due && !(id > v->at && n > *due && v->gap >= v->at))
        wrong("build %d: line %d, and not %d", (int)build, n, *due);
    *due = n + 1;
    COUNT(count.deliveries, 1);
}

static void take_event(viewer_t *v, const char *event, size_t len)
{
    bl_stamp_t id = number_behind(event, len, "id: ");

    if (memmem(event, len, "event: gap", 10) != NULL) {
        bl_stamp_t from = number_behind(event, len, "\"from\":\"");

        v->gap = from > v->at ? from : v->at;
        /* Who knows what was in it. */
        if (v->spec.build == 0)
            memset(v->due, 0, sizeof(v->due));
        COUNT(count.gaps, 1);
    }
    else if (memmem(event, len, "event: ", 7) == NULL)
        take_line(v, event, len, id);
    if (memmem(event, len, "event: end", 10) != NULL) {
        if (v->due[v->spec.build] != LINES && v->gap == 0 && !LOAD(over))
            wrong("build %d ends behind line %d", (int)v->spec.build,
                  v->due[v->spec.build]);
        v->ended = 1;
    }
    if (id != 0)
        v->at = id;
}

/* @return 0: nothing more comes */
static int take_bytes(viewer_t *v, int fd, int ms)
{
    struct pollfd in = {fd, POLLIN, 0};
    char *begin = v->buf, *end;
    ssize_t n;

    if (poll(&in, 1, ms) <= 0)
        return 1;
    n = read(fd, v->buf + v->len, sizeof(v->buf) - v->len);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    v->len += (size_t)n;
    while ((end = memmem(begin, v->len, "\n\n", 2)) != NULL) {
        size_t len = (size_t)(end + 2 - begin);

        take_event(v, begin, len);
        begin += len;
        v->len -= len;
    }
    memmove(v->buf, begin, v->len);
    return 1;
}

/* As long as it likes. */
static void look_on(viewer_t *v, int fd)
{
    unsigned manner = below(&v->seed, 4), patience = below(&v->seed, 300);
    int there = 1;

    if (manner == 0) /* takes nothing for a while */
        usleep(below(&v->seed, 300000));
    while (there && !v->ended && patience > 0) {
        there = take_bytes(v, fd, LOAD(over) ? 2000 : 100);
        patience--;
        if (manner == 1)
            usleep(below(&v->seed, 3000));
    }
    /* What it has read of an event that was cut comes again. */
    v->len = 0;
}

/* @return the end to read; -1: it was refused */
static int come(viewer_t *v, held_t **held, place_t *place)
{
    bl_viewer_e kind =
        below(&v->seed, 3) == 0 ? BL_VIEWER_PARKED : BL_VIEWER_DETACHED;
    bl_arrival_t *arrival;
    int pair[2], small = 4096;

    if (bl_slots_viewer_add(bl_table_slots(table), place->slot, kind,
                            VIEWERS_MOST) != APR_SUCCESS) {
        COUNT(count.refused, 1);
        return -1;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0) {
        wrong("no pair of sockets");
        bl_slots_viewer_remove(bl_table_slots(table), place->slot, kind);
        return -1;
    }
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    arrival = bl_pump_req_arrive(&v->spec, v->at, kind);
    arrival->conn.fd = pair[0];
    if (kind == BL_VIEWER_PARKED) {
        *held = held_new(pair[0]);
        arrival->conn.link = &(*held)->link;
        arrival->conn.until =
            bl_tick_now() + apr_time_from_msec(50 + below(&v->seed, 500));
    }
    if (below(&v->seed, 50) == 0) { /* its client left just now */
        if (*held != NULL)
            held_free(*held);
        *held = NULL;
        bl_pump_req_forget(place->pump, arrival);
        close(pair[1]);
        return -1;
    }
    if (bl_pump_req_adopt(place->pump, arrival) != APR_SUCCESS) {
        wrong("a viewer was not taken over");
        bl_pump_req_forget(place->pump, arrival);
    }
    COUNT(count.connections, 1);
    if (v->came_back++)
        COUNT(count.resumes, 1);
    return pair[1];
}

/* Choose what to look at. */
static void choose(viewer_t *v)
{
    apr_uint64_t newest = LOAD(last_build);

    memset(v->due, 0, sizeof(v->due));
    v->at = 0;
    v->gap = 0;
    v->ended = 0;
    v->came_back = 0;
    v->spec.build = 0;
    if (below(&v->seed, 3) != 0 && newest > LIVE)
        v->spec.build = newest - below(&v->seed, LIVE + 1);
    if (v->spec.build == 0)
        v->at = bl_table_watermark(table);
    v->spec.format = BL_SSE_JSON;
    v->spec.time_format = "%H:%M:%S";
    v->spec.flush = below(&v->seed, 2) ? 0 : apr_time_from_msec(5);
    v->spec.ping = apr_time_from_msec(100);
    v->spec.view = "+/srv/demo\n";
    v->spec.resumes = 1;
}

static void *viewer_main(void *baton)
{
    viewer_t *v = baton;
    int visits = 0;

    while (!LOAD(over)) {
        place_t *place = &places[below(&v->seed, PUMPS)];
        held_t *held = NULL;
        int fd;

        if (visits-- <= 0 || v->ended) {
            choose(v);
            visits = (int)below(&v->seed, 8);
        }
        pthread_rwlock_rdlock(&place->lock);
        fd = come(v, &held, place);
        if (fd >= 0)
            look_on(v, fd);
        if (held != NULL)
            held_lose(held, place);
        pthread_rwlock_unlock(&place->lock);
        if (fd >= 0)
            close(fd);
        v->gap = v->gap > v->at ? v->gap : 0;
    }
    return NULL;
}

/* ---- pollers
 * ------------------------------------------------------------------ */

/* A short poll: one feed, for one answer, in the thread of its request. */
static void poll_once(viewer_t *v, apr_pool_t *p)
{
    bl_feed_t *feed =
        bl_feed_create(&v->spec, dir, table, apr_bucket_alloc_create(p), p);
    bl_chunk_t chunk;
    const char *bytes;
    apr_size_t len;

    while (!v->ended && bl_feed_next(&chunk, feed, v->at) == APR_SUCCESS) {
        if (chunk.bucket != NULL &&
            apr_bucket_read(chunk.bucket, &bytes, &len, APR_BLOCK_READ) ==
                APR_SUCCESS) {
            const char *end;

            while ((end = memmem(bytes, len, "\n\n", 2)) != NULL) {
                take_event(v, bytes, (size_t)(end + 2 - bytes));
                len -= (apr_size_t)(end + 2 - bytes);
                bytes = end + 2;
            }
        }
        v->at = chunk.to;
        if (chunk.then != BL_CHUNK_MORE)
            v->ended = 1;
    }
    bl_feed_destroy(&feed);
    COUNT(count.polls, 1);
}

static void *poller_main(void *baton)
{
    viewer_t *v = baton;
    const char *project, *json;
    bl_table_row_t row;
    apr_pool_t *pool;
    int i;

    apr_pool_create(&pool, NULL);
    v->ended = 1;
    while (!LOAD(over)) {
        apr_pool_clear(pool);
        if (v->ended || below(&v->seed, 20) == 0)
            choose(v);
        poll_once(v, pool);
        for (i = 0; i < bl_table_row_count(table); i++) {
            if (bl_table_row_read(&row, table, i) == APR_SUCCESS)
                bl_table_row_text(&project, &json, table, i, row.build, pool);
        }
        if (bl_slots_viewers(bl_table_slots(table)) > VIEWERS_MOST)
            wrong("more viewers than there may be");
        usleep(below(&v->seed, 20000));
    }
    apr_pool_destroy(pool);
    return NULL;
}

/* ---- all of it
 * ---------------------------------------------------------------- */

static void hear(bl_diag_level_e level, apr_status_t rv, const char *message)
{
    printf("# %s (%d)\n", message, rv);
}

int main(int argc, const char *const argv[])
{
    pthread_t runner, mpm, threads[VIEWERS + POLLERS];
    int seconds = argc > 1 ? atoi(argv[1]) : 5, i;
    static viewer_t viewers[VIEWERS + POLLERS];
    apr_pool_t *pool;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    bl_diag_set(hear);
    signal(SIGPIPE, SIG_IGN);
    apr_snprintf(dir, sizeof(dir), "%s/pump_tsan-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(dir) == NULL ||
        bl_table_create(&table, PUMPS, pool) != APR_SUCCESS ||
        bl_wake_create(&wake, PUMPS, pool) != APR_SUCCESS) {
        printf("Bail out! no directory, table or pipes\n");
        return 1;
    }
    bl_table_set_runner(table, 1);
    last_id = (bl_stamp_t)apr_time_now();
    bl_table_publish(table, last_id);
    for (i = 0; i < PUMPS; i++) {
        pthread_rwlock_init(&places[i].lock, NULL);
        pump_begin(&places[i], 100 + (unsigned)i);
    }
    pthread_create(&runner, NULL, runner_main, NULL);
    pthread_create(&mpm, NULL, mpm_main, NULL);
    for (i = 0; i < VIEWERS + POLLERS; i++) {
        viewers[i].seed = 1000 + (unsigned)i;
        pthread_create(&threads[i], NULL,
                       i < VIEWERS ? viewer_main : poller_main, &viewers[i]);
    }
    usleep((useconds_t)seconds * 1000000);
    STORE(over, 1);
    for (i = 0; i < VIEWERS + POLLERS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(runner, NULL);
    pthread_join(mpm, NULL);
    printf("# %d builds, %d lines, %d deliveries, %d connections, %d came "
           "back, %d gaps, %d pumps, %d other runners, %d polls, %d refused\n",
           (int)count.builds, (int)count.lines, (int)count.deliveries,
           (int)count.connections, (int)count.resumes, (int)count.gaps,
           (int)count.pumps, (int)count.runners, (int)count.polls,
           (int)count.refused);
    is_u64(count.wrong, 0,
           "each line once, in order, whatever the threads do");
    ok(count.deliveries > 1000 && count.resumes > 10 && count.pumps > PUMPS,
       "and there were some");
    is_u64(bl_slots_viewers(bl_table_slots(table)), 0,
           "A3: nobody is counted any more");
    for (i = 1; i <= (int)last_build; i++)
        unlink(bl_log_path(dir, (apr_uint64_t)i, pool));
    rmdir(dir);
    apr_terminate();
    return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_pump.c - the thread that writes to all viewers of an httpd child
 *
 * Viewers of the same feed are a group. In it a viewer is idle (everything
 * there is was written to it) or busy (its socket is full, or it catches up).
 *
 *          adopted              news, all written
 *             |                    +------+
 *             v                    v      |
 *           busy --all written--> idle ---+
 *             ^                    |
 *             +--- socket full ----+
 *
 * ORDER         before it sleeps the thread arms its slot, then looks at the
 *               watermark once more: the runner does the opposite (bl_table.c)
 * DIAGNOSTICS   BL0310 poll, BL0311 a viewer cannot be taken over
 */
#include "bl_pump.h"

/* libc */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* APR */
#include <apr_allocator.h>
#include <apr_poll.h>
#include <apr_ring.h>
#include <apr_strings.h>
#include <apr_thread_mutex.h>
#include <apr_thread_proc.h>
/* layer 0 */
#include "bl_diag.h"
/* this side of layer 2 */
#include "bl_client.h"

/* More than a window on most paths; a viewer that stands still pins no more
 * in the kernel. */
#define SEND_BUFFER_BYTES (128 * 1024)

/* Chunks handed to a viewer before they are written together. */
#define CHUNKS_AT_ONCE 4

/* Rounds of that for one viewer before others have their turn. */
#define ROUNDS_AT_ONCE 8

/* A child that ends gives its viewers so long to take their last bytes. */
#define STOP_TIME apr_time_from_msec(500)

/* What viewers are told to wait before they come back: spread, so that they
 * do not all come in the same moment. */
#define RETRY_LEAST_MS 200
#define RETRY_SPREAD_MS 1800

#define SLEEP_TIME apr_time_from_sec(30)
#define POLL_RESULTS 512
#define STACK_BYTES (512 * 1024)

typedef struct bl_group_t group_t;
struct bl_group_t {
    APR_RING_ENTRY(bl_group_t) link;
    apr_pool_t *pool;
    bl_feed_t *feed;
    struct bl_client_ring_t idle;
    struct bl_client_ring_t busy;
    bl_stamp_t served;     /* the watermark that idle ones were served at */
    apr_time_t next_write; /* BuildLogFlush: not before */
    apr_time_t next_ping;
};
APR_RING_HEAD(group_ring_t, bl_group_t);

/* A viewer on its way from a request thread. */
typedef struct arrival_t arrival_t;
struct arrival_t {
    APR_RING_ENTRY(arrival_t) link;
    apr_pool_t *pool;
    apr_os_sock_t fd;
    bl_feed_spec_t spec;
    bl_stamp_t at;
};
APR_RING_HEAD(arrival_ring_t, arrival_t);

struct bl_pump_t {
    /* set once */
    bl_table_t *table;
    bl_wake_t *wake;
    int slot;
    const char *logs_dir;
    apr_pool_t *child_pool;

    /* between threads */
    apr_thread_mutex_t *inbox_lock; /* guards inbox and thread */
    struct arrival_ring_t inbox;
    apr_thread_t *thread; /* NULL: not begun */
    volatile sig_atomic_t stopping;
    volatile sig_atomic_t joining;

    /* pump thread only */
    apr_pool_t *pool;
    apr_bucket_alloc_t *buckets;
    apr_pollset_t *pollset;
    apr_pollfd_t wake_fd;
    struct group_ring_t groups;
    struct bl_client_ring_t unused;
    int viewers;
    apr_time_t now;
    apr_time_t stop_deadline; /* 0: not stopping */
    unsigned seed;
};

/* ---- viewers -------------------------------------------------------- */

static void list_move(struct bl_client_ring_t *to, bl_client_t *c)
{
    APR_RING_REMOVE(c, link);
    APR_RING_INSERT_TAIL(to, c, bl_client_t, link);
}

static void let_go(bl_pump_t *pump, bl_client_t *c)
{
    bl_client_close(c, pump->pollset);
    list_move(&pump->unused, c);
    c->group = NULL;
    pump->viewers--;
    bl_table_viewer_remove(pump->table, pump->slot); /* P3 */
}

/* Write what it has; then it is idle, busy or gone.
 * @return 1: all is written and more may follow */
static int client_write(bl_pump_t *pump, bl_client_t *c)
{
    apr_status_t rv = bl_client_flush(c);

    if (rv == APR_SUCCESS && !c->last)
        return 1;
    if (APR_STATUS_IS_EAGAIN(rv)) {
        list_move(&c->group->busy, c);
        rv = bl_client_want_write(c, 1, pump->pollset);
        if (rv == APR_SUCCESS)
            return 0;
    }
    let_go(pump, c);
    return 0;
}

static apr_bucket *retry_bucket(bl_pump_t *pump)
{
    char text[BL_SSE_RETRY_MAX];
    apr_size_t len;

    len = bl_sse_retry(text,
                       (apr_uint32_t)(RETRY_LEAST_MS +
                                      rand_r(&pump->seed) % RETRY_SPREAD_MS));
    return apr_bucket_heap_create(text, len, NULL, pump->buckets);
}

/* Its last words; it is closed when they are out. */
static void say_goodbye(bl_pump_t *pump, bl_client_t *c)
{
    apr_bucket *retry = retry_bucket(pump);

    c->last = 1;
    bl_client_push(c, retry);
    apr_bucket_destroy(retry);
}

/* Hand over what comes next. @return APR_SUCCESS: something was handed over;
 * APR_EAGAIN: nothing is there */
static apr_status_t client_fill(bl_pump_t *pump, bl_client_t *c)
{
    int handed = 0;

    while (handed < CHUNKS_AT_ONCE && !c->last) {
        bl_chunk_t chunk;
        apr_status_t rv = bl_feed_next(&chunk, c->group->feed, c->at);

        if (rv != APR_SUCCESS)
            return handed > 0 ? APR_SUCCESS : rv;
        if (chunk.bucket != NULL) {
            bl_client_push(c, chunk.bucket);
            handed++;
        }
        c->at = chunk.to;
        if (chunk.then == BL_CHUNK_END)
            c->last = 1;
        else if (chunk.then == BL_CHUNK_AGAIN)
            say_goodbye(pump, c);
    }
    return APR_SUCCESS;
}

/* Bring a viewer to the end of the feed, or as far as it goes. */
static void client_serve(bl_pump_t *pump, bl_client_t *c)
{
    int round;

    if (!bl_client_is_flushed(c) && !client_write(pump, c))
        return;
    for (round = 0; round < ROUNDS_AT_ONCE; round++) {
        apr_status_t rv = client_fill(pump, c);

        if (APR_STATUS_IS_EAGAIN(rv)) {
            list_move(&c->group->idle, c);
            bl_client_want_write(c, 0, pump->pollset);
            return;
        }
        if (rv != APR_SUCCESS) {
            let_go(pump, c); /* the log is gone */
            return;
        }
        if (!client_write(pump, c))
            return;
    }
    /* Others first; its socket is writable, so the poll returns at once. */
    list_move(&c->group->busy, c);
    if (bl_client_want_write(c, 1, pump->pollset) != APR_SUCCESS)
        let_go(pump, c);
}

/* ---- groups --------------------------------------------------------- */

static group_t *group_of(bl_pump_t *pump, const bl_feed_spec_t *spec)
{
    apr_pool_t *pool;
    group_t *g;

    APR_RING_FOREACH(g, &pump->groups, bl_group_t, link)
    {
        if (bl_feed_spec_equal(bl_feed_spec(g->feed), spec))
            return g;
    }
    apr_pool_create(&pool, pump->pool);
    g = apr_pcalloc(pool, sizeof(*g));
    g->pool = pool;
    g->feed =
        bl_feed_create(spec, pump->logs_dir, pump->table, pump->buckets, pool);
    APR_RING_INIT(&g->idle, bl_client_t, link);
    APR_RING_INIT(&g->busy, bl_client_t, link);
    g->next_ping = pump->now + spec->ping;
    APR_RING_INSERT_TAIL(&pump->groups, g, bl_group_t, link);
    return g;
}

static void group_close(group_t *g)
{
    APR_RING_REMOVE(g, link);
    bl_feed_destroy(&g->feed);
    apr_pool_destroy(g->pool);
}

static int group_is_empty(const group_t *g)
{
    return APR_RING_EMPTY(&g->idle, bl_client_t, link) &&
           APR_RING_EMPTY(&g->busy, bl_client_t, link);
}

/* News for the idle ones: the busy ones come to it by themselves. */
static void group_serve(bl_pump_t *pump, group_t *g, bl_stamp_t watermark)
{
    struct bl_client_ring_t turn;

    g->served = watermark;
    g->next_write = pump->now + bl_feed_spec(g->feed)->flush;
    /* All of them once, whatever list each is in afterwards. */
    APR_RING_INIT(&turn, bl_client_t, link);
    APR_RING_CONCAT(&turn, &g->idle, bl_client_t, link);
    while (!APR_RING_EMPTY(&turn, bl_client_t, link))
        client_serve(pump, APR_RING_FIRST(&turn));
}

static void group_ping(bl_pump_t *pump, group_t *g)
{
    struct bl_client_ring_t turn;

    g->next_ping = pump->now + bl_feed_spec(g->feed)->ping;
    APR_RING_INIT(&turn, bl_client_t, link);
    APR_RING_CONCAT(&turn, &g->idle, bl_client_t, link);
    while (!APR_RING_EMPTY(&turn, bl_client_t, link)) {
        bl_client_t *c = APR_RING_FIRST(&turn);

        list_move(&g->idle, c);
        bl_client_push(c, bl_feed_ping(g->feed, c->at, pump->now));
        client_write(pump, c);
    }
}

/* Do what is due. *late is set when news waits for BuildLogFlush.
 * @return when something is due next */
static apr_time_t group_turn(bl_pump_t *pump, group_t *g, bl_stamp_t watermark,
                             int *late)
{
    if (g->served < watermark) {
        const bl_client_t *first = APR_RING_FIRST(&g->idle);

        if (APR_RING_EMPTY(&g->idle, bl_client_t, link) ||
            !bl_feed_has_more(g->feed, first->at))
            g->served = watermark;
        else if (pump->now >= g->next_write)
            group_serve(pump, g, watermark);
        else
            *late = 1;
    }
    if (pump->now >= g->next_ping)
        group_ping(pump, g);
    if (g->served < watermark && g->next_write < g->next_ping)
        return g->next_write;
    return g->next_ping;
}

static apr_time_t groups_turn(bl_pump_t *pump, bl_stamp_t watermark, int *late)
{
    apr_time_t next = pump->now + SLEEP_TIME;
    group_t *g = APR_RING_FIRST(&pump->groups);

    while (g != APR_RING_SENTINEL(&pump->groups, bl_group_t, link)) {
        group_t *following = APR_RING_NEXT(g, link);
        apr_time_t due = group_turn(pump, g, watermark, late);

        next = due < next ? due : next;
        if (group_is_empty(g))
            group_close(g);
        g = following;
    }
    return next;
}

/* ---- arrivals ------------------------------------------------------- */

static bl_client_t *client_unused(bl_pump_t *pump)
{
    bl_client_t *c;

    if (APR_RING_EMPTY(&pump->unused, bl_client_t, link)) {
        c = bl_client_create(pump->buckets, pump->pool);
        APR_RING_INSERT_TAIL(&pump->unused, c, bl_client_t, link);
    }
    return APR_RING_FIRST(&pump->unused);
}

static void arrive(bl_pump_t *pump, const arrival_t *arrival)
{
    bl_client_t *c = client_unused(pump);
    apr_status_t rv;

    pump->viewers++;
    rv = bl_client_open(c, arrival->fd, SEND_BUFFER_BYTES, pump->pollset);
    if (rv != APR_SUCCESS) {
        bl_diag(BL_DIAG_ERROR, rv, "BL0311 a viewer cannot be taken over");
        let_go(pump, c);
        return;
    }
    c->group = group_of(pump, &arrival->spec);
    c->at = arrival->at;
    if (pump->stopping)
        say_goodbye(pump, c);
    list_move(&c->group->busy, c);
    client_serve(pump, c);
}

static void take_arrivals(bl_pump_t *pump)
{
    struct arrival_ring_t taken;

    APR_RING_INIT(&taken, arrival_t, link);
    apr_thread_mutex_lock(pump->inbox_lock);
    APR_RING_CONCAT(&taken, &pump->inbox, arrival_t, link);
    apr_thread_mutex_unlock(pump->inbox_lock);
    while (!APR_RING_EMPTY(&taken, arrival_t, link)) {
        arrival_t *arrival = APR_RING_FIRST(&taken);

        APR_RING_REMOVE(arrival, link);
        arrive(pump, arrival);
        apr_pool_destroy(arrival->pool);
    }
}

/* ---- the loop ------------------------------------------------------- */

static void take_event(bl_pump_t *pump, const apr_pollfd_t *event)
{
    bl_client_t *c = event->client_data;

    if (c == NULL) {
        bl_wake_drain(pump->wake, pump->slot);
        return;
    }
    if ((event->rtnevents & (APR_POLLIN | APR_POLLHUP | APR_POLLERR)) != 0 &&
        !bl_client_listen(c)) {
        let_go(pump, c);
        return;
    }
    if ((event->rtnevents & APR_POLLOUT) != 0)
        client_serve(pump, c);
}

static void sleep_until(bl_pump_t *pump, apr_time_t until)
{
    apr_interval_time_t time = until - apr_time_now();
    const apr_pollfd_t *events;
    apr_int32_t n = 0, i;
    apr_status_t rv;

    /* Whole milliseconds, upwards: epoll knows no less. */
    time = time <= 0 ? 0 : (time + 999) / 1000 * 1000;
    rv = apr_pollset_poll(pump->pollset, time, &n, &events);
    pump->now = apr_time_now();
    bl_table_slot_disarm(pump->table, pump->slot);
    if (rv != APR_SUCCESS) {
        if (!APR_STATUS_IS_TIMEUP(rv) && !APR_STATUS_IS_EINTR(rv))
            bl_diag(BL_DIAG_ERROR, rv, "BL0310 poll in the pump");
        return;
    }
    for (i = 0; i < n; i++)
        take_event(pump, &events[i]);
}

static void begin_stop(bl_pump_t *pump)
{
    group_t *g;

    pump->stop_deadline = pump->now + STOP_TIME;
    APR_RING_FOREACH(g, &pump->groups, bl_group_t, link)
    {
        struct bl_client_ring_t turn;
        bl_client_t *c;

        /* In the middle of its bytes nothing can be said: it is closed when
         * they are out. */
        APR_RING_FOREACH(c, &g->busy, bl_client_t, link)
        c->last = 1;
        APR_RING_INIT(&turn, bl_client_t, link);
        APR_RING_CONCAT(&turn, &g->idle, bl_client_t, link);
        while (!APR_RING_EMPTY(&turn, bl_client_t, link)) {
            c = APR_RING_FIRST(&turn);
            say_goodbye(pump, c);
            client_write(pump, c);
        }
    }
}

static void let_all_go(bl_pump_t *pump)
{
    while (!APR_RING_EMPTY(&pump->groups, bl_group_t, link)) {
        group_t *g = APR_RING_FIRST(&pump->groups);

        while (!APR_RING_EMPTY(&g->idle, bl_client_t, link))
            let_go(pump, APR_RING_FIRST(&g->idle));
        while (!APR_RING_EMPTY(&g->busy, bl_client_t, link))
            let_go(pump, APR_RING_FIRST(&g->busy));
        group_close(g);
    }
}

static void *APR_THREAD_FUNC pump_main(apr_thread_t *thread, void *baton)
{
    bl_pump_t *pump = baton;

    pump->now = apr_time_now();
    for (;;) {
        bl_stamp_t watermark = bl_table_watermark(pump->table);
        apr_time_t next;
        int late = 0;

        take_arrivals(pump);
        if (pump->stopping && pump->stop_deadline == 0)
            begin_stop(pump);
        next = groups_turn(pump, watermark, &late);
        if (pump->joining &&
            (pump->viewers == 0 || pump->now >= pump->stop_deadline))
            break;
        if (pump->stop_deadline != 0 && pump->stop_deadline < next &&
            pump->viewers > 0)
            next = pump->now + apr_time_from_msec(20);
        /* When news waits already, more of it need not wake us. */
        if (!late && pump->viewers > 0) {
            bl_table_slot_arm(pump->table, pump->slot);
            if (bl_table_watermark(pump->table) != watermark)
                next = 0;
        }
        sleep_until(pump, next);
    }
    let_all_go(pump);
    apr_thread_exit(thread, APR_SUCCESS);
    return NULL;
}

/* ---- the child's other threads -------------------------------------- */

static apr_status_t begin_thread(bl_pump_t *pump)
{
    apr_threadattr_t *attr;
    sigset_t all, before;
    apr_status_t rv;

    rv = apr_threadattr_create(&attr, pump->child_pool);
    if (rv != APR_SUCCESS)
        return rv;
    apr_threadattr_stacksize_set(attr, STACK_BYTES);
    /* Signals are for the MPM's threads (in prefork its only one). */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rv = apr_thread_create(&pump->thread, attr, pump_main, pump,
                           pump->child_pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rv != APR_SUCCESS)
        pump->thread = NULL;
    return rv;
}

apr_status_t bl_pump_create(bl_pump_t **out, bl_table_t *table,
                            bl_wake_t *wake, int slot, const char *logs_dir,
                            apr_pool_t *p)
{
    bl_pump_t *pump = apr_pcalloc(p, sizeof(*pump));
    apr_allocator_t *allocator;
    apr_status_t rv;

    pump->table = table;
    pump->wake = wake;
    pump->slot = slot;
    pump->logs_dir = logs_dir;
    pump->child_pool = p;
    pump->now = apr_time_now();
    pump->seed = (unsigned)(pump->now ^ (apr_time_t)getpid());
    APR_RING_INIT(&pump->inbox, arrival_t, link);
    APR_RING_INIT(&pump->groups, bl_group_t, link);
    APR_RING_INIT(&pump->unused, bl_client_t, link);
    rv = apr_thread_mutex_create(&pump->inbox_lock, APR_THREAD_MUTEX_DEFAULT,
                                 p);
    if (rv != APR_SUCCESS)
        return rv;
    /* An allocator without a lock, and a pool that is nobody's child: only
     * the pump's thread touches them. */
    rv = apr_allocator_create(&allocator);
    if (rv != APR_SUCCESS)
        return rv;
    rv = apr_pool_create_unmanaged_ex(&pump->pool, NULL, allocator);
    if (rv != APR_SUCCESS)
        return rv;
    apr_allocator_owner_set(allocator, pump->pool);
    pump->buckets = apr_bucket_alloc_create_ex(allocator);
    rv = apr_pollset_create(&pump->pollset, POLL_RESULTS, pump->pool,
                            APR_POLLSET_NOCOPY);
    if (rv != APR_SUCCESS)
        return rv;
    pump->wake_fd.p = pump->pool;
    pump->wake_fd.desc_type = APR_POLL_FILE;
    pump->wake_fd.desc.f = bl_wake_reader(wake, slot);
    pump->wake_fd.reqevents = APR_POLLIN;
    rv = apr_pollset_add(pump->pollset, &pump->wake_fd);
    if (rv == APR_SUCCESS)
        *out = pump;
    return rv;
}

apr_status_t bl_pump_req_adopt(bl_pump_t *pump, apr_os_sock_t fd,
                               const bl_feed_spec_t *spec, bl_stamp_t at)
{
    apr_status_t rv = APR_SUCCESS;
    arrival_t *arrival;
    apr_pool_t *pool;

    apr_pool_create(&pool, NULL);
    arrival = apr_pcalloc(pool, sizeof(*arrival));
    APR_RING_ELEM_INIT(arrival, link);
    arrival->pool = pool;
    arrival->fd = fd;
    arrival->spec = *spec;
    arrival->spec.time_format = apr_pstrdup(pool, spec->time_format);
    arrival->spec.view = apr_pstrdup(pool, spec->view);
    arrival->at = at;
    apr_thread_mutex_lock(pump->inbox_lock);
    if (pump->thread == NULL)
        rv = begin_thread(pump);
    if (rv == APR_SUCCESS)
        APR_RING_INSERT_TAIL(&pump->inbox, arrival, arrival_t, link);
    apr_thread_mutex_unlock(pump->inbox_lock);
    if (rv != APR_SUCCESS)
        apr_pool_destroy(pool);
    else
        bl_wake_send(pump->wake, pump->slot);
    return rv;
}

void bl_pump_begin_stop(bl_pump_t *pump)
{
    pump->stopping = 1;
    bl_wake_send(pump->wake, pump->slot);
}

void bl_pump_join(bl_pump_t *pump)
{
    apr_thread_t *thread;
    apr_status_t result;

    pump->stopping = 1;
    pump->joining = 1;
    apr_thread_mutex_lock(pump->inbox_lock);
    thread = pump->thread;
    apr_thread_mutex_unlock(pump->inbox_lock);
    if (thread == NULL)
        return;
    bl_wake_send(pump->wake, pump->slot);
    apr_thread_join(&result, thread);
    apr_pool_destroy(pump->pool);
}

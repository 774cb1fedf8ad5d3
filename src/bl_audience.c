/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_audience.c - the viewers of an httpd child, in groups of the same feed
 *
 * In a group a viewer is idle (everything there is was written to it) or busy
 * (its socket is full, or it catches up).
 *
 *          admitted             news, all written
 *             |                    +------+
 *             v                    v      |
 *           busy --all written--> idle ---+
 *             ^                    |
 *             +--- socket full ----+
 *
 * DIAGNOSTICS   BL0311 a viewer cannot be taken over
 */
#include "bl_audience.h"

/* libc */
#include <stdlib.h>
#include <unistd.h>
/* APR */
#include <apr_ring.h>
/* layer 0 */
#include "bl_diag.h"
/* layer 1 */
#include "bl_tick.h"
/* More than a window on most paths; a viewer that stands still pins no more
 * in the kernel. */
#define SEND_BUFFER_BYTES (128 * 1024)

/* Chunks handed to a viewer before they are written together. */
#define CHUNKS_AT_ONCE 4

/* Rounds of that for one viewer before others have their turn. */
#define ROUNDS_AT_ONCE 8

/* What viewers are told to wait before they come back: spread, so that they
 * do not all come in the same moment. */
#define RETRY_LEAST_MS 200
#define RETRY_SPREAD_MS 1800

/* ...and whose time is up: those did not all begin in the same moment. */
#define RETRY_TIME_UP_MS 1000

/* One that is busy when its time is up gets so long to take its last bytes. */
#define LAST_BYTES_TIME apr_time_from_sec(2)

/* A viewer that does not answer for so many pings, or this long, has vanished.
 */
#define PINGS_UNANSWERED 2
#define PATIENCE_LEAST apr_time_from_sec(10)

#define SLEEP_TIME apr_time_from_sec(30)

/* How far behind they are is looked at so often while some are. */
#define LAG_TIME apr_time_from_sec(1)

/* Between two looks while there is no runner, and when the table is changed
 * while it is read. */
#define NO_RUNNER_TIME apr_time_from_msec(100)
#define AGAIN_TIME apr_time_from_msec(10)

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

struct bl_audience_t {
    apr_pool_t *pool;
    apr_bucket_alloc_t *buckets;
    apr_pollset_t *pollset;
    bl_table_t *table;
    int slot;
    const char *logs_dir;
    apr_time_t now;
    struct group_ring_t groups;
    struct bl_client_ring_t unused;
    struct bl_client_ring_t timed; /* by conn.until */
    int size;
    int dismissed;
    unsigned seed;
    /* since they were counted */
    apr_uint64_t lines;
    apr_uint64_t bytes;
    apr_uint32_t behind; /* as it was shown last */
    apr_time_t lag_due;
};

/* ---- viewers -------------------------------------------------------- */

static void list_move(struct bl_client_ring_t *to, bl_client_t *c)
{
    APR_RING_REMOVE(c, link);
    APR_RING_INSERT_TAIL(to, c, bl_client_t, link);
}

static void let_go(bl_audience_t *a, bl_client_t *c)
{
    bl_client_close(c, a->pollset);
    list_move(&a->unused, c);
    if (c->conn.until != 0)
        APR_RING_REMOVE(c, timed);
    c->group = NULL;
    a->size--;
    bl_slots_viewer_remove(bl_table_slots(a->table), a->slot,
                           c->conn.kind); /* A3 */
}

/* Write what it has; then it is idle, busy or gone.
 * @return 1: all is written and more may follow */
static int client_write(bl_audience_t *a, bl_client_t *c)
{
    apr_status_t rv = bl_client_flush(c, &a->bytes);

    if (rv == APR_SUCCESS && !c->last)
        return 1;
    if (APR_STATUS_IS_EAGAIN(rv)) {
        list_move(&c->group->busy, c);
        rv = bl_client_want_write(c, 1, a->pollset);
        if (rv == APR_SUCCESS)
            return 0;
    }
    let_go(a, c);
    return 0;
}

static apr_uint32_t spread_retry(bl_audience_t *a)
{
    return (apr_uint32_t)(RETRY_LEAST_MS + rand_r(&a->seed) % RETRY_SPREAD_MS);
}

/* Its last words; it is closed when they are out. Where there are none the
 * stream just ends. */
static void say_goodbye(bl_client_t *c, apr_uint32_t retry_ms)
{
    apr_bucket *retry = bl_feed_goodbye(c->group->feed, retry_ms);

    c->last = 1;
    if (retry == NULL)
        return;
    bl_client_push(c, retry);
    apr_bucket_destroy(retry);
}

/* Hand over what comes next. @return APR_SUCCESS: the viewer is further;
 * APR_EAGAIN: nothing is there */
static apr_status_t client_fill(bl_audience_t *a, bl_client_t *c)
{
    int handed = 0;

    /* One without a bucket counts, too: it took its time to be made. */
    while (handed < CHUNKS_AT_ONCE && !c->last) {
        bl_chunk_t chunk;
        apr_status_t rv = bl_feed_next(&chunk, c->group->feed, c->at);

        if (rv != APR_SUCCESS)
            return handed > 0 ? APR_SUCCESS : rv;
        if (chunk.bucket != NULL)
            bl_client_push(c, chunk.bucket);
        a->lines += chunk.lines;
        handed++;
        c->at = chunk.to;
        if (chunk.then == BL_CHUNK_END)
            c->last = 1;
        else if (chunk.then == BL_CHUNK_AGAIN)
            say_goodbye(c, spread_retry(a));
    }
    return APR_SUCCESS;
}

/* Bring a viewer to the end of the feed, or as far as it goes. */
static void client_serve(bl_audience_t *a, bl_client_t *c)
{
    int round;

    if (!bl_client_is_flushed(c) && !client_write(a, c))
        return;
    for (round = 0; round < ROUNDS_AT_ONCE; round++) {
        apr_status_t rv = client_fill(a, c);

        if (APR_STATUS_IS_EAGAIN(rv)) {
            list_move(&c->group->idle, c);
            if (bl_client_want_write(c, 0, a->pollset) != APR_SUCCESS)
                let_go(a, c); /* nobody would see it leave */
            return;
        }
        if (rv != APR_SUCCESS) {
            let_go(a, c); /* the log is gone */
            return;
        }
        if (!client_write(a, c))
            return;
    }
    /* Others first; its socket is writable, so the poll returns at once. */
    list_move(&c->group->busy, c);
    if (bl_client_want_write(c, 1, a->pollset) != APR_SUCCESS)
        let_go(a, c);
}

/* ---- groups --------------------------------------------------------- */

static group_t *group_of(bl_audience_t *a, const bl_feed_spec_t *spec)
{
    group_t *g = APR_RING_FIRST(&a->groups);
    apr_pool_t *pool;

    for (; g != APR_RING_SENTINEL(&a->groups, bl_group_t, link);
         g = APR_RING_NEXT(g, link)) {
        if (bl_feed_spec_equal(bl_feed_spec(g->feed), spec))
            return g;
    }
    apr_pool_create(&pool, a->pool);
    g = apr_pcalloc(pool, sizeof(*g));
    g->pool = pool;
    g->feed = bl_feed_create(spec, a->logs_dir, a->table, a->buckets, pool);
    APR_RING_INIT(&g->idle, bl_client_t, link);
    APR_RING_INIT(&g->busy, bl_client_t, link);
    g->next_ping = a->now + spec->ping;
    APR_RING_INSERT_TAIL(&a->groups, g, bl_group_t, link);
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

static int group_has_news(const group_t *g)
{
    return !APR_RING_EMPTY(&g->idle, bl_client_t, link) &&
           bl_feed_has_more(g->feed, APR_RING_FIRST(&g->idle)->at);
}

/* News for the idle ones: the busy ones come to it by themselves. */
static void group_serve(bl_audience_t *a, group_t *g, bl_stamp_t watermark)
{
    bl_stamp_t before = APR_RING_FIRST(&g->idle)->at;
    struct bl_client_ring_t turn;

    /* While no runner answers the feed may hold news back: look again. */
    if (bl_table_runner(a->table) == 0) {
        g->next_write = a->now + NO_RUNNER_TIME;
        return;
    }
    g->next_write = a->now + bl_feed_spec(g->feed)->flush;
    /* All of them once, whatever list each is in afterwards. */
    APR_RING_INIT(&turn, bl_client_t, link);
    APR_RING_CONCAT(&turn, &g->idle, bl_client_t, link);
    while (!APR_RING_EMPTY(&turn, bl_client_t, link))
        client_serve(a, APR_RING_FIRST(&turn));
    g->served = watermark;
    /* A feed that could not tell what it has is asked again. */
    if (group_has_news(g) && APR_RING_FIRST(&g->idle)->at <= before) {
        g->served = before;
        g->next_write = a->now + AGAIN_TIME;
    }
}

/* Those that vanished without a word. */
static void list_bury(bl_audience_t *a, struct bl_client_ring_t *list,
                      apr_interval_time_t patience)
{
    bl_client_t *c = APR_RING_FIRST(list);

    while (c != APR_RING_SENTINEL(list, bl_client_t, link)) {
        bl_client_t *following = APR_RING_NEXT(c, link);

        if (bl_client_is_dead(c, patience))
            let_go(a, c);
        c = following;
    }
}

static void group_ping(bl_audience_t *a, group_t *g)
{
    apr_interval_time_t ping = bl_feed_spec(g->feed)->ping;
    apr_interval_time_t patience = ping * PINGS_UNANSWERED;
    struct bl_client_ring_t turn;

    if (patience < PATIENCE_LEAST)
        patience = PATIENCE_LEAST;
    list_bury(a, &g->idle, patience);
    list_bury(a, &g->busy, patience);
    g->next_ping = a->now + ping;
    bl_feed_rest(g->feed);
    if (!bl_encoder_speaks(bl_feed_spec(g->feed)->form))
        return; /* the kernel asks whether they are there: bl_client_probe */
    APR_RING_INIT(&turn, bl_client_t, link);
    APR_RING_CONCAT(&turn, &g->idle, bl_client_t, link);
    while (!APR_RING_EMPTY(&turn, bl_client_t, link)) {
        bl_client_t *c = APR_RING_FIRST(&turn);

        list_move(&g->idle, c);
        bl_client_push(c, bl_feed_ping(g->feed, c->at, apr_time_now()));
        client_write(a, c);
    }
}

/* Do what is due. *late is set when news waits for BuildLogFlush.
 * @return when something is due next */
static apr_time_t group_turn(bl_audience_t *a, group_t *g,
                             bl_stamp_t watermark, int *late)
{
    if (g->served < watermark) {
        if (!group_has_news(g))
            g->served = watermark;
        else if (a->now >= g->next_write)
            group_serve(a, g, watermark);
        else
            *late = 1;
    }
    if (a->now >= g->next_ping)
        group_ping(a, g);
    if (g->served < watermark && g->next_write < g->next_ping)
        return g->next_write;
    return g->next_ping;
}

/* ---- viewers whose time is limited ---------------------------------- */

static void timed_insert(bl_audience_t *a, bl_client_t *c)
{
    bl_client_t *before = APR_RING_LAST(&a->timed);

    /* Most come in the order of their ends. */
    while (before != APR_RING_SENTINEL(&a->timed, bl_client_t, timed) &&
           before->conn.until > c->conn.until)
        before = APR_RING_PREV(before, timed);
    APR_RING_INSERT_AFTER(before, c, timed);
}

/* It is told to come back, between two events; or, if it takes too long to get
 * there, cut off: then it comes back all the same. */
static void time_is_up(bl_audience_t *a, bl_client_t *c)
{
    if (c->last) {
        let_go(a, c);
        return;
    }
    APR_RING_REMOVE(c, timed);
    c->conn.until = a->now + LAST_BYTES_TIME;
    timed_insert(a, c);
    say_goodbye(c, RETRY_TIME_UP_MS);
    client_write(a, c);
}

/* @return when the next one's time is up */
static apr_time_t timed_turn(bl_audience_t *a, apr_time_t next)
{
    while (!APR_RING_EMPTY(&a->timed, bl_client_t, timed)) {
        bl_client_t *c = APR_RING_FIRST(&a->timed);

        if (c->conn.until > a->now)
            return c->conn.until < next ? c->conn.until : next;
        time_is_up(a, c);
    }
    return next;
}

/* ---- counts --------------------------------------------------------- */

static void count(bl_audience_t *a)
{
    bl_counts_t *counts = bl_table_counts(a->table);

    if (a->lines > 0)
        bl_counts_add(counts, a->slot, BL_COUNT_LINES, a->lines);
    if (a->bytes > 0)
        bl_counts_add(counts, a->slot, BL_COUNT_BYTES, a->bytes);
    a->lines = 0;
    a->bytes = 0;
}

/* Those of a group that have not taken all there is. An id is a time: so much
 * of the log they have before them. */
static void group_measure(group_t *g, apr_uint32_t *behind, bl_stamp_t *lag)
{
    bl_stamp_t newest = bl_feed_newest(g->feed);
    bl_client_t *c = APR_RING_FIRST(&g->busy);

    for (; c != APR_RING_SENTINEL(&g->busy, bl_client_t, link);
         c = APR_RING_NEXT(c, link)) {
        ++*behind;
        /* One that has nothing yet is nowhere. */
        if (c->at != 0 && newest > c->at && newest - c->at > *lag)
            *lag = newest - c->at;
    }
}

/* @return when to look again; 0: nobody is behind, and so it is shown */
static apr_time_t measure(bl_audience_t *a)
{
    bl_stamp_t lag = 0;
    group_t *g;
    int busy = a->behind > 0;

    APR_RING_FOREACH(g, &a->groups, bl_group_t, link)
    {
        busy |= !APR_RING_EMPTY(&g->busy, bl_client_t, link);
    }
    if (!busy || a->now < a->lag_due)
        return busy ? a->lag_due : 0;
    a->lag_due = a->now + LAG_TIME;
    a->behind = 0;
    APR_RING_FOREACH(g, &a->groups, bl_group_t, link)
    {
        group_measure(g, &a->behind, &lag);
    }
    bl_counts_set_lag(bl_table_counts(a->table), a->slot, a->behind,
                      (apr_interval_time_t)lag);
    return a->behind > 0 ? a->lag_due : 0;
}

apr_time_t bl_audience_turn(bl_audience_t *a, bl_stamp_t watermark, int *late)
{
    apr_time_t next = timed_turn(a, a->now + SLEEP_TIME);
    group_t *g = APR_RING_FIRST(&a->groups);
    apr_time_t look;

    while (g != APR_RING_SENTINEL(&a->groups, bl_group_t, link)) {
        group_t *following = APR_RING_NEXT(g, link);
        apr_time_t due = group_turn(a, g, watermark, late);

        next = due < next ? due : next;
        if (group_is_empty(g))
            group_close(g);
        g = following;
    }
    count(a);
    look = measure(a);
    return look != 0 && look < next ? look : next;
}

/* ---- coming and going ----------------------------------------------- */

static bl_client_t *client_unused(bl_audience_t *a)
{
    bl_client_t *c;

    if (APR_RING_EMPTY(&a->unused, bl_client_t, link)) {
        c = bl_client_create(a->buckets, a->pool);
        APR_RING_INSERT_TAIL(&a->unused, c, bl_client_t, link);
    }
    return APR_RING_FIRST(&a->unused);
}

void bl_audience_admit(bl_audience_t *a, const bl_client_conn_t *conn,
                       const bl_feed_spec_t *spec, bl_stamp_t at)
{
    bl_client_t *c = client_unused(a);
    apr_status_t rv;

    a->size++;
    rv = bl_client_open(c, conn, SEND_BUFFER_BYTES, a->pollset);
    if (conn->until != 0)
        timed_insert(a, c);
    if (rv != APR_SUCCESS) {
        bl_diag(BL_DIAG_ERROR, rv, "BL0311 a viewer cannot be taken over");
        let_go(a, c);
        return;
    }
    c->group = group_of(a, spec);
    c->at = at;
    if (!bl_encoder_speaks(spec->form))
        bl_client_probe(c, spec->ping);
    if (a->dismissed)
        say_goodbye(c, spread_retry(a));
    list_move(&c->group->busy, c);
    client_serve(a, c);
}

void bl_audience_lose(bl_audience_t *a, bl_link_t *link)
{
    if (link->client != NULL)
        let_go(a, link->client);
    link->ops->release(link);
}

void bl_audience_event(bl_audience_t *a, const apr_pollfd_t *event)
{
    bl_client_t *c = event->client_data;

    if (c->conn.link != NULL) {
        client_serve(a, c); /* what went wrong shows in writing */
        return;
    }
    if ((event->rtnevents & (APR_POLLIN | APR_POLLHUP | APR_POLLERR)) != 0 &&
        !bl_client_listen(c)) {
        let_go(a, c);
        return;
    }
    if ((event->rtnevents & APR_POLLOUT) != 0)
        client_serve(a, c);
}

/* Behind the bytes that it has already. */
static void list_dismiss(bl_audience_t *a, struct bl_client_ring_t *list)
{
    struct bl_client_ring_t turn;

    APR_RING_INIT(&turn, bl_client_t, link);
    APR_RING_CONCAT(&turn, list, bl_client_t, link);
    while (!APR_RING_EMPTY(&turn, bl_client_t, link)) {
        bl_client_t *c = APR_RING_FIRST(&turn);

        list_move(&c->group->busy, c);
        if (!c->last)
            say_goodbye(c, spread_retry(a));
        client_write(a, c);
    }
}

void bl_audience_dismiss(bl_audience_t *a)
{
    group_t *g;

    a->dismissed = 1;
    APR_RING_FOREACH(g, &a->groups, bl_group_t, link)
    {
        list_dismiss(a, &g->busy);
        list_dismiss(a, &g->idle);
    }
}

void bl_audience_clear(bl_audience_t *a)
{
    while (!APR_RING_EMPTY(&a->groups, bl_group_t, link)) {
        group_t *g = APR_RING_FIRST(&a->groups);

        while (!APR_RING_EMPTY(&g->idle, bl_client_t, link))
            let_go(a, APR_RING_FIRST(&g->idle));
        while (!APR_RING_EMPTY(&g->busy, bl_client_t, link))
            let_go(a, APR_RING_FIRST(&g->busy));
        group_close(g);
    }
}

/* ---- life ----------------------------------------------------------- */

bl_audience_t *bl_audience_create(bl_table_t *table, int slot,
                                  const char *logs_dir, apr_pollset_t *pollset,
                                  apr_bucket_alloc_t *buckets, apr_pool_t *p)
{
    bl_audience_t *a = apr_pcalloc(p, sizeof(*a));

    a->pool = p;
    a->buckets = buckets;
    a->pollset = pollset;
    a->table = table;
    a->slot = slot;
    a->logs_dir = logs_dir;
    a->now = bl_tick_now();
    a->seed = (unsigned)(a->now ^ (apr_time_t)getpid());
    APR_RING_INIT(&a->groups, bl_group_t, link);
    APR_RING_INIT(&a->unused, bl_client_t, link);
    APR_RING_INIT(&a->timed, bl_client_t, timed);
    return a;
}

void bl_audience_set_time(bl_audience_t *a, apr_time_t now)
{
    a->now = now;
}

int bl_audience_size(const bl_audience_t *a)
{
    return a->size;
}

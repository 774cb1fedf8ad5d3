/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_pump.c - the thread that writes to all viewers of an httpd child
 *
 * ORDER         before it sleeps the thread arms its slot, then looks at the
 *               watermark once more: the runner does the opposite (bl_table.c)
 *               a viewer that comes and is lost is in both lists of the
 *               inbox: it is admitted before it is let go
 * LOCKS         inbox_lock guards the inbox and the thread's handle; nothing
 *               is done under it but to look and to link
 * DIAGNOSTICS   BL0310 poll
 */
#include "bl_pump.h"

/* libc */
#include <signal.h>
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
/* layer 1 */
#include "bl_tick.h"
/* this side of layer 2 */
#include "bl_audience.h"

/* A child that ends gives its viewers so long to take their last bytes. */
#define STOP_TIME apr_time_from_msec(500)

#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELEASE)

#define POLL_RESULTS 512
#define STACK_BYTES (512 * 1024)

/* What chunks and readers have used is kept for the next ones. An allocator
 * that is told nothing keeps what all viewers at once have ever needed. */
#define KEPT_BYTES (2 * 1024 * 1024)

APR_RING_HEAD(arrival_ring_t, bl_arrival_t);

struct bl_pump_t {
    /* set once */
    bl_table_t *table;
    bl_wake_t *wake;
    int slot;
    apr_uint32_t generation;
    apr_pool_t *thread_pool; /* of the thread's handle: nobody else's */

    /* between threads */
    apr_thread_mutex_t *inbox_lock; /* guards inbox, lost and thread */
    struct arrival_ring_t inbox;
    struct bl_link_ring_t lost;
    apr_thread_t *thread; /* NULL: not begun */
    int stopping; /* these two by __atomic: also set in signal handlers */
    int joining;

    /* pump thread only */
    apr_pool_t *pool;
    apr_pollset_t *pollset;
    apr_pollfd_t wake_fd;
    bl_audience_t *audience;
    apr_time_t now;
    apr_time_t stop_deadline; /* 0: not stopping */
};

/* ---- the thread ----------------------------------------------------- */

static void take_inbox(bl_pump_t *pump)
{
    struct arrival_ring_t come;
    struct bl_link_ring_t lost;

    /* Never waits: who holds the lock wakes this thread when it has let go. */
    if (apr_thread_mutex_trylock(pump->inbox_lock) != APR_SUCCESS)
        return;
    APR_RING_INIT(&come, bl_arrival_t, ring);
    APR_RING_CONCAT(&come, &pump->inbox, bl_arrival_t, ring);
    APR_RING_INIT(&lost, bl_link_t, ring);
    APR_RING_CONCAT(&lost, &pump->lost, bl_link_t, ring);
    apr_thread_mutex_unlock(pump->inbox_lock);
    while (!APR_RING_EMPTY(&come, bl_arrival_t, ring)) {
        bl_arrival_t *arrival = APR_RING_FIRST(&come);

        APR_RING_REMOVE(arrival, ring);
        bl_audience_admit(pump->audience, &arrival->conn, &arrival->spec,
                          arrival->at);
        apr_pool_destroy(arrival->pool);
    }
    while (!APR_RING_EMPTY(&lost, bl_link_t, ring)) {
        bl_link_t *link = APR_RING_FIRST(&lost);

        APR_RING_REMOVE(link, ring);
        bl_audience_lose(pump->audience, link);
    }
}

static void sleep_until(bl_pump_t *pump, apr_time_t until)
{
    apr_interval_time_t time = until - bl_tick_now();
    const apr_pollfd_t *events;
    apr_int32_t n = 0, i;
    apr_status_t rv;

    /* Whole milliseconds, upwards: epoll knows no less. */
    time = time <= 0 ? 0 : (time + 999) / 1000 * 1000;
    rv = apr_pollset_poll(pump->pollset, time, &n, &events);
    pump->now = bl_tick_now();
    bl_slots_disarm(bl_table_slots(pump->table), pump->slot);
    if (rv != APR_SUCCESS) {
        if (!APR_STATUS_IS_TIMEUP(rv) && !APR_STATUS_IS_EINTR(rv))
            bl_diag(BL_DIAG_ERROR, rv, "BL0310 poll in the pump");
        return;
    }
    bl_audience_set_time(pump->audience, pump->now);
    for (i = 0; i < n; i++) {
        if (events[i].client_data == NULL)
            bl_wake_drain(pump->wake, pump->slot);
        else
            bl_audience_event(pump->audience, &events[i]);
    }
}

/* The child is told to end; or httpd has another configuration, and the child
 * may not have been told so: in prefork it is when its request is over. Who
 * may see is another question now. */
static int must_stop(bl_pump_t *pump)
{
    return LOAD(pump->stopping) ||
           bl_table_generation(pump->table) != pump->generation;
}

static void *APR_THREAD_FUNC pump_main(apr_thread_t *thread, void *baton)
{
    bl_pump_t *pump = baton;

    pump->now = bl_tick_now();
    for (;;) {
        bl_stamp_t watermark = bl_table_watermark(pump->table);
        apr_time_t next;
        int late = 0;

        bl_audience_set_time(pump->audience, pump->now);
        take_inbox(pump);
        if (pump->stop_deadline == 0 && must_stop(pump)) {
            pump->stop_deadline = pump->now + STOP_TIME;
            bl_audience_dismiss(pump->audience);
        }
        /* The child may live on for long, for a download; not its viewers. */
        if (pump->stop_deadline != 0 && pump->now >= pump->stop_deadline)
            bl_audience_clear(pump->audience);
        if (LOAD(pump->joining) && bl_audience_size(pump->audience) == 0)
            break;
        next = bl_audience_turn(pump->audience, watermark, &late);
        if (bl_audience_size(pump->audience) > 0 && pump->stop_deadline != 0 &&
            pump->stop_deadline < next)
            next = pump->stop_deadline;
        /* When news waits already, more of it need not wake us. */
        if (!late && bl_audience_size(pump->audience) > 0) {
            bl_slots_arm(bl_table_slots(pump->table), pump->slot);
            if (bl_table_watermark(pump->table) != watermark)
                next = 0;
        }
        sleep_until(pump, next);
    }
    return NULL;
}

/* ---- the child's other threads -------------------------------------- */

static apr_status_t begin_thread(bl_pump_t *pump)
{
    apr_threadattr_t *attr;
    sigset_t all, before;
    apr_status_t rv;

    rv = apr_threadattr_create(&attr, pump->thread_pool);
    if (rv != APR_SUCCESS)
        return rv;
    apr_threadattr_stacksize_set(attr, STACK_BYTES);
    /* Signals are for the MPM's threads (in prefork its only one). */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rv = apr_thread_create(&pump->thread, attr, pump_main, pump,
                           pump->thread_pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rv != APR_SUCCESS)
        pump->thread = NULL;
    return rv;
}

apr_status_t bl_pump_create(bl_pump_t **out, bl_table_t *table,
                            bl_wake_t *wake, int slot, apr_uint32_t generation,
                            const char *logs_dir, apr_pool_t *p)
{
    bl_pump_t *pump = apr_pcalloc(p, sizeof(*pump));
    apr_allocator_t *allocator;
    apr_status_t rv;

    pump->table = table;
    pump->wake = wake;
    pump->slot = slot;
    pump->generation = generation;
    /* The child's pool is used by other threads too. */
    apr_pool_create(&pump->thread_pool, p);
    APR_RING_INIT(&pump->inbox, bl_arrival_t, ring);
    APR_RING_INIT(&pump->lost, bl_link_t, ring);
    rv = apr_thread_mutex_create(&pump->inbox_lock, APR_THREAD_MUTEX_DEFAULT,
                                 p);
    if (rv != APR_SUCCESS)
        return rv;
    /* An allocator without a lock, and a pool that is nobody's child: only
     * the pump's thread touches them. */
    rv = apr_allocator_create(&allocator);
    if (rv != APR_SUCCESS)
        return rv;
    apr_allocator_max_free_set(allocator, KEPT_BYTES);
    rv = apr_pool_create_unmanaged_ex(&pump->pool, NULL, allocator);
    if (rv != APR_SUCCESS)
        return rv;
    apr_allocator_owner_set(allocator, pump->pool);
    rv = apr_pollset_create(&pump->pollset, POLL_RESULTS, pump->pool,
                            APR_POLLSET_NOCOPY);
    if (rv != APR_SUCCESS)
        return rv;
    pump->wake_fd.p = pump->pool;
    pump->wake_fd.desc_type = APR_POLL_FILE;
    pump->wake_fd.desc.f = bl_wake_reader(wake, slot);
    pump->wake_fd.reqevents = APR_POLLIN;
    rv = apr_pollset_add(pump->pollset, &pump->wake_fd);
    if (rv != APR_SUCCESS)
        return rv;
    pump->audience =
        bl_audience_create(table, slot, logs_dir, pump->pollset,
                           apr_bucket_alloc_create_ex(allocator), pump->pool);
    *out = pump;
    return APR_SUCCESS;
}

bl_arrival_t *bl_pump_req_arrive(const bl_feed_spec_t *spec, bl_stamp_t at,
                                 bl_viewer_e kind)
{
    bl_arrival_t *arrival;
    apr_pool_t *pool;

    apr_pool_create(&pool, NULL);
    arrival = apr_pcalloc(pool, sizeof(*arrival));
    APR_RING_ELEM_INIT(arrival, ring);
    arrival->pool = pool;
    arrival->spec = *spec;
    arrival->spec.time_format = apr_pstrdup(pool, spec->time_format);
    arrival->spec.view = apr_pstrdup(pool, spec->view);
    arrival->at = at;
    arrival->conn.kind = kind;
    arrival->conn.fd = -1;
    return arrival;
}

apr_status_t bl_pump_req_adopt(bl_pump_t *pump, bl_arrival_t *arrival)
{
    apr_status_t rv = APR_SUCCESS;

    apr_thread_mutex_lock(pump->inbox_lock);
    if (pump->thread == NULL)
        rv = begin_thread(pump);
    if (rv == APR_SUCCESS)
        APR_RING_INSERT_TAIL(&pump->inbox, arrival, bl_arrival_t, ring);
    apr_thread_mutex_unlock(pump->inbox_lock);
    if (rv == APR_SUCCESS)
        bl_wake_send(pump->wake, pump->slot);
    return rv;
}

void bl_pump_req_forget(bl_pump_t *pump, bl_arrival_t *arrival)
{
    bl_slots_viewer_remove(bl_table_slots(pump->table), pump->slot,
                           arrival->conn.kind);
    if (arrival->conn.fd >= 0)
        close(arrival->conn.fd);
    apr_pool_destroy(arrival->pool);
}

void bl_pump_req_lose(bl_pump_t *pump, bl_link_t *link)
{
    apr_thread_mutex_lock(pump->inbox_lock);
    APR_RING_ELEM_INIT(link, ring);
    APR_RING_INSERT_TAIL(&pump->lost, link, bl_link_t, ring);
    apr_thread_mutex_unlock(pump->inbox_lock);
    bl_wake_send(pump->wake, pump->slot);
}

void bl_pump_begin_stop(bl_pump_t *pump)
{
    STORE(pump->stopping, 1);
    bl_wake_send(pump->wake, pump->slot);
}

void bl_pump_join(bl_pump_t *pump)
{
    apr_thread_t *thread;
    apr_status_t result;
    int locked;

    STORE(pump->stopping, 1);
    STORE(pump->joining, 1);
    /* In prefork this may be a signal handler that came in the middle of
     * bl_pump_req_adopt: then the lock is held by this very thread, and what
     * it guards stands still. */
    locked = apr_thread_mutex_trylock(pump->inbox_lock) == APR_SUCCESS;
    thread = pump->thread;
    if (locked)
        apr_thread_mutex_unlock(pump->inbox_lock);
    if (thread == NULL)
        return;
    bl_wake_send(pump->wake, pump->slot);
    apr_thread_join(&result, thread);
    apr_pool_destroy(pump->pool);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_parked.c - streams over TLS that keep no thread
 *
 *     keep          request thread, in the handler: announced
 *       |           (the request ends, its log line is written)
 *     hand_over     the same thread, behind the request: parked
 *       |
 *     take_back     a thread of the MPM, when the connection is readable or
 *                   is being closed: httpd's again, the pump is told
 *
 * LOCKS         one for all parked connections of the child: the pump has it
 *               for a write, which does not block; others to look or to take
 *               back. Under it the pump's inbox may be locked, never the other
 *               way round.
 * LIFE          a parked_t is put by when its two users, the pump and the
 *               connection, have let it go. The pump uses c only under the
 *               lock, and c is cleared there before httpd closes the
 *               connection.
 */
#include "bl_parked.h"

/* libc */
#include <sys/socket.h>
/* APR */
#include <apr_allocator.h>
#include <apr_portable.h>
#include <apr_strings.h>
#include <apr_thread_mutex.h>
/* httpd */
#include "ap_mpm.h"
#include "http_connection.h"
#include "http_core.h"
#include "mod_buildlog.h"
#include "mpm_common.h"
#include "util_filter.h"
/* layer 1 */
#include "bl_tick.h"
/* layer 3 */
#include "bl_child.h"
#include "bl_config.h"
#include "bl_daemon.h"

/* By default, for each thread: stays below what the event MPM lets in by
 * default (three for each), so that ordinary requests find room. */
#define PARKED_OF_THREAD 2

apr_uint32_t bl_parked_most(void)
{
    apr_uint32_t most = bl_config_server()->max_parked;
    int threads = 1;

    if (most != 0)
        return most;
    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    return (apr_uint32_t)threads * PARKED_OF_THREAD;
}

#ifdef AP_MPMQ_CAN_WAITIO

/* What goes through the filters at once: more of it might make one of them
 * wait for the socket. */
#define PASS_BYTES (32 * 1024)

/* Blocks that a connection's allocator may have put by; more of them only stay
 * where they are. */
#define NODES_KEPT 6

/* It is ended so much before the server's Timeout: a part of it. */
#define MARGIN_PART 10
#define MARGIN_MOST apr_time_from_sec(10)

/* Used again for later connections. */
typedef struct parked_t parked_t;
struct parked_t {
    bl_link_t link;   /* first */
    parked_t *unused; /* the next one that nobody uses */
    /* under the lock */
    int users;
    int is_over; /* the pump has ended it */
    conn_rec *c; /* NULL: httpd has it back */
    apr_bucket_brigade *out;
    apr_bucket_brigade *in;
    apr_size_t most; /* bytes that may be passed at once */
    /* until it is handed over */
    bl_arrival_t *arrival;
};

static apr_thread_mutex_t *lock; /* NULL: nothing can be parked */
static apr_pool_t *pool;         /* of parked_t's; under the lock */
static parked_t *unused;         /* likewise */

/* What a connection's place for this module holds besides a parked_t: marks of
 * our way through process_connection. */
static char in_request, is_done;

static parked_t *parked_of(const conn_rec *c)
{
    void *found = ap_get_module_config(c->conn_config, &buildlog_module);

    return found == &in_request || found == &is_done ? NULL : found;
}

static parked_t *parked_create(bl_arrival_t *arrival)
{
    parked_t *p;

    apr_thread_mutex_lock(lock);
    p = unused;
    if (p != NULL)
        unused = p->unused;
    else
        p = apr_palloc(pool, sizeof(*p));
    apr_thread_mutex_unlock(lock);
    memset(p, 0, sizeof(*p));
    p->users = 1;
    p->arrival = arrival;
    return p;
}

/* Under the lock. */
static void unuse(parked_t *p)
{
    if (--p->users > 0)
        return;
    p->unused = unused;
    unused = p;
}

/* ---- the pump's side ------------------------------------------------ */

/* Makes mod_ssl encrypt at once what it would rather keep until there is more.
 * A flush bucket would do that too, and wait for the client. */
static apr_status_t nudge_read(apr_bucket *b, const char **data,
                               apr_size_t *len, apr_read_type_e block)
{
    *data = NULL;
    *len = 0;
    return APR_SUCCESS;
}

static const apr_bucket_type_t nudge_type = {
    "BLNUDGE",
    5,
    APR_BUCKET_METADATA,
    apr_bucket_destroy_noop,
    nudge_read,
    apr_bucket_setaside_noop,
    apr_bucket_split_notimpl,
    apr_bucket_simple_copy,
};

static apr_bucket *nudge_create(apr_bucket_alloc_t *list)
{
    apr_bucket *b = apr_bucket_alloc(sizeof(*b), list);

    APR_BUCKET_INIT(b);
    b->free = apr_bucket_free;
    b->list = list;
    b->type = &nudge_type;
    b->data = NULL;
    b->start = 0;
    b->length = 0;
    return b;
}

/* Let the last filter write what it has, as far as the socket takes it. */
static apr_status_t drain(conn_rec *c)
{
    ap_filter_t *last = c->output_filters;
    apr_status_t rv;

    while (last->next != NULL)
        last = last->next;
    rv = last->frec->filter_func.out_func(last, NULL);
    if (c->aborted)
        return APR_ECONNABORTED;
    if (rv != APR_SUCCESS)
        return rv;
    return c->data_in_output_filters ? APR_EAGAIN : APR_SUCCESS;
}

static apr_status_t pass(parked_t *p, const struct iovec *parts, int count,
                         apr_size_t *written)
{
    conn_rec *c = p->c;
    apr_status_t rv;
    int i;

    *written = 0;
    for (i = 0; i < count && *written < p->most; i++) {
        apr_size_t len = parts[i].iov_len;

        if (len > p->most - *written)
            len = p->most - *written;
        APR_BRIGADE_INSERT_TAIL(
            p->out, apr_bucket_transient_create(parts[i].iov_base, len,
                                                c->bucket_alloc));
        *written += len;
    }
    APR_BRIGADE_INSERT_TAIL(p->out, nudge_create(c->bucket_alloc));
    rv = ap_pass_brigade(c->output_filters, p->out);
    apr_brigade_cleanup(p->out);
    if (rv == APR_SUCCESS)
        rv = drain(c);
    return APR_STATUS_IS_EAGAIN(rv) ? APR_SUCCESS : rv;
}

static apr_status_t link_write(bl_link_t *link, const struct iovec *parts,
                               int count, apr_size_t *written)
{
    parked_t *p = (parked_t *)link;
    apr_status_t rv = APR_ECONNABORTED;

    apr_thread_mutex_lock(lock);
    if (p->c != NULL) {
        rv = p->c->data_in_output_filters ? drain(p->c) : APR_SUCCESS;
        if (rv == APR_SUCCESS)
            rv = pass(p, parts, count, written);
    }
    apr_thread_mutex_unlock(lock);
    return rv;
}

static apr_status_t link_flush(bl_link_t *link)
{
    parked_t *p = (parked_t *)link;
    apr_status_t rv = APR_ECONNABORTED;

    apr_thread_mutex_lock(lock);
    if (p->c != NULL)
        rv = drain(p->c);
    apr_thread_mutex_unlock(lock);
    return rv;
}

static void link_close(bl_link_t *link)
{
    parked_t *p = (parked_t *)link;
    apr_os_sock_t fd;

    apr_thread_mutex_lock(lock);
    p->is_over = 1;
    if (p->c != NULL) {
        /* Nobody waits for a client that does not take its last bytes. */
        if (p->c->data_in_output_filters)
            p->c->aborted = 1;
        if (apr_os_sock_get(&fd, ap_get_conn_socket(p->c)) == APR_SUCCESS)
            shutdown(fd, SHUT_RD);
    }
    unuse(p);
    apr_thread_mutex_unlock(lock);
}

static void link_release(bl_link_t *link)
{
    apr_thread_mutex_lock(lock);
    unuse((parked_t *)link);
    apr_thread_mutex_unlock(lock);
}

static const bl_link_ops_t link_ops = {link_write, link_flush, link_close,
                                       link_release};

/* ---- httpd's side --------------------------------------------------- */

/* Under the lock. */
static void take_back(parked_t *p, conn_rec *c)
{
    ap_set_module_config(c->conn_config, &buildlog_module, &is_done);
    p->c = NULL;
    /* The allocator is another connection's next. */
    apr_allocator_max_free_set(apr_pool_allocator_get(c->pool),
                               ap_max_mem_free);
    if (p->is_over || p->arrival != NULL)
        unuse(p);
    else
        bl_pump_req_lose(bl_child_pump(), &p->link);
}

/* The connection is about to be closed, or its memory freed. */
static void leave(conn_rec *c)
{
    parked_t *p = parked_of(c);

    if (p == NULL)
        return;
    apr_thread_mutex_lock(lock);
    if (p->arrival != NULL)
        bl_pump_req_forget(bl_child_pump(), p->arrival);
    take_back(p, c);
    apr_thread_mutex_unlock(lock);
}

static int pre_close_connection(conn_rec *c)
{
    leave(c);
    return OK;
}

static apr_status_t leave_with_pool(void *c)
{
    leave(c);
    return APR_SUCCESS;
}

/* What the request used is given back to the system, not kept for a next one:
 * nothing more is kept from now on, and what is kept already is taken out. */
static void give_back_memory(conn_rec *c)
{
    apr_allocator_t *allocator = apr_pool_allocator_get(c->pool);
    apr_memnode_t *nodes = NULL;
    int i;

    apr_allocator_max_free_set(allocator, 1);
    for (i = 0; i < NODES_KEPT; i++) {
        apr_memnode_t *node = apr_allocator_alloc(allocator, 1);

        if (node == NULL)
            break;
        node->next = nodes;
        nodes = node;
    }
    if (nodes != NULL)
        apr_allocator_free(allocator, nodes);
}

/* The request is over, and the connection would be closed, when its last bytes
 * are out: the end of the request itself may be among them. */
static void hand_over(parked_t *p, conn_rec *c)
{
    bl_arrival_t *arrival = p->arrival;
    apr_status_t rv = drain(c);

    if (rv != APR_SUCCESS && !APR_STATUS_IS_EAGAIN(rv)) {
        leave(c);
        return;
    }
    bl_conn_forget_timeout(c);
    /* Whatever a filter may think: none waits for this client. */
    apr_socket_timeout_set(ap_get_conn_socket(c), 0);
    give_back_memory(c);
    p->out = apr_brigade_create(c->pool, c->bucket_alloc);
    p->in = apr_brigade_create(c->pool, c->bucket_alloc);
    p->c = c;
    p->users = 2;
    p->arrival = NULL;
    arrival->conn.link = &p->link;
    if (bl_conn_adopt(arrival, c) != APR_SUCCESS) {
        /* It has two users: what the pump would do, then httpd's part. */
        link_close(&p->link);
        leave(c);
        return;
    }
    c->cs->state = CONN_STATE_ASYNC_WAITIO;
    c->cs->sense = CONN_SENSE_WANT_READ;
}

/* The MPM saw something on a parked connection. */
static void look(parked_t *p, conn_rec *c)
{
    int stays;

    apr_thread_mutex_lock(lock);
    stays = !p->is_over && !c->aborted && bl_conn_is_open(c, p->in);
    if (!stays) {
        /* One that left is not flushed to. */
        if (!p->is_over)
            c->aborted = 1;
        take_back(p, c);
    }
    apr_thread_mutex_unlock(lock);
    c->cs->state = stays ? CONN_STATE_ASYNC_WAITIO : CONN_STATE_LINGER;
    c->cs->sense = stays ? CONN_SENSE_WANT_READ : CONN_SENSE_DEFAULT;
}

static int process_connection(conn_rec *c)
{
    void *mark = ap_get_module_config(c->conn_config, &buildlog_module);
    parked_t *p;
    int result;

    if (mark == &in_request)
        return DECLINED;
    if (mark == &is_done) {
        c->cs->state = CONN_STATE_LINGER;
        return OK;
    }
    if (mark != NULL) {
        look(mark, c);
        return OK;
    }
    if (!bl_parked_is_possible(c))
        return DECLINED;
    /* All others have their turn; then it shows whether a stream began. */
    ap_set_module_config(c->conn_config, &buildlog_module, &in_request);
    result = ap_run_process_connection(c);
    p = parked_of(c);
    if (p != NULL)
        hand_over(p, c);
    else
        ap_set_module_config(c->conn_config, &buildlog_module, NULL);
    return result;
}

/* ---- the kind ------------------------------------------------------- */

static const char *prepare(bl_arrival_t *arrival, request_rec *r)
{
    apr_uint32_t parked = bl_slots_viewers_of(
        bl_table_slots(bl_daemon_table()), bl_child_slot(), BL_VIEWER_PARKED);

    if (parked > bl_parked_most())
        return apr_psprintf(r->pool,
                            "%u viewers are connected by TLS to this server "
                            "process, and BuildLogMaxParked allows no more. "
                            "Try again later.",
                            parked - 1);
    return bl_conn_take_socket(arrival, r);
}

/* Above FlushMaxThreshold the last filter waits for the socket: what is passed
 * stays well below it, also when TLS has made it longer. */
static apr_size_t pass_most(server_rec *s)
{
    const core_server_config *core =
        ap_get_core_module_config(s->module_config);

    if (core->flush_max_threshold > 0 &&
        core->flush_max_threshold / 2 < PASS_BYTES)
        return core->flush_max_threshold / 2 + 1;
    return PASS_BYTES;
}

static void keep(bl_arrival_t *arrival, request_rec *r)
{
    conn_rec *c = r->connection;
    apr_interval_time_t timeout = r->server->timeout, margin;
    parked_t *p = parked_create(arrival);

    if (c->base_server->timeout < timeout)
        timeout = c->base_server->timeout;
    margin = timeout / MARGIN_PART;
    if (margin > MARGIN_MOST)
        margin = MARGIN_MOST;
    arrival->conn.until = bl_tick_now() + timeout - margin;
    p->link.ops = &link_ops;
    p->most = pass_most(r->server);
    ap_set_module_config(c->conn_config, &buildlog_module, p);
    apr_pool_pre_cleanup_register(c->pool, c, leave_with_pool);
}

const bl_conn_t bl_parked = {"parked", BL_VIEWER_PARKED, prepare, keep};

int bl_parked_is_known(void)
{
    int can = 0;

    return ap_mpm_query(AP_MPMQ_CAN_WAITIO, &can) == APR_SUCCESS && can;
}

int bl_parked_is_possible(const conn_rec *c)
{
    return lock != NULL && c->master == NULL && c->cs != NULL &&
           bl_parked_is_known() && bl_conn_is_only_tls(c);
}

static void child_init(apr_pool_t *p, server_rec *s)
{
    apr_pool_create(&pool, p);
    if (apr_thread_mutex_create(&lock, APR_THREAD_MUTEX_DEFAULT, p) !=
        APR_SUCCESS)
        lock = NULL;
}

void bl_parked_register_hooks(apr_pool_t *p)
{
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_process_connection(process_connection, NULL, NULL,
                               APR_HOOK_REALLY_FIRST);
    ap_hook_pre_close_connection(pre_close_connection, NULL, NULL,
                                 APR_HOOK_REALLY_FIRST);
}

#else /* an httpd whose MPMs cannot: such streams are held */

const bl_conn_t bl_parked = {"parked", BL_VIEWER_PARKED, NULL, NULL};

int bl_parked_is_known(void)
{
    return 0;
}

int bl_parked_is_possible(const conn_rec *c)
{
    return 0;
}

void bl_parked_register_hooks(apr_pool_t *p)
{
}

#endif

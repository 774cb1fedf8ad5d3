/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_courier.c - what runs inside the process that tells other servers how
 * builds ended
 *
 * INVARIANTS    O1 a notice goes when its receiver has taken it, or when it is
 *                  given up, which is said; whoever is killed meanwhile, it is
 *                  delivered at least once, each time with the same id
 *               O2 to one receiver one POST at a time, to different ones
 *                  several: who is slow holds up nobody but himself
 *               O3 what waits is bounded, in number and in time
 * ORDER         to one receiver builds are told as they ended, but for one
 *               that is tried again: then others may pass it
 * DIAGNOSTICS   BL0262 given up; BL0263 told, BL0264 will be tried again;
 *               BL0265 nobody is to be told any more; BL0267 libcurl does not
 *               work. Of an address only scheme and host are said: the rest
 *               may be secret
 */
#include "bl_courier.h"

/* libc */
#include <string.h>
#include <unistd.h>
/* APR */
#include <apr_strings.h>
/* layer 0 */
#include "bl_build.h"
#include "bl_diag.h"
#include "bl_sign.h"
/* layer 1 */
#include "bl_ending.h"
#include "bl_notice.h"
#include "bl_tick.h"
/* this side of layer 2 */
#include "bl_helper.h"
#include "bl_post.h"

/* Notices of builds that have ended; one more, and the oldest is given up. */
#define WAITING_MOST 1000

/* When the server stops: so long what goes on may take. */
#define STOP_PATIENCE apr_time_from_msec(1500)

#define SLEEP_MOST apr_time_from_sec(3600)

/* More than any wait between two tries: then the clock was set back. */
#define DUE_MOST apr_time_from_sec(6 * 3600 + 60)

typedef struct waiting_t waiting_t;
struct waiting_t {
    waiting_t *next;
    apr_uint64_t build;
    int index;
    const bl_target_t *target;
    int tries;
    apr_time_t due; /* by the clock: it outlives this process */
    int is_sending;
};

typedef struct {
    const bl_courier_setup_t *setup;
    apr_pool_t *pool;
    apr_pool_t *turn; /* cleared for each notice */
    bl_post_t *post;
    waiting_t *first; /* in the order in which they came */
    waiting_t *free;
    int count;
    int ended;           /* the runner has no more to tell, or is gone */
    apr_time_t deadline; /* by bl_tick; when ended */
} courier_t;

/* ---- what is known -------------------------------------------------- */

static const bl_target_t *target_of(const courier_t *c, const char *key)
{
    int i;

    for (i = 0; i < c->setup->target_count; i++) {
        if (strcmp(c->setup->targets[i].key, key) == 0)
            return &c->setup->targets[i];
    }
    return NULL;
}

/* "https://example.org:8443" */
static const char *shown(const bl_target_t *target, apr_pool_t *p)
{
    const char *host = strstr(target->url, "://");

    host = host != NULL ? host + 3 : target->url;
    return apr_pstrmemdup(p, target->url,
                          (apr_size_t)(host - target->url) +
                              strcspn(host, "/?#"));
}

static void forget(courier_t *c, waiting_t *w)
{
    waiting_t **at = &c->first;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    w->next = c->free;
    c->free = w;
    c->count--;
}

static void give_up(courier_t *c, waiting_t *w, const char *why)
{
    bl_diag(BL_DIAG_WARNING, 0,
            "BL0262 how build %" APR_UINT64_T_FMT " ended was not told to %s, "
            "and will not be: %s (tries: %d)",
            w->build, shown(w->target, c->turn), why, w->tries);
    bl_notice_remove(c->setup->dir, w->build, w->index, c->turn);
    forget(c, w);
}

/* O3 */
static void make_room(courier_t *c)
{
    waiting_t *w = c->first;

    while (w != NULL && w->is_sending)
        w = w->next;
    if (c->count >= WAITING_MOST && w != NULL)
        give_up(c, w, "too many wait to be told");
}

static void add(courier_t *c, const bl_notice_t *notice,
                const bl_target_t *target)
{
    waiting_t *w, **end = &c->first;

    make_room(c);
    w = c->free;
    if (w != NULL)
        c->free = w->next;
    else
        w = apr_palloc(c->pool, sizeof(*w));
    memset(w, 0, sizeof(*w));
    w->build = notice->build;
    w->index = notice->index;
    w->target = target;
    w->tries = notice->tries;
    w->due = notice->due;
    while (*end != NULL)
        end = &(*end)->next;
    *end = w;
    c->count++;
}

static int is_known(const courier_t *c, apr_uint64_t build, int index)
{
    const waiting_t *w = c->first;

    while (w != NULL && (w->build != build || w->index != index))
        w = w->next;
    return w != NULL;
}

/* ---- notices -------------------------------------------------------- */

/* Put into a notice how its build ended. @return APR_SUCCESS; APR_NOTFOUND: it
 * has not, and will be told of; APR_ENOENT: never; an I/O status */
static apr_status_t complete(courier_t *c, bl_notice_t *notice)
{
    const char *logs_dir = c->setup->logs_dir;
    bl_build_t *build;
    apr_status_t rv = bl_ending_read(&build, &notice->body, logs_dir,
                                     notice->build, c->turn);

    if (APR_STATUS_IS_ENOENT(rv) && !bl_ending_has_logs(logs_dir, c->turn))
        return APR_EBUSY;
    if (rv != APR_SUCCESS)
        return rv;
    notice->id =
        apr_psprintf(c->turn, "build-%" APR_UINT64_T_FMT "-%" APR_UINT64_T_FMT,
                     notice->build, (apr_uint64_t)build->ended);
    /* From now on its log may go. On a full disk it is read again. */
    bl_notice_save(c->setup->dir, notice, c->turn);
    return APR_SUCCESS;
}

/* As it is to be sent. @return as complete */
static apr_status_t load(bl_notice_t **notice, courier_t *c,
                         apr_uint64_t build, int index)
{
    apr_status_t rv =
        bl_notice_load(notice, c->setup->dir, build, index, c->turn);

    if (rv == APR_SUCCESS && (*notice)->body == NULL)
        rv = complete(c, *notice);
    return rv;
}

static void drop(courier_t *c, apr_uint64_t build, int index, const char *why)
{
    bl_diag(BL_DIAG_INFO, 0,
            "BL0265 how build %" APR_UINT64_T_FMT " ended is told to nobody: "
            "%s",
            build, why);
    bl_notice_remove(c->setup->dir, build, index, c->turn);
}

static void look_at(courier_t *c, apr_uint64_t build, int index)
{
    const bl_target_t *target;
    bl_notice_t *notice;
    apr_status_t rv;

    apr_pool_clear(c->turn);
    if (is_known(c, build, index))
        return;
    rv = bl_notice_load(&notice, c->setup->dir, build, index, c->turn);
    if (rv == APR_EGENERAL)
        drop(c, build, index, "its notice is damaged");
    if (rv != APR_SUCCESS)
        return;
    target = target_of(c, notice->target);
    if (target == NULL) {
        drop(c, build, index, "no BuildLogNotify names the receiver any more");
        return;
    }
    rv = load(&notice, c, build, index);
    if (APR_STATUS_IS_ENOENT(rv))
        drop(c, build, index, "its log was removed");
    /* What cannot be read now is when it is sent. */
    else if (rv != APR_NOTFOUND)
        add(c, notice, target);
}

static void look_at_build(courier_t *c, apr_uint64_t build)
{
    int i;

    for (i = 0; i < BL_WIRE_TARGETS_MAX; i++)
        look_at(c, build, i);
}

static void look_at_all(courier_t *c)
{
    apr_array_header_t *list;
    apr_status_t rv;
    apr_pool_t *p;
    int i;

    apr_pool_create(&p, c->pool);
    rv = bl_notice_list(&list, c->setup->dir, p);
    if (rv != APR_SUCCESS)
        bl_diag(BL_DIAG_WARNING, rv,
                "BL0266 cannot read %s: who waits there is not told",
                c->setup->dir);
    for (i = 0; rv == APR_SUCCESS && i < list->nelts; i++) {
        const bl_notice_t *notice = &APR_ARRAY_IDX(list, i, bl_notice_t);

        look_at(c, notice->build, notice->index);
    }
    apr_pool_destroy(p);
}

/* ---- sending -------------------------------------------------------- */

/* The headers of a message (bl_sign.h). @return 0: libcrypto cannot */
static int sign(apr_array_header_t *headers, const bl_notice_t *notice,
                const bl_target_t *target, apr_pool_t *p)
{
    const char *time =
        apr_psprintf(p, "%" APR_TIME_T_FMT, apr_time_sec(apr_time_now()));
    char coded[BL_SIGN_BASE64_LEN + 1];
    bl_sign_key_t key;
    bl_sign_t sign;

    APR_ARRAY_PUSH(headers, const char *) = "Content-Type: application/json";
    /* No round trip before the body. */
    APR_ARRAY_PUSH(headers, const char *) = "Expect:";
    APR_ARRAY_PUSH(headers, const char *) =
        apr_pstrcat(p, "webhook-id: ", notice->id, NULL);
    APR_ARRAY_PUSH(headers, const char *) =
        apr_pstrcat(p, "webhook-timestamp: ", time, NULL);
    if (target->secret[0] == '\0')
        return 1;
    if (bl_sign_key(&key, target->secret, p) != APR_SUCCESS ||
        bl_sign_message(&sign, &key, notice->id, time, notice->body,
                        strlen(notice->body)) != APR_SUCCESS)
        return 0;
    bl_sign_base64(coded, &sign);
    APR_ARRAY_PUSH(headers, const char *) =
        apr_pstrcat(p, "webhook-signature: v1,", coded, NULL);
    return 1;
}

static void try_later(courier_t *c, waiting_t *w, const bl_posted_t *how)
{
    apr_interval_time_t delay = bl_notice_delay(++w->tries);
    bl_notice_t *notice;

    if (delay < 0) {
        give_up(c, w, how->why);
        return;
    }
    if (delay < how->retry_after)
        delay = how->retry_after;
    w->due = apr_time_now() + delay;
    bl_diag(BL_DIAG_INFO, 0,
            "BL0264 how build %" APR_UINT64_T_FMT " ended was not told to %s: "
            "%s; it is tried again in %d s",
            w->build, shown(w->target, c->turn), how->why,
            (int)apr_time_sec(delay));
    if (bl_notice_load(&notice, c->setup->dir, w->build, w->index, c->turn) !=
        APR_SUCCESS)
        return;
    notice->tries = w->tries;
    notice->due = w->due;
    bl_notice_save(c->setup->dir, notice, c->turn);
}

static void send_one(courier_t *c, waiting_t *w)
{
    bl_posted_t how = {NULL, BL_POST_FAILED, "no memory", 0};
    apr_array_header_t *headers;
    bl_notice_t *notice;
    apr_status_t rv;
    char text[128];

    apr_pool_clear(c->turn);
    rv = load(&notice, c, w->build, w->index);
    if (APR_STATUS_IS_ENOENT(rv) || rv == APR_EGENERAL) {
        give_up(c, w, "its notice, or its log, is gone or damaged");
        return;
    }
    if (rv != APR_SUCCESS) {
        how.why = apr_strerror(rv, text, sizeof(text));
        try_later(c, w, &how);
        return;
    }
    headers = apr_array_make(c->turn, 6, sizeof(char *));
    if (sign(headers, notice, w->target, c->turn) &&
        bl_post_begin(c->post, w->target->url,
                      (const char *const *)headers->elts, headers->nelts,
                      notice->body, w) == APR_SUCCESS)
        w->is_sending = 1;
    else
        try_later(c, w, &how);
}

/* O2 */
static int is_busy(const courier_t *c, const bl_target_t *target)
{
    const waiting_t *w = c->first;

    while (w != NULL && (!w->is_sending || w->target != target))
        w = w->next;
    return w != NULL;
}

/* @return how long until there is something to begin */
static apr_interval_time_t send_due(courier_t *c)
{
    apr_interval_time_t least = SLEEP_MOST;
    apr_time_t now = apr_time_now();
    waiting_t *w, *next;

    for (w = c->first; w != NULL; w = next) {
        next = w->next;
        if (w->is_sending || is_busy(c, w->target))
            continue;
        if (w->due > now + DUE_MOST)
            w->due = now;
        if (w->due > now)
            least = w->due - now < least ? w->due - now : least;
        else if (bl_post_has_room(c->post))
            send_one(c, w);
    }
    return least;
}

/* Who takes one takes the others, too. */
static void hurry(courier_t *c, const bl_target_t *target)
{
    waiting_t *w;

    for (w = c->first; w != NULL; w = w->next) {
        if (w->target == target)
            w->due = 0;
    }
}

static void take_ends(courier_t *c)
{
    bl_posted_t how;

    while (bl_post_next(c->post, &how)) {
        waiting_t *w = how.baton;

        apr_pool_clear(c->turn);
        w->is_sending = 0;
        if (how.end == BL_POST_REFUSED) {
            w->tries++;
            give_up(c, w, how.why);
        }
        else if (how.end == BL_POST_FAILED)
            try_later(c, w, &how);
        else {
            bl_diag(BL_DIAG_INFO, 0,
                    "BL0263 how build %" APR_UINT64_T_FMT
                    " ended was told to %s",
                    w->build, shown(w->target, c->turn));
            bl_notice_remove(c->setup->dir, w->build, w->index, c->turn);
            hurry(c, w->target);
            forget(c, w);
        }
    }
}

/* ---- the process ---------------------------------------------------- */

static void take_messages(courier_t *c)
{
    bl_helper_message_t m;
    apr_status_t rv = APR_SUCCESS;

    while (!c->ended && (rv = bl_helper_hear(&m)) == APR_SUCCESS) {
        if (m.what == BL_HELPER_ENDED)
            look_at_build(c, m.build);
        else
            look_at_all(c);
    }
    if (APR_STATUS_IS_EOF(rv)) {
        c->ended = 1;
        c->deadline = bl_tick_now() + STOP_PATIENCE;
    }
}

/* @return how long to wait at most; 0: it is over */
static apr_interval_time_t until_end(const courier_t *c,
                                     apr_interval_time_t due)
{
    apr_interval_time_t left = c->deadline - bl_tick_now();

    if (!c->ended)
        return due;
    /* What goes on comes to its end; what is not due now is the next one's. */
    if (left <= 0 || bl_post_count(c->post) == 0)
        return 0;
    return left;
}

static void carry(courier_t *c)
{
    apr_interval_time_t time;

    look_at_all(c);
    for (;;) {
        take_messages(c);
        time = until_end(c, send_due(c));
        if (time == 0)
            return;
        bl_post_wait(c->post, c->ended ? -1 : BL_HELPER_CONTROL, time);
        take_ends(c);
    }
}

void bl_courier_main(const bl_courier_setup_t *setup)
{
    courier_t c;

    memset(&c, 0, sizeof(c));
    c.setup = setup;
    /* Pools of its own: those of the runner have cleanups that are not the
     * courier's to run. */
    apr_pool_create(&c.pool, NULL);
    apr_pool_create(&c.turn, c.pool);
    if (bl_post_open(&c.post, c.pool) != APR_SUCCESS) {
        bl_diag(BL_DIAG_ERROR, 0,
                "BL0267 nobody is told how builds ended: libcurl does not "
                "work");
        _exit(1);
    }
    carry(&c);
    _exit(0);
}

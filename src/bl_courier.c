/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_courier.c - what runs inside the process that tells other servers how
 * builds ended
 *
 * INVARIANTS    O1 a notice goes when its receiver has taken it, or when it is
 *                  given up, which is said; whoever is killed meanwhile, it is
 *                  delivered at least once, each time with the same id
 *               O2 who is slow, or gone, holds up nobody but himself
 *               O3 what waits is bounded, in number and in time
 * ORDER         to one receiver builds are told as they ended, but for one
 *               that is tried again: others pass it (bl_waiting)
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
#include "bl_waiting.h"

/* When the server stops: so long what goes on may take. */
#define STOP_PATIENCE apr_time_from_msec(1500)

#define SLEEP_MOST apr_time_from_sec(3600)

/* What could not be read is looked at again. */
#define LOOK_AGAIN apr_time_from_sec(60)

typedef struct {
    const bl_courier_setup_t *setup;
    apr_pool_t *pool;
    apr_pool_t *turn; /* cleared for each notice */
    bl_post_t *post;
    bl_waiting_t *waiting;
    apr_time_t look_at;  /* at all, by bl_tick; 0: need not */
    int ended;           /* the runner has no more to tell, or is gone */
    apr_time_t deadline; /* by bl_tick; when ended */
} courier_t;

/* ---- what is known -------------------------------------------------- */

/* @return its number; -1: there is none any more */
static int receiver_of(const courier_t *c, const char *key)
{
    int i = c->setup->target_count - 1;

    while (i >= 0 && strcmp(c->setup->targets[i].key, key) != 0)
        i--;
    return i;
}

static const bl_target_t *target_of(const courier_t *c, const bl_waiter_t *w)
{
    return &c->setup->targets[w->receiver];
}

/* "https://example.org:8443" */
static const char *shown(const courier_t *c, const bl_waiter_t *w)
{
    const char *url = target_of(c, w)->url;
    const char *host = strstr(url, "://");

    host = host != NULL ? host + 3 : url;
    return apr_pstrmemdup(c->turn, url,
                          (apr_size_t)(host - url) + strcspn(host, "/?#"));
}

static void give_up(courier_t *c, bl_waiter_t *w, const char *why)
{
    bl_diag(BL_DIAG_WARNING, 0,
            "BL0262 how build %" APR_UINT64_T_FMT " ended was not told to %s, "
            "and will not be: %s (tries: %d)",
            w->build, shown(c, w), why, w->tries);
    bl_notice_remove(c->setup->dir, w->build, w->index, c->turn);
    bl_waiting_remove(c->waiting, w, 0);
}

/* O3 */
static void add(courier_t *c, const bl_notice_t *notice, int receiver)
{
    bl_waiter_t *w = bl_waiting_surplus(c->waiting), it;

    if (w != NULL)
        give_up(c, w, "too many wait to be told");
    memset(&it, 0, sizeof(it));
    it.build = notice->build;
    it.index = notice->index;
    it.receiver = receiver;
    it.tries = notice->tries;
    it.due = notice->due;
    bl_waiting_add(c->waiting, &it);
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

static void drop(courier_t *c, apr_uint64_t build, int index, const char *why)
{
    bl_diag(BL_DIAG_INFO, 0,
            "BL0265 how build %" APR_UINT64_T_FMT " ended is told to nobody: "
            "%s",
            build, why);
    bl_notice_remove(c->setup->dir, build, index, c->turn);
}

static void look_later(courier_t *c)
{
    c->look_at = bl_tick_now() + LOOK_AGAIN;
}

static void look_at(courier_t *c, apr_uint64_t build, int index)
{
    bl_notice_t *notice;
    apr_status_t rv;
    int receiver;

    apr_pool_clear(c->turn);
    if (bl_waiting_knows(c->waiting, build, index))
        return;
    rv = bl_notice_load(&notice, c->setup->dir, build, index, c->turn);
    if (APR_STATUS_IS_ENOENT(rv))
        return;
    if (rv == APR_EGENERAL) {
        drop(c, build, index, "its notice is damaged");
        return;
    }
    if (rv != APR_SUCCESS) {
        look_later(c);
        return;
    }
    receiver = receiver_of(c, notice->target);
    if (receiver < 0) {
        drop(c, build, index, "no BuildLogNotify names the receiver any more");
        return;
    }
    if (notice->body == NULL)
        rv = complete(c, notice);
    if (APR_STATUS_IS_ENOENT(rv))
        drop(c, build, index, "its log was removed");
    /* What cannot be read now is when it is sent. */
    else if (rv != APR_NOTFOUND)
        add(c, notice, receiver);
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

    c->look_at = 0;
    apr_pool_create(&p, c->pool);
    rv = bl_notice_list(&list, c->setup->dir, p);
    if (rv != APR_SUCCESS) {
        bl_diag(BL_DIAG_WARNING, rv,
                "BL0266 cannot read %s: who waits there is told later",
                c->setup->dir);
        look_later(c);
    }
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

/* The try counts, and when the next one is, also for the next courier. */
static void keep(courier_t *c, const bl_waiter_t *w)
{
    bl_notice_t *notice;

    if (bl_notice_load(&notice, c->setup->dir, w->build, w->index, c->turn) !=
        APR_SUCCESS)
        return;
    notice->tries = w->tries;
    notice->due = w->due;
    bl_notice_save(c->setup->dir, notice, c->turn);
}

static void try_later(courier_t *c, bl_waiter_t *w, const bl_posted_t *how)
{
    apr_time_t now = apr_time_now();

    bl_waiting_failed(c->waiting, w, now, how->retry_after, how->silent);
    if (bl_notice_delay(w->tries) >= 0 || w->tries == 0)
        bl_diag(BL_DIAG_INFO, 0,
                "BL0264 how build %" APR_UINT64_T_FMT
                " ended was not told to %s: %s; it is tried again in %d s",
                w->build, shown(c, w), how->why,
                (int)apr_time_sec(w->due - now));
    while ((w = bl_waiting_changed(c->waiting)) != NULL) {
        apr_pool_clear(c->turn);
        if (bl_notice_delay(w->tries) < 0)
            give_up(c, w, how->why);
        else
            keep(c, w);
    }
}

/* @return APR_SUCCESS: it is on its way; else why not */
static apr_status_t post(courier_t *c, bl_waiter_t *w,
                         const bl_notice_t *notice)
{
    const bl_target_t *target = target_of(c, w);
    apr_array_header_t *headers = apr_array_make(c->turn, 6, sizeof(char *));

    if (!sign(headers, notice, target, c->turn))
        return APR_ENOMEM;
    return bl_post_begin(c->post, target->url,
                         (const char *const *)headers->elts, headers->nelts,
                         notice->body, w);
}

static void send_one(courier_t *c, bl_waiter_t *w)
{
    bl_posted_t how = {NULL, BL_POST_FAILED, 0, "", 0};
    bl_notice_t *notice;
    apr_status_t rv;
    char text[128];

    apr_pool_clear(c->turn);
    rv = bl_notice_load(&notice, c->setup->dir, w->build, w->index, c->turn);
    if (rv == APR_SUCCESS && notice->body == NULL)
        rv = complete(c, notice);
    if (rv == APR_NOTFOUND) { /* it will be told of when it has ended */
        bl_waiting_remove(c->waiting, w, 0);
        return;
    }
    if (APR_STATUS_IS_ENOENT(rv) || rv == APR_EGENERAL) {
        give_up(c, w, "its notice, or its log, is gone or damaged");
        return;
    }
    if (rv == APR_SUCCESS)
        rv = post(c, w, notice);
    if (rv != APR_SUCCESS) {
        how.why = apr_strerror(rv, text, sizeof(text));
        try_later(c, w, &how);
    }
}

/* @return how long until there is something to begin */
static apr_interval_time_t send_due(courier_t *c)
{
    apr_interval_time_t least = 0;
    bl_waiter_t *w;

    while ((w = bl_waiting_next(c->waiting, apr_time_now(), &least)) != NULL)
        send_one(c, w);
    return least < SLEEP_MOST ? least : SLEEP_MOST;
}

static void take_ends(courier_t *c)
{
    bl_posted_t how;

    while (bl_post_next(c->post, &how)) {
        bl_waiter_t *w = how.baton;

        apr_pool_clear(c->turn);
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
                    w->build, shown(c, w));
            bl_notice_remove(c->setup->dir, w->build, w->index, c->turn);
            bl_waiting_remove(c->waiting, w, 1);
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

/* @return how long until that is due */
static apr_interval_time_t look_again(courier_t *c)
{
    if (c->look_at != 0 && c->look_at <= bl_tick_now())
        look_at_all(c);
    return c->look_at == 0 ? SLEEP_MOST : c->look_at - bl_tick_now();
}

static void carry(courier_t *c)
{
    apr_interval_time_t time, again;

    look_at_all(c);
    for (;;) {
        take_messages(c);
        again = look_again(c);
        time = send_due(c);
        if (again < time)
            time = again > 0 ? again : 1;
        time = until_end(c, time);
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
    bl_waiting_create(&c.waiting, setup->target_count, c.pool);
    if (bl_post_open(&c.post, c.pool) != APR_SUCCESS) {
        bl_diag(BL_DIAG_ERROR, 0,
                "BL0267 nobody is told how builds ended: libcurl does not "
                "work");
        _exit(1);
    }
    carry(&c);
    _exit(0);
}

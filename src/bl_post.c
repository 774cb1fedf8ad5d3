/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_post.c - POSTs to other servers, several at once
 */
#include "bl_post.h"

/* libc */
#include <string.h>
/* libcurl */
#include <curl/curl.h>
/* APR */
#include <apr_strings.h>

#define CONNECT_SECONDS 5L
#define WHOLE_SECONDS 30L

/* The answer's status is all that is wanted; who sends more is cut off. */
#define ANSWER_MOST (64 * 1024)

/* Longer nobody is obeyed. */
#define RETRY_AFTER_MOST 3600

typedef struct transfer_t transfer_t;
struct transfer_t {
    CURL *curl; /* NULL: this place is free */
    struct curl_slist *headers;
    void *baton;
    apr_size_t taken; /* of the answer */
    long status;      /* 0: the head of the answer is not whole */
    char reason[CURL_ERROR_SIZE];
};

struct bl_post_t {
    apr_pool_t *pool;
    apr_pool_t *words; /* of the last one that ended */
    CURLM *multi;
    int count;
    transfer_t transfers[BL_POST_MOST];
};

apr_status_t bl_post_open(bl_post_t **out, apr_pool_t *p)
{
    bl_post_t *post = apr_pcalloc(p, sizeof(*post));

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return APR_EGENERAL;
    post->pool = p;
    apr_pool_create(&post->words, p);
    post->multi = curl_multi_init();
    if (post->multi == NULL)
        return APR_EGENERAL;
    /* With those that are kept for the next one. */
    curl_multi_setopt(post->multi, CURLMOPT_MAXCONNECTS, (long)BL_POST_MOST);
    *out = post;
    return APR_SUCCESS;
}

int bl_post_count(const bl_post_t *post)
{
    return post->count;
}

/* ---- beginning ------------------------------------------------------ */

static size_t on_answer(char *bytes, size_t one, size_t len, void *with)
{
    transfer_t *t = with;

    t->taken += len;
    return t->taken <= ANSWER_MOST ? len : 0;
}

/* What the receiver says is said when the head ends: whether it says more, and
 * how that ends, changes nothing. */
static size_t on_head(char *line, size_t one, size_t len, void *with)
{
    transfer_t *t = with;
    long status = 0;

    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (len <= 2 && status >= 200)
        t->status = status;
    return len;
}

static transfer_t *free_place(bl_post_t *post)
{
    int i = 0;

    while (i < BL_POST_MOST && post->transfers[i].curl != NULL)
        i++;
    return i < BL_POST_MOST ? &post->transfers[i] : NULL;
}

static void release(bl_post_t *post, transfer_t *t)
{
    curl_multi_remove_handle(post->multi, t->curl);
    curl_easy_cleanup(t->curl);
    curl_slist_free_all(t->headers);
    t->curl = NULL;
    t->headers = NULL;
    post->count--;
}

/* @return 0: there was no memory */
static int set_headers(transfer_t *t, const char *const *headers, int count)
{
    int i;

    for (i = 0; i < count; i++) {
        struct curl_slist *more = curl_slist_append(t->headers, headers[i]);

        if (more == NULL)
            return 0;
        t->headers = more;
    }
    return 1;
}

static int prepare(transfer_t *t, const char *url, const char *body)
{
    CURL *c = t->curl;

    return curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") ==
               CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_USERAGENT, "mod_buildlog") ==
               CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HTTPHEADER, t->headers) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)strlen(body)) ==
               CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_COPYPOSTFIELDS, body) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS) ==
               CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_TIMEOUT, WHOLE_SECONDS) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->reason) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_head) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HEADERDATA, t) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_answer) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, t) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PRIVATE, t) == CURLE_OK;
}

apr_status_t bl_post_begin(bl_post_t *post, const char *url,
                           const char *const *headers, int header_count,
                           const char *body, void *baton)
{
    transfer_t *t = free_place(post);

    if (t == NULL)
        return APR_ENOMEM;
    memset(t, 0, sizeof(*t));
    t->baton = baton;
    t->curl = curl_easy_init();
    if (t->curl == NULL)
        return APR_EGENERAL;
    post->count++;
    if (set_headers(t, headers, header_count) && prepare(t, url, body) &&
        curl_multi_add_handle(post->multi, t->curl) == CURLM_OK)
        return APR_SUCCESS;
    release(post, t);
    return APR_EGENERAL;
}

/* ---- going on ------------------------------------------------------- */

void bl_post_wait(bl_post_t *post, int fd, apr_interval_time_t time)
{
    struct curl_waitfd control = {fd, CURL_WAIT_POLLIN, 0};
    unsigned others = fd >= 0 ? 1 : 0;
    int running = 0;

    curl_multi_perform(post->multi, &running);
    /* One that ended in this moment is not waited behind. */
    if (running == post->count)
        curl_multi_poll(post->multi, &control, others,
                        (int)apr_time_as_msec(time) + 1, NULL);
    curl_multi_perform(post->multi, &running);
}

/* ---- what it means -------------------------------------------------- */

/* 408 Request Timeout, 425 Too Early, 429 Too Many Requests: later, it says
 * itself. */
static bl_post_end_e end_of(long status)
{
    if (status >= 200 && status < 300)
        return BL_POST_TAKEN;
    if (status == 408 || status == 425 || status == 429 || status >= 500)
        return BL_POST_FAILED;
    return BL_POST_REFUSED;
}

static void judge(bl_posted_t *out, const transfer_t *t, CURLcode code,
                  apr_pool_t *p)
{
    curl_off_t seconds = 0;

    curl_easy_getinfo(t->curl, CURLINFO_RETRY_AFTER, &seconds);
    out->baton = t->baton;
    if (seconds > 0)
        out->retry_after = apr_time_from_sec(
            seconds < RETRY_AFTER_MOST ? seconds : RETRY_AFTER_MOST);
    if (t->status != 0) {
        out->end = end_of(t->status);
        out->why = apr_psprintf(p, "status %ld%s", t->status,
                                t->status >= 300 && t->status < 400
                                    ? ", and redirects are not followed"
                                    : "");
        return;
    }
    out->silent = 1;
    out->end =
        code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT
            ? BL_POST_REFUSED
            : BL_POST_FAILED;
    out->why = apr_pstrdup(p, t->reason[0] != '\0' ? t->reason
                                                   : curl_easy_strerror(code));
}

int bl_post_next(bl_post_t *post, bl_posted_t *out)
{
    transfer_t *t = NULL;
    CURLMsg *message;
    int left;

    do {
        message = curl_multi_info_read(post->multi, &left);
    } while (message != NULL && message->msg != CURLMSG_DONE);
    if (message == NULL)
        return 0;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
    apr_pool_clear(post->words);
    memset(out, 0, sizeof(*out));
    judge(out, t, message->data.result, post->words);
    release(post, t);
    return 1;
}

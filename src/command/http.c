/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.c - requests to the server
 */
#include "http.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "screen.h"

#define CONNECT_SECONDS 10
#define ANSWER_SECONDS 60
/* A stream that says nothing for so long, not even a ping, is dead. */
#define SILENCE_SECONDS 60
#define URL_ROOM 8192
#define BODY_MOST (64 * 1024 * 1024)

static CURL *curl;
static http_server_t server;
static char reason[CURL_ERROR_SIZE];
static volatile sig_atomic_t interrupted;

typedef struct {
    FILE *body; /* of an answer that is no stream */
    char *text;
    size_t len;
    http_bytes_fn fn; /* of a stream */
    void *with;
    int enough;
} reply_t;

static void on_interrupt(int signo)
{
    interrupted = 1;
}

int http_interrupted(void)
{
    return interrupted;
}

int http_begin(const http_server_t *to)
{
    struct sigaction action;

    server = *to;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return 0;
    curl = curl_easy_init();
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_interrupt;
    action.sa_flags = (int)SA_RESETHAND; /* the second one ends us */
    sigaction(SIGINT, &action, NULL);
    return curl != NULL;
}

void http_end(void)
{
    curl_easy_cleanup(curl);
    curl_global_cleanup();
}

char *http_escape(const char *text)
{
    return curl_easy_escape(curl, text, 0);
}

void http_free_text(char *text)
{
    curl_free(text);
}

/* ---- what comes ----------------------------------------------------- */

static int status_is(long wanted)
{
    long status = 0;

    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status == wanted;
}

static size_t on_bytes(char *bytes, size_t one, size_t len, void *with)
{
    reply_t *reply = with;

    if (reply->fn != NULL && status_is(200)) {
        reply->enough = !reply->fn(reply->with, bytes, len);
        return reply->enough ? 0 : len;
    }
    if (ftell(reply->body) + (long)len > BODY_MOST)
        return 0;
    return fwrite(bytes, one, len, reply->body);
}

static int on_progress(void *with, curl_off_t a, curl_off_t b, curl_off_t c,
                       curl_off_t d)
{
    return interrupted;
}

static void prepare(const char *url, const char *form, reply_t *reply)
{
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "buildlog");
    curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_ANY);
    if (server.user != NULL)
        curl_easy_setopt(curl, CURLOPT_USERPWD, server.user);
    if (server.cacert != NULL)
        curl_easy_setopt(curl, CURLOPT_CAINFO, server.cacert);
    if (form != NULL)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, form);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    reason[0] = '\0';
}

static http_answer_t perform(reply_t *reply)
{
    http_answer_t answer = {0, NULL, NULL};
    CURLcode code = curl_easy_perform(curl);

    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    if (code != CURLE_OK && !reply->enough)
        answer.error = reason[0] != '\0' ? reason : curl_easy_strerror(code);
    fclose(reply->body);
    if (reply->len > 0)
        answer.json = json_loadb(reply->text, reply->len, 0, NULL);
    free(reply->text);
    return answer;
}

/* @return 0: no memory, or an address of no end */
static int begin_reply(reply_t *reply, char *url, const char *path)
{
    int len = snprintf(url, URL_ROOM, "%s%s", server.url, path);

    memset(reply, 0, sizeof(*reply));
    if (len < 0 || len >= URL_ROOM)
        return 0;
    reply->body = open_memstream(&reply->text, &reply->len);
    return reply->body != NULL;
}

http_answer_t http_ask(const char *path, const char *form)
{
    http_answer_t answer = {0, "the address is too long", NULL};
    char url[URL_ROOM];
    reply_t reply;

    if (!begin_reply(&reply, url, path))
        return answer;
    prepare(url, form, &reply);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)ANSWER_SECONDS);
    return perform(&reply);
}

http_answer_t http_stream(const char *path, const char *last_id,
                          const char *accept, http_bytes_fn fn, void *with)
{
    http_answer_t answer = {0, "the address is too long", NULL};
    struct curl_slist *headers = NULL;
    char url[URL_ROOM], header[128];
    reply_t reply;

    if (!begin_reply(&reply, url, path))
        return answer;
    reply.fn = fn;
    reply.with = with;
    prepare(url, NULL, &reply);
    snprintf(header, sizeof(header), "Accept: %s", accept);
    headers = curl_slist_append(headers, header);
    if (last_id[0] != '\0') {
        snprintf(header, sizeof(header), "Last-Event-ID: %s", last_id);
        headers = curl_slist_append(headers, header);
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_SECONDS);
    answer = perform(&reply);
    curl_slist_free_all(headers);
    return answer;
}

void http_forget(http_answer_t *answer)
{
    json_decref(answer->json);
    answer->json = NULL;
}

/* ---- what it means -------------------------------------------------- */

static int exit_of(long status)
{
    switch (status) {
    case 401:
    case 403:
        return EXIT_REFUSED;
    case 404:
    case 409:
        return EXIT_NO_BUILD;
    case 429:
    case 503:
        return EXIT_BUSY;
    case 400:
    case 413:
    case 415:
        return EXIT_USAGE;
    default:
        return EXIT_UNREACHABLE;
    }
}

int http_explain(const http_answer_t *answer)
{
    const char *detail =
        json_string_value(json_object_get(answer->json, "detail"));

    if (interrupted)
        return EXIT_INTERRUPTED;
    if (answer->status == 0 || answer->error != NULL)
        screen_error("%s: %s", server.url,
                     answer->error != NULL ? answer->error : "no answer");
    else if (detail != NULL)
        screen_error("%s", detail);
    else if (answer->status == 401)
        screen_error("%s wants a name and a password: --user, or ~/.netrc",
                     server.url);
    else {
        screen_error("%s answers with status %ld, and not as mod_buildlog "
                     "does: is --url (BUILDLOG_URL) right?",
                     server.url, answer->status);
        return EXIT_UNREACHABLE;
    }
    return answer->error != NULL ? EXIT_UNREACHABLE : exit_of(answer->status);
}

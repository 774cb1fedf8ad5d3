/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_hook.c - a delivery of a forge: is it genuine, which event is it, was it
 * here before
 *
 * MARKS         by which a delivery is known again. An id that is signed is
 *               enough. One that is not could be exchanged by who sends a
 *               delivery again: then the body, which is signed, is a mark as
 *               well. (No forge sends one body twice: there are times in it.)
 *               Where nothing is signed, and the id is not sure to be that of
 *               one delivery, id and body together are it.
 */
#include "bl_hook.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_lib.h>
#include <apr_strings.h>

#define SHA256_PREFIX "sha256="

static const struct {
    const char *name;
    const char *event;     /* header; NULL: everything is a push */
    const char *ping;      /* event; NULL: it has none */
    const char *pushes[2]; /* events; the second, if there is one: of tags */
} kinds[BL_HOOK_KIND_COUNT] = {
    [BL_HOOK_GITHUB] = {"github", "X-GitHub-Event", "ping", {"push", NULL}},
    [BL_HOOK_GITLAB] = {"gitlab",
                        "X-Gitlab-Event",
                        NULL,
                        {"Push Hook", "Tag Push Hook"}},
    [BL_HOOK_GITEA] = {"gitea", "X-Gitea-Event", NULL, {"push", NULL}},
    [BL_HOOK_PLAIN] = {"plain", NULL, NULL, {NULL, NULL}},
};

/* ---- names and secrets ---------------------------------------------- */

apr_status_t bl_hook_kind_read(bl_hook_kind_e *out, const char *name)
{
    int i;

    for (i = 0; i < BL_HOOK_KIND_COUNT; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            *out = (bl_hook_kind_e)i;
            return APR_SUCCESS;
        }
    }
    return APR_EINVAL;
}

int bl_hook_is_name(const char *name)
{
    const char *s;

    for (s = name; *s != '\0'; s++) {
        if (!apr_isalnum(*s) && (s == name || strchr("._-", *s) == NULL))
            return 0;
    }
    return s > name && s - name <= BL_HOOK_NAME_MOST;
}

apr_status_t bl_hook_set_secret(bl_hook_t *hook, const char *text,
                                apr_pool_t *p)
{
    int is_coded = strncmp(text, BL_SIGN_PREFIX, strlen(BL_SIGN_PREFIX)) == 0;

    hook->is_token = hook->kind == BL_HOOK_GITLAB && !is_coded;
    if (hook->kind == BL_HOOK_GITLAB || hook->kind == BL_HOOK_PLAIN)
        return bl_sign_key(&hook->key, text, p);
    hook->key.bytes = text;
    hook->key.len = strlen(text);
    return hook->key.len > 0 ? APR_SUCCESS : APR_EINVAL;
}

/* ---- genuine? (H1, H2) ---------------------------------------------- */

/* What was asked for, and what goes on with it. */
typedef struct {
    const bl_hook_t *hook;
    bl_hook_header_fn header;
    void *baton;
    bl_sign_part_t body;
    bl_sign_t of_body; /* or of the message */
    const char *id;    /* "": none */
    int is_id_signed;
    int is_id_sure; /* that of one delivery */
} check_t;

static const char *header(const check_t *c, const char *name)
{
    return c->header(c->baton, name);
}

static const char *text_of(const char *value)
{
    return value != NULL ? value : "";
}

static const char *check_message(check_t *c, apr_time_t now)
{
    const char *time = text_of(header(c, "webhook-timestamp"));

    c->id = text_of(header(c, "webhook-id"));
    c->is_id_signed = c->is_id_sure = 1;
    if (bl_sign_message(&c->of_body, &c->hook->key, c->id, time, c->body.bytes,
                        c->body.len) != APR_SUCCESS)
        return "libcrypto makes no HMAC";
    if (!bl_sign_is_among(&c->of_body, header(c, "webhook-signature")))
        return "webhook-signature is missing or wrong";
    if (c->id[0] == '\0')
        return "webhook-id is missing";
    if (!bl_sign_is_fresh(time, now))
        return "webhook-timestamp is not of these five minutes";
    return NULL;
}

static const char *check_hex(check_t *c, const char *name, const char *prefix,
                             const char *id_name)
{
    const char *value = header(c, name);

    c->id = text_of(header(c, id_name));
    c->is_id_sure = 1;
    if (bl_sign_make(&c->of_body, &c->hook->key, &c->body, 1) != APR_SUCCESS)
        return "libcrypto makes no HMAC";
    if (value != NULL && strncmp(value, prefix, strlen(prefix)) == 0 &&
        bl_sign_is_hex(&c->of_body, value + strlen(prefix)))
        return NULL;
    return "the header with the signature is missing, or that is wrong";
}

static const char *check_token(check_t *c)
{
    c->id = text_of(header(c, "Idempotency-Key"));
    c->is_id_sure = c->id[0] != '\0';
    if (!c->is_id_sure)
        c->id = text_of(header(c, "X-Gitlab-Event-UUID"));
    if (bl_sign_make(&c->of_body, &c->hook->key, &c->body, 1) != APR_SUCCESS)
        return "libcrypto makes no HMAC";
    if (!bl_sign_is_key(&c->hook->key, header(c, "X-Gitlab-Token")))
        return "X-Gitlab-Token is missing or wrong";
    return NULL;
}

static const char *check(check_t *c, apr_time_t now)
{
    switch (c->hook->kind) {
    case BL_HOOK_GITHUB:
        return check_hex(c, "X-Hub-Signature-256", SHA256_PREFIX,
                         "X-GitHub-Delivery");
    case BL_HOOK_GITEA:
        return check_hex(c, "X-Gitea-Signature", "", "X-Gitea-Delivery");
    case BL_HOOK_GITLAB:
        return c->hook->is_token ? check_token(c) : check_message(c, now);
    default:
        return check_message(c, now);
    }
}

/* ---- what it is ----------------------------------------------------- */

static bl_hook_event_e event_of(bl_hook_kind_e kind, const char *name)
{
    int i;

    if (kinds[kind].event == NULL)
        return BL_HOOK_PUSH;
    if (kinds[kind].ping != NULL && strcmp(kinds[kind].ping, name) == 0)
        return BL_HOOK_PING;
    for (i = 0; i < 2; i++) {
        if (kinds[kind].pushes[i] != NULL &&
            strcmp(kinds[kind].pushes[i], name) == 0)
            return BL_HOOK_PUSH;
    }
    return BL_HOOK_OTHER;
}

/* Of one hook: two of them may have one secret, and be told the same. */
static apr_status_t add_mark(bl_delivery_t *out, const check_t *c,
                             const char *id, int with_body)
{
    const bl_sign_part_t parts[] = {
        {c->hook->name, strlen(c->hook->name) + 1},
        {id, strlen(id) + 1},
        {(const char *)c->of_body.bytes, with_body ? BL_SIGN_LEN : 0}};

    return bl_sign_make(&out->marks[out->mark_count++], &c->hook->key, parts,
                        3);
}

static apr_status_t set_marks(bl_delivery_t *out, const check_t *c)
{
    apr_status_t rv = APR_SUCCESS;
    int has_id = c->id[0] != '\0';

    if (has_id && c->is_id_sure)
        rv = add_mark(out, c, c->id, 0);
    else
        return add_mark(out, c, c->id, 1);
    if (rv == APR_SUCCESS && !c->is_id_signed && !c->hook->is_token)
        rv = add_mark(out, c, "", 1);
    return rv;
}

const char *bl_hook_verify(bl_delivery_t *out, const bl_hook_t *hook,
                           bl_hook_header_fn get, void *baton,
                           const char *body, apr_size_t len, apr_time_t now)
{
    bl_delivery_t delivery;
    const char *why;
    check_t c;

    memset(&c, 0, sizeof(c));
    memset(&delivery, 0, sizeof(delivery));
    c.hook = hook;
    c.header = get;
    c.baton = baton;
    c.body.bytes = body;
    c.body.len = len;
    why = check(&c, now);
    if (why != NULL)
        return why;
    if (set_marks(&delivery, &c) != APR_SUCCESS)
        return "libcrypto makes no HMAC";
    if (kinds[hook->kind].event != NULL)
        delivery.event_name = header(&c, kinds[hook->kind].event);
    delivery.event_name = text_of(delivery.event_name);
    delivery.event = event_of(hook->kind, delivery.event_name);
    *out = delivery;
    return NULL;
}

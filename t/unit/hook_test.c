/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook_test.c - a delivery is taken from who knows the secret, in the way of
 * its forge and no other, and is known again (issue 7, item 2)
 */
#include "bl_hook.h"

#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"

#define BODY "{\"ref\":\"refs/heads/main\"}"
#define NOW apr_time_from_sec(1763805600)
#define NOW_TEXT "1763805600"
#define CODED "whsec_c2VjcmV0IGJ5dGVzIQ=="

static apr_pool_t *pool;

static const char *header(void *baton, const char *name)
{
    return apr_table_get(baton, name);
}

static bl_hook_t hook_of(const char *kind, const char *secret)
{
    bl_hook_t hook = {"shop", BL_HOOK_GITHUB, 0, {NULL, 0}, NULL, NULL};

    is_u64(bl_hook_kind_read(&hook.kind, kind), APR_SUCCESS, "%s", kind);
    is_u64(bl_hook_set_secret(&hook, secret, pool), APR_SUCCESS,
           "... with a secret");
    return hook;
}

static const char *signed_hex(const bl_hook_t *hook, const char *prefix)
{
    bl_sign_part_t body = {BODY, strlen(BODY)};
    char hex[BL_SIGN_HEX_LEN + 1];
    bl_sign_t sign;

    bl_sign_make(&sign, &hook->key, &body, 1);
    bl_sign_hex(hex, &sign);
    return apr_pstrcat(pool, prefix, hex, NULL);
}

static const char *signed_message(const bl_hook_t *hook, const char *id,
                                  const char *time)
{
    char coded[BL_SIGN_BASE64_LEN + 1];
    bl_sign_t sign;

    bl_sign_message(&sign, &hook->key, id, time, BODY, strlen(BODY));
    bl_sign_base64(coded, &sign);
    return apr_pstrcat(pool, "v1,", coded, NULL);
}

/* The headers that go with a right delivery. */
static apr_table_t *headers_for(const bl_hook_t *hook, const char *id)
{
    apr_table_t *t = apr_table_make(pool, 8);

    switch (hook->kind) {
    case BL_HOOK_GITHUB:
        apr_table_set(t, "X-GitHub-Event", "push");
        apr_table_set(t, "X-GitHub-Delivery", id);
        apr_table_set(t, "X-Hub-Signature-256", signed_hex(hook, "sha256="));
        break;
    case BL_HOOK_GITEA:
        apr_table_set(t, "X-Gitea-Event", "push");
        apr_table_set(t, "X-Gitea-Delivery", id);
        apr_table_set(t, "X-Gitea-Signature", signed_hex(hook, ""));
        break;
    default:
        apr_table_set(t, "X-Gitlab-Event", "Push Hook");
        if (hook->is_token) {
            apr_table_set(t, "Idempotency-Key", id);
            apr_table_setn(t, "X-Gitlab-Token", hook->key.bytes);
            break;
        }
        apr_table_set(t, "webhook-id", id);
        apr_table_set(t, "webhook-timestamp", NOW_TEXT);
        apr_table_set(t, "webhook-signature",
                      signed_message(hook, id, NOW_TEXT));
    }
    return t;
}

static const char *verify(bl_delivery_t *out, const bl_hook_t *hook,
                          apr_table_t *t, const char *body)
{
    return bl_hook_verify(out, hook, header, t, body, strlen(body), NOW);
}

static int any_same(const bl_delivery_t *a, const bl_delivery_t *b)
{
    int i, j, same = 0;

    for (i = 0; i < a->mark_count; i++) {
        for (j = 0; j < b->mark_count; j++)
            same |= memcmp(&a->marks[i], &b->marks[j], sizeof(bl_sign_t)) == 0;
    }
    return same;
}

/* Without each header that proves it, and with another in its place. */
static void test_proof(const bl_hook_t *hook, const char *name)
{
    apr_table_t *t = headers_for(hook, "id-1");
    const char *value = apr_table_get(t, name);
    bl_delivery_t d;
    char *other;

    memset(&d, 0x55, sizeof(d));
    apr_table_unset(t, name);
    ok(verify(&d, hook, t, BODY) != NULL, "without %s: refused", name);
    apr_table_set(t, name, "");
    ok(verify(&d, hook, t, BODY) != NULL, "... empty");
    other = apr_pstrdup(pool, value);
    other[strlen(other) - 2] ^= 1;
    apr_table_set(t, name, other);
    ok(verify(&d, hook, t, BODY) != NULL, "... with another digit");
    apr_table_set(t, name, apr_pstrcat(pool, value, "0", NULL));
    ok(verify(&d, hook, t, BODY) != NULL, "... longer");
    ok(d.mark_count == 0x55555555, "nothing comes out");
    apr_table_set(t, name, value);
    ok(verify(&d, hook, t, BODY) == NULL, "... as it was: taken");
}

static void test_kind(const char *kind, const char *secret)
{
    bl_hook_t hook = hook_of(kind, secret), other = hook_of(kind, "another!");
    bl_delivery_t first, second;

    memset(&first, 0, sizeof(first));
    memset(&second, 0, sizeof(second));
    ok(verify(&first, &hook, headers_for(&hook, "id-1"), BODY) == NULL,
       "%s: taken", kind);
    is_u64(first.event, BL_HOOK_PUSH, "... a push");
    ok(verify(&second, &hook, headers_for(&other, "id-1"), BODY) != NULL,
       "another secret: refused");
    ok(verify(&second, &hook, headers_for(&hook, "id-1"), BODY) == NULL &&
           any_same(&first, &second),
       "the same again is known again");
    if (!hook.is_token)
        ok(verify(&second, &hook, headers_for(&hook, "id-1"), BODY " ") !=
               NULL,
           "another body: refused");
    /* The same secret is no reason that two hooks are one. */
    other = hook_of(kind, secret);
    other.name = "other";
    ok(verify(&second, &other, headers_for(&other, "id-1"), BODY) == NULL &&
           !any_same(&first, &second),
       "to another hook it is new");
}

/* Where the id is not signed, another one does not make it new. */
static void test_ids(void)
{
    static const struct {
        const char *kind, *secret;
        int is_known;
    } cases[] = {{"github", "s", 1},
                 {"gitea", "s", 1},
                 {"gitlab", "s", 0},
                 {"gitlab", CODED, 0},
                 {"plain", "s", 0}};
    bl_delivery_t first, second;
    unsigned i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bl_hook_t hook = hook_of(cases[i].kind, cases[i].secret);

        verify(&first, &hook, headers_for(&hook, "id-1"), BODY);
        verify(&second, &hook, headers_for(&hook, "id-2"), BODY);
        is_u64((uint64_t)any_same(&first, &second),
               (uint64_t)cases[i].is_known, "%s: another id, the same body",
               cases[i].kind);
    }
}

static void test_messages(void)
{
    bl_hook_t hook = hook_of("plain", CODED);
    apr_table_t *t = headers_for(&hook, "id-1");
    bl_delivery_t d;

    apr_table_set(t, "webhook-id", "id-2");
    ok(verify(&d, &hook, t, BODY) != NULL, "a signature of another id");
    t = headers_for(&hook, "");
    ok(verify(&d, &hook, t, BODY) != NULL, "no id, signed");
    t = headers_for(&hook, "id-1");
    apr_table_set(t, "webhook-timestamp", "1763805000");
    ok(verify(&d, &hook, t, BODY) != NULL, "a signature of another time");
    apr_table_set(t, "webhook-signature",
                  signed_message(&hook, "id-1", "1763805000"));
    ok(verify(&d, &hook, t, BODY) != NULL, "too old");
}

/* Who has a key for signing must not be satisfied with the key itself. */
static void test_gitlab(void)
{
    bl_hook_t coded = hook_of("gitlab", CODED);
    bl_hook_t token = hook_of("gitlab", "token");
    apr_table_t *t = apr_table_make(pool, 4);
    bl_delivery_t a, b;

    ok(!coded.is_token && token.is_token, "the secret says which way");
    apr_table_set(t, "X-Gitlab-Token", CODED);
    ok(verify(&a, &coded, t, BODY) != NULL, "a key for signing as a token");
    apr_table_set(t, "X-Gitlab-Token", "token");
    apr_table_set(t, "X-Gitlab-Event-UUID", "u");
    ok(verify(&a, &token, t, BODY) == NULL, "no event is said");
    is_u64(a.event, BL_HOOK_OTHER, "... then it is none");
    verify(&b, &token, t, BODY " ");
    ok(!any_same(&a, &b), "an id of several deliveries is not enough");
    verify(&b, &token, t, BODY);
    ok(any_same(&a, &b), "... with the body it is");
}

static void test_events(void)
{
    static const struct {
        const char *kind, *header, *event;
        bl_hook_event_e want;
    } cases[] = {
        {"github", "X-GitHub-Event", "ping", BL_HOOK_PING},
        {"github", "X-GitHub-Event", "pull_request", BL_HOOK_OTHER},
        {"github", "X-GitHub-Event", "Push", BL_HOOK_OTHER},
        {"gitea", "X-Gitea-Event", "create", BL_HOOK_OTHER},
        {"gitlab", "X-Gitlab-Event", "Tag Push Hook", BL_HOOK_PUSH},
        {"gitlab", "X-Gitlab-Event", "System Hook", BL_HOOK_OTHER},
        {"gitlab", "X-Gitlab-Event", "push", BL_HOOK_OTHER},
    };
    unsigned i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bl_hook_t hook = hook_of(cases[i].kind, "s");
        apr_table_t *t = headers_for(&hook, "id");
        bl_delivery_t d;

        apr_table_set(t, cases[i].header, cases[i].event);
        ok(verify(&d, &hook, t, BODY) == NULL && d.event == cases[i].want,
           "%s: %s", cases[i].kind, cases[i].event);
        is_str(d.event_name, cases[i].event, "... by its name");
    }
}

static void test_names(void)
{
    static const char *const good[] = {"a", "shop", "A-b_c.9", "0"};
    static const char *const bad[] = {"",    ".",    "-a",       "_a", "a b",
                                      "a/b", "a%20", "\xc3\xa4", "a\n"};
    bl_hook_kind_e kind = BL_HOOK_PLAIN;
    unsigned i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        ok(bl_hook_is_name(good[i]), "%s is a name", good[i]);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ok(!bl_hook_is_name(bad[i]), "name %u is none", i);
    ok(bl_hook_is_name(apr_pstrndup(
           pool,
           "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
           64)) &&
           !bl_hook_is_name("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                            "aaaaaaaaaaaaaaaaaaa"),
       "64 bytes, and one more");
    is_u64(bl_hook_kind_read(&kind, "GitHub"), APR_EINVAL, "no such forge");
    is_u64(kind, BL_HOOK_PLAIN, "... nothing comes out");
}

int main(void)
{
    bl_hook_t hook;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_kind("github", "s3cret");
    test_kind("gitea", "s3cret");
    test_kind("gitlab", "token");
    test_kind("gitlab", CODED);
    test_kind("plain", "s3cret");
    hook = hook_of("github", "s");
    test_proof(&hook, "X-Hub-Signature-256");
    hook = hook_of("gitea", "s");
    test_proof(&hook, "X-Gitea-Signature");
    hook = hook_of("gitlab", "token");
    test_proof(&hook, "X-Gitlab-Token");
    hook = hook_of("plain", "s");
    test_proof(&hook, "webhook-signature");
    test_ids();
    test_messages();
    test_gitlab();
    test_events();
    test_names();
    return done_testing();
}

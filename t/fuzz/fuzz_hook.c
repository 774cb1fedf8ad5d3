/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_hook.c - any bytes as a delivery of a forge (H1 in bl_hook.h; P1 in
 * bl_push.h)
 *
 * INPUT  a letter for the forge (g, l, t, i, p; in upper case: as a form), a
 *        line that each header has as its value, the body
 *
 * Who has not signed it is refused; what of it may reach a build has a
 * harmless form; neither is read beyond its end.
 */
#include "bl_push.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

static const char *header(void *baton, const char *name)
{
    return baton;
}

static bl_hook_t hook_of(char letter, apr_pool_t *pool)
{
    bl_hook_t hook = {"fuzz", BL_HOOK_GITHUB, 0, {NULL, 0}, NULL, NULL};
    const char *secret = "a secret that no input has";

    switch (tolower((unsigned char)letter)) {
    case 'l':
        hook.kind = BL_HOOK_GITLAB;
        secret = "whsec_YSBzZWNyZXQgdGhhdCBubyBpbnB1dCBoYXM=";
        break;
    case 't':
        hook.kind = BL_HOOK_GITLAB;
        break;
    case 'i':
        hook.kind = BL_HOOK_GITEA;
        break;
    case 'p':
        hook.kind = BL_HOOK_PLAIN;
        break;
    default:
        break;
    }
    must(bl_hook_set_secret(&hook, secret, pool) == APR_SUCCESS, "a secret");
    return hook;
}

/* What a shell, git and a file system take for nothing but a name. */
static void check_fit(const char *text)
{
    const char *s;

    for (s = text; *s != '\0'; s++) {
        must(isalnum((unsigned char)*s) || strchr("._+@=#-/", *s) != NULL,
             "each character is harmless");
        if (s == text || s[-1] == '/')
            must(*s != '-' && *s != '.' && *s != '/', "each part begins well");
    }
    must(s > text && s - text <= BL_PUSH_REF_MOST, "it has a length");
    must(strstr(text, "..") == NULL, "it does not go up");
}

static void try_push(const bl_hook_t *hook, int is_form, const char *body,
                     size_t len, apr_pool_t *pool)
{
    const char *why = NULL;
    bl_push_t push;

    memset(&push, 0, sizeof(push));
    if (bl_push_read(&push, hook->kind, is_form, body, len, &why, pool) !=
        APR_SUCCESS) {
        must(why != NULL && push.ref == NULL, "a refusal leaves nothing");
        return;
    }
    if (bl_push_refuse(&push, hook, pool) != NULL)
        return;
    must(push.branch != NULL || hook->kind == BL_HOOK_PLAIN,
         "a branch is built");
    if (push.branch != NULL) {
        check_fit(push.ref);
        check_fit(push.branch);
    }
    if (push.commit != NULL)
        must(strspn(push.commit, "0123456789abcdef") == strlen(push.commit) &&
                 (strlen(push.commit) == 40 || strlen(push.commit) == 64),
             "a commit is one");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    const uint8_t *end;
    bl_delivery_t delivery;
    bl_hook_t hook;
    char *line, *body;
    size_t len;

    if (pool == NULL) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    if (size == 0)
        return 0;
    end = memchr(data, '\n', size);
    if (end == NULL)
        end = data + size - 1;
    hook = hook_of((char)data[0], pool);
    line = end > data ? apr_pstrmemdup(pool, (const char *)data + 1,
                                       (size_t)(end - data - 1))
                      : apr_pstrdup(pool, "");
    /* On the heap, so that a byte too many is found. */
    len = size - (size_t)(end + 1 - data);
    body = malloc(len > 0 ? len : 1);
    memcpy(body, end + 1, len);
    must(bl_hook_verify(&delivery, &hook, header, line, body, len,
                        apr_time_from_sec(1763805600)) != NULL,
         "nobody knows the secret");
    try_push(&hook, isupper(data[0]), body, len, pool);
    free(body);
    apr_pool_clear(pool);
    return 0;
}

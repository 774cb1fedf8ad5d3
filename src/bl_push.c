/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_push.c - what was pushed, and whether it is to be built
 *
 * FIELDS        github, gitlab, gitea: ref, before, after, commits[].added,
 *               .modified, .removed; how many commits there really are is
 *               total_commits_count (gitlab), total_commits (gitea), or less
 *               than GITHUB_COMMITS. plain: ref and commit, both as they like
 */
#include "bl_push.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_escape.h>
#include <apr_fnmatch.h>
#include <apr_lib.h>
#include <apr_strings.h>
/* layer 0 */
#include "bl_json.h"

#define HEADS "refs/heads/"
#define TAGS "refs/tags/"

/* As many commits GitHub tells of at most, and says no total. */
#define GITHUB_COMMITS 2048

/* A form has other fields, if any, before it. */
#define PAYLOAD "payload="

/* Of a text of a stranger in an answer or in the log. */
#define SHOWN_MOST 100

/* ---- filters -------------------------------------------------------- */

const char *bl_push_check_pattern(const char *pattern)
{
    if (*pattern == '!')
        pattern++;
    if (*pattern == '\0' || *pattern == '!')
        return "a pattern such as main, release/* or !docs/*";
    return NULL;
}

int bl_push_admits(const apr_array_header_t *patterns, const char *text)
{
    int admitted = 1, i;

    for (i = 0; patterns != NULL && i < patterns->nelts; i++) {
        const char *pattern = APR_ARRAY_IDX(patterns, i, const char *);
        int keeps_out = *pattern == '!';

        if (i == 0)
            admitted = keeps_out;
        if (apr_fnmatch(pattern + keeps_out, text, 0) == APR_SUCCESS)
            admitted = !keeps_out;
    }
    return admitted;
}

/* ---- forms of what reaches a build (P1) ----------------------------- */

static int is_branch(const char *name)
{
    const char *s;

    for (s = name; *s != '\0'; s++) {
        int begins = s == name || s[-1] == '/';

        if (apr_isalnum(*s) || *s == '_')
            continue;
        if (begins || strchr("._+@=#-/", *s) == NULL ||
            (s[0] == '.' && s[1] == '.'))
            return 0;
    }
    return s > name && s[-1] != '/' &&
           strlen(name) + strlen(HEADS) <= BL_PUSH_REF_MOST;
}

static int is_commit(const char *text)
{
    apr_size_t len = strspn(text, "0123456789abcdef");

    return text[len] == '\0' && (len == 40 || len == 64);
}

static int is_zero(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0")] == '\0';
}

/* ---- reading -------------------------------------------------------- */

/* The field of a form, decoded. */
static apr_status_t from_form(const char **text, apr_size_t *len,
                              apr_pool_t *p)
{
    const char *at = *text, *end = *text + *len, *next;
    apr_status_t rv;
    char *value;

    for (;; at = next + 1) {
        next = memchr(at, '&', (apr_size_t)(end - at));
        if ((apr_size_t)(end - at) >= strlen(PAYLOAD) &&
            memcmp(at, PAYLOAD, strlen(PAYLOAD)) == 0)
            break;
        if (next == NULL)
            return APR_EGENERAL;
    }
    at += strlen(PAYLOAD);
    value = apr_pstrmemdup(
        p, at, (apr_size_t)((next != NULL && next > at ? next : end) - at));
    /* Not found: that nothing had to be decoded. */
    rv = apr_unescape_url(value, value, APR_ESCAPE_STRING, NULL, NULL, 1, len);
    if (rv != APR_SUCCESS && rv != APR_NOTFOUND)
        return APR_EGENERAL;
    *text = value;
    *len = strlen(value);
    return APR_SUCCESS;
}

static void add_paths(apr_array_header_t *paths, const bl_json_t *commit,
                      const char *key)
{
    apr_size_t i, count = bl_json_count(commit, key);

    for (i = 0; i < count; i++) {
        const char *path = bl_json_string_at(commit, key, i);

        if (path != NULL)
            APR_ARRAY_PUSH(paths, const char *) = path;
    }
}

/* Does it tell of every commit, and of what is in it? Commits that are gone
 * (a forced push) and a branch that is new are not told of. */
static int tells_all(const bl_json_t *payload, apr_size_t count)
{
    const char *before = bl_json_string(payload, "before");
    apr_int64_t total = bl_json_int(payload, "total_commits_count", -1);

    if (total < 0)
        total = bl_json_int(payload, "total_commits", -1);
    return count > 0 && count < GITHUB_COMMITS &&
           (total < 0 || (apr_uint64_t)total == count) && before != NULL &&
           !is_zero(before) && !bl_json_is_true(payload, "forced");
}

static void read_paths(bl_push_t *push, const bl_json_t *payload,
                       apr_pool_t *p)
{
    apr_size_t i, count = bl_json_count(payload, "commits");

    if (!tells_all(payload, count))
        return;
    push->paths = apr_array_make(p, 16, sizeof(char *));
    for (i = 0; i < count && push->paths != NULL; i++) {
        bl_json_t *commit = bl_json_element(payload, "commits", i, p);

        if (!bl_json_has(commit, "added") &&
            !bl_json_has(commit, "modified") &&
            !bl_json_has(commit, "removed")) {
            push->paths = NULL;
            return;
        }
        add_paths(push->paths, commit, "added");
        add_paths(push->paths, commit, "modified");
        add_paths(push->paths, commit, "removed");
    }
}

static apr_status_t read_forge(bl_push_t *push, const bl_json_t *payload,
                               const char **why, apr_pool_t *p)
{
    const char *before = bl_json_string(payload, "before");

    push->ref = bl_json_string(payload, "ref");
    push->commit = bl_json_string(payload, "after");
    if (push->ref == NULL || push->commit == NULL) {
        *why = "a push has to say ref and after";
        return APR_EGENERAL;
    }
    push->is_gone =
        is_zero(push->commit) || bl_json_is_true(payload, "deleted");
    push->is_test =
        !push->is_gone && before != NULL && strcmp(before, push->commit) == 0;
    if (push->is_gone)
        push->commit = NULL;
    read_paths(push, payload, p);
    return APR_SUCCESS;
}

static apr_status_t read_plain(bl_push_t *push, const bl_json_t *payload,
                               const char **why)
{
    push->is_plain = 1;
    push->ref = bl_json_string(payload, "ref");
    push->commit = bl_json_string(payload, "commit");
    if ((push->ref == NULL && bl_json_has(payload, "ref")) ||
        (push->commit == NULL && bl_json_has(payload, "commit"))) {
        *why = "ref and commit have to be strings";
        return APR_EGENERAL;
    }
    return APR_SUCCESS;
}

apr_status_t bl_push_read(bl_push_t *out, bl_hook_kind_e kind, int is_form,
                          const char *text, apr_size_t len, const char **why,
                          apr_pool_t *p)
{
    bl_json_t *payload;
    bl_push_t push;
    apr_status_t rv;

    memset(&push, 0, sizeof(push));
    if (is_form && from_form(&text, &len, p) != APR_SUCCESS) {
        *why = "the form has no field payload";
        return APR_EGENERAL;
    }
    /* To who has nothing to say a body is an effort. */
    if (kind == BL_HOOK_PLAIN && len == 0) {
        text = "{}";
        len = 2;
    }
    rv = bl_json_parse(&payload, text, len, why, p);
    if (rv != APR_SUCCESS)
        return rv;
    rv = kind == BL_HOOK_PLAIN ? read_plain(&push, payload, why)
                               : read_forge(&push, payload, why, p);
    if (rv != APR_SUCCESS)
        return rv;
    if (push.ref != NULL && strncmp(push.ref, HEADS, strlen(HEADS)) == 0)
        push.branch = push.ref + strlen(HEADS);
    push.is_fit = (push.branch == NULL || is_branch(push.branch)) &&
                  (push.commit == NULL || is_commit(push.commit));
    *out = push;
    return APR_SUCCESS;
}

/* ---- to be built? --------------------------------------------------- */

/* What may be shown of a text that may be anything. */
static const char *shown(const char *text, apr_pool_t *p)
{
    char *copy = apr_pstrndup(p, text, SHOWN_MOST), *s;

    for (s = copy; *s != '\0'; s++) {
        if (!apr_isgraph(*s) || (unsigned char)*s >= 0x7f)
            *s = '?';
    }
    return copy;
}

static int any_path(const bl_push_t *push, const bl_hook_t *hook)
{
    int i;

    for (i = 0; i < push->paths->nelts; i++) {
        if (bl_push_admits(hook->paths,
                           APR_ARRAY_IDX(push->paths, i, const char *)))
            return 1;
    }
    return 0;
}

static const char *refuse_ref(const bl_push_t *push, apr_pool_t *p)
{
    if (push->ref == NULL)
        return "no branch is named, and this hook builds certain ones";
    if (strncmp(push->ref, TAGS, strlen(TAGS)) == 0)
        return apr_pstrcat(p, "tag ", shown(push->ref + strlen(TAGS), p),
                           " is no branch", NULL);
    return apr_pstrcat(p, shown(push->ref, p), " is no branch", NULL);
}

const char *bl_push_refuse(const bl_push_t *push, const bl_hook_t *hook,
                           apr_pool_t *p)
{
    if (push->branch == NULL && (push->ref != NULL || hook->branches != NULL))
        return refuse_ref(push, p);
    if (push->is_gone)
        return apr_pstrcat(p, "branch ", shown(push->branch, p),
                           " was deleted", NULL);
    if (push->is_test)
        return "nothing changed: this was a test, and it came through";
    if (!push->is_fit)
        return "the branch's name, or the commit, is not of a form that may "
               "reach a build";
    if (push->branch != NULL && !bl_push_admits(hook->branches, push->branch))
        return apr_pstrcat(p, "branch ", push->branch,
                           " is none of those that this hook builds", NULL);
    if (push->paths != NULL && hook->paths != NULL && !any_path(push, hook))
        return "no file changed that this hook builds for";
    return NULL;
}

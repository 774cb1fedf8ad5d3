/* SPDX-License-Identifier: Apache-2.0 */
/*
 * push_test.c - what of a payload reaches a build has a harmless form, filters
 * do what they say, and what is not told is not guessed (P1, P2 in bl_push.h;
 * issue 7, item 2)
 */
#include "bl_push.h"

#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"

#define A40 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B40 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define ZERO "0000000000000000000000000000000000000000"

static apr_pool_t *pool;
static bl_hook_t every = {"every", BL_HOOK_GITHUB, 0, {"s", 1}, NULL, NULL};

static apr_array_header_t *list_of(const char *words)
{
    apr_array_header_t *list = apr_array_make(pool, 4, sizeof(char *));
    char *rest, *word = apr_strtok(apr_pstrdup(pool, words), " ", &rest);

    for (; word != NULL; word = apr_strtok(NULL, " ", &rest))
        APR_ARRAY_PUSH(list, const char *) = word;
    return list;
}

static apr_status_t read_it(bl_push_t *push, bl_hook_kind_e kind,
                            const char *text)
{
    const char *why = NULL;
    apr_status_t rv =
        bl_push_read(push, kind, 0, text, strlen(text), &why, pool);

    ok((rv == APR_SUCCESS) == (why == NULL), "what is wrong is said");
    return rv;
}

static const char *push_of(const char *ref, const char *before,
                           const char *after)
{
    return apr_psprintf(pool,
                        "{\"ref\":\"%s\",\"before\":\"%s\","
                        "\"after\":\"%s\"}",
                        ref, before, after);
}

/* ---- filters -------------------------------------------------------- */

static void test_filters(void)
{
    static const struct {
        const char *patterns, *yes, *no;
    } cases[] = {
        {"main", "main", "main2 xmain Main"},
        {"main release/*", "main release/1 release/a/b", "release releases/1"},
        {"*", "main a/b/c", ""},
        {"!wip/*", "main a/b", "wip/x wip/a/b"},
        {"!* main", "main", "x"},
        {"src/* !src/doc/*", "src/a src/b/c", "doc/a src/doc/x"},
        {"src/* !src/doc/* src/doc/api.h", "src/doc/api.h", "src/doc/x"},
        {"[a-c]*", "a bee", "dee"},
        {"v?.x", "v1.x", "v10.x"},
    };
    unsigned i;
    int j;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        apr_array_header_t *patterns = list_of(cases[i].patterns);
        apr_array_header_t *yes = list_of(cases[i].yes);
        apr_array_header_t *no = list_of(cases[i].no);

        for (j = 0; j < yes->nelts; j++)
            ok(bl_push_admits(patterns, APR_ARRAY_IDX(yes, j, char *)),
               "\"%s\" lets in %s", cases[i].patterns,
               APR_ARRAY_IDX(yes, j, char *));
        for (j = 0; j < no->nelts; j++)
            ok(!bl_push_admits(patterns, APR_ARRAY_IDX(no, j, char *)),
               "\"%s\" keeps out %s", cases[i].patterns,
               APR_ARRAY_IDX(no, j, char *));
    }
    ok(bl_push_admits(NULL, "x"), "no filter lets everything in");
    ok(bl_push_check_pattern("main") == NULL &&
           bl_push_check_pattern("!a/*") == NULL,
       "patterns");
    ok(bl_push_check_pattern("") != NULL &&
           bl_push_check_pattern("!") != NULL &&
           bl_push_check_pattern("!!a") != NULL,
       "no patterns");
}

/* ---- forms (P1) ----------------------------------------------------- */

static void test_forms(void)
{
    static const char *const good[] = {"main",
                                       "release/1.2.3",
                                       "feature/JIRA-12_x",
                                       "a",
                                       "_x/_y",
                                       "dependabot/npm_and_yarn/node-1.2+x",
                                       "user/fix#12=ok@home",
                                       "0"};
    static const char *const bad[] = {
        "",      "-x",     "a/-x",   "--upload-pack=x",
        ".git",  "a/.git", "a..b",   "a//b",
        "a/",    "/a",     "a b",    "a;b",
        "$(id)", "`id`",   "a|b",    "a&b",
        "a>b",   "a<b",    "a'b",    "a\\\"b",
        "a*",    "a?",     "[a]",    "~a",
        "a:b",   "a^",     "a\\\\b", "\\u00e4",
        "a\\nb", "a\\tb",  "a%b",    "{a}",
        "!a",    "a!b",    "a,b",    "\\u202ea"};
    char commit[80];
    bl_push_t push;
    unsigned i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        const char *ref = apr_pstrcat(pool, "refs/heads/", good[i], NULL);

        is_u64(read_it(&push, BL_HOOK_GITHUB, push_of(ref, A40, B40)),
               APR_SUCCESS, "%s", good[i]);
        ok(bl_push_refuse(&push, &every, pool) == NULL, "... is built");
        is_str(push.ref, ref, "... by its ref");
        is_str(push.branch, good[i], "... its name");
        is_str(push.commit, B40, "... and its commit");
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        is_u64(read_it(&push, BL_HOOK_GITEA,
                       push_of(apr_pstrcat(pool, "refs/heads/", bad[i], NULL),
                               A40, B40)),
               APR_SUCCESS, "branch %s is a push", bad[i]);
        ok(!push.is_fit && bl_push_refuse(&push, &every, pool) != NULL,
           "... that is not built");
    }
    memset(commit, 'c', sizeof(commit));
    for (i = 0; i < sizeof(commit); i++) {
        commit[i] = '\0';
        read_it(&push, BL_HOOK_GITHUB, push_of("refs/heads/a", A40, commit));
        ok((bl_push_refuse(&push, &every, pool) == NULL) ==
               (i == 40 || i == 64),
           "a commit of %u digits", i);
        commit[i] = 'c';
    }
    read_it(&push, BL_HOOK_GITHUB,
            push_of("refs/heads/a", A40,
                    "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC"));
    ok(bl_push_refuse(&push, &every, pool) != NULL, "no such digits");
    {
        char name[300];

        memset(name, 'n', sizeof(name));
        name[BL_PUSH_REF_MOST - 11] = '\0';
        read_it(
            &push, BL_HOOK_GITHUB,
            push_of(apr_pstrcat(pool, "refs/heads/", name, NULL), A40, B40));
        ok(push.is_fit, "as long as it may be");
        name[BL_PUSH_REF_MOST - 11] = 'n';
        name[BL_PUSH_REF_MOST - 10] = '\0';
        read_it(
            &push, BL_HOOK_GITHUB,
            push_of(apr_pstrcat(pool, "refs/heads/", name, NULL), A40, B40));
        ok(!push.is_fit, "longer");
    }
}

/* ---- what is not built ---------------------------------------------- */

static void not_built(bl_hook_kind_e kind, const bl_hook_t *hook,
                      const char *text, const char *want)
{
    bl_push_t push;
    const char *why;

    is_u64(read_it(&push, kind, text), APR_SUCCESS, "%s", want);
    why = bl_push_refuse(&push, hook, pool);
    ok(why != NULL && strstr(why, want) != NULL, "... %s",
       why != NULL ? why : "(built)");
}

static void test_refusals(void)
{
    bl_hook_t some = every;

    some.branches = list_of("main");
    not_built(BL_HOOK_GITHUB, &some, push_of("refs/heads/x", A40, B40),
              "branch x is none of those");
    not_built(BL_HOOK_GITHUB, &every, push_of("refs/tags/v1", A40, B40),
              "tag v1 is no branch");
    not_built(BL_HOOK_GITLAB, &every, push_of("refs/tags/v1", A40, ZERO),
              "tag v1 is no branch");
    not_built(BL_HOOK_GITEA, &every, push_of("refs/pull/1", A40, B40),
              "refs/pull/1 is no branch");
    not_built(BL_HOOK_GITEA, &every, push_of("main", A40, B40),
              "main is no branch");
    not_built(BL_HOOK_GITLAB, &some, push_of("refs/heads/x", A40, ZERO),
              "branch x was deleted");
    not_built(BL_HOOK_GITHUB, &every,
              "{\"ref\":\"refs/heads/x\",\"before\":\"" A40
              "\",\"after\":\"" B40 "\",\"deleted\":true}",
              "branch x was deleted");
    not_built(BL_HOOK_GITEA, &every, push_of("refs/heads/x", A40, A40),
              "this was a test");
    not_built(BL_HOOK_GITHUB, &every,
              push_of("refs/tags/\\u001b[2Jx\\n", A40, B40),
              "tag ?[2Jx? is no branch");
    not_built(BL_HOOK_PLAIN, &some, "{}", "no branch is named");
    not_built(BL_HOOK_PLAIN, &some, "{\"ref\":\"refs/heads/y\"}",
              "branch y is none");
}

static void test_plain(void)
{
    bl_push_t push;

    is_u64(read_it(&push, BL_HOOK_PLAIN, ""), APR_SUCCESS, "nothing");
    ok(push.ref == NULL && push.branch == NULL && push.commit == NULL &&
           bl_push_refuse(&push, &every, pool) == NULL,
       "... is built");
    is_u64(read_it(&push, BL_HOOK_PLAIN, "{\"commit\":\"" A40 "\"}"),
           APR_SUCCESS, "a commit alone");
    is_str(push.commit, A40, "... is told");
    is_u64(read_it(&push, BL_HOOK_PLAIN, "{\"commit\":\"HEAD\"}"), APR_SUCCESS,
           "a commit that is none");
    ok(bl_push_refuse(&push, &every, pool) != NULL, "... is not built");
    is_u64(read_it(&push, BL_HOOK_PLAIN, "{\"ref\":7}"), APR_EGENERAL,
           "a ref that is no string");
    is_u64(read_it(&push, BL_HOOK_PLAIN, "{\"ref\":null}"), APR_SUCCESS,
           "null is none");
}

/* ---- paths (P2) ----------------------------------------------------- */

static void with_paths(const char *more, const char *patterns, int built,
                       const char *what)
{
    bl_hook_t hook = every;
    bl_push_t push;

    hook.paths = list_of(patterns);
    is_u64(read_it(&push, BL_HOOK_GITHUB,
                   apr_pstrcat(pool,
                               "{\"ref\":\"refs/heads/main\",\"after\":\"" B40
                               "\",",
                               more, "}", NULL)),
           APR_SUCCESS, "%s", what);
    ok((bl_push_refuse(&push, &hook, pool) == NULL) == built, "... %s",
       built ? "is built" : "is not built");
}

#define BEFORE "\"before\":\"" A40 "\","
#define COMMITS                                                               \
    "\"commits\":[{\"added\":[\"src/a.c\"],\"modified\":[],\"removed\":[]},"  \
    "{\"added\":[],\"modified\":[\"docs/b\"],\"removed\":[\"old\"]}]"

static void test_paths(void)
{
    with_paths(BEFORE COMMITS, "src/*", 1, "a file that was added");
    with_paths(BEFORE COMMITS, "docs/*", 1, "one that was changed");
    with_paths(BEFORE COMMITS, "old", 1, "one that went");
    with_paths(BEFORE COMMITS, "lib/*", 0, "others");
    with_paths(BEFORE COMMITS, "!*", 0, "none");
    with_paths(BEFORE COMMITS ",\"total_commits\":2", "lib/*", 0, "of all");
    with_paths(BEFORE COMMITS ",\"total_commits\":3", "lib/*", 1,
               "of some that Gitea tells of");
    with_paths(BEFORE COMMITS ",\"total_commits_count\":21", "lib/*", 1,
               "of some that GitLab tells of");
    with_paths(BEFORE COMMITS ",\"forced\":true", "lib/*", 1,
               "a push with force");
    with_paths(COMMITS, "lib/*", 1, "no before");
    with_paths("\"before\":\"" ZERO "\"," COMMITS, "lib/*", 1, "a new branch");
    with_paths(BEFORE "\"commits\":[]", "lib/*", 1, "no commits");
    with_paths(BEFORE "\"commits\":7", "lib/*", 1, "commits that are none");
    with_paths(BEFORE "\"commits\":[7,{}]", "lib/*", 1,
               "commits without files");
    with_paths(BEFORE "\"commits\":[{\"added\":[1,null,{}]}]", "*", 0,
               "files that are none");
}

/* ---- payloads ------------------------------------------------------- */

static void test_payloads(void)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        "{\"ref\":\"refs/heads/a\"}",
        "{\"after\":\"" A40 "\"}",
        "{\"ref\":1,\"after\":\"" A40 "\"}",
        "{\"ref\":\"refs/heads/a\",\"after\":[]}",
        "{\"ref\":\"a\\u0000b\",\"after\":\"" A40 "\"}"};
    static const char form[] =
        "x=1&payload=%7B%22ref%22%3A%22refs%2Fheads%2Fa%2Bb%22%2C+%22after"
        "%22%3A%22" A40 "%22%7D&y=payload%3D";
    static const char *const bad_forms[] = {
        "",           "payload",     "xpayload=%7B%7D", "payload=",
        "payload=%7", "payload=%00", "a=1&b=2"};
    const char *why;
    bl_push_t push;
    unsigned i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memset(&push, 0x55, sizeof(push));
        is_u64(read_it(&push, BL_HOOK_GITLAB, bad[i]), APR_EGENERAL,
               "payload %u is none", i);
        ok(push.is_gone == 0x55555555, "... nothing comes out");
    }
    is_u64(
        bl_push_read(&push, BL_HOOK_GITHUB, 1, form, strlen(form), &why, pool),
        APR_SUCCESS, "a form");
    is_str(push.branch, "a+b", "... is decoded");
    for (i = 0; i < sizeof(bad_forms) / sizeof(bad_forms[0]); i++)
        is_u64(bl_push_read(&push, BL_HOOK_GITHUB, 1, bad_forms[i],
                            strlen(bad_forms[i]), &why, pool),
               APR_EGENERAL, "\"%s\" is none", bad_forms[i]);
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_filters();
    test_forms();
    test_refusals();
    test_plain();
    test_paths();
    test_payloads();
    return done_testing();
}

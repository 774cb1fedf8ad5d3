/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_peer.c - other servers: who may ask for builds (BuildLogHook), who is
 * told how they ended (BuildLogNotify)
 *
 * Secrets are read when the configuration is, by whoever httpd is then: root
 * as a rule. They are in the memory of its processes, and nowhere else.
 */
#include "bl_peer.h"

/* libc */
#include <stdlib.h>
/* APR */
#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_fnmatch.h>
#include <apr_hash.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_uri.h>
/* httpd */
#include "http_core.h"
#include "mod_buildlog.h"
/* layer 0 */
#include "bl_push.h"
/* layer 3 */
#include "bl_config.h"

/* Bytes of a secret's file. */
#define SECRET_MOST 4096

/* Names of hooks and where they stand, receivers by their keys: both hang on
 * the configuration's pool. */
#define NAMES_KEY "buildlog-hooks"
#define TARGETS_KEY "buildlog-targets"

#define URL_MOST 2000

static const char *wrong(cmd_parms *cmd, const char *value,
                         const char *allowed)
{
    return apr_psprintf(cmd->pool, "%s: \"%s\" is not allowed; it must be %s",
                        cmd->cmd->name, value, allowed);
}

/* ---- secrets -------------------------------------------------------- */

static const char *unusable(cmd_parms *cmd, const char *path, const char *why)
{
    return apr_psprintf(cmd->pool, "%s: the secret's file %s %s",
                        cmd->cmd->name, path, why);
}

/* @param buf  SECRET_MOST bytes */
static const char *read_file(char *buf, apr_size_t *len, cmd_parms *cmd,
                             const char *path)
{
    apr_finfo_t info;
    apr_file_t *file;
    char said[128];
    apr_status_t rv;

    rv = apr_file_open(&file, path, APR_FOPEN_READ, 0, cmd->temp_pool);
    if (rv == APR_SUCCESS)
        rv = apr_file_info_get(
            &info, APR_FINFO_TYPE | APR_FINFO_PROT | APR_FINFO_SIZE, file);
    if (rv != APR_SUCCESS)
        return unusable(cmd, path,
                        apr_psprintf(cmd->pool, "cannot be read: %s",
                                     apr_strerror(rv, said, sizeof(said))));
    if (info.filetype != APR_REG)
        return unusable(cmd, path, "is no file");
    if ((info.protection & (APR_FPROT_WREAD | APR_FPROT_WWRITE)) != 0)
        return unusable(cmd, path,
                        "may be read, or written, by everybody: chmod o= it");
    if (info.size > SECRET_MOST)
        return unusable(
            cmd, path,
            apr_psprintf(cmd->pool, "has more than %d bytes", SECRET_MOST));
    rv = apr_file_read_full(file, buf, (apr_size_t)info.size, len);
    apr_file_close(file);
    if (rv != APR_SUCCESS && !APR_STATUS_IS_EOF(rv))
        return unusable(cmd, path, "cannot be read");
    if (memchr(buf, '\0', *len) != NULL)
        return unusable(cmd, path, "has a NUL byte");
    return NULL;
}

/* The text of a file without the blanks around it. */
static const char *read_secret(const char **out, cmd_parms *cmd,
                               const char *name)
{
    const char *path = ap_server_root_relative(cmd->pool, name);
    const char *error;
    char buf[SECRET_MOST];
    apr_size_t from = 0, len = 0;

    if (path == NULL)
        return wrong(cmd, name, "the path of a file");
    error = read_file(buf, &len, cmd, path);
    if (error != NULL)
        return error;
    while (from < len && apr_isspace(buf[from]))
        from++;
    while (len > from && apr_isspace(buf[len - 1]))
        len--;
    if (len == from)
        return unusable(cmd, path, "is empty");
    *out = apr_pstrmemdup(cmd->pool, buf + from, len - from);
    return NULL;
}

/* ---- BuildLogHook --------------------------------------------------- */

/* <Directory PATH>, and neither <DirectoryMatch> nor <Directory ~ ...>? */
static int names_directory(const ap_directive_t *section, apr_pool_t *p)
{
    const char *args = section->args;

    return ap_cstr_casecmp(section->directive, "<Directory") == 0 &&
           strcmp(ap_getword_conf(p, &args), "~") != 0;
}

/* A hook builds one directory: the section has to name it. */
static const char *check_section(cmd_parms *cmd)
{
    const ap_directive_t *section = cmd->directive->parent;
    const char *error = ap_check_cmd_context(
        cmd, NOT_IN_LOCATION | NOT_IN_FILES | NOT_IN_LIMIT);

    if (error != NULL)
        return error;
    if (section == NULL || !names_directory(section, cmd->temp_pool) ||
        cmd->path == NULL || cmd->path[0] != '/' ||
        apr_fnmatch_test(cmd->path))
        return apr_pstrcat(cmd->pool, cmd->cmd->name,
                           ": only directly inside a <Directory> that names "
                           "one project, without wildcards",
                           NULL);
    return NULL;
}

static const char *claim_name(cmd_parms *cmd, const char *name)
{
    apr_hash_t *found = bl_config_names(NAMES_KEY, cmd->pool);
    const char *other;

    other = apr_hash_get(found, name, APR_HASH_KEY_STRING);
    if (other != NULL)
        return apr_psprintf(cmd->pool,
                            "%s: there is a hook %s already, of %s; a name is "
                            "for one in the whole server",
                            cmd->cmd->name, name, other);
    apr_hash_set(found, name, APR_HASH_KEY_STRING, cmd->path);
    return NULL;
}

static const char *add_filter(cmd_parms *cmd, bl_hook_t *hook,
                              const char *word)
{
    apr_array_header_t **list = NULL;
    const char *pattern = strchr(word, '='), *error;

    if (strncmp(word, "branch=", 7) == 0)
        list = &hook->branches;
    else if (strncmp(word, "path=", 5) == 0)
        list = &hook->paths;
    if (list == NULL)
        return wrong(cmd, word, "branch=PATTERN or path=PATTERN");
    if (list == &hook->paths && hook->kind == BL_HOOK_PLAIN)
        return wrong(cmd, word,
                     "branch=PATTERN: a plain delivery names no files");
    error = bl_push_check_pattern(pattern + 1);
    if (error != NULL)
        return wrong(
            cmd, word,
            apr_pstrcat(cmd->pool, "branch= or path= and ", error, NULL));
    if (*list == NULL)
        *list = apr_array_make(cmd->pool, 4, sizeof(char *));
    APR_ARRAY_PUSH(*list, const char *) = pattern + 1;
    return NULL;
}

static const char *set_secret(cmd_parms *cmd, bl_hook_t *hook,
                              const char *name)
{
    const char *text = NULL, *error = read_secret(&text, cmd, name);

    if (error == NULL &&
        bl_hook_set_secret(hook, text, cmd->pool) != APR_SUCCESS)
        return unusable(cmd, name,
                        "begins with " BL_SIGN_PREFIX
                        ", but what follows is not the base64 of a key");
    return error;
}

const char *bl_peer_add_hook(cmd_parms *cmd, void *dir, int argc,
                             char *const argv[])
{
    bl_dir_conf_t *conf = dir;
    const char *error = check_section(cmd);
    bl_hook_t *hook = apr_pcalloc(cmd->pool, sizeof(*hook));
    int i;

    if (error != NULL)
        return error;
    if (argc < 3)
        return apr_pstrcat(cmd->pool, cmd->cmd->name,
                           " takes a name, github, gitlab, gitea or plain, "
                           "the file of a secret, and perhaps filters",
                           NULL);
    hook->name = argv[0];
    if (!bl_hook_is_name(hook->name))
        return wrong(cmd, argv[0],
                     apr_psprintf(cmd->pool,
                                  "a name of 1 to %d letters, digits, \".\", "
                                  "\"_\" and \"-\", that begins with a letter "
                                  "or a digit",
                                  BL_HOOK_NAME_MOST));
    if (bl_hook_kind_read(&hook->kind, argv[1]) != APR_SUCCESS)
        return wrong(cmd, argv[1], "github, gitlab, gitea or plain");
    error = set_secret(cmd, hook, argv[2]);
    for (i = 3; i < argc && error == NULL; i++)
        error = add_filter(cmd, hook, argv[i]);
    if (error == NULL)
        error = claim_name(cmd, hook->name);
    if (error != NULL)
        return error;
    if (conf->hooks == NULL)
        conf->hooks = apr_array_make(cmd->pool, 2, sizeof(bl_hook_t *));
    APR_ARRAY_PUSH(conf->hooks, const bl_hook_t *) = hook;
    return NULL;
}

const bl_hook_t *bl_peer_hook(const server_rec *s, const char *name,
                              const char **dir)
{
    const core_server_config *core =
        ap_get_core_module_config(s->module_config);
    int i, j;

    for (i = 0; i < core->sec_dir->nelts; i++) {
        ap_conf_vector_t *section =
            APR_ARRAY_IDX(core->sec_dir, i, ap_conf_vector_t *);
        const bl_dir_conf_t *conf = bl_config_of_section(section);
        const core_dir_config *where = ap_get_core_module_config(section);

        for (j = 0;
             conf != NULL && conf->hooks != NULL && j < conf->hooks->nelts;
             j++) {
            const bl_hook_t *hook =
                APR_ARRAY_IDX(conf->hooks, j, const bl_hook_t *);

            if (strcmp(hook->name, name) == 0) {
                *dir = where->d;
                return hook;
            }
        }
    }
    return NULL;
}

/* ---- BuildLogNotify ------------------------------------------------- */

static int is_url(const char *text, apr_pool_t *p)
{
    const char *s;
    apr_uri_t uri;

    for (s = text; *s != '\0'; s++) {
        if (!apr_isgraph(*s) || (unsigned char)*s >= 0x7f)
            return 0;
    }
    return s - text <= URL_MOST &&
           apr_uri_parse(p, text, &uri) == APR_SUCCESS && uri.scheme != NULL &&
           (strcmp(uri.scheme, "http") == 0 ||
            strcmp(uri.scheme, "https") == 0) &&
           uri.hostname != NULL && uri.hostname[0] != '\0' &&
           uri.user == NULL && uri.password == NULL && uri.fragment == NULL;
}

/* By this orders and files name a receiver: what is in its address may be
 * secret, and builds can read those files. */
static const char *key_of(const char *url, const char *secret, apr_pool_t *p)
{
    const bl_sign_key_t key = {"receiver", 8};
    const bl_sign_part_t parts[] = {{url, strlen(url) + 1},
                                    {secret, strlen(secret)}};
    char *hex = apr_palloc(p, BL_SIGN_HEX_LEN + 1);
    bl_sign_t sign;

    if (bl_sign_make(&sign, &key, parts, 2) != APR_SUCCESS)
        return NULL;
    bl_sign_hex(hex, &sign);
    hex[BL_WIRE_KEY_LEN] = '\0';
    return hex;
}

static const char *make_target(bl_target_t *target, cmd_parms *cmd,
                               const char *url, const char *secret)
{
    const char *error = NULL, *file = "";
    bl_sign_key_t key;

    target->url = url;
    target->secret = "";
    if (secret != NULL && strncmp(secret, "secret=", 7) != 0)
        return wrong(cmd, secret, "secret= and the path of a file");
    if (secret != NULL) {
        file = secret + 7;
        error = read_secret(&target->secret, cmd, file);
    }
    if (error != NULL)
        return error;
    if (secret != NULL &&
        bl_sign_key(&key, target->secret, cmd->pool) != APR_SUCCESS)
        return unusable(cmd, file,
                        "begins with " BL_SIGN_PREFIX
                        ", but what follows is not the base64 of a key");
    target->key = key_of(url, file, cmd->pool);
    if (target->key == NULL)
        return "libcrypto makes no HMAC";
    return NULL;
}

static const char *tell_nobody(bl_dir_conf_t *conf)
{
    conf->notify_anew = 1;
    conf->notify = NULL;
    return NULL;
}

const char *bl_peer_add_target(cmd_parms *cmd, void *dir, const char *url,
                               const char *secret)
{
    apr_hash_t *targets = bl_config_names(TARGETS_KEY, cmd->pool);
    bl_target_t *target = apr_pcalloc(cmd->pool, sizeof(*target));
    bl_dir_conf_t *conf = dir;
    const char *error;

    if (ap_cstr_casecmp(url, "none") == 0 && secret == NULL)
        return tell_nobody(conf);
    if (!is_url(url, cmd->temp_pool))
        return wrong(cmd, url,
                     "none, or a URL such as https://ci.example.org/ended "
                     "(http or https, without a user and a #)");
    error = make_target(target, cmd, url, secret);
    if (error != NULL)
        return error;
    apr_hash_set(targets, target->key, APR_HASH_KEY_STRING, target);
    if (apr_hash_count(targets) > BL_WIRE_TARGETS_MAX)
        return wrong(cmd, url,
                     apr_psprintf(cmd->pool, "one of at most %d receivers",
                                  BL_WIRE_TARGETS_MAX));
    if (conf->notify == NULL)
        conf->notify = apr_array_make(cmd->pool, 2, sizeof(char *));
    APR_ARRAY_PUSH(conf->notify, const char *) = target->key;
    return NULL;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const bl_target_t *)a)->key,
                  ((const bl_target_t *)b)->key);
}

bl_target_t *bl_peer_targets(int *count, apr_pool_t *p)
{
    apr_hash_t *found = bl_config_names(TARGETS_KEY, p);
    apr_hash_index_t *at;
    bl_target_t *targets =
        apr_palloc(p, sizeof(*targets) * (apr_hash_count(found) + 1));
    int n = 0;

    for (at = apr_hash_first(p, found); at != NULL; at = apr_hash_next(at))
        targets[n++] = *(const bl_target_t *)apr_hash_this_val(at);
    /* The same receivers in the same order, generation after generation. */
    qsort(targets, (apr_size_t)n, sizeof(*targets), by_key);
    *count = n;
    return targets;
}

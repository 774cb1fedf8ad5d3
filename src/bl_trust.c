/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_trust.c - what of a request can be believed
 *
 * DIAGNOSTICS   BL0411 a user who is not believed, BL0412 an address that is
 *               none of ours
 */
#include "bl_trust.h"

/* libc */
#include <arpa/inet.h>
/* APR */
#include <apr_strings.h>
/* httpd */
#include "http_core.h"
#include "http_protocol.h"
#include "http_request.h"
#include "http_ssl.h"
#include "mod_buildlog.h"

/* ---- .htaccess ------------------------------------------------------- */

/* Was a .htaccess on the way to this file? After an internal redirect the list
 * has also those of the request before. */
static int had_a_part(const struct htaccess_result *h, const request_rec *r)
{
    apr_size_t len = strlen(h->dir); /* with a slash at its end */

    return h->htaccess != NULL && r->filename != NULL && len > 0 &&
           strncmp(r->filename, h->dir, len - 1) == 0 &&
           (r->filename[len - 1] == '/' || r->filename[len - 1] == '\0');
}

static const struct htaccess_result *first_htaccess(const request_rec *r)
{
    const struct htaccess_result *h = r->htaccess;

    while (h != NULL && !had_a_part(h, r))
        h = h->next;
    return h;
}

/* Could its directives say who somebody is, or of which groups? Those that do
 * need AllowOverride AuthConfig, and so do those of the modules named here,
 * which only ask. */
static int authenticates(const module *m)
{
    const command_rec *command = m->cmds;

    if (strcmp(m->name, "core.c") == 0 ||
        strcmp(m->name, "mod_authz_core.c") == 0 ||
        strcmp(m->name, "mod_access_compat.c") == 0)
        return 0;
    for (; command != NULL && command->name != NULL; command++) {
        if ((command->req_override & OR_AUTHCFG) != 0)
            return 1;
    }
    return 0;
}

static int sections_say_who(const apr_array_header_t *sections);

/* A module has something in a configuration of a .htaccess when one of its
 * directives stands there. */
static int says_who(ap_conf_vector_t *conf)
{
    const core_dir_config *core = ap_get_core_module_config(conf);
    module *m;

    for (m = ap_top_module; m != NULL; m = m->next) {
        if (ap_get_module_config(conf, m) != NULL && authenticates(m))
            return 1;
    }
    return core != NULL && (sections_say_who(core->sec_file) ||
                            sections_say_who(core->sec_if));
}

/* <Files> and <If>, which may stand inside each other. */
static int sections_say_who(const apr_array_header_t *sections)
{
    int i;

    for (i = 0; sections != NULL && i < sections->nelts; i++) {
        if (says_who(APR_ARRAY_IDX(sections, i, ap_conf_vector_t *)))
            return 1;
    }
    return 0;
}

static const char *user_of(const request_rec *r)
{
    const request_rec *q = r;
    const struct htaccess_result *h;

    /* httpd shows an error document, and what it includes, without asking
     * again: its user may be one whose password was wrong. */
    while (r->user != NULL && q != NULL) {
        if (q->prev != NULL && ap_is_HTTP_ERROR(q->prev->status))
            return NULL;
        q = q->prev != NULL ? q->prev : q->main;
    }
    for (h = r->htaccess; r->user != NULL && h != NULL; h = h->next) {
        if (!had_a_part(h, r) || !says_who(h->htaccess))
            continue;
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      "BL0411 user %s counts as nobody: a file .htaccess in "
                      "%s has to do with who that is; say it in <Location>",
                      r->user, h->dir);
        return NULL;
    }
    return r->user;
}

/* What SetHandler says in a configuration; NULL: nothing. */
static const char *handler_of(request_rec *copy)
{
    const core_dir_config *core =
        ap_get_core_module_config(copy->per_dir_config);
    const char *why = NULL, *handler = core->handler;

    if (core->expr_handler != NULL)
        handler = ap_expr_str_exec(copy, core->expr_handler, &why);
    return why == NULL ? handler : NULL;
}

/* The address as the sections for locations alone make it. */
static void without_htaccess(bl_trust_t *trust, request_rec *r)
{
    request_rec *copy = apr_pmemdup(r->pool, r, sizeof(*r));
    const char *handler;

    copy->main = r;
    copy->per_dir_config = r->server->lookup_defaults;
    copy->request_config = ap_create_request_config(r->pool);
    copy->notes = apr_table_make(r->pool, 4);
    copy->subprocess_env = apr_table_make(r->pool, 16);
    copy->user = (char *)trust->user;
    ap_run_create_request(copy);
    trust->conf = copy->per_dir_config;
    trust->env = copy->subprocess_env;
    if (ap_location_walk(copy) != OK || ap_if_walk(copy) != OK)
        return;
    trust->conf = copy->per_dir_config;
    /* mod_setenvif does the server's part when it is asked first, and the
     * location's when it is asked again. */
    ap_run_header_parser(copy);
    ap_run_header_parser(copy);
    handler = handler_of(copy);
    trust->is_ours = handler != NULL && r->handler != NULL &&
                     ap_cstr_casecmp(handler, r->handler) == 0;
}

const bl_trust_t *bl_trust_of(request_rec *r)
{
    bl_trust_t *trust =
        ap_get_module_config(r->request_config, &buildlog_module);
    const struct htaccess_result *h;

    if (trust != NULL)
        return trust;
    trust = apr_pcalloc(r->pool, sizeof(*trust));
    ap_set_module_config(r->request_config, &buildlog_module, trust);
    trust->user = user_of(r);
    h = first_htaccess(r);
    if (h == NULL) {
        trust->is_ours = 1;
        trust->conf = r->per_dir_config;
        trust->env = r->subprocess_env;
        return trust;
    }
    without_htaccess(trust, r);
    if (!trust->is_ours)
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      "BL0412 %s is refused: no <Location> sets its handler, "
                      "and a file .htaccess, as in %s, may not",
                      r->uri, h->dir);
    return trust;
}

/* ---- names ----------------------------------------------------------- */

static int ends_with(const char *text, const char *end)
{
    apr_size_t len = strlen(text), end_len = strlen(end);

    return len >= end_len && ap_cstr_casecmp(text + len - end_len, end) == 0;
}

/* A name that nobody can have a domain of, to let it lead where he likes: an
 * address, a name without a dot, and those that are kept from the public. */
static int is_private(const char *host)
{
    static const char *const ends[] = {".localhost", ".local", ".internal",
                                       ".home.arpa"};
    unsigned char address[sizeof(struct in6_addr)];
    apr_size_t i;

    if (strchr(host, '.') == NULL || inet_pton(AF_INET, host, address) == 1 ||
        inet_pton(AF_INET6, host, address) == 1)
        return 1;
    for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (ends_with(host, ends[i]))
            return 1;
    }
    return 0;
}

static int is_among(const apr_array_header_t *names, const char *host)
{
    int i;

    for (i = 0; names != NULL && i < names->nelts; i++) {
        const char *name = APR_ARRAY_IDX(names, i, const char *);

        if (name != NULL && ap_strcasecmp_match(host, name) == 0)
            return 1;
    }
    return 0;
}

int bl_trust_host(request_rec *r)
{
    const server_rec *s = r->server;

    /* No browser leaves it out. */
    if (r->hostname == NULL)
        return 1;
    if (ap_ssl_conn_is_ssl(r->connection) || bl_trust_of(r)->user != NULL)
        return 1;
    return is_private(r->hostname) ||
           (s->server_hostname != NULL &&
            ap_cstr_casecmp(r->hostname, s->server_hostname) == 0) ||
           is_among(s->names, r->hostname) ||
           is_among(s->wild_names, r->hostname);
}

/* ---- nobody ---------------------------------------------------------- */

int bl_trust_is_nobody(request_rec *r)
{
    const char *certificate = ap_ssl_var_lookup(
        r->pool, r->server, r->connection, r, "SSL_CLIENT_VERIFY");

    return r->user == NULL && (certificate == NULL || *certificate == '\0' ||
                               strcmp(certificate, "NONE") == 0);
}

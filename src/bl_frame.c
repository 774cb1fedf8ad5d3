/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_frame.c - an answer in HTML: who wants one, its head, its end, and how
 * text comes into it
 */
#include "bl_frame.h"

/* APR */
#include <apr_strings.h>
/* httpd */
#include "http_protocol.h"
#include "mod_buildlog.h"
/* layer 0 */
#include "bl_accept.h"
/* layer 3 */
#include "bl_api.h"

/* Escaped at a time. */
#define BLOCK_BYTES 4096

/* The policy names its digest (t/38-html.t compares): change both. */
#define STYLE                                                                 \
    ":root{color-scheme:light dark}"                                          \
    "body{background:Canvas;color:CanvasText;font:1rem/1.5 system-ui,"        \
    "sans-serif;margin:0 auto;max-width:75rem;padding:1rem}"                  \
    "h1{font-size:1.4rem;overflow-wrap:anywhere}h2{font-size:1.1rem}"         \
    "nav a,.l a{display:inline-block;margin-right:1rem;padding:.2rem 0}"      \
    "form{display:inline-block;margin-right:1rem;max-width:100%}"             \
    "button,input{box-sizing:border-box;font:inherit;max-width:100%;"         \
    "min-height:2rem}"                                                        \
    "button{padding:0 .8rem}button,time{white-space:nowrap}"                  \
    "table{border-collapse:collapse}"                                         \
    "th,td{padding:.2rem 1rem .2rem 0;text-align:left;vertical-align:top;"    \
    "overflow-wrap:anywhere}"                                                 \
    "dt{font-weight:bold}dd{margin:0 0 .4rem;overflow-wrap:anywhere}"         \
    "pre{line-height:1.35;overflow-wrap:anywhere;tab-size:8;"                 \
    "white-space:pre-wrap}"                                                   \
    ".e{border-left:3px solid;color:#b3261e;padding-left:.4ch}"               \
    ".n{font-style:italic}"                                                   \
    "@media(prefers-color-scheme:dark){.e{color:#ffb4ab}}"                    \
    "@media(max-width:40rem){th,tr:first-child{display:none}"                 \
    "tr{border-top:1px solid;display:block;padding:.3rem 0}"                  \
    "td{display:inline-block;max-width:100%}}"

#define POLICY                                                                \
    "default-src 'none'; "                                                    \
    "style-src 'sha256-7PRiT535HWhpj32EECdEAYOD7M7+e+pEWraUdzSqgZg='; "       \
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"

int bl_frame_wanted(request_rec *r)
{
    static const char *const offers[] = {"application/json", "text/html"};
    const char *accept = apr_table_get(r->headers_in, "Accept");

    /* What a POST gets is kept by nobody. */
    if (r->method_number == M_GET)
        apr_table_setn(r->headers_out, "Vary", "Accept");
    return accept != NULL &&
           bl_accept_best(accept, strlen(accept), offers, 2) == 1;
}

/* ---- text ----------------------------------------------------------- */

void bl_frame_put(request_rec *r, const char *markup)
{
    ap_rputs(markup, r);
}

void bl_frame_more(request_rec *r, bl_html_t *html, const char *text,
                   apr_size_t len)
{
    char out[BLOCK_BYTES];

    while (len > 0) {
        apr_size_t n = bl_html_text(out, sizeof(out), html, &text, &len);

        if (n > 0 && ap_rwrite(out, (int)n, r) < 0)
            return; /* the client has gone, which others find out, too */
    }
}

void bl_frame_text(request_rec *r, const char *text)
{
    bl_html_t html;

    memset(&html, 0, sizeof(html));
    if (text != NULL)
        bl_frame_more(r, &html, text, strlen(text));
}

/* ---- the frame ------------------------------------------------------ */

static void set_head(request_rec *r)
{
    ap_set_content_type(r, "text/html; charset=utf-8");
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "Content-Security-Policy", POLICY);
}

/* From the address of this page to where the lists are; NULL: they are not
 * known from here. */
static const char *way_up(const request_rec *r)
{
    const char *below = bl_api_below_builds(r);

    if (strcmp(r->handler, "buildlog-push") == 0)
        return NULL;
    if (below == NULL)
        return "";
    return strchr(below, '/') == NULL ? "../" : "../../";
}

int bl_frame_begin(request_rec *r, const char *title, int refresh)
{
    const char *up = way_up(r);

    set_head(r);
    if (r->header_only)
        return 0;
    bl_frame_put(r, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
                    "<meta charset=\"utf-8\">\n"
                    "<meta name=\"viewport\" "
                    "content=\"width=device-width, initial-scale=1\">\n");
    if (refresh > 0)
        ap_rprintf(r, "<meta http-equiv=\"refresh\" content=\"%d\">\n",
                   refresh);
    bl_frame_put(r, "<title>");
    bl_frame_text(r, title);
    bl_frame_put(r, "</title>\n<style>" STYLE "</style>\n</head>\n<body>\n");
    if (up != NULL)
        ap_rprintf(r,
                   "<nav><a href=\"%sprojects\">Projects</a> "
                   "<a href=\"%sbuilds\">Builds</a></nav>\n",
                   up, up);
    bl_frame_put(r, "<main>\n<h1>");
    bl_frame_text(r, title);
    bl_frame_put(r, "</h1>\n");
    return 1;
}

int bl_frame_end(request_rec *r)
{
    bl_frame_put(r, "</main>\n</body>\n</html>\n");
    return OK;
}

/* ---- little more than a frame --------------------------------------- */

int bl_frame_error(request_rec *r, const char *title, const char *detail)
{
    if (!bl_frame_begin(r, apr_psprintf(r->pool, "%d %s", r->status, title),
                        0))
        return OK;
    bl_frame_put(r, "<p>");
    bl_frame_text(r, detail);
    bl_frame_put(r, "</p>\n");
    return bl_frame_end(r);
}

int bl_frame_see_other(request_rec *r, const char *location)
{
    r->status = HTTP_SEE_OTHER;
    apr_table_setn(r->headers_out, "Location", location);
    if (!bl_frame_begin(r, "Done", 0))
        return OK;
    bl_frame_put(r, "<p><a href=\"");
    bl_frame_text(r, location);
    bl_frame_put(r, "\">The build</a></p>\n");
    return bl_frame_end(r);
}

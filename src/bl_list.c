/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_list.c - the list of builds
 *
 * The table has what waits and runs and what ended last; the history has what
 * ended, a little later. Both are in the order of numbers: they are merged,
 * newest first, and a build that is in both is taken from the table.
 *
 * ORDER         the table is read before the history: a build that ends in
 *               between is in the first, at least. And the watermark before
 *               both: what happens to a build behind it may be in the list,
 *               what was before it is
 * DIAGNOSTICS   BL0410 the history cannot be read
 */
#include "bl_list.h"

/* libc */
#include <stdlib.h>
/* APR */
#include <apr_hash.h>
#include <apr_strings.h>
/* httpd */
#include "http_protocol.h"
#include "mod_buildlog.h"
/* layer 0 */
#include "bl_build.h"
#include "bl_json.h"
/* layer 3 */
#include "bl_api.h"
#include "bl_config.h"
#include "bl_daemon.h"
#include "bl_error.h"
#include "bl_frame.h"
#include "bl_page.h"
#include "bl_project.h"
#include "bl_query.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MOST 200

/* Rows of the history that are looked at for one answer, when most of them are
 * not for this user; the next page goes on from there. */
#define LOOKED_AT_MOST 5000

typedef struct {
    apr_uint64_t id;
    const char *json;
} entry_t;

typedef struct {
    request_rec *r;
    bl_history_filter_t filter;
    bl_stamp_t at;             /* the watermark */
    apr_array_header_t *found; /* const char *: what is answered */
    apr_hash_t *seen;          /* projects: "" not permitted */
    apr_array_header_t *known; /* entry_t of the table, newest first */
    int next_known;            /* of these */
    bl_history_t *history;     /* NULL: none, or no more */
    apr_pool_t *page_pool;
    apr_array_header_t *page; /* bl_history_row_t */
    int next_row;             /* of these */
    int is_last_page;
    int next_limit;    /* rows of the page behind that */
    int looked_at;     /* rows of the history */
    apr_uint64_t last; /* behind it the next page begins */
    int is_over;       /* nothing is behind it */
    int is_broken;     /* the history cannot be read */
} list_t;

/* ---- history -------------------------------------------------------- */

bl_history_t *bl_list_history(request_rec *r, int *broken)
{
    const char *driver, *why = "";
    const char *params = bl_daemon_database(&driver);
    bl_history_t *history = NULL;
    apr_status_t rv;

    *broken = 0;
    if (params == NULL)
        return NULL;
    rv = bl_history_open(&history, &why, driver, params, BL_HISTORY_READ,
                         r->pool);
    if (rv == APR_SUCCESS || APR_STATUS_IS_ENOENT(rv))
        return history;
    ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                  "BL0410 the history cannot be read: %s", why);
    *broken = 1;
    return NULL;
}

static void history_failed(list_t *list)
{
    ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, list->r,
                  "BL0410 the history cannot be read: %s",
                  bl_history_why(list->history));
    bl_history_close(&list->history);
    list->is_broken = 1;
}

/* ---- two sources ---------------------------------------------------- */

static int may_see(list_t *list, const char *project)
{
    const char *known = apr_hash_get(list->seen, project, APR_HASH_KEY_STRING);

    if (known == NULL) {
        project = apr_pstrdup(list->r->pool, project);
        known = bl_project_may_see(list->r, project) ? project : "";
        apr_hash_set(list->seen, project, APR_HASH_KEY_STRING, known);
    }
    return known[0] != '\0';
}

/* Reading a record takes longer than all else here: only a filter by state
 * makes it necessary. */
static int has_state(const list_t *list, const char *json, apr_pool_t *p)
{
    bl_build_t *build;

    return list->filter.state == BL_HISTORY_ANY_STATE ||
           (bl_build_from_json(&build, json, strlen(json), p) == APR_SUCCESS &&
            build->state == list->filter.state);
}

static int matches(list_t *list, apr_uint64_t id, const char *project)
{
    const bl_history_filter_t *filter = &list->filter;

    return (filter->before == 0 || id < filter->before) &&
           (filter->project == NULL ||
            strcmp(project, filter->project) == 0) &&
           may_see(list, project);
}

static int newest_first(const void *a, const void *b)
{
    apr_uint64_t x = ((const entry_t *)a)->id, y = ((const entry_t *)b)->id;

    return x < y ? 1 : x > y ? -1 : 0;
}

static void read_table(list_t *list)
{
    const bl_table_t *table = bl_daemon_table();
    int i, rows = bl_table_row_count(table);
    apr_pool_t *scratch;

    list->known = apr_array_make(list->r->pool, 64, sizeof(entry_t));
    apr_pool_create(&scratch, list->r->pool);
    for (i = 0; i < rows; i++) {
        const char *project, *json;
        bl_table_row_t row;
        entry_t *entry;

        apr_pool_clear(scratch);
        if (bl_table_row_read(&row, table, i) != APR_SUCCESS ||
            bl_table_row_text(&project, &json, table, i, row.build, scratch) !=
                APR_SUCCESS)
            continue;
        entry = apr_array_push(list->known);
        entry->id = row.build;
        /* Also what is not shown: the history may still have it as it was. */
        entry->json = NULL;
        if (matches(list, row.build, project) &&
            has_state(list, json, scratch))
            entry->json = apr_pstrdup(list->r->pool, json);
    }
    apr_pool_destroy(scratch);
    qsort(list->known->elts, (apr_size_t)list->known->nelts, sizeof(entry_t),
          newest_first);
}

static apr_status_t read_page(list_t *list)
{
    apr_array_header_t *page;
    apr_status_t rv;

    apr_pool_clear(list->page_pool);
    list->page = NULL;
    list->next_row = 0;
    rv = bl_history_list(&page, list->history, &list->filter, list->page_pool);
    if (rv != APR_SUCCESS) {
        history_failed(list);
        return rv;
    }
    list->page = page;
    list->is_last_page = page->nelts < list->filter.limit;
    /* One may do; who needs more needs many. */
    list->filter.limit = list->next_limit;
    list->next_limit = LIMIT_MOST;
    return APR_SUCCESS;
}

/* The next row of the history, valid until the next call. @return NULL: there
 * is none */
static const bl_history_row_t *next_row(list_t *list)
{
    const bl_history_row_t *row;

    if (list->history == NULL)
        return NULL;
    if (list->page == NULL || list->next_row == list->page->nelts) {
        if (list->is_last_page || read_page(list) != APR_SUCCESS ||
            list->page->nelts == 0)
            return NULL;
    }
    row = &APR_ARRAY_IDX(list->page, list->next_row++, bl_history_row_t);
    list->looked_at++;
    list->filter.before = row->id;
    return row;
}

static int is_known(const list_t *list, apr_uint64_t id)
{
    entry_t key = {id, NULL};

    return list->known->nelts > 0 &&
           bsearch(&key, list->known->elts, (apr_size_t)list->known->nelts,
                   sizeof(entry_t), newest_first) != NULL;
}

/* ---- one list ------------------------------------------------------- */

/* Those of the table that are newer than an id; 0: all. */
static int take_known(list_t *list, apr_uint64_t newer_than, int limit)
{
    int taken = 0;

    while (taken < limit && list->next_known < list->known->nelts) {
        const entry_t *entry =
            &APR_ARRAY_IDX(list->known, list->next_known, entry_t);

        if (entry->id < newer_than)
            break;
        list->next_known++;
        if (entry->json == NULL)
            continue;
        APR_ARRAY_PUSH(list->found, const char *) = entry->json;
        taken++;
        list->last = entry->id;
    }
    return taken;
}

static void merge(list_t *list, int limit)
{
    int taken = 0;

    while (taken < limit && list->looked_at < LOOKED_AT_MOST) {
        const bl_history_row_t *row = next_row(list);

        taken += take_known(list, row != NULL ? row->id : 0, limit - taken);
        if (row == NULL) {
            list->is_over = list->next_known == list->known->nelts;
            return;
        }
        if (taken == limit)
            return;
        if (list->filter.project != NULL && !may_see(list, row->project)) {
            list->is_over = 1; /* nor any other: all are of this project */
            return;
        }
        list->last = row->id;
        if (!is_known(list, row->id) && may_see(list, row->project)) {
            APR_ARRAY_PUSH(list->found, const char *) =
                apr_pstrdup(list->r->pool, row->json);
            taken++;
        }
    }
}

/* ---- the request ---------------------------------------------------- */

/* No project is called what is not UTF-8, and the history would not know what
 * is asked for. */
static int is_utf8(const char *text, apr_pool_t *p)
{
    bl_json_t *json = bl_json_object(p);

    bl_json_set_string(json, "text", text);
    return strcmp(bl_json_string(json, "text"), text) == 0;
}

static const char *read_query(list_t *list, int *limit)
{
    apr_table_t *query = apr_table_make(list->r->pool, 8);
    bl_history_filter_t *filter = &list->filter;
    const char *state, *before, *most;

    if (bl_query_split(query, list->r) != APR_SUCCESS)
        return "The query is not encoded as it must be.";
    state = apr_table_get(query, "state");
    before = apr_table_get(query, "before");
    most = apr_table_get(query, "limit");
    filter->project = apr_table_get(query, "project");
    filter->state = BL_HISTORY_ANY_STATE;
    *limit = LIMIT_DEFAULT;
    if (filter->project != NULL && !is_utf8(filter->project, list->r->pool))
        return "project must be the path of a project, in UTF-8.";
    if (state != NULL &&
        bl_build_state_read(&filter->state, state) != APR_SUCCESS)
        return "state must be queued, running, succeeded, failed, cancelled, "
               "timed-out or lost.";
    if (before != NULL) {
        filter->before = bl_api_read_number(before);
        if (filter->before == 0)
            return "before must be the number of a build.";
    }
    if (most != NULL) {
        apr_uint64_t n = bl_api_read_number(most);

        if (n == 0 || n > LIMIT_MOST)
            return apr_psprintf(list->r->pool,
                                "limit must be a number from 1 to %d.",
                                LIMIT_MOST);
        *limit = (int)n;
    }
    return NULL;
}

static int answer_json(list_t *list, apr_uint64_t next)
{
    apr_pool_t *p = list->r->pool;
    bl_json_t *answer = bl_json_object(p), *array = bl_json_array(p), *build;
    const char *why;
    int i;

    for (i = 0; i < list->found->nelts; i++) {
        const char *json = APR_ARRAY_IDX(list->found, i, const char *);

        if (bl_json_parse(&build, json, strlen(json), &why, p) == APR_SUCCESS)
            bl_json_append(array, build);
    }
    bl_json_set(answer, "builds", array);
    if (next == 0)
        bl_json_set_null(answer, "next");
    else
        bl_json_set_int(answer, "next", (apr_int64_t)next);
    if (list->at == 0)
        bl_json_set_null(answer, "after");
    else
        bl_json_set_string(answer, "after",
                           apr_psprintf(p, "%" APR_UINT64_T_FMT, list->at));
    if (list->is_broken)
        bl_json_set_bool(answer, "incomplete", 1);
    return bl_api_answer(list->r, HTTP_OK, bl_json_text(answer, p));
}

int bl_list_send(request_rec *r)
{
    const char *wrong;
    apr_uint64_t next;
    list_t list;
    int limit;

    memset(&list, 0, sizeof(list));
    list.r = r;
    list.seen = apr_hash_make(r->pool);
    list.found = apr_array_make(r->pool, LIMIT_DEFAULT, sizeof(char *));
    wrong = read_query(&list, &limit);
    if (wrong != NULL)
        return bl_error_send(r, HTTP_BAD_REQUEST, wrong);
    /* Of one project nothing more is read before it is known that it may be
     * seen: the time would tell that there are builds, and how many. */
    list.filter.limit = list.filter.project != NULL ? 1 : limit;
    list.next_limit = list.filter.project != NULL ? limit : LIMIT_MOST;
    apr_pool_create(&list.page_pool, r->pool);
    list.at = bl_table_watermark(bl_daemon_table());
    read_table(&list);
    list.history = bl_list_history(r, &list.is_broken);
    merge(&list, limit);
    bl_history_close(&list.history);
    next = list.is_over ? 0 : list.last;
    if (bl_frame_wanted(r))
        return bl_page_builds(r, list.found, next, list.is_broken);
    return answer_json(&list, next);
}

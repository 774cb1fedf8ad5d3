/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view_test.c - a view says of each project what was decided, and of no other
 * anything (promise 8)
 */
#include "bl_view.h"

#include <stdlib.h>

#include <apr_general.h>

#include "tap.h"

static apr_pool_t *pool;

static apr_array_header_t *list_new(void)
{
    return apr_array_make(pool, 4, sizeof(char *));
}

static void test_says(void)
{
    apr_array_header_t *list = list_new();
    const char *view;

    bl_view_add(list, "/srv/shop", 1);
    bl_view_add(list, "/srv/secret", 0);
    /* Its line ends like one that would allow /srv/secret. */
    bl_view_add(list, "/home/m/x+/srv/secret", 1);
    bl_view_add(list, "/home/m/-/srv/shop", 0);
    view = bl_view_make(list, pool);
    ok(bl_view_says(view, "/srv/shop") == BL_VIEW_ALLOWED, "allowed");
    ok(bl_view_says(view, "/srv/secret") == BL_VIEW_DENIED, "denied");
    ok(bl_view_says(view, "/home/m/x+/srv/secret") == BL_VIEW_ALLOWED,
       "a path that holds another one and its sign");
    ok(bl_view_says(view, "/srv/sho") == BL_VIEW_UNDECIDED, "a beginning");
    ok(bl_view_says(view, "/srv/shop/") == BL_VIEW_UNDECIDED, "more than it");
    ok(bl_view_says(view, "srv/shop") == BL_VIEW_UNDECIDED, "an end");
    ok(bl_view_says(view, "") == BL_VIEW_UNDECIDED, "nothing");
    ok(bl_view_says("", "/srv/shop") == BL_VIEW_UNDECIDED, "an empty view");
}

static void test_equal(void)
{
    apr_array_header_t *a = list_new(), *b = list_new();

    bl_view_add(a, "/a", 1);
    bl_view_add(a, "/b", 0);
    bl_view_add(b, "/b", 0);
    bl_view_add(b, "/a", 1);
    is_str(bl_view_make(a, pool), bl_view_make(b, pool),
           "the same rights make the same view, in whatever order");
}

int main(void)
{
    apr_initialize();
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    test_says();
    test_equal();
    return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accept_test.c - a browser gets HTML and a program JSON, by what they say
 * they prefer (section 5 of the contract)
 */
#include "bl_accept.h"

#include "tap.h"

static const struct {
    const char *accept;
    int html; /* of JSON and HTML */
} cases[] = {
    {"", 0},
    {"*/*", 0}, /* curl, fetch */
    {"text/html", 1},
    {"application/json", 0},
    {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", 1},
    {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,"
     "image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
     1},
    {"text/html, text/*;q=0.5, image/*, application/*", 1}, /* w3m */
    {"text/html, */*", 1},
    {"application/json, text/html", 0},
    {"text/html, application/json", 0},
    {"text/html;q=0.9, application/json;q=0.8", 1},
    {"text/html;q=0.8, application/json;q=0.9", 0},
    {"text/html;q=0.8, */*;q=0.9", 0},
    {"text/html; q=0.800, application/json;q=0.79", 1},
    {"application/json, application/problem+json", 0}, /* our page */
    {"text/event-stream", 0},
    {"image/png", 0},
    {"text/html;q=0", 0},
    {"text/html;q=0, text/*", 0},
    {"text/*;q=0.2, text/html;q=0.9, application/json;q=0.5", 1},
    {"text/html;q=0.9, text/*;q=0.2, application/json;q=0.5", 1},
    {"text/*, application/json;q=0.5", 1},
    {"text/*, application/*", 0},
    {"application/json;q=0, */*", 1},
    {"TEXT/HTML;Q=1, application/JSON;q=0.5", 1},
    {"text/html ; q=0.5 , application/json ; q=0.4", 1},
    {"text/html;level=1;q=0.4, application/json;q=0.5", 0},
    {"text/html;x=\",;\\\"\";q=0.6, application/json;q=0.5", 1},
    {"text/html;x=\"q=0\", application/json;q=0.5", 1},
    /* What is none is passed over. */
    {"text/html;q=2, application/json;q=0.1", 0},
    {"text/html;q=1.001", 0},
    {"text/html;q=0.1234, application/json;q=0.1", 0},
    {"text/html;q=, application/json;q=0.1", 0},
    {"text/html;q=-1", 0},
    {"text", 0},
    {"text/", 0},
    {"text/htmlx", 0},
    {"text/htm", 0},
    {"*/html", 0},
    {"/", 0},
    {",,;;==, ,", 0},
    {",,text/html,,", 1},
    {"text/html;x=\"", 1},
    {"text/html;x=\"\\", 1},
};

int main(void)
{
    static const char *const offers[] = {"application/json", "text/html"};
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *accept = cases[i].accept;

        is_u64((uint64_t)bl_accept_best(accept, strlen(accept), offers, 2),
               (uint64_t)cases[i].html, "%s", accept);
    }
    return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_secret.c - what of a build is secret: BuildLogMask
 *
 * DIAGNOSTICS   BL0219 a value is too short
 */
#include "bl_secret.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_strings.h>
/* layer 0 */
#include "bl_diag.h"
#include "bl_forms.h"

/* Where secrets may be, and cannot be looked for. */
#define HIDDEN "***"

static void say_short(const bl_build_t *build, bl_output_t *output,
                      const char *name, apr_pool_t *p)
{
    const char *what = apr_psprintf(
        p, "the value of %s is not masked: it has less than %d bytes", name,
        BL_MASK_LEAST);

    bl_diag(BL_DIAG_WARNING, 0, "BL0219 build %" APR_UINT64_T_FMT " of %s: %s",
            build->id, build->project, what);
    bl_output_note(output, 0, apr_pstrcat(p, "BuildLogMask: ", what, NULL));
}

static apr_status_t mask_of(bl_mask_t **out, const bl_order_t *order,
                            apr_pool_t *p)
{
    const char **values =
        apr_palloc(p, sizeof(char *) * (apr_size_t)(order->env_count + 1));
    int count = 0, i;

    for (i = 0; i < order->env_count; i++) {
        if (bl_wire_is_secret(order, order->env[i]))
            values[count++] = strchr(order->env[i], '=') + 1;
    }
    return bl_mask_create(out, values, count, p);
}

apr_status_t bl_secret_hide(bl_mask_t **out, const bl_order_t *order,
                            const bl_build_t *build, bl_output_t *output,
                            apr_pool_t *p)
{
    apr_status_t rv = mask_of(out, order, p);
    int i;

    if (rv != APR_SUCCESS)
        return rv;
    for (i = 0; i < order->env_count; i++) {
        const char *entry = order->env[i], *value = strchr(entry, '=');
        apr_size_t len = bl_forms_len(value + 1);

        if (bl_wire_is_secret(order, entry) && len > 0 && len < BL_MASK_LEAST)
            say_short(build, output,
                      apr_pstrmemdup(p, entry, (apr_size_t)(value - entry)),
                      p);
    }
    bl_output_set_mask(output, *out);
    return APR_SUCCESS;
}

static void hide_all(bl_build_t *build)
{
    int i;

    build->title = HIDDEN;
    for (i = 0; i < build->step_count; i++)
        build->steps[i].name = HIDDEN;
}

/* A build that waits keeps no mask: there may be many. */
void bl_secret_hide_words(bl_build_t *build, const bl_order_t *order,
                          apr_pool_t *p)
{
    bl_mask_t *mask = NULL;
    apr_pool_t *scratch;
    int i;

    if (order->mask_count == 0)
        return;
    apr_pool_create(&scratch, p);
    if (mask_of(&mask, order, scratch) == APR_SUCCESS) {
        build->title = bl_mask_text(mask, build->title, p);
        if (build->user != NULL)
            build->user = bl_mask_text(mask, build->user, p);
        for (i = 0; i < build->step_count; i++)
            build->steps[i].name = bl_mask_text(mask, build->steps[i].name, p);
    }
    else
        hide_all(build); /* it will not begin, and its record stays */
    apr_pool_destroy(scratch);
}

const char *bl_secret_hide_text(const char *text, const bl_order_t *order,
                                apr_pool_t *p)
{
    bl_mask_t *mask = NULL;
    apr_pool_t *scratch;

    if (text == NULL || order->mask_count == 0)
        return text;
    apr_pool_create(&scratch, p);
    text = mask_of(&mask, order, scratch) == APR_SUCCESS
               ? bl_mask_text(mask, text, p)
               : NULL;
    apr_pool_destroy(scratch);
    return text;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_accept.c - any bytes as an Accept header: one of the types is chosen,
 * and the header is not read beyond its end
 *
 * INPUT  the header
 */
#include "bl_accept.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const offers[] = {"application/json", "text/html"};
    char *header = malloc(size > 0 ? size : 1);
    int best;

    if (size > 0)
        memcpy(header, data, size);
    best = bl_accept_best(header, size, offers, 2);
    free(header);
    if (best != 0 && best != 1)
        abort();
    return 0;
}

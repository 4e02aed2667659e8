// SPDX-License-Identifier: Apache-2.0
// See control_json.h.
#include "fs/control_json.h"

#include <string.h>

#include "net/base/cleanup.h"

json_t *control_json_text(const char *s)
{
    json_t *text = json_string(s);
    if (text)
        return text;
    CLEANUP_FREE char *copy = strdup(s);
    for (char *p = copy; p && *p; p++) {
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    }
    return copy ? json_string(copy) : NULL;
}

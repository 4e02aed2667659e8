// SPDX-License-Identifier: Apache-2.0
/* control_json - what the JSON of the control files has in common */
#ifndef OBSM_FS_CONTROL_JSON_H
#define OBSM_FS_CONTROL_JSON_H

#include <jansson.h>

/* A text as JSON. Keys and what a service answers are bytes, JSON is text: where they are not UTF-8,
 * each byte above 0x7f is '?'. NULL: out of memory. */
json_t *control_json_text(const char *s);

#endif

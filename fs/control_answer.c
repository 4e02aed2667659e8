// SPDX-License-Identifier: Apache-2.0
// Answers of services as the control files show them; see control_service.h.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "fs/control_service.h"
#include "fs/errors.h"
#include "net/base/clock.h"

static json_t *service_fields(const struct control_answer *a)
{
    json_t *fields = a->text ? json_loadb(a->text, a->n_text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (json_is_object(fields))
        return fields;
    json_decref(fields);
    return json_object();
}

/* Never over a field that the service itself has given. */
static void add(json_t *to, const char *name, json_t *value)
{
    if (value && !json_object_get(to, name))
        (void)json_object_set(to, name, value);
    json_decref(value);
}

static void add_error(json_t *to, const struct err *err)
{
    if (!err->eno)
        return;
    add(to, "error_code", json_string(err->code[0] ? err->code : err_name(err->eno)));
    add(to, "error_msg", json_string(err->msg[0] ? err->msg : err_text(err->eno)));
    add(to, "errno", json_string(err_name(err->eno)));
}

static void add_open_files(json_t *to, const struct control_answer *a)
{
    if (!a->n_open)
        return;
    json_t *files = json_array();
    for (size_t i = 0; files && i < a->n_open; i++)
        (void)json_array_append_new(files, json_string(a->open_files[i]));
    add(to, "open_files", files);
}

char *control_answer_text(const struct control_answer *a, const struct err *err)
{
    char when[32];
    struct timespec now = clock_real();
    json_t *all = service_fields(a);
    if (!all)
        return NULL;
    errors_time(&now, when);
    add_error(all, err);
    add_open_files(all, a);
    if (a->http)
        add(all, "http_status", json_integer(a->http));
    if (a->request_id && a->request_id[0])
        add(all, "request_id", json_string(a->request_id));
    if (a->state)
        add(all, "state", json_string(a->state));
    add(all, "time", json_string(when));
    char *text = json_dumps(all, JSON_INDENT(2));
    json_decref(all);
    size_t n = text ? strlen(text) : 0;
    char *line = text ? realloc(text, n + 2) : NULL;
    if (!line) {
        free(text);
        return NULL;
    }
    line[n] = '\n';
    line[n + 1] = '\0';
    return line;
}

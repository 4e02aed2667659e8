// SPDX-License-Identifier: Apache-2.0
// The readers of JSON answers, and of a user's own request.
#include <string.h>

#include "net/dli.h"
#include "net/json.h"
#include "tests/fuzz/fuzz.h"

/* What is read and then has only addresses for paths makes a body that is read alike. */
static void check_upload(const uint8_t *data, size_t size)
{
    struct dli_upload u, again = {0};
    struct err err;
    struct buf body = BUF_INIT(DLI_BODY_MAX);

    if (dli_upload_parse((const char *)data, size, DLI_JAR, "g", &u, &err) < 0)
        return;
    FUZZ_CHECK(u.n_paths > 0 && strcmp(u.group, "g") == 0);
    if (dli_upload_body(&u, &body, &err) == 0) {
        FUZZ_CHECK(dli_upload_parse(body.p, body.n, u.kind, "g", &again, &err) == 0);
        FUZZ_CHECK(again.n_paths == u.n_paths && again.is_async == u.is_async);
        FUZZ_CHECK(strcmp(dli_upload_path(&again), dli_upload_path(&u)) == 0);
    }
    dli_upload_clear(&again);
    dli_upload_clear(&u);
    buf_done(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct svc_error e;
    struct dli_answer dli;
    struct sync_answer sync;
    struct project *projects;
    struct cred cred;
    struct err err;
    size_t n;

    if (json_parse_error(data, size, &e) == 0) {
        FUZZ_CHECK(e.code[0] || e.msg[0]);
        fuzz_check_line(e.code);
        fuzz_check_line(e.msg);
        fuzz_check_line(e.request_id);
    }
    if (json_parse_dli(data, size, &dli, &err) == 0) {
        FUZZ_CHECK(dli.n <= JSON_ITEMS_MAX);
        for (size_t i = 0; i < dli.n; i++)
            fuzz_check_line(dli.v[i].name);
    }
    dli_answer_clear(&dli);
    if (json_parse_sync(data, size, &sync, &err) == 0)
        fuzz_check_line(sync.task_id);
    if (json_parse_projects(data, size, &projects, &n, &err) == 0) {
        for (size_t i = 0; i < n; i++)
            FUZZ_CHECK(projects[i].id[0]);
    }
    free(projects);
    if (json_parse_securitykey(data, size, &cred, &err) == 0) {
        FUZZ_CHECK(cred.ak[0] && cred.sk[0] && cred.token[0]);
        fuzz_check_line(cred.token);
    }
    struct token_answer token;
    if (json_parse_token(data, size, &token, &err) == 0)
        fuzz_check_line(token.project.id);
    if (json_parse_refusal(data, size, &e))
        fuzz_check_line(e.msg);
    check_upload(data, size);
    return 0;
}

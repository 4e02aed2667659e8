// SPDX-License-Identifier: Apache-2.0
// The readers of JSON answers.
#include "net/json.h"
#include "tests/fuzz/fuzz.h"

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
    return 0;
}

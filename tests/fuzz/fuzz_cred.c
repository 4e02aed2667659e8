// SPDX-License-Identifier: Apache-2.0
// Credential files.
#include "net/cred.h"
#include "tests/fuzz/fuzz.h"

static void check_key(const char *key)
{
    for (; *key; key++)
        FUZZ_CHECK((unsigned char)*key > 0x20 && (unsigned char)*key < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct cred wiped;
    struct cred cred;
    struct err err = {0};

    int rc = cred_parse((const char *)data, size, &cred, &err);
    if (rc < 0) {
        FUZZ_CHECK(err.msg[0]);
        FUZZ_CHECK(rc == err.eno);
        FUZZ_CHECK(memcmp(&cred, &wiped, sizeof(cred)) == 0);
        return 0;
    }
    FUZZ_CHECK(cred.ak[0] && cred.sk[0]);
    check_key(cred.ak);
    check_key(cred.sk);
    check_key(cred.token);
    return 0;
}

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every source file names its licence in its first lines.
. "$(dirname "$0")/lib.sh"
while IFS= read -r file; do
    head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' ||
        complain "$file: no SPDX line at its head"
done < <(sources '*.c' '*.h' '*.def' '*.sh' '*.py' '*.[1-9]' CMakeLists.txt run quickstart)
finish

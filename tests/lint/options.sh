#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every option of fs/options.def stands in obsmount(1) with its range and default, and the other way
# round; and every one is read by some code, so that none is accepted and ignored.
. "$(dirname "$0")/lib.sh"
need_tool python3
python3 - <<'PY' || failed=1
import glob, re, sys

rows = {}
for line in open("fs/options.def"):
    m = re.match(r'OPT\((\w+), (\w+), "([^"]*)", "([^"]*)", (\w+),', line)
    if m:
        rows[m[1]] = {"type": m[2], "default": m[3], "range": m[4]}
bad = []
page = open("man/obsmount.1").read()
section = page.split('.Sh OPTIONS', 1)[1].split('\n.Sh ', 1)[0]
items = dict(re.findall(r'^\.It Cm (\w+).*\n((?:(?!\.It |\.El).*\n)*)', section, re.M))
for name in rows.keys() - items.keys():
    bad.append(f"option '{name}' is missing in man/obsmount.1")
for name in items.keys() - rows.keys():
    bad.append(f"man/obsmount.1 describes '{name}', which is no option")
for name in rows.keys() & items.keys():
    row, text = rows[name], items[name]
    wanted = [w for w in re.split(r'\.\.|\|', row["range"]) if w]
    if row["default"] and row["default"] not in ("off",):
        wanted.append(row["default"])
    for word in wanted:
        if not re.search(r'(?<![\w.])' + re.escape(word) + r'(?![\w])', text):
            bad.append(f"man/obsmount.1: '{name}' does not say '{word}'")
code = ""
for path in glob.glob("fs/*.c"):
    if path not in ("fs/options.c", "fs/option_value.c"):
        code += open(path).read()
shared = open("fs/options.c").read()
for name in rows:
    pattern = r'(->|\.)' + name + r'\b'
    if not re.search(r'opt(ions)?' + pattern, code) and not re.search('opt' + pattern, shared):
        bad.append(f"option '{name}' is read nowhere")
print("\n".join(bad) if bad else f"{len(rows)} options agree")
sys.exit(1 if bad else 0)
PY
exit "$failed"

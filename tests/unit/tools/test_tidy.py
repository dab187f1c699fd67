# SPDX-License-Identifier: Apache-2.0
"""tools/tidy finds what it should, and nothing else: a clean tree, and one planted finding for each rule."""

import os
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
TIDY = os.path.join(ROOT, "tools", "tidy")
HEAD = "// SPDX-License-Identifier: Apache-2.0\n// A file.\n"
BUILD = "# SPDX-License-Identifier: Apache-2.0\nsources = ['a.c']\n"
MUSTS = "\n".join("    must(i > %d);" % i for i in range(5))

CLEAN = {
    "src/base/a.c": HEAD + '#include "base/a.h"\n\n// strcpy( in a comment\nint a(void)\n{\n    return 1;\n}\n',
    "src/base/a.h": HEAD + "#pragma once\n\nint a(void);\n",
    "src/base/meson.build": BUILD,
    "src/core/a.c": HEAD + '#include "base/a.h"\n\nint b(int i)\n{\n' + MUSTS + '\n    return i;\n}\n',
    "src/core/meson.build": BUILD,
    "src/store/a.c": HEAD + 'const char *sql = "SELECT id FROM run WHERE name LIKE \'a%\' AND id = ?";\n',
    "src/store/meson.build": BUILD,
    "spec/errors.def": HEAD + 'ERR(IO, 1, "It did not "\n    "work.")\nERR(AGAIN, 2, "Come again.")\n',
    "README.md": "words\n",
}


def tidy(tmp_path, changes=None, allow=None):
    """Runs tidy over the clean tree with these files changed (None removes one); gives (exit status, lines)."""
    files = dict(CLEAN)
    files.update(changes or {})
    if allow is not None:
        files["tools/tidy-allow.txt"] = allow
    for path, text in files.items():
        if text is not None:
            target = tmp_path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
    done = subprocess.run([TIDY, "--root", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def function(lines):
    """A function of so many lines, from its opening brace to the closing one."""
    return "int f(int x)\n{\n" + "    x++;\n" * (lines - 3) + "    return x;\n}\n"


def test_clean_tree(tmp_path):
    status, lines = tidy(tmp_path)
    assert (status, lines) == (0, [f"tidy: {len(CLEAN)} files in order"])


def test_this_repository_is_tidy():
    done = subprocess.run([TIDY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


C = "src/base/a.c"
CORE = "src/core/a.c"
PLANTED = [
    ("layer up", {C: HEAD + '#include "core/a.h"\n', "src/core/a.h": HEAD + "#pragma once\n"},
     "src/base/a.c:3: base includes core/a.h"),
    ("layer third party", {C: HEAD + "#include <sqlite3.h>\n"}, "src/base/a.c:3: base includes <sqlite3.h>"),
    ("layer generated", {CORE: CLEAN[CORE] + '#include "proto/x.pb-c.h"\n'}, "core includes proto/x.pb-c.h"),
    ("layer unknown", {"src/new/a.c": HEAD + '#include "base/a.h"\n', "src/new/meson.build": BUILD}, "is in no layer"),
    ("layer engine", {"src/engine/a.c": HEAD + '#include "store/x.h"\n', "src/engine/meson.build": BUILD,
                      "src/store/x.h": HEAD + "#pragma once\n"}, "engine includes store/x.h"),
    ("cycle", {"src/base/b.h": HEAD + '#pragma once\n#include "base/c.h"\n',
               "src/base/c.h": HEAD + '#pragma once\n#include "base/b.h"\n'}, "include cycle src/base/b.h"),
    ("banned", {C: HEAD + "\nvoid f(char *x)\n{\n    strcpy(x, x);\n}\n"}, "src/base/a.c:6: strcpy() is banned: use "),
    ("banned in tests", {"tests/x.c": HEAD + "int x = atoi(0);\n", "tests/meson.build": BUILD.replace("a.c", "x.c")},
     "tests/x.c:3: atoi() is banned"),
    ("impure call", {CORE: CLEAN[CORE] + "int c = time(0);\n"}, "core calls time()"),
    ("impure malloc", {CORE: CLEAN[CORE] + "int c = malloc(0);\n"}, "core calls malloc()"),
    ("impure float", {CORE: CLEAN[CORE] + "double c;\n"}, "core uses double"),
    ("impure include", {CORE: CLEAN[CORE] + "#include <stdio.h>\n"}, "core includes stdio.h"),
    ("function too long", {C: HEAD + function(101)}, "src/base/a.c:4: f has 101 lines, at most 100"),
    ("function too long in core", {CORE: CLEAN[CORE] + function(71)}, "f has 71 lines, at most 70"),
    ("file too long", {C: HEAD + "int x;\n" * 598}, "the file has 600 lines"),
    ("no licence", {C: "// A file.\n// More.\n"}, "src/base/a.c:1: the licence is not named"),
    ("no licence in a script", {"tools/x": "#!/bin/sh\ntrue\n"}, "tools/x:1: the licence is not named"),
    ("no comment", {C: HEAD.split("\n")[0] + "\nint x;\n"}, "src/base/a.c:2: the file does not say what it is"),
    ("no pragma once", {"src/base/a.h": HEAD}, "src/base/a.h:1: the header has no guard"),
    ("row without a sentence", {"spec/errors.def": HEAD + 'ERR(IO, 1, "")\n'}, "spec/errors.def:3: the row has no sentence"),
    ("table without rows", {"spec/errors.def": HEAD}, "spec/errors.def:1: the table has no rows"),
    ("row without code", {"src/base/bugs.def": HEAD + 'BUG(LOST, "a bug that is lost")\n'}, "src/base/bugs.def:3: nothing in src/base uses LOST"),
    ("empty check", {"src/base/rules.def": HEAD + 'INVARIANT(GROWS, "it only grows")\n',
                     C: HEAD + "\nvoid f(void)\n{\n    hold(sim, INV_GROWS, true, 0);\n}\n"}, "src/base/rules.def:3: the check of GROWS is empty"),
    ("few assertions", {CORE: HEAD + "int x;\n" * 40}, "0 assertions in 40 lines of code, 0 per 1000: state 2 more"),
    ("tab", {"README.md": "a\tb\n"}, "README.md:1: a tab"),
    ("trailing space", {"README.md": "a\nb \n"}, "README.md:2: trailing space"),
    ("no newline", {"README.md": "a"}, "README.md:1: no newline"),
    ("dead file", {"src/base/dead.c": HEAD}, "src/base/dead.c:1: no meson.build names this file"),
    ("private path", {"README.md": "see /wo" "rk/x\n"}, "README.md:1: the line names a path"),
    ("left for later", {C: CLEAN[C] + "// TO" "DO: more\n"}, "src/base/a.c:10: work left for later"),
    ("formatted SQL", {"src/store/a.c": HEAD + 'const char *s = "SELECT * FROM run WHERE id = %llu";\n'},
     "src/store/a.c:3: a value is formatted into SQL"),
]


@pytest.mark.parametrize("changes, expected", [row[1:] for row in PLANTED], ids=[row[0] for row in PLANTED])
def test_planted(tmp_path, changes, expected):
    status, lines = tidy(tmp_path, changes)
    assert status == 1
    assert any(expected in line for line in lines), lines
    # Nothing but what was planted (a cycle or a new header may show from two sides).
    assert len(lines) <= 3, lines


@pytest.mark.parametrize("changes", [
    {C: HEAD + function(100)},
    {C: HEAD + "#define X(a) \\\n    do { \\\n    } while (0)\n" + function(20) + "struct s {\n    int x;\n};\nint v[] = {\n    1,\n};\n"},
    {C: HEAD + "int x;\n" * 597},
    {C: HEAD + "const char *s = \"strcpy(\";\nint my_strcpy(int x);\nint y = s.time(1);\n"},
], ids=["function at the limit", "macros and data", "file at the limit", "words in strings and longer names"])
def test_not_found(tmp_path, changes):
    status, lines = tidy(tmp_path, changes)
    assert status == 0, lines


def test_function_lengths_are_exact(tmp_path):
    static = '__attribute__((format(printf, 1, 0)))\nstatic int g(const char *fmt, int (*call)(int))\n{\n'
    text = HEAD + "enum e {\n    A,\n};\n\n" + static + "    if (call) {\n    }\n" * 51 + "}\n" + function(50)
    _, lines = tidy(tmp_path, {C: text})
    assert any(f"{C}:9: g has 104 lines" in line for line in lines), lines
    assert len(lines) == 2


def test_allow_list_excuses(tmp_path):
    status, lines = tidy(tmp_path, {C: HEAD + function(120)}, "# why\nfunction-length src/base/a.c:f 120\n")
    assert status == 0, lines


@pytest.mark.parametrize("changes, allow, expected", [
    ({C: HEAD + function(121)}, "function-length src/base/a.c:f 120\n", "f has 121 lines, at most 100 are fine (allowed: 120)"),
    ({C: HEAD + function(110)}, "function-length src/base/a.c:f 120\n", "tools/tidy-allow.txt:1: function-length src/base/a.c:f got"),
    ({}, "\nfunction-length src/base/a.c:f 120\n", "tools/tidy-allow.txt:2: function-length src/base/a.c:f is no longer needed"),
    ({CORE: HEAD + "int x;\n" * 95 + MUSTS[:16] + "\n" * 9}, "assert-density src/core 20\n", "10 per 1000 (allowed: 20)"),
    ({CORE: HEAD + "int x;\n" * 96 + "must(1);\n" * 2}, "assert-density src/core 10\n", "write 20 in place of 10"),
    ({}, "nonsense\n", "tools/tidy-allow.txt:1: not an entry"),
], ids=["grew", "shrank", "stale", "fewer assertions", "more assertions", "malformed"])
def test_allow_list_only_shrinks(tmp_path, changes, allow, expected):
    status, lines = tidy(tmp_path, changes, allow)
    assert status == 1
    assert any(expected in line for line in lines), lines


def test_without_git_what_is_hidden_or_built_does_not_count(tmp_path):
    for folder in (".pytest_cache/v", "build-asan"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "scratch.c").write_text("\t")
    assert tidy(tmp_path) == (0, [f"tidy: {len(CLEAN)} files in order"])


def test_git_decides_what_counts(tmp_path):
    tidy(tmp_path)
    git = ["git", "-C", str(tmp_path)]
    subprocess.run(git + ["init", "-q"], check=True)
    subprocess.run(git + ["add", "-A"], check=True)
    assert tidy(tmp_path, {"scratch.c": "\t"}) == (0, [f"tidy: {len(CLEAN)} files in order"])
    subprocess.run(git + ["add", "-A"], check=True)
    assert tidy(tmp_path)[0] == 1

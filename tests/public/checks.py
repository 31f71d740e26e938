"""What the checks of public pipelines share: one `logboom -t` of a text, and the list of exceptions."""
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATH = re.compile(r"""(["'])(/[^"'\n%$*]+)\1""")
# Those without a default get a value, as whoever runs the pipeline would give them one.
VARIABLE = re.compile(r"\$\{([\w.]+)\}")
MISTAKE = re.compile(r"^error\[(\w+)\]: (.*)$", re.M)
UNKNOWN = re.compile(r"^error\[C010\]: unknown (input|filter|output|codec) `([^`]*)`[^\n]*\n +┌─ .*:(\d+):(\d+)$", re.M)
NEEDED = re.compile(r"^error\[C012\]: (?:the filter )?`(\w+)` needs the setting `(\w+)`[^\n]*\n +┌─ .*:(\d+):(\d+)$", re.M)
# Mistakes of the language itself; what stands in for a plugin would hide those within it.
SYNTAX = {f"C{number:03}" for number in range(1, 10)}
# What stands in for a plugin that is not there, so that the rest of its pipeline is checked.
STAND_INS = {"input": "generator { }", "filter": "mutate { }", "output": "null { }", "codec": "plain"}
# Values for settings that an example leaves out though its plugin needs them.
VALUES = {"algorithm": '"aes-128-cbc"', "code": "\"map['n'] = 1\"", "iv_random_length": "16", "mode": '"encrypt"',
          "path": '"/tmp/x"', "task_id": '"%{x}"'}


def in_place(text, clone):
    """The text with absolute paths that the clone has replaced by those of the clone."""
    def found(match):
        parts = Path(match[2]).parts[1:]
        for start in range(len(parts)):
            there = clone.joinpath(*parts[start:])
            if there.exists():
                return f"{match[1]}{there}{match[1]}"
        return match[0]
    return PATH.sub(found, text)


def behind_block(text, at):
    """Where the plugin's block ends that begins at `at`; `at` itself where there is none."""
    token = re.compile(r"#[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[{}]|\S|\s+", re.S)
    depth, begun = 0, at
    for match in token.finditer(text, at):
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            depth -= 1
            if depth == 0:
                return match.end()
        elif depth == 0 and not match[0].isspace() and not match[0].startswith("#"):
            return begun
    return begun


def offsets(text, places):
    """Where (line, column) is in the text, the last first."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return sorted(((starts[int(line) - 1] + int(column) - 1, rest) for *rest, line, column in places), reverse=True)


def without_unknown(text, said):
    """The text with stand-ins for the plugins that the program does not know, and their names."""
    names = set()
    for at, (kind, name) in offsets(text, UNKNOWN.findall(said)):
        names.add(f"{kind} {name}")
        # A name may stand in quotes.
        end = at + len(name) + (2 if text[at] in "\"'" else 0)
        text = text[:at] + STAND_INS[kind] + text[behind_block(text, end):]
    return text, names


def with_needed(text, said):
    """The text with the settings that plugins need."""
    for at, (_, setting) in offsets(text, NEEDED.findall(said)):
        brace = text.index("{", at) + 1
        value = VALUES.get(setting, '"x"')
        text = f"{text[:brace]} {setting} => {value} {text[brace:]}"
    return text


def check(command, text, folder, complete=False):
    """What is wrong with a pipeline, as a list of (code, message), the whole output, and the names
    of plugins that are not there. `complete`: settings that a plugin needs are given to it, and what is
    wrong within a plugin that is not there does not count.

    What was written before Logstash 8 may need the fields' names of then."""
    first = None
    for mode in ["v8", "disabled"]:
        outcome = once(command, text, folder, complete, f"--pipeline.ecs_compatibility={mode}")
        if not outcome[0]:
            return outcome
        first = first or outcome
    return first


def once(command, text, folder, complete, mode):
    missing = set()
    variables = {name: "x" for name in VARIABLE.findall(text)}
    with tempfile.TemporaryDirectory(prefix="public-") as tmp:
        file = Path(tmp, "pipeline.conf")
        while True:
            file.write_text(text, encoding="utf-8")
            result = subprocess.run(
                [command, "-t", "-f", str(file), f"--path.data={tmp}/data", mode],
                capture_output=True, text=True, timeout=60, cwd=folder, env={**variables, **os.environ})
            if result.returncode == 0:
                return [], "", missing
            said = result.stderr + result.stdout
            if not complete and any(code in SYNTAX for code, _ in MISTAKE.findall(said)):
                return MISTAKE.findall(said), said, missing
            before = text
            text, names = without_unknown(text, said)
            if complete and not names:
                text = with_needed(text, said)
            if text == before:
                return MISTAKE.findall(said) or [("", said.strip()[-300:])], said, missing
            missing |= names


def exceptions(name):
    """The lines `NAME: reason` of a list beside this file."""
    known = {}
    for line in (HERE / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, _, reason = line.partition(": ")
            known[name] = reason
    return known


def report(results, known, verbose):
    """Prints what failed and the counts of (name, mistakes, output, missing plugins); the exit code.

    A reason that begins with `not for Logstash` is of a file that Logstash refuses, too: it does not count.
    """
    passed = later = excepted = refused = 0
    failures, absent = [], {}
    for name, mistakes, said, missing in results:
        for plugin in missing:
            absent[plugin] = absent.get(plugin, 0) + 1
        if mistakes and name in known:
            refused += known[name].startswith("not for Logstash")
            excepted += not known[name].startswith("not for Logstash")
        elif mistakes:
            failures.append((name, mistakes, said))
        elif name in known:
            failures.append((name, [("", "passes, but is listed as an exception")], ""))
        elif missing:
            later += 1
        else:
            passed += 1
    for name, mistakes, said in failures:
        print(f"{name}:")
        for code, message in mistakes:
            print(f"  {code} {message}")
        if verbose:
            print(said)
    if verbose:
        print("not there:", ", ".join(f"{plugin} ({n})" for plugin, n in sorted(absent.items(), key=lambda p: -p[1])))
    gone = known.keys() - {name for name, *_ in results}
    if gone and verbose:
        print("listed, but not found:", ", ".join(sorted(gone)))
    counted = passed + excepted + len(failures)
    print(f"{len(results)} pipelines: {later} use plugins that are not there and pass but for them, {refused} are none "
          f"that Logstash takes; of {counted} others {100 * passed / max(counted, 1):.1f} % pass, {excepted} are known exceptions")
    print(f"{passed + later + excepted + refused} passed, {len(failures)} failed")
    return 1 if failures else 0


def all_of(jobs, work):
    if not jobs:
        sys.exit("no pipelines there")
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, jobs))

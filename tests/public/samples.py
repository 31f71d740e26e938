"""Runs public pipelines on public logs, and checks what comes out: see `run` and `samples.ini`.

A section names a pipeline (and, behind `|`, which log it is). `given` is its log, `member` the file in it where it is an archive, `input`
what replaces the pipeline's inputs, `ecs` the value of `pipeline.ecs_compatibility`. Its outputs are
replaced by one that writes JSON. Each line of `expect` is a number of events and what they have:

    10000 events                 all of them
    1 tag _grokparsefailure      a tag
    9951 [verb] = "GET"          a value
    1632 [@timestamp] begins "2015-05-17T"
    9330 [bytes] is number       or `text`, `missing`, `there`
"""
import configparser
import ipaddress
import json
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

from checks import HERE, behind_block, in_place


def replaced(text, section, by):
    """The text with all its sections of a kind replaced by one."""
    while match := re.search(rf"^[ \t]*{section}\s*(?=\{{)", text, re.M):
        text = text[:match.start()] + text[behind_block(text, match.end()):]
    return f"{text}\n{section} {{ {by} }}\n"


def given(folder, sample):
    path = folder / sample["given"]
    if "member" not in sample:
        return path.read_bytes()
    with tarfile.open(path) as archive:
        return archive.extractfile(sample["member"]).read()


def events(command, folder, path, sample):
    clone = folder / path.relative_to(folder).parts[0]
    text = in_place(path.read_text(encoding="utf-8"), clone)
    text = replaced(text, "output", "stdout { codec => json_lines }")
    if "input" in sample:
        text = replaced(text, "input", sample["input"])
    with tempfile.TemporaryDirectory(prefix="public-") as tmp:
        file = Path(tmp, "pipeline.conf")
        file.write_text(text, encoding="utf-8")
        databases = Path(tmp, "data/geoip")
        databases.mkdir(parents=True)
        # MaxMind's own databases for tests, where they are there.
        for kind in ["City", "ASN"]:
            database = folder / f"MaxMind-DB/test-data/GeoLite2-{kind}-Test.mmdb"
            if database.exists():
                (databases / f"GeoLite2-{kind}.mmdb").write_bytes(database.read_bytes())
        result = subprocess.run(
            [command, "-f", str(file), f"--path.data={tmp}/data", "--api.enabled=false",
             f"--pipeline.ecs_compatibility={sample.get('ecs', 'v8')}"],
            input=given(folder, sample), capture_output=True, timeout=300, cwd=path.parent)
    if result.returncode:
        raise RuntimeError(result.stderr.decode()[-2000:])
    return [json.loads(line) for line in result.stdout.splitlines()]


def value(event, field):
    for name in field.strip("[]").split("]["):
        event = event.get(name) if isinstance(event, dict) else None
    return event


def holds(event, words):
    """Whether an event has what a line of `expect` says behind its number."""
    if words == ["events"]:
        return True
    if words[0] == "tag":
        return words[1] in event.get("tags", [])
    found, (how, what) = value(event, words[0]), words[1:]
    if how == "is":
        number = isinstance(found, (int, float)) and not isinstance(found, bool)
        return {"number": number, "text": isinstance(found, str), "missing": found is None,
                "there": found is not None}[what]
    what = json.loads(what)
    return found == what if how == "=" else isinstance(found, str) and found.startswith(what)


def check(command, folder):
    """What is wrong, as (pipeline, [(code, message)], output, set()), of each sample that is there."""
    samples = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    samples.read(HERE / "samples.ini", encoding="utf-8")
    results = []
    for name in samples.sections():
        sample = samples[name]
        path = folder / name.partition(" | ")[0]
        if not path.exists() or not (folder / sample["given"]).exists():
            continue
        try:
            came = events(command, folder, path, sample)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            results.append((f"{name} on its log", [("", "does not run")], str(error), set()))
            continue
        wrong = []
        for line in sample["expect"].strip().splitlines():
            number, *words = line.split(None, 3)
            if (count := sum(holds(event, words) for event in came)) != int(number):
                wrong.append(("", f"expected {line}, got {count}"))
        results.append((f"{name} on its log", wrong, "", set()))
    return results


def databases(command, folder):
    """Looks the first address of every network in MaxMind's own test database up, and compares what the
    filter geoip gives with the list that the database was made of."""
    source = folder / "MaxMind-DB/source-data/GeoLite2-City-Test.json"
    if not source.exists():
        return []
    networks = {}
    for entry in json.loads(source.read_text(encoding="utf-8")):
        networks.update((ipaddress.ip_network(network), record) for network, record in entry.items())
    asked = []
    for network in networks:
        address = network.network_address
        # The narrowest network counts.
        record = networks[max((n for n in networks if address in n), key=lambda n: n.prefixlen)]
        if address.version == 6 and int(address) < 1 << 32 and int(address) > 1 << 24:
            address = ipaddress.ip_address(int(address))
        asked.append((str(address), record))
    pipeline = ("input { stdin { codec => plain } } filter { geoip { source => message target => it } } "
                "output { stdout { codec => json_lines } }")
    database = folder / "MaxMind-DB/test-data/GeoLite2-City-Test.mmdb"
    with tempfile.TemporaryDirectory(prefix="public-") as tmp:
        Path(tmp, "geoip").mkdir()
        Path(tmp, "geoip/GeoLite2-City.mmdb").write_bytes(database.read_bytes())
        result = subprocess.run(
            [command, "-e", pipeline, f"--path.data={tmp}", "--api.enabled=false", "-w", "1"],
            input="".join(f"{address}\n" for address, _ in asked), capture_output=True, text=True, timeout=60)
    came = [json.loads(line) for line in result.stdout.splitlines()]
    wrong = [] if len(came) == len(asked) else [("", f"{len(asked)} addresses, {len(came)} events: {result.stderr}")]
    for (address, record), event in zip(asked, came):
        found = event.get("it", {}).get("geo", {})
        names = lambda part: record.get(part, {}).get("names", {}).get("en")
        location, where = record.get("location", {}), found.get("location", {})
        for what, want, got in [
            ("city", names("city"), found.get("city_name")),
            ("country", names("country"), found.get("country_name")),
            ("country's code", record.get("country", {}).get("iso_code"), found.get("country_iso_code")),
            ("continent", record.get("continent", {}).get("code"), found.get("continent_code")),
            ("postal code", record.get("postal", {}).get("code"), found.get("postal_code")),
            ("time zone", location.get("time_zone"), found.get("timezone")),
            ("latitude", location.get("latitude"), where.get("lat")),
            ("longitude", location.get("longitude"), where.get("lon")),
        ]:
            if want != got:
                wrong.append(("", f"{address}: expected the {what} {want}, got {got}"))
    return [("MaxMind-DB/test-data/GeoLite2-City-Test.mmdb", wrong, "", set())]


def patterns(command, folder):
    """Runs the tests that come with whyscream/postfix-grok-patterns: a pattern, a text, and fields that
    must come of it. They are YAML, for which Python needs PyYAML; without it they are left out."""
    clone = folder / "postfix-grok-patterns"
    try:
        import yaml
    except ImportError:
        return []
    tests = []
    for path in sorted(clone.glob("test/*.yaml")):
        tests += [(path.name, test) for test in yaml.safe_load_all(path.read_text(encoding="utf-8")) if test]
    if not tests:
        return []
    groks = []
    for number, (_, test) in enumerate(tests):
        pattern = test["pattern"].replace("'", "\\'")
        groks.append(f"if [test] == {number} {{ grok {{ patterns_dir => '{clone}/postfix.grok' match => {{ text => '{pattern}' }} }} }}")
    pipeline = f"input {{ stdin {{ codec => json }} }} filter {{ {' '.join(groks)} }} output {{ stdout {{ codec => json_lines }} }}"
    given = "".join(json.dumps({"test": number, "text": str(test["data"])}) + "\n" for number, (_, test) in enumerate(tests))
    with tempfile.TemporaryDirectory(prefix="public-") as tmp:
        result = subprocess.run(
            [command, "-e", pipeline, f"--path.data={tmp}", "--api.enabled=false", "--pipeline.ecs_compatibility=disabled"],
            input=given, capture_output=True, text=True, timeout=120)
    came = {event["test"]: event for event in map(json.loads, result.stdout.splitlines())}
    wrong = []
    for number, (name, test) in enumerate(tests):
        event = came.get(number, {})
        for field, want in (test.get("results") or {}).items():
            # A capture that is empty makes no field.
            if str(event.get(field, "")) != str(want):
                wrong.append(("", f"{name}: expected {field} {want}, got {event.get(field)}"))
    return [("postfix-grok-patterns/test", wrong, result.stderr, set())]

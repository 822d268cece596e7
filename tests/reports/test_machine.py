"""The machine formats against their own standards' readers."""

import csv
import io
import json
import os
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pandas as pd
import pytest

from reid_audit.audit.results.schema import MendFirst, Results
from reid_audit.reports import render, schema_json
from reid_audit.reports.machine import render_junit, render_sarif

SARIF = {
    "type": "object",
    "required": ["$schema", "version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {"driver": {"type": "object", "required": ["name"]}},
                    },
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["message", "ruleId", "kind", "level"],
                            "properties": {
                                "kind": {"enum": ["pass", "open", "review", "fail"]},
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "message": {
                                    "type": "object",
                                    "required": ["text"],
                                    "properties": {"text": {"type": "string", "minLength": 1}},
                                },
                            },
                            # 3.27.10: a result that is not a failure has level "none"
                            "if": {"properties": {"kind": {"not": {"const": "fail"}}}},
                            "then": {"properties": {"level": {"const": "none"}}},
                        },
                    },
                },
            },
        },
    },
}


@pytest.fixture(params=["results", "hostile"])
def run(request):
    return request.getfixturevalue(request.param)


def test_json_reads_back_and_satisfies_the_published_schema(run):
    text = render(run, "json")
    assert Results.model_validate_json(text) == run
    schema = json.loads(schema_json())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(text), schema)


def test_sarif_has_the_required_shape(run):
    log = json.loads(render(run, "sarif"))
    jsonschema.validate(log, SARIF)
    (only,) = log["runs"]
    rules = only["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    accepted = [r["suppressions"] for r in only["results"] if r["suppressions"]]
    assert len(accepted) == 1 and accepted[0][0]["status"] == "accepted"
    for result in only["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]


@pytest.fixture(scope="module")
def sarif_standard():
    """The standard's own schema, from the npm package @microsoft/jest-sarif on NODE_PATH."""
    for folder in filter(None, os.environ.get("NODE_PATH", "").split(os.pathsep)):
        for path in Path(folder).glob("@microsoft/jest-sarif/lib/schemas/sarif-2.1.0*.json"):
            return json.loads(path.read_text(encoding="utf-8"))
    pytest.skip("the schema of SARIF 2.1.0 (npm: @microsoft/jest-sarif) is not on NODE_PATH")


def test_sarif_validates_against_the_schema_of_the_standard(run, sarif_standard):
    jsonschema.Draft4Validator(sarif_standard).validate(json.loads(render(run, "sarif")))


def read_csv(run):
    text = render(run, "csv")
    assert text.startswith("\ufeff") and text.count("\r\n") == text.count("\n")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_csv_is_read_by_a_second_reader_in_full(run):
    table = pd.read_csv(io.BytesIO(render(run, "csv").encode()), keep_default_na=False, dtype=str)
    assert table.columns[0] == "condition"
    assert table["reason"].tolist() == [row["reason"] for row in read_csv(run)]


def test_csv_holds_every_estimate_and_no_formula(run):
    rows = read_csv(run)
    rates = [float(r["value"]) for r in rows if r["metric"] == "ira" and r["attack"] == "student"]
    assert rates == [a.metrics["ira"].value for a in run.attacks if a.name == "student"]
    for row in rows:
        for key in ("condition", "attack", "recognizer", "reason"):
            assert not row[key].startswith(("=", "+", "-", "@", "\t", "\r"))
    reasons = {row["reason"] for row in rows}
    assert run.title != "<script>alert(1)</script>" or any(r.startswith("'=") for r in reasons)


def test_parquet_equals_csv(run):
    table = pd.read_parquet(io.BytesIO(render(run, "parquet")))
    rows = read_csv(run)
    assert len(table) == len(rows)
    assert table["metric"].tolist() == [row["metric"] for row in rows]


def test_sarif_rules_do_not_name_the_anonymisation(results):
    (only,) = json.loads(render(results, "sarif"))["runs"]
    rules = [rule["id"] for rule in only["tool"]["driver"]["rules"]]
    assert "reidentification" in rules and not [
        r for r in rules if r.startswith("reident") and "." in r
    ]
    ours = [r for r in only["results"] if r["ruleId"] == "reidentification"]
    assert len(ours) == sum(f.id.startswith("reidentification") for f in results.findings)
    prints = {r["partialFingerprints"]["findingId/v1"] for r in only["results"]}
    assert len(prints) == len(results.findings)


def test_sarif_says_where_a_finding_stands_and_names_files_only_when_told(results):
    clear = results.findings[0].model_copy(update={"id": "coverage.missed-faces", "status": "fail"})
    worst = MendFirst(image="I-1", reason="missed", width=40)
    run = results.model_copy(update={"findings": [clear], "mend_first": [worst]})

    def places(files=None):
        (only,) = json.loads(render_sarif(run, files))["runs"]
        assert {"RUN", "PICTURES"} == set(only["originalUriBaseIds"])
        found = [place["physicalLocation"] for place in only["results"][0]["locations"]]
        return [tuple(place["artifactLocation"].values()) for place in found]

    assert places() == [("results.json", "RUN")]
    assert places({"I-1": "a b/é.png", "I-2": "other.png"}) == [("a%20b/%C3%A9.png", "PICTURES")]


def test_sarif_is_accepted_by_the_multitool(results, tmp_path):
    """Another reader than the schema: npm package @microsoft/sarif-multitool on NODE_PATH."""
    folders = filter(None, os.environ.get("NODE_PATH", "").split(os.pathsep))
    tools = [path for f in folders for path in Path(f).glob(".bin/sarif-multitool")]
    if not tools:
        pytest.skip("npm package @microsoft/sarif-multitool is not on NODE_PATH")
    log, told = tmp_path / "report.sarif", tmp_path / "validation.sarif"
    log.write_text(render(results, "sarif"), encoding="utf-8")
    command = [tools[0], "validate", log, "--output", told, "--log", "ForceOverwrite"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    found = json.loads(told.read_text(encoding="utf-8-sig"))["runs"][0].get("results", [])
    wrong = [r["message"]["text"] for r in found if r.get("level", "warning") == "error"]
    assert not wrong


def test_junit_counts_its_cases(run):
    suite = ElementTree.fromstring(render(run, "junit"))
    cases = suite.findall("testcase")
    assert int(suite.attrib["tests"]) == len(cases) == 1 + len(run.findings)
    assert int(suite.attrib["failures"]) == len(suite.findall("*/failure")) == 3
    assert int(suite.attrib["skipped"]) == len(suite.findall("*/skipped")) == 2


@pytest.mark.parametrize(("fail", "tag"), [(False, "skipped"), (True, "failure")])
def test_what_has_no_conclusion_never_passes_in_junit(results, fail, tag):
    open_one = results.findings[0].model_copy(update={"status": "warn"})
    verdict = results.verdict.model_copy(update={"outcome": "INCONCLUSIVE"})
    run = results.model_copy(update={"verdict": verdict, "findings": [open_one]})
    suite = ElementTree.fromstring(render_junit(run, fail_inconclusive=fail))
    assert [[child.tag for child in case] for case in suite.findall("testcase")] == [[tag], [tag]]

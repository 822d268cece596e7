"""The machine formats against their own standards' readers."""

import csv
import io
import json
import os
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pandas as pd
import pytest

from reid_audit.audit.results.schema import Results
from reid_audit.reports import render, schema_json

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


def test_csv_holds_every_estimate_and_no_formula(run):
    rows = list(csv.DictReader(io.StringIO(render(run, "csv"))))
    rates = [float(r["value"]) for r in rows if r["metric"] == "ira" and r["attack"] == "student"]
    assert rates == [a.metrics["ira"].value for a in run.attacks if a.name == "student"]
    for row in rows:
        for key in ("condition", "attack", "recognizer", "reason"):
            assert not row[key].startswith(("=", "+", "-", "@", "\t", "\r"))
    reasons = {row["reason"] for row in rows}
    assert run.title != "<script>alert(1)</script>" or any(r.startswith("'=") for r in reasons)


def test_parquet_equals_csv(run):
    table = pd.read_parquet(io.BytesIO(render(run, "parquet")))
    rows = list(csv.DictReader(io.StringIO(render(run, "csv"))))
    assert len(table) == len(rows)
    assert table["metric"].tolist() == [row["metric"] for row in rows]


def test_junit_counts_its_cases(run):
    suite = ElementTree.fromstring(render(run, "junit"))
    cases = suite.findall("testcase")
    assert int(suite.attrib["tests"]) == len(cases) == len(run.findings)
    assert int(suite.attrib["failures"]) == len(suite.findall("*/failure")) == 2
    assert int(suite.attrib["skipped"]) == len(suite.findall("*/skipped")) == 2

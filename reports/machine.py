"""The same results for machines: JSON, its schema, CSV and Parquet rows, SARIF 2.1.0, JUnit."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from hashlib import sha256
from io import BytesIO, StringIO
from typing import Any
from xml.etree import ElementTree

from reid_audit.audit.results.schema import Estimate, Finding, Record, Results, dump_results
from reid_audit.reports.text.names import clean

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "info": "none"}
_KINDS = {"fail": "fail", "warn": "review", "pass": "pass", "manual": "open"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
COLUMNS = (
    "condition",
    "attack",
    "recognizer",
    "status",
    "reason",
    "metric",
    "value",
    "low",
    "high",
    "n",
    "n_identities",
    "method",
    "seconds",
)


def render_json(results: Results) -> str:
    """Canonical `results.json`."""
    return dump_results(results)


def schema_json(record: type[Record] = Results) -> str:
    """JSON Schema, draft 2020-12, of `results.json` or of another record."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **record.model_json_schema(mode="serialization"),
    }
    return json.dumps(schema, indent=2) + "\n"


def rows(results: Results) -> list[dict[str, object]]:
    """One row per attack, recogniser, condition and measure; controls are named `control:*`."""
    found = []
    for attack in results.attacks:
        head = {
            "condition": attack.condition,
            "attack": attack.name,
            "recognizer": attack.recognizer,
            "status": attack.status,
            "seconds": attack.cost.seconds,
        }
        measures = attack.metrics or {"ira": Estimate(reason=attack.reason)}
        found += [_row(head, name, estimate) for name, estimate in measures.items()]
    for condition in results.conditions:
        for recognizer, controls in condition.controls.items():
            for name in type(controls).model_fields:
                head = {
                    "condition": condition.id,
                    "attack": f"control:{name}",
                    "recognizer": recognizer,
                    "status": "ok",
                    "seconds": None,
                }
                found.append(_row(head, "ira", getattr(controls, name)))
    return found


def _row(head: Mapping[str, object], metric: str, estimate: Estimate) -> dict[str, object]:
    row = dict(head) | {"metric": metric} | estimate.model_dump()
    return {column: row[column] for column in COLUMNS}


def render_csv(results: Results) -> str:
    """The rows as CSV; a cell that a spreadsheet would run as a formula starts with a quote."""
    stream = StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows(results):
        writer.writerow({key: _cell(value) for key, value in row.items()})
    return stream.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = clean(value)
    return f"'{text}" if text.lstrip("\u2068").startswith(_FORMULA) else text


def render_parquet(results: Results) -> bytes:
    """The rows as a Parquet table."""
    import pandas as pd

    stream = BytesIO()
    pd.DataFrame(rows(results), columns=list(COLUMNS)).to_parquet(stream, index=False)
    return stream.getvalue()


def render_sarif(results: Results) -> str:
    """The findings as SARIF 2.1.0. Passes are results of kind `pass`; nothing is left out."""
    rules = {finding.id: finding for finding in results.findings}
    order = list(rules)
    run = {
        "tool": {
            "driver": {
                "name": clean(results.run.tool),
                "version": clean(results.run.version),
                "rules": [_rule(finding) for finding in rules.values()],
            }
        },
        "results": [_result(finding, order.index(finding.id)) for finding in results.findings],
        "columnKind": "unicodeCodePoints",
        "properties": {
            "outcome": results.verdict.outcome,
            "threshold": results.verdict.threshold,
        },
    }
    return _json({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(finding: Finding) -> dict[str, Any]:
    return {
        "id": clean(finding.id),
        "shortDescription": {"text": clean(finding.title) or finding.status},
        "help": {"text": clean(finding.recommendation, 2000) or finding.status},
        "properties": {"severity": finding.severity},
    }


def _result(finding: Finding, index: int) -> dict[str, Any]:
    failed = finding.status == "fail"
    text = f"{clean(finding.title)}. {clean(finding.evidence, 2000)}"
    return {
        "ruleId": clean(finding.id),
        "ruleIndex": index,
        "kind": _KINDS[finding.status],
        "level": _LEVELS[finding.severity] if failed else "none",
        "message": {"text": text},
        "suppressions": _suppressions(finding),
        "locations": [{"logicalLocations": [{"name": clean(finding.id), "kind": "resource"}]}],
        "partialFingerprints": {"findingId/v1": sha256(finding.id.encode()).hexdigest()},
    }


def _suppressions(finding: Finding) -> list[dict[str, str]]:
    """A waiver in SARIF's words; an empty list says that there is none."""
    if finding.waiver is None:
        return []
    until = f"{clean(finding.waiver.reason, 1000)} (until {clean(finding.waiver.expires, 20)})"
    return [{"kind": "external", "status": "accepted", "justification": until}]


def render_junit(results: Results) -> str:
    """The findings as a JUnit test suite: failures fail; open questions and waived findings are
    skipped."""
    statuses = ["waived" if f.waiver else f.status for f in results.findings]
    suite = ElementTree.Element(
        "testsuite",
        name=clean(results.title),
        tests=str(len(statuses)),
        failures=str(statuses.count("fail")),
        errors="0",
        skipped=str(statuses.count("manual") + statuses.count("waived")),
        time=f"{results.run.seconds or 0:.3f}",
    )
    for finding in results.findings:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname="reid-audit",
            name=f"{clean(finding.id)}: {clean(finding.title)}",
        )
        text = f"{clean(finding.evidence, 2000)} {clean(finding.recommendation, 2000)}"
        if finding.waiver is not None:
            waiver = f"waived until {finding.waiver.expires}: {finding.waiver.reason}"
            ElementTree.SubElement(case, "skipped", message=clean(waiver, 1000))
        elif finding.status == "fail":
            failure = ElementTree.SubElement(case, "failure", message=clean(finding.title))
            failure.text = text
        elif finding.status == "manual":
            ElementTree.SubElement(case, "skipped", message=text)
        else:
            ElementTree.SubElement(case, "system-out").text = text
    ElementTree.indent(suite)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, "unicode") + "\n"
    )


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

"""The same results for machines: JSON, its schema, CSV and Parquet rows, SARIF 2.1.0, JUnit."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from hashlib import sha256
from io import BytesIO, StringIO
from typing import Any, Literal
from urllib.parse import quote
from xml.etree import ElementTree

from reid_audit.audit.results.schema import Estimate, Finding, Record, Results, dump_results
from reid_audit.reports.text.grouping import kind
from reid_audit.reports.text.names import clean
from reid_audit.reports.text.summary import conditions

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "info": "none"}
_KINDS = {"fail": "fail", "warn": "review", "pass": "pass", "manual": "open"}
Ending = Literal["passed", "failure", "skipped"]
Case = tuple[str, Ending, str, str]
_BASES = {
    "RUN": "The folder of the run.",
    "PICTURES": "The folder of the anonymised pictures.",
}
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
    table = []
    for attack in results.attacks:
        head = {
            "condition": attack.condition,
            "attack": attack.name,
            "recognizer": attack.recognizer,
            "status": attack.status,
            "seconds": attack.cost.seconds,
        }
        measures = attack.metrics or {"ira": Estimate(reason=attack.reason)}
        table += [_row(head, name, estimate) for name, estimate in measures.items()]
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
                table.append(_row(head, "ira", getattr(controls, name)))
    return table


def _row(head: Mapping[str, object], metric: str, estimate: Estimate) -> dict[str, object]:
    row = dict(head) | {"metric": metric} | estimate.model_dump()
    return {column: row[column] for column in COLUMNS}


def render_csv(results: Results) -> str:
    """The rows as CSV (RFC 4180), with the mark by which spreadsheets know UTF-8; a cell that one
    would run as a formula starts with a quote."""
    stream = StringIO()
    stream.write("\ufeff")
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\r\n")
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


def render_sarif(results: Results, files: Mapping[str, str] | None = None) -> str:
    """The findings as SARIF 2.1.0. A rule is what a finding says, without the anonymisation it says
    it of, so that rules stay from run to run. Passes are results of kind `pass`; nothing is left
    out. A finding stands in the run's `results.json`.

    Args:
        files: for those entitled to them, the files to mend by the pseudonym of their picture,
            relative to the folder of the anonymised pictures; findings about them stand there too.
    """
    known = conditions(results)
    kinds = [clean(kind(finding, known)) for finding in results.findings]
    rules = dict(zip(reversed(kinds), reversed(results.findings), strict=True))
    order = list(rules)
    run = {
        "tool": {
            "driver": {
                "name": clean(results.run.tool),
                "version": clean(results.run.version),
                "rules": [_rule(name, finding) for name, finding in rules.items()],
            }
        },
        "results": [
            _result(finding, name, order.index(name), _places(finding, results, files or {}))
            for finding, name in zip(results.findings, kinds, strict=True)
        ],
        "originalUriBaseIds": {
            base: {"description": {"text": meaning}} for base, meaning in _BASES.items()
        },
        "columnKind": "unicodeCodePoints",
        "properties": {
            "outcome": results.verdict.outcome,
            "threshold": results.verdict.threshold,
        },
    }
    return _json({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(name: str, finding: Finding) -> dict[str, Any]:
    return {
        "id": name,
        "shortDescription": {"text": name},
        "help": {"text": clean(finding.recommendation, 2000) or finding.status},
        "properties": {"severity": finding.severity},
    }


def _places(finding: Finding, results: Results, files: Mapping[str, str]) -> list[dict[str, Any]]:
    """Where a finding stands: the pictures that it is about, as far as they may be named, else the
    run's results."""
    about = {"coverage.missed-faces": "missed", "coverage.partial-faces": "partial"}
    pictures = dict.fromkeys(
        entry.image
        for entry in results.mend_first
        if entry.reason == about.get(finding.id)
        or (entry.condition and finding.id == f"reidentification.{entry.condition}")
    )
    named = [("PICTURES", quote(files[image])) for image in pictures if image in files]
    if finding.status in ("pass", "manual") or not named:
        named = [("RUN", "results.json")]
    return [
        {
            "physicalLocation": {"artifactLocation": {"uri": uri, "uriBaseId": base}},
            "logicalLocations": [{"name": clean(finding.id), "kind": "resource"}],
        }
        for base, uri in named
    ]


def _result(
    finding: Finding, rule: str, index: int, places: list[dict[str, Any]]
) -> dict[str, Any]:
    failed = finding.status == "fail"
    text = f"{clean(finding.title)}. {clean(finding.evidence, 2000)}"
    return {
        "ruleId": rule,
        "ruleIndex": index,
        "kind": _KINDS[finding.status],
        "level": _LEVELS[finding.severity] if failed else "none",
        "message": {"text": text},
        "suppressions": _suppressions(finding),
        "locations": places,
        "partialFingerprints": {"findingId/v1": sha256(finding.id.encode()).hexdigest()},
    }


def _suppressions(finding: Finding) -> list[dict[str, str]]:
    """A waiver in SARIF's words; an empty list says that there is none."""
    if finding.waiver is None:
        return []
    until = f"{clean(finding.waiver.reason, 1000)} (until {clean(finding.waiver.expires, 20)})"
    return [{"kind": "external", "status": "accepted", "justification": until}]


def render_junit(results: Results, fail_inconclusive: bool = False) -> str:
    """The verdict and the findings as a JUnit test suite.

    Leaks and failures fail. What nothing is known about never passes: an INCONCLUSIVE verdict, a
    finding without conclusion and a question to a person are skipped, and so is what was waived.

    Args:
        fail_inconclusive: whether a verdict or finding without conclusion fails instead.
    """
    undecided: Ending = "failure" if fail_inconclusive else "skipped"
    endings: dict[str, Ending] = {
        "LEAK_DEMONSTRATED": "failure",
        "BOUNDED": "passed",
        "INCONCLUSIVE": undecided,
    }
    verdict = results.verdict
    told = " ".join(clean(reason, 1000) for reason in verdict.reasons)
    cases: list[Case] = [("verdict", endings[verdict.outcome], verdict.outcome, told)]
    cases += [_case(finding, undecided) for finding in results.findings]
    counted = [ending for _, ending, _, _ in cases]
    suite = ElementTree.Element(
        "testsuite",
        name=clean(results.title),
        tests=str(len(cases)),
        failures=str(counted.count("failure")),
        errors="0",
        skipped=str(counted.count("skipped")),
        time=f"{results.run.seconds or 0:.3f}",
    )
    for name, ending, message, text in cases:
        case = ElementTree.SubElement(suite, "testcase", classname="reid-audit", name=name)
        if ending == "passed":
            ElementTree.SubElement(case, "system-out").text = text
        else:
            ElementTree.SubElement(case, ending, message=message).text = text
    ElementTree.indent(suite)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, "unicode") + "\n"
    )


def _case(finding: Finding, undecided: Ending) -> Case:
    """Name, ending, message and text of a finding's test case."""
    name = f"{clean(finding.id)}: {clean(finding.title)}"
    text = f"{clean(finding.evidence, 2000)} {clean(finding.recommendation, 2000)}"
    if finding.waiver is not None:
        waiver = f"waived until {finding.waiver.expires}: {finding.waiver.reason}"
        return name, "skipped", clean(waiver, 1000), text
    if finding.status == "fail":
        return name, "failure", clean(finding.title), text
    if finding.status == "warn" and finding.id.startswith("reidentification"):
        return name, undecided, clean(finding.title), text
    return name, "skipped" if finding.status == "manual" else "passed", clean(finding.title), text


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

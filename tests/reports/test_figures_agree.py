"""Every number a reader sees stands in the results, rounded by one rule."""

import re

from reid_audit.reports.text import grouping, summary
from reid_audit.reports.text.language import catalogue, load

NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
EN = load("en")


ENDS = ("value", "low", "high")


def percent(fraction):
    return EN.percent(fraction).replace("\u00a0", " ")


def leaves(node):
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(key)
            yield from leaves(value)
    elif isinstance(node, list):
        for value in node:
            yield from leaves(value)
    elif node is not None and not isinstance(node, bool):
        yield node


def written(value):
    """All ways in which the report may write a number of the results."""
    yield from (EN.count(value), EN.decimal(value), str(value), f"{value:g}")
    if 0 <= value <= 1:
        yield from (EN.percent(value, unit=False), EN.declared(value))


def allowed(results):
    numbers = set()
    texts = [catalogue("languages", "en.yaml"), catalogue("paper.yaml")]
    norms = ["10-gdpr", "20-wp29", "30-ico", "40-hipaa", "50-ccpa", "60-uk-dpa"]
    norms += ["70-cpra-records", "80-iso"]
    texts += [catalogue("norms", "en", f"{name}.yaml") for name in norms]
    for leaf in leaves([results.model_dump(), texts]):
        if isinstance(leaf, str):
            numbers |= set(NUMBER.findall(leaf))
        else:
            numbers |= {n for text in written(leaf) for n in NUMBER.findall(text)}
    for attack in summary.scored(results.attacks):
        hits = summary.share(attack) * summary.rate(attack).n_identities
        numbers.add(EN.count(hits))
    counted = [len({a.name for a in results.attacks if a.status == "ok"}), len(results.checks)]
    counted += [len(results.findings), *(n for _, n in grouping.severities(results))]
    counted += [len(results.data.excluded)]
    counted += [sum(c.passed is True for c in results.checks)]
    counted += [len(a.strata) for a in results.attacks]
    level = EN.declared(1 - results.verdict.alpha)
    return numbers | {str(count) for count in counted} | set(NUMBER.findall(level))


def body(page):
    (found,) = page.all("body")
    text = found.text(skip=("svg", "code", "nav"))
    return text.replace("\u2060", "")


def test_no_number_of_the_page_is_foreign_to_the_results(page, results):
    foreign = set(NUMBER.findall(body(page))) - allowed(results)
    assert not foreign


def test_a_wrong_number_would_be_noticed(html, read_page, results):
    for wrong in (html.replace("99.0", "98.6"), html.replace("6,084", "6,085")):
        assert set(NUMBER.findall(body(read_page(wrong)))) - allowed(results)


def test_the_data_tables_of_figures_hold_the_results(page, results):
    forests = [
        f for f in page.all("figure") if "share of people identified by each" in f.text(("svg",))
    ]
    rows = [
        tuple(c.text() for c in row.all("th", "td"))
        for figure in forests
        for row in figure.all("tbody")[0].all("tr")
    ]
    expected = [
        (
            summary.title(a, load("en")),
            a.recognizer,
            *(percent(getattr(a.metrics["ira"], end)) for end in ENDS),
            f"{a.metrics['ira'].n} / {a.metrics['ira'].n_identities}",
        )
        for a in results.attacks
        if a.status == "ok"
    ]
    assert sorted(rows) == sorted(expected)


def test_the_drawn_page_holds_the_strongest_attack_on_every_anonymisation(page, results):
    (figure,) = [f for f in page.all("figure") if "Who can be identified" in f.text(("svg",))]
    rows = [[c.text() for c in r.all("th", "td")] for r in figure.all("tbody")[0].all("tr")]
    expected = sorted(summary.per_condition(results), key=lambda row: -row.rate.value)
    assert [row[3:] for row in rows] == [
        [percent(getattr(found.rate, end)) for end in ENDS] for found in expected
    ]
    assert [row[2] for row in rows] == [
        summary.title(found.attack, load("en")) for found in expected
    ]
    drawn = figure.all("svg")[0].text()
    assert all(name in drawn for name in ("Light blur, 3.9", "Mosaic of 8 px", "Solid fill"))

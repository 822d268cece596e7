"""The report for people: one HTML file that needs no script, no network and no other file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reid_audit.audit.results.schema import (
    AttackResult,
    Condition,
    Estimate,
    Fact,
    Finding,
    Message,
    Results,
    Stratum,
    dump_results,
)
from reid_audit.reports.figures import curves, decision, planes, rows
from reid_audit.reports.figures.canvas import Absent, Drawing, style
from reid_audit.reports.pages.asked import questions
from reid_audit.reports.text import grouping, summary, telling
from reid_audit.reports.text.actions import actions
from reid_audit.reports.text.language import Language, load
from reid_audit.reports.text.names import clean
from reid_audit.reports.text.norms import mapped
from reid_audit.reports.text.plain import plain_names

FIDELITY = ("psnr", "ssim", "lpips", "idd", "fid", "kid", "frechet_features", "kernel_features")
TOGETHER = ("ira_together", "context_together")
_LONGEST_LIST = 50
_FIRST_SHOWN = 3
"""Pictures to mend that the page lists."""


@cache
def environment() -> Environment:
    """Templates with escaping on and no silent gaps."""
    templates = Environment(
        loader=PackageLoader("reid_audit.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"clean": clean, "recognizer": summary.recognizer}
    templates.filters["heading"] = _heading
    templates.filters["control"] = lambda key, language: language(f"controls.{key}")
    templates.globals |= {
        "figure_of": figure_of,
        "parameters": _parameters,
        "check_names": _check_names,
        "waived_title": _waived_title,
        "all_alike": all_alike,
    }
    return templates


def stylesheet(name: str = "report.css") -> Markup:
    """A style sheet of the package, for a `<style>` element."""
    return Markup(files("reid_audit.reports").joinpath("templates", name).read_text("utf-8"))


def quoted(language: Language) -> Markup:
    """The attribute of what a run recorded in words, which are English."""
    return Markup("") if language.code == "en" else Markup(' lang="en"')


def render_html(results: Results, language: str = "en", results_digest: str | None = None) -> str:
    """The whole report.

    Args:
        results: the run.
        language: of the page; where a run of an earlier version recorded sentences alone, these
            stay English and are marked so.
        results_digest: SHA-256 of the `results.json` on disk; computed from `results` by default.

    Raises:
        InputError: there is no catalogue for the language.
    """
    own = load(language)
    with style():
        figures = _figures(results, own)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            r=results,
            summary=summary,
            t=own,
            tell=lambda told, recorded: telling.tell(told, recorded, results, own),
            of_condition=lambda title: _plain_title(title, results, own),
            asked_of=lambda check: telling.question(check, results, own),
            quoted=quoted(own),
            untitled=results.title == load("en")("page.title"),
            css=stylesheet(),
            digest=results_digest or sha256(dump_results(results).encode()).hexdigest(),
            version=_version(results),
            worst=summary.named_worst(results, results.verdict),
            todo=actions(results, own),
            unscored=_unscored(results, own),
            conditions=summary.conditions(results),
            findings=summary.worst_first(results.findings),
            open_groups=grouping.grouped(results, own, passed=False),
            passed_groups=grouping.grouped(results, own, passed=True),
            severities=grouping.severities(results),
            coverage=_coverage(results),
            plain=plain_names(summary.conditions(results), own),
            titles=summary.listed(summary.conditions(results), own),
            facts=_facts(results),
            asked=questions(results, own),
            norms=mapped(results, own),
            figures=figures,
            tables=[_Tables.of(results, c) for c in summary.conditions(results)],
            date=(results.run.started or "")[:10],
            longest=_LONGEST_LIST,
            first_shown=_FIRST_SHOWN,
            absent=_by_reason(figures.absent),
            shown_people=_strongest_each(results),
            attackers=summary.attackers(results),
            larger_reasons=reasons(
                (own("results.among", people=own.count(entry.people)), entry.ira)
                for attack in _strongest_each(results)
                for entry in attack.larger_galleries
            ),
            control_reasons=_control_reasons(results, own),
            legend=[measure(name, own) for name in _measures(results)],
            frames=_frames(results, own),
        )
    )


def _check_names(results: Results, passed: bool | None, language: Language) -> str:
    """The checks that ended so, in one line."""
    named = [telling.question(c, results, language) for c in results.checks if c.passed is passed]
    return "; ".join(dict.fromkeys(named))


def _waived_title(finding: Finding, results: Results, language: Language) -> str:
    """What was accepted, and of which condition."""
    title, _ = telling.finding_title(finding, results, language)
    subject = grouping.about(finding, summary.conditions(results))
    if subject is None:
        return f"{title}."
    return f"{title} ({plain_names(summary.conditions(results), language)[subject.id]})."


def all_alike(rows: list[Stratum]) -> bool:
    """Whether several rows say the same rate, so that listing them says nothing."""
    return len(rows) > 1 and len({row.ira.value for row in rows}) == 1


@dataclass(frozen=True)
class Unscored:
    """What page one says of a run in which nobody was looked up: what was found, how much detail
    is left, and why there is no conclusion."""

    lead: telling.Told
    detail: telling.Told
    reasons: list[telling.Told]


_UNCOVERED = ("verdict.missed", "verdict.partial")


def _unscored(results: Results, language: Language) -> Unscored:
    verdict = results.verdict
    told: Sequence[Message | None] = verdict.told or [None] * len(verdict.reasons)
    lead: telling.Told = []
    reasons = []
    for message, recorded in zip(told, verdict.reasons, strict=True):
        said = telling.tell(message, recorded, results, language)
        if message is not None and message.key in _UNCOVERED:
            lead += said
        else:
            reasons.append(said)
    detail = next((f for f in results.findings if f.id.startswith("resolution.")), None)
    return Unscored(
        lead or [(language("decision.sentence.no_attack"), True)],
        telling.tell(
            detail.told.evidence if detail.told else None, detail.evidence, results, language
        )
        if detail is not None
        else [],
        reasons,
    )


def _coverage(results: Results) -> list[tuple[str, int]]:
    """What became of the faces: from the inventory, else from what was probed and left out."""
    faces = results.data.faces
    if faces.found:
        always = ("found", "covered", "partial", "missed")
        names = (*always, "without_original", "different_original")
        told = [(name, getattr(faces, name)) for name in names]
        return [(name, count) for name, count in told if count or name in always]
    lost = sum(not item.duplicate for item in results.data.excluded)
    probes = results.data.probes
    return [
        ("probes", probes.images),
        ("unusable", probes.failed_to_acquire),
        ("left_out", lost),
    ]


def _facts(results: Results) -> list[Fact]:
    """The method statement without what the table of anonymisations says already."""
    titles = {condition.title for condition in results.conditions}
    told = titles | {f"{title}: strength" for title in titles}
    return [fact for fact in results.method if fact.name not in told]


def _plain_title(title: str, results: Results, language: Language) -> str:
    """The name of the condition of that title, as the page has it."""
    known = summary.conditions(results)
    names = plain_names(known, language)
    return next((names[c.id] for c in known if c.title == title), clean(title))


def _frames(results: Results, language: Language) -> str:
    """Where the positions of faces came from, by number."""
    told = [
        telling.tell(
            Message(key=f"method.sources.{name}", values={"count": count}),
            f"{count} {name}",
            results,
            language,
        )
        for name, count in results.data.frame_sources.items()
    ]
    return ", ".join(text for parts in told for text, _ in parts)


def _by_reason(figures: list[Absent]) -> list[tuple[str, list[str]]]:
    """Figures that could not be drawn, one line for each reason."""
    grouped: dict[str, list[str]] = {}
    for figure in figures:
        grouped.setdefault(figure.reason, []).append(figure.title)
    return list(grouped.items())


def _strongest_each(results: Results) -> list[AttackResult]:
    """The strongest attack on each condition; of a run without a rate, every attack."""
    strongest = [row.attack for row in summary.per_condition(results) if row.attack is not None]
    return strongest or results.attacks


def _measures(results: Results) -> list[str]:
    """Every measure of the run once, rate first."""
    return ["ira", *dict.fromkeys(m for a in results.attacks for m in a.metrics if m != "ira")]


def _parameters(values: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _version(results: Results) -> str:
    """The tool's version in characters that are harmless inside a style sheet."""
    return re.sub(r"[^\w.+-]", "", results.run.version)[:40]


@dataclass(frozen=True)
class Figures:
    """The drawn figures by place, and those that could not be drawn."""

    overview: list[Drawing]
    by_condition: dict[str, list[Drawing]]
    controls: list[Drawing]
    across: list[Drawing]
    annexed: list[Drawing]
    attrition: list[Drawing]
    absent: list[Absent]


def _figures(results: Results, language: Language) -> Figures:
    drawn: dict[str, list[Drawing]] = {}
    absent: list[Absent] = []
    for number, condition in enumerate(summary.conditions(results), start=1):
        per = [
            rows.forest(results, condition, language, f"forest-{number}"),
            curves.cmc(results, condition, language, f"cmc-{number}"),
            curves.det(results, condition, language, f"det-{number}"),
            curves.idd(results, condition, language, f"idd-{number}"),
        ]
        drawn[condition.id] = [figure for figure in per if isinstance(figure, Drawing)]
        absent += [figure for figure in per if isinstance(figure, Absent)]
    single = [
        rows.controls(results, _worst_condition(results), language, "controls"),
        rows.attrition(results, language, "attrition"),
    ]
    across = [planes.strength(results, language, "strength")]
    later = [
        planes.cost(results, language, "cost"),
        planes.estimator(results, language, "estimator"),
    ]
    absent += [figure for figure in (*single, *across, *later) if isinstance(figure, Absent)]
    controls, attrition = ([f] if isinstance(f, Drawing) else [] for f in single)
    overview = decision.overview(results, language, "overview")
    return Figures(
        overview=[overview] if isinstance(overview, Drawing) else [],
        by_condition=drawn,
        controls=controls,
        across=[figure for figure in across if isinstance(figure, Drawing)],
        annexed=[figure for figure in later if isinstance(figure, Drawing)],
        attrition=attrition,
        absent=absent,
    )


def _worst_condition(results: Results) -> Condition:
    worst = summary.named_worst(results, results.verdict)
    return summary.condition_of(results, worst) if worst else summary.conditions(results)[0]


@dataclass(frozen=True)
class _Tables:
    """One condition's attacks, and the measures beside the rate that any of them holds."""

    condition: Condition
    attacks: list[AttackResult]
    fidelity: list[str]
    together: list[str]
    other: list[str]

    @classmethod
    def of(cls, results: Results, condition: Condition) -> _Tables:
        attacks = summary.attacks_on(results, condition)
        held = dict.fromkeys(name for attack in attacks for name in attack.metrics)
        return cls(
            condition,
            sorted(attacks, key=lambda attack: (attack.status != "ok", -summary.share(attack))),
            [name for name in FIDELITY if name in held],
            [name for name in ("ira", *TOGETHER) if TOGETHER[0] in held],
            [name for name in held if name not in (*FIDELITY, *TOGETHER, "ira")],
        )

    def unscored(self) -> list[AttackResult]:
        """Attacks without a rate, which the figure cannot show."""
        scored = summary.scored(self.attacks)
        return [attack for attack in self.attacks if attack not in scored]

    def strongest(self) -> AttackResult | None:
        return summary.strongest(self.attacks)

    def missing(self, names: list[str], language: Language) -> list[str]:
        """Why measures that the table names hold no value."""
        return reasons(
            (str(measure(name, language)["label"]), attack.metrics[name])
            for attack in self.attacks
            for name in names
            if name in attack.metrics
        )

    def inferred(self, language: Language) -> list[tuple[AttackResult, str, str]]:
        """What each attack found out on its way: label and mean, a share of yes in percent."""
        known = language.raw("inferred")
        groups = []
        for attack in self.attacks:
            for name, value in attack.inferred.items():
                label = known.get(name, {"label": clean(name)})
                share = label.get("share", False)
                shown = language.percent(value) if share else language.decimal(value)
                groups.append((attack, label["label"], shown))
        return groups

    def holding(self, names: list[str]) -> Iterator[AttackResult]:
        """The attacks that have a value of at least one of the measures."""
        for attack in self.attacks:
            held = (attack.metrics.get(name, Estimate()) for name in names)
            if any(estimate.value is not None for estimate in held):
                yield attack


def reasons(named: Iterable[tuple[str, Estimate]]) -> list[str]:
    """Each reason for a missing value once, with what it concerns."""
    absent = ((name, e.reason) for name, e in named if e.value is None and e.reason)
    return list(dict.fromkeys(f"{name}: {clean(reason)}." for name, reason in absent))


def _control_reasons(results: Results, language: Language) -> list[str]:
    return reasons(
        (language(f"controls.{key}"), getattr(controls, key))
        for condition in summary.conditions(results)
        for controls in condition.controls.values()
        for key in language.raw("controls")
        if key != "attack"
    )


def measure(name: str, language: Language) -> dict[str, str | bool | None]:
    """Label, unit, direction and meaning of a measure; its bare name when it is not catalogued."""
    known: dict[str, str | bool | None] = language.raw("metrics").get(name, {})
    return {"label": clean(name), "unit": "", "up": None, "meaning": "", **known}


def _heading(name: str, language: Language) -> str:
    """A measure as a column's heading: `PSNR, dB ↑`; the arrow points where more is revealed."""
    known = measure(name, language)
    unit = f", {known['unit']}" if known["unit"] else ""
    arrow = "" if known["up"] is None else " ↑" if known["up"] else " ↓"
    return f"{known['label']}{unit}{arrow}"


def figure_of(name: str, estimate: Estimate | None, language: Language) -> str:
    """A measure's value with its interval; `reasons` tells why there is none."""
    if estimate is None or estimate.value is None:
        return "–"
    share = measure(name, language)["unit"] == "%"
    value = language.percent(estimate.value) if share else language.decimal(estimate.value)
    interval = language.interval(estimate, share)
    return f"{value} ({interval})" if interval else value

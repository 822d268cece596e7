"""What regulators ask beside identification: the section's content, read from the results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from reid_audit.audit.results.schema import (
    Estimate,
    Inference,
    Linkability,
    Replacement,
    Results,
    Utility,
)
from reid_audit.reports.text import summary
from reid_audit.reports.text.language import Language
from reid_audit.reports.text.names import clean
from reid_audit.reports.text.plain import plain_names

LINK_MEASURES = ("tar_far_01", "tar_far_001", "eer", "d_sys", "rank_1")
_BESIDE = ("context_only", "filled", "shuffled", "clear")
"""Controls of linkability, by their field and by their name under `asked.kinds`."""


@dataclass(frozen=True)
class Row:
    """A line of a table: its head, and cells under the measures."""

    head: str
    cells: list[str]


@dataclass(frozen=True)
class Part:
    """One question on one anonymisation: the sentence that answers it, and the figures behind it.

    rows: attacks, the strongest first; controls: what they must be compared with; notes: attacks
    without a figure, and why.
    """

    condition: str
    sentence: str
    rows: list[Row]
    controls: list[Row]
    notes: list[str]
    best: list[list[str]] = field(default_factory=list)
    """Lines under the question's `heads` but the first, where its answer is a table."""


@dataclass(frozen=True)
class Question:
    """One of the questions: its key under `asked`, the columns and a part for each condition."""

    key: str
    columns: list[str]
    parts: list[Part]
    heads: list[str] = field(default_factory=list)


def questions(results: Results, language: Language) -> list[Question]:
    """The questions that a run has evidence on; empty where it has none."""
    every = (
        _linkability(results, language),
        _inference(results, language),
        _replacement(results, language),
        _utility(results, language),
    )
    return [question for question in every if question.parts]


def _linkability(results: Results, language: Language) -> Question:
    names = plain_names(summary.conditions(results), language)
    parts = []
    for condition, name in names.items():
        links = [link for link in results.linkability if link.condition == condition]
        scored = [link for link in links if "rank_1" in link.metrics]
        scored.sort(key=lambda link: -(link.metrics["auroc"].value or 0.0))
        if scored:
            parts.append(_linked_part(name, scored, links, results, language))
    heads = [str(language(f"asked.measures.{measure}")) for measure in LINK_MEASURES]
    return Question("linkability", heads, parts, _heads("linkability", language))


def _linked_part(
    name: str,
    scored: list[Linkability],
    links: list[Linkability],
    results: Results,
    language: Language,
) -> Part:
    best = scored[0]
    answer = [
        _attack(best.attack, results, language),
        language.count(best.people),
        _rate(best.metrics["rank_1"], language),
        language.percent(best.shuffled["rank_1"].value),
        language.percent(best.context_only["rank_1"].value),
        _rate(best.metrics["tar_far_01"], language),
        language.percent(best.context_only["tar_far_01"].value),
    ]
    return Part(
        name,
        "",
        [
            Row(_who(link, results, language), _cells(link.metrics, LINK_MEASURES, language))
            for link in scored
        ],
        [
            Row(
                language(f"asked.kinds.{kind}"),
                _cells(getattr(best, kind), LINK_MEASURES, language),
            )
            for kind in _BESIDE
            if getattr(best, kind)
        ],
        _unmeasured(links, results, language),
        [answer],
    )


INFERENCE_MEASURES = ("balanced_accuracy", "gain", "excess")
_BESIDE_INFERENCE = ("context_only", "filled", "clear")


def _inference(results: Results, language: Language) -> Question:
    """One part for each anonymisation: the strongest attack on every attribute."""
    names = plain_names(summary.conditions(results), language)
    parts = []
    for condition, name in names.items():
        own = [inference for inference in results.inference if inference.condition == condition]
        scored = _scored(own)
        if not scored:
            continue
        best = _best(scored)
        parts.append(
            Part(
                name,
                "",
                [
                    Row(
                        f"{clean(inference.attribute, 60)}: {_who(inference, results, language)}",
                        [_cell(getattr(inference, m), True, language) for m in INFERENCE_MEASURES],
                    )
                    for inference in scored
                ],
                [
                    Row(
                        f"{clean(inference.attribute, 60)}: {language(f'asked.kinds.{kind}')}",
                        [_cell(getattr(inference, kind), True, language), "", ""],
                    )
                    for inference in best.values()
                    for kind in _BESIDE_INFERENCE
                ],
                _unmeasured(own, results, language),
                [
                    [
                        clean(inference.attribute, 60),
                        _rate(inference.balanced_accuracy, language),
                        language.percent(inference.base_rate),
                        language.percent(inference.context_only.value),
                        language.percent(inference.clear.value),
                        _shown(inference, results, language),
                    ]
                    for inference in best.values()
                ],
            )
        )
    heads = [str(language(f"asked.measures.{measure}")) for measure in INFERENCE_MEASURES]
    return Question("inference", heads, parts, _heads("inference", language))


def _shown(inference: Inference, results: Results, language: Language) -> str:
    """Whether an attribute is shown to be told, and from what, by the finding on the condition."""
    name = f"inference.{inference.condition}"
    judged = next((f for f in results.findings if f.id == name and f.told), None)
    if judged is None or judged.told is None:
        return "–"
    if inference.attribute not in judged.values.get("attributes", "").split(", "):
        return language("asked.shown.nothing")
    around = judged.told.title.key == "inference.around"
    return language("asked.shown.around" if around else "asked.shown.face")


def _heads(question: str, language: Language) -> list[str]:
    """Columns of the table that answers a question."""
    return [str(head) for head in language.raw(f"asked.heads.{question}")]


def _scored(inferences: Iterable[Inference]) -> list[Inference]:
    """Those with a figure, by attribute, the strongest attack first."""
    known = [told for told in inferences if told.balanced_accuracy.value is not None]
    return sorted(known, key=lambda told: (told.attribute, -(told.balanced_accuracy.value or 0.0)))


def _best(scored: Iterable[Inference]) -> dict[str, Inference]:
    """The first of every attribute."""
    best: dict[str, Inference] = {}
    for told in scored:
        best.setdefault(told.attribute, told)
    return best


MAP_MEASURES = ("rank_1", "rank_1_other", "context_only")


def _replacement(results: Results, language: Language) -> Question:
    """One part for each anonymisation and recogniser: the ways from output to original."""
    names = plain_names(summary.conditions(results), language)
    parts = []
    for group in results.replacement:
        ways = sorted(group.maps, key=lambda way: -(way.rank_1.value or 0.0))
        best = ways[0]
        sentence = language(
            "asked.replacement.sentence",
            rate=_rate(best.rank_1, language),
            people=language.count(group.people),
            pairs=language.count(group.pairs),
            way=language(f"asked.maps.{best.name}"),
            context=language.percent(best.context_only.value),
            chance=language.percent(group.chance),
            kept=_rate(group.kept, language),
            strangers=language.declared(group.false_match_rate),
            shared=language.percent(group.shared.value),
        )
        rows = [
            Row(
                language(f"asked.maps.{way.name}"),
                [_cell(getattr(way, name), True, language) for name in MAP_MEASURES],
            )
            for way in ways
        ]
        name = f"{names.get(group.condition, clean(group.condition, 60))}, {_recognizer(group)}"
        parts.append(Part(name, sentence, rows, [], []))
    heads = [str(language(f"asked.measures.map_{measure}")) for measure in MAP_MEASURES]
    return Question("replacement", heads, parts)


def _utility(results: Results, language: Language) -> Question:
    """One part for each anonymisation that originals were given for."""
    names = plain_names(summary.conditions(results), language)
    parts = [_kept(names[kept.condition], kept, results, language) for kept in results.utility]
    heads = [str(language("asked.measures.kept"))]
    return Question("utility", heads, parts, _heads("utility", language))


_LENGTHS = (
    *("landmark_distance", "yaw", "pitch", "roll"),
    *("mouth_opening", "mouth_width", "brow_height", "eye_opening", "gaze"),
)
"""Figures of the faces' geometry, by their field and by their name under `asked.kept`."""


def _kept(name: str, utility: Utility, results: Results, language: Language) -> Part:
    answer = [
        language.count(utility.pictures),
        language.count(utility.people),
        _rate(utility.detected, language),
        _cell(utility.ssim_outside, False, language),
        _rate(utility.usefulness, language),
    ]
    shares = {"detected", "usefulness"}
    fields = (
        *("detected", "landmark_shift", "pose_change", "ssim_outside", "lpips_outside"),
        "usefulness",
    )
    rows = [
        Row(
            language(f"asked.kept.{field}"),
            [_cell(getattr(utility, field), field in shares, language)],
        )
        for field in fields
    ]
    notes = [
        f"{language(f'asked.kept.{field}')}: {language.missing(figure)}"
        for field in fields
        if (figure := getattr(utility, field)).reason and figure.value is None
    ]
    if utility.geometry is not None:
        rows += [
            Row(
                language(f"asked.kept.{field}"),
                [_cell(getattr(utility.geometry, field), False, language)],
            )
            for field in _LENGTHS
        ]
    if utility.geometry_reason is not None:
        why = Estimate(reason=utility.geometry_reason, told=utility.geometry_told)
        notes.append(f"{language('asked.kept.geometry')}: {language.missing(why)}")
    rows += _attributes_kept(utility.condition, results, language)
    return Part(name, "", rows, [], notes, [answer])


def _attributes_kept(condition: str, results: Results, language: Language) -> list[Row]:
    """How well each attribute that the data states is still told, by whoever tells it best: what a
    user of the pictures may read is what an attacker reads."""
    best = _best(_scored(told for told in results.inference if told.condition == condition))
    rows = []
    for told in best.values():
        attribute = clean(told.attribute, 60)
        attack = _attack(told.attack, results, language)
        rows += [
            Row(
                language("asked.kept.attribute", attribute=attribute, attack=attack),
                [_cell(told.balanced_accuracy, True, language)],
            ),
            Row(
                language("asked.kept.attribute_clear", attribute=attribute),
                [_cell(told.clear, True, language)],
            ),
        ]
    return rows


def _recognizer(group: Replacement) -> str:
    return summary.recognizer(group.recognizer)


def _unmeasured(
    links: Sequence[Linkability | Inference], results: Results, language: Language
) -> list[str]:
    """Attacks without a figure, by reason."""
    without: dict[str, list[str]] = {}
    for link in links:
        if link.reason:
            name = _attack(link.attack, results, language)
            if isinstance(link, Inference):
                name = f"{clean(link.attribute, 60)}, {name}"
            without.setdefault(link.reason, []).append(name)
    return [
        f"{', '.join(dict.fromkeys(named))}: {clean(reason)}" for reason, named in without.items()
    ]


def _attack(name: str, results: Results, language: Language) -> str:
    """An attack's title as the other tables have it."""
    known = next((attack for attack in results.attacks if attack.name == name), None)
    return summary.title(known, language) if known else clean(name, 80)


def _who(link: Linkability | Inference, results: Results, language: Language) -> str:
    return f"{_attack(link.attack, results, language)} ({summary.recognizer(link.recognizer)})"


_SHARES = {"tar_far_01", "tar_far_001", "eer", "rank_1"}


def _cells(
    figures: Mapping[str, Estimate], measures: tuple[str, ...], language: Language
) -> list[str]:
    return [_cell(figures.get(name), name in _SHARES, language) for name in measures]


def _cell(estimate: Estimate | None, share: bool, language: Language) -> str:
    if estimate is None or estimate.value is None:
        return "–"
    value = language.percent(estimate.value) if share else language.decimal(estimate.value)
    interval = language.interval(estimate, share)
    return f"{value} ({interval})" if interval else value


def _rate(estimate: Estimate, language: Language) -> str:
    return _cell(estimate, True, language)

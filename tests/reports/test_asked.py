"""The section on what regulators ask, in every language, and the controls that it answers."""

import pytest

from reid_audit.audit.results.messages import say
from reid_audit.audit.results.schema import (
    Estimate,
    Finding,
    Geometry,
    Inference,
    Linkability,
    Replacement,
    ReplacementMap,
    Utility,
)
from reid_audit.audit.results.telling import finding
from reid_audit.reports.pages.asked import questions
from reid_audit.reports.pages.html import render_html
from reid_audit.reports.text import norms
from reid_audit.reports.text.grouping import grouped
from reid_audit.reports.text.language import available, load
from reid_audit.reports.text.wording import violations


def rate(value, low=None, high=None):
    return Estimate(value=value, low=low, high=high, n=194, n_identities=97)


def measures(level):
    return {
        "auroc": rate(0.5 + level / 2),
        "tar_far_01": rate(level, level - 0.1, level + 0.1),
        "tar_far_001": Estimate(reason="too few pairs"),
        "eer": rate(0.5 - level / 2, 0.0, 0.5),
        "d_sys": rate(level / 2),
        "rank_1": rate(level, level - 0.1, level + 0.1),
    }


@pytest.fixture(scope="module")
def asked(results):
    def link(attack, level, **own):
        return Linkability(
            attack=attack,
            recognizer="edgeface-xs",
            condition="heavy",
            people=97,
            pictures=194,
            metrics=measures(level),
            context_only=measures(0.123),
            filled=measures(0.2),
            shuffled={**measures(0.21), "rank_1": rate(0.00518)},
            excess=rate(level - 0.1, level - 0.2, level),
            p_value=0.001,
            p_value_context=0.3,
            **own,
        )

    parrot = Linkability(
        attack="parrot",
        recognizer="edgeface-xs",
        condition="heavy",
        status="skipped",
        reason="it yields no embedding",
    )
    finding = Finding(
        id="linkage.among.heavy",
        severity="high",
        status="warn",
        title="Anonymised pictures of one person can be linked by face: Gaussian blur",
        evidence="wiener: .8",
        recommendation="Fill the faces.",
        values={"condition": "Gaussian blur, kernel 81"},
    )
    return results.model_copy(
        update={
            "inference": [
                Inference(
                    attribute="glasses",
                    attack=name,
                    recognizer="edgeface-xs",
                    condition="heavy",
                    classes=2,
                    people=97,
                    pictures=194,
                    base_rate=0.5,
                    balanced_accuracy=rate(level, level - 0.1, level + 0.1),
                    gain=rate(level - 0.5),
                    context_only=rate(0.547),
                    filled=rate(0.5),
                    clear=rate(0.913),
                )
                for name, level in (("wiener", 0.829), ("naive", 0.6))
            ],
            "replacement": [
                Replacement(
                    recognizer="edgeface-xs",
                    condition="heavy",
                    pairs=194,
                    people=97,
                    named=False,
                    false_match_rate=0.001,
                    kept=rate(0.0123),
                    own_similarity=rate(-0.4),
                    stranger_similarity=0.02,
                    shared=rate(0.0456),
                    largest_share=0.1,
                    chance=0.0103,
                    maps=[
                        ReplacementMap(
                            name=name,
                            rank_1=rate(level, level - 0.01, level + 0.01),
                            rank_1_other=Estimate(reason="nobody is shown twice"),
                            context_only=rate(0.0234),
                            p_value=0.001,
                        )
                        for name, level in (("bare", 0.02), ("negation", 0.777))
                    ],
                )
            ],
            "utility": [
                Utility(
                    condition="heavy",
                    pictures=64,
                    people=32,
                    detected=rate(0.891, 0.8, 0.95),
                    landmark_shift=rate(0.03),
                    pose_change=rate(4.5),
                    ssim_outside=rate(0.777),
                    lpips_outside=Estimate(reason="weights not installed"),
                    usefulness=rate(0.866),
                    geometry_reason="the extra is not installed",
                    geometry_told=say("unknown.extra", wheel="wheel==1"),
                )
            ],
            "linkability": [link("naive", 0.3), link("wiener", 0.8), parrot],
            "findings": [*results.findings, finding],
        }
    )


@pytest.mark.slow
@pytest.mark.parametrize("code", available())
def test_the_strongest_attack_answers_in_every_language(asked, read_page, code):
    language = load(code)
    page = read_page(render_html(asked, code))
    (section,) = [s for s in page.all("section") if s.attrs.get("id") == "asked"]
    text = section.text()
    assert language("asked.heading") in text and language("asked.linkability.heading") in text
    for figure in (0.8, 0.123, 0.00518):
        assert language.percent(figure).replace("\u00a0", " ") in text
    assert not violations(text)
    for figure in (0.829, 0.547, 0.913):
        assert language.percent(figure).replace("\u00a0", " ") in text
    for figure in (0.777, 0.0234, 0.0123, 0.0456):
        assert language.percent(figure).replace("\u00a0", " ") in text
    question, attributes, replacement, kept = questions(asked, language)
    assert language.percent(0.891) in kept.parts[0].best[0][2]
    assert "weights" in kept.parts[0].notes[0] and "wheel==1" in kept.parts[0].notes[1]
    assert [row.cells[0][:4] for row in kept.parts[0].rows[-2:]] == [
        language.percent(0.829)[:4],
        language.percent(0.913)[:4],
    ]
    assert len(kept.parts[0].rows) == 8
    assert replacement.parts[0].rows[0].head == language("asked.maps.negation")
    (inferred,) = attributes.parts
    (best,) = inferred.best
    assert best[0] == "glasses" and best[1].startswith(language.percent(0.829))
    assert best[2:5] == [language.percent(figure) for figure in (0.5, 0.547, 0.913)]
    for asking in (question, attributes, kept):
        assert {len(line) + 1 for part in asking.parts for line in part.best} == {len(asking.heads)}
    assert len(inferred.rows) == 2
    assert len(inferred.controls) == 3
    (part,) = question.parts
    assert "Wiener" in part.rows[0].head and len(part.rows) == 2
    assert [row.head for row in part.controls] == [
        language(f"asked.kinds.{kind}") for kind in ("context_only", "filled", "shuffled")
    ]
    assert part.notes and "it yields no embedding" in part.notes[0]
    assert part.rows[0].cells[1] == "–"


@pytest.mark.parametrize("where", ["faces", "around", "not-told"])
def test_it_is_said_which_attributes_are_told_and_from_where(asked, where):
    known = {"attributes": "glasses"} if where != "not-told" else {}
    about = next(c for c in asked.conditions if c.id == "heavy")
    told = finding(
        "inference.heavy", "warn", "high", say(f"inference.{where}"), [], [], known, about
    )
    run = asked.model_copy(update={"findings": [*asked.findings, told]})
    attributes = next(q for q in questions(run, load("en")) if q.key == "inference")
    said = {"faces": "face", "around": "surroundings", "not-told": "nothing"}
    assert attributes.parts[0].best[0][-1] == said[where]


def test_findings_point_to_the_figures_and_say_what_is_alike_once(asked):
    evidence = [say("inference.told", attributes="glasses"), say("none")]
    told = [
        finding(f"inference.{c.id}", "warn", "high", say("inference.faces"), evidence, [], {}, c)
        for c in asked.conditions[:2]
    ]
    groups = grouped(asked.model_copy(update={"findings": told}), load("en"), passed=False)
    ((subjects, said),) = groups[0].lines
    assert len(subjects.split("; ")) == 2
    assert said == [("These can: glasses.", True)]
    assert groups[0].above.endswith("“Can attributes of people be told from the pictures?”.")


@pytest.mark.parametrize("code", available())
def test_the_geometry_of_faces_is_told_where_it_was_measured(asked, code):
    language = load(code)
    names = [name for name in Geometry.model_fields if name != "pictures"]
    figures = {name: rate(0.101 + place / 1000) for place, name in enumerate(names)}
    (kept,) = asked.utility
    geometry = Geometry(pictures=50, **figures)
    told = kept.model_copy(update={"geometry": geometry, "geometry_reason": None})
    *_, question = questions(asked.model_copy(update={"utility": [told]}), language)
    rows = {row.head: row.cells[0] for row in question.parts[0].rows}
    for name, figure in figures.items():
        assert rows[language(f"asked.kept.{name}")].startswith(language.decimal(figure.value))
    assert len(question.parts[0].notes) == 1


@pytest.mark.slow
def test_a_run_without_the_evidence_has_no_such_section(results, page):
    assert not [s for s in page.all("section") if s.attrs.get("id") == "asked"]
    assert questions(results, load("en")) == []


def test_the_control_of_the_opinion_is_answered(asked, results):
    def states(run):
        return {c.id: c.state for norm in norms.mapped(run, load("en")) for c in norm.controls}

    assert states(asked)["linkability-among"] == "against"
    assert states(results)["linkability-among"] == "untested"


@pytest.mark.slow
def test_what_to_do_about_it_is_said_once_in_the_language(asked, read_page):
    for code in available():
        text = read_page(render_html(asked, code)).text()
        sentence = str(load(code).raw("decision.actions.among")).partition("{")[0]
        assert sentence in text

"""The report as a page: what it may load, how it is built, and that no name breaks out of it."""

import itertools
import re

import pytest
from pydantic import ValidationError

from reid_audit.audit.results.messages import english, say
from reid_audit.audit.results.schema import (
    Commission,
    Count,
    Curve,
    DrawnExample,
    Estimate,
    Excluded,
    Faces,
    InputError,
    LargerGallery,
    Linkage,
    MendFirst,
    Verdict,
    dump_results,
)
from reid_audit.reports import render
from reid_audit.reports.figures import decision
from reid_audit.reports.figures.canvas import style
from reid_audit.reports.pages.html import render_html
from reid_audit.reports.text import summary
from reid_audit.reports.text.language import available, load


@pytest.fixture(params=["html", "hostile_html"])
def each(request):
    return request.getfixturevalue(request.param)


def test_nothing_is_loaded_and_nothing_runs(each, read_page):
    page = read_page(each)
    policy = [m.attrs["content"] for m in page.all("meta") if "http-equiv" in m.attrs]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert not page.all("script", "iframe", "object", "embed", "link", "img", "base", "form")
    for node in page.walk():
        assert not [name for name in node.attrs if name.startswith("on")]
        for name in ("src", "href", "xlink:href", "action"):
            assert node.attrs.get(name, "#").startswith("#")
    assert not re.search(r"url\((?!#)|@import|https?://", each)


@pytest.mark.slow
def test_the_example_is_drawn_in_the_page_and_called_so(results, read_page):
    example = DrawnExample(
        condition=results.conditions[0].id, restorer="wiener", clear="aaaa", anonymised="bbbb"
    )
    run = results.model_copy(update={"example": example})
    page = read_page(render_html(run))
    (group,) = [d for d in page.all("div") if d.attrs.get("class") == "example"]
    assert "nobody's" in group.text()
    shown = [drawing.attrs["aria-label"] for drawing in group.all("svg")]
    assert shown == ["drawn", "anonymised"]
    sources = [image.attrs["href"] for image in group.all("image")]
    assert sources == [f"data:image/jpeg;base64,{text}" for text in ("aaaa", "bbbb")]
    with pytest.raises(ValidationError):
        DrawnExample(condition="c1", clear='"><script>', anonymised="bbbb")


@pytest.mark.slow
def test_more_people_than_were_searched_stand_beside_the_measured_rate(results, read_page):
    worst = summary.named_worst(results, results.verdict)
    told = [
        LargerGallery(people=10_000, ira=Estimate(value=0.5, low=0.25, high=0.75, n=97)),
        LargerGallery(people=1_000_000, ira=Estimate(reason="too few scores")),
    ]
    attacks = [
        a.model_copy(update={"larger_galleries": told}) if a is worst else a
        for a in results.attacks
    ]
    page = read_page(render_html(results.model_copy(update={"attacks": attacks})))
    (decision,) = [s for s in page.all("section") if s.attrs.get("id") == "decision"]
    assert "extrapolated from how others score: of 10,000, 50.0" in decision.text()
    assert "1,000,000" not in decision.text()
    assert "Among 1,000,000, extrapolated: too few scores." in page.text()


def test_pictures_to_mend_are_named_first_by_pseudonym(results, read_page):
    entries = [
        MendFirst(image="I-0001", reason="missed", width=41.6),
        *(
            MendFirst(image=f"I-1{i}", reason="named", named_by=3, attacks=4, margin=2.5)
            for i in range(9)
        ),
    ]
    page = read_page(render_html(results.model_copy(update={"mend_first": entries})))
    (decision,) = [s for s in page.all("section") if s.attrs.get("id") == "decision"]
    assert "Mend first: I-0001, I-10, I-11 (" in decision.text()
    (table,) = [t for t in page.all("table") if t.attrs.get("class") == "first"]
    rows = [row.text() for row in table.all("tbody")[0].all("tr")]
    assert len(rows) == 3
    assert "A face 42 px wide is clear" in rows[0]
    assert "Named by 3 of 4 attacks, 2.5 deviations ahead" in rows[1]


def test_every_id_is_unique_and_every_reference_resolves(each, read_page):
    page = read_page(each)
    ids = [node.attrs["id"] for node in page.walk() if "id" in node.attrs]
    assert len(ids) == len(set(ids))
    targets = set(re.findall(r'(?:url\(|href=")#([^")]+)', each))
    for node in page.walk():
        targets |= set(node.attrs.get("aria-labelledby", "").split())
    assert targets <= set(ids)


def test_headings_descend_without_gaps(page):
    levels = [int(node.tag[1]) for node in page.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_tables_have_captions_and_scoped_headings(page):
    in_figures = {id(t) for figure in page.all("figure") for t in figure.all("table")}
    for table in page.all("table"):
        assert id(table) in in_figures or table.all("caption")
        assert table.all("th")
        assert all(th.attrs.get("scope") in ("col", "row", "rowgroup") for th in table.all("th"))


def test_every_figure_has_words_and_numbers(page):
    figures = page.all("figure")
    assert len(figures) >= 15
    for figure in figures:
        (drawing,) = figure.all("svg")
        assert drawing.attrs["role"] == "img"
        assert drawing.all("title")[0].text()
        assert drawing.all("desc")[0].text()
        assert figure.all("figcaption")[0].text()
        assert figure.all("details")[0].all("tbody")[0].all("tr")


def test_drawings_take_their_colours_from_the_page(html):
    for drawing in re.findall(r"<svg.*?</svg>", html, re.S):
        assert not re.search(r"#[0-9a-fA-F]{6}\b", drawing)
        assert "metadata" not in drawing


def test_equal_results_give_equal_bytes(results, html):
    copy = type(results).model_validate_json(dump_results(results))
    assert render_html(copy) == html


def test_the_first_page_answers_the_five_questions(page):
    (decision,) = [s for s in page.all("section") if s.attrs.get("id") == "decision"]
    text = decision.text(skip=("svg",))
    headings = [h.text() for h in decision.all("h3")]
    assert headings == [
        "What was found",
        "What was tested",
        "How sure this is",
        "What was not tested",
        "What to do",
        "Signatures",
    ]
    assert "Leak demonstrated" in text
    assert "for 96 of 97 people (99.0 %" in text
    assert "gallery 6,084" in text
    assert "Assess again by: 2027-11-20" in text
    assert "Technical evidence, not a legal determination" in text


def test_no_hit_is_told_with_what_remains_possible(results, read_page):
    none = [a for a in results.attacks if a.condition == "solid" and a.name == "naive"][:1]
    verdict = results.verdict.model_copy(
        update={"outcome": "BOUNDED", "worst_attack": "naive", "worst_condition": "solid"}
    )
    page = read_page(
        render_html(
            results.model_copy(
                update={"attacks": none, "verdict": verdict, "conditions": results.conditions[3:]}
            )
        )
    )
    text = page.text(skip=("svg", "style")).replace("\u00a0", " ")
    assert "none of 97 people; rates up to 3.7 % remain compatible" in text
    assert "Bounded below 5 %" in text


@pytest.mark.parametrize("outcome", ["BOUNDED", "INCONCLUSIVE"])
def test_a_run_without_figures_says_why(results, outcome, read_page):
    bare = results.model_copy(
        update={
            "attacks": [],
            "conditions": [],
            "findings": [],
            "checks": [],
            "untested": [],
            "method": [],
            "reassess_by": None,
            "verdict": results.verdict.model_copy(update={"outcome": outcome}),
            "data": results.data.model_copy(update={"stages": [], "excluded": []}),
        }
    )
    text = read_page(render_html(bare)).text(skip=("svg", "style"))
    assert "Nobody was looked up, so nobody was named" in text
    assert "Figures left out, and why" in text


@pytest.mark.slow
@pytest.mark.parametrize("code", available())
def test_a_bounded_run_states_its_bound_and_that_its_attackers_could_name_people(
    results, code, read_page
):
    """And neither what would be named in a larger gallery, which is a guess here, nor a leak."""
    solid = next(c for c in results.conditions if c.id == "solid")
    attacks = [
        a.model_copy(
            update={"larger_galleries": [LargerGallery(people=10_000, ira=a.metrics["ira"])]}
        )
        for a in results.attacks
        if a.condition == "solid" and a.status == "ok"
    ]
    bounded = Verdict(outcome="BOUNDED", threshold=0.05, bounded=True, upper_bound=0.0314)
    update = {"verdict": bounded, "attacks": attacks, "conditions": [solid]}
    update["controls"] = next(iter(solid.controls.values()))
    page = read_page(render_html(results.model_copy(update=update), code))
    (decision,) = [s for s in page.all("section") if s.attrs.get("id") == "decision"]
    own = load(code)
    text = decision.text(skip=("svg",)).replace("\u00a0", " ")
    (lead,) = [p.text() for p in decision.all("p") if p.attrs.get("class") == "lead"]
    assert own.percent(0.0314).replace("\u00a0", " ") in lead
    assert own("decision.todo_bounded") in text
    ceiling, weak = update["controls"].clear_ceiling.value, update["controls"].known_weak.value
    able = own("decision.sure_able", ceiling=own.percent(ceiling), weak=own.percent(weak))
    assert able.replace("\u00a0", " ") in text
    assert own("decision.larger", list="").partition(":")[0] not in text


@pytest.mark.slow
def test_a_run_of_ten_thousand_probes_stays_small(results):
    ranks = [float(rank) for rank in range(1, 6085)]
    curve = Curve(x=ranks, y=[1 - 0.5 / rank for rank in ranks])
    attacks = [a.model_copy(update={"curves": {**a.curves, "cmc": curve}}) for a in results.attacks]
    left_out = [Excluded(image=f"img-{i:05}", role="probe", reason="blurred") for i in range(10000)]
    large = results.model_copy(
        update={
            "attacks": attacks,
            "data": results.data.model_copy(update={"excluded": left_out}),
        }
    )
    assert len(render_html(large).encode()) < 3_000_000


@pytest.mark.slow
@pytest.mark.parametrize("code", available())
def test_the_decision_page_is_written_in_the_language(results, code, read_page):
    page = read_page(render_html(results, code))
    (root,) = page.all("html")
    assert root.attrs["lang"] == code
    (decision,) = [s for s in page.all("section") if s.attrs.get("id") == "decision"]
    foreign = [node.text() for node in decision.walk() if node.attrs.get("lang") == "en"]
    assert not foreign
    heading = {"en": "What was found", "de": "Was gefunden wurde", "fr": "Ce qui a été trouvé"}
    assert heading[code] in [h.text() for h in page.all("h3")]


@pytest.mark.slow
@pytest.mark.parametrize("code", [c for c in available() if c != "en"])
def test_a_page_in_another_language_quotes_names_alone(results, code, read_page):
    """No sentence, heading, column or measure is English but for what the run took over from
    elsewhere."""
    page = read_page(render_html(results, code))
    own, english = load(code), load("en")
    marked = {node.text() for node in page.walk() if node.attrs.get("lang") == "en"}
    quoted = {"The thumbnail was made before the anonymisation."}
    assert marked == quoted | {excluded.reason for excluded in results.data.excluded}
    heads = {node.text().strip() for name in ("h2", "h3", "th") for node in page.all(name)}
    for key in ("findings.heading", "annex.heading", "method.strong", "norms.control"):
        assert own(key) in heads
        assert english(key) not in heads
    words = page.text(skip=("style",))
    assert own("limits.heading") in words and english("limits.heading") not in words
    assert own("metrics.ira.meaning") in words and english("metrics.ira.meaning") not in words
    recorded = [results.verdict.reasons, results.limitations, results.untested]
    recorded += [
        [f.evidence, f.recommendation, f.title.partition(": ")[0]] for f in results.findings
    ]
    recorded += [[check.evidence, check.name] for check in results.checks]
    for sentence in (text for texts in recorded for text in texts if " " in text):
        assert sentence not in words


@pytest.mark.slow
def test_a_run_that_recorded_sentences_alone_is_told_in_them(old, read_page):
    page = read_page(render_html(old, "de"))
    marked = {node.text() for node in page.walk() if node.attrs.get("lang") == "en"}
    recorded = [*old.limitations, *old.untested, " ".join(old.verdict.reasons)]
    for finding in old.findings:
        title = finding.title.removesuffix(f": {finding.values.get('condition')}")
        assert any(text.startswith(title) for text in marked)
        recorded += [finding.evidence]
        recorded += [finding.recommendation] if finding.status != "pass" else []
    assert {" ".join(text.split()) for text in recorded} <= marked
    english = read_page(render_html(old)).text()
    assert " ".join(old.findings[0].evidence.split()) in english


def test_an_unknown_format_or_language_is_one_sentence(results):
    with pytest.raises(InputError, match="choose from: html, json"):
        render(results, "pdf")
    with pytest.raises(InputError, match="choose one of: de, en, fr"):
        render_html(results, "xx")


def test_hostile_names_stand_as_text(hostile_html, read_page):
    assert "<script" not in hostile_html
    assert "\u202e" not in hostile_html
    assert "\x1b" not in hostile_html
    assert "alert(1)" in read_page(hostile_html).text()
    assert "{{ 7*7 }}" in read_page(hostile_html).text()


def test_a_hostile_version_cannot_leave_the_style_sheet(results, read_page):
    run = results.run.model_copy(update={"version": '1"; } </style><script>x</script>'})
    page = read_page(render_html(results.model_copy(update={"run": run})))
    assert not page.all("script")


def signs(results, **more):
    """The run with one attack that named 2 of 12 people, one more than its control."""
    attack = next(a for a in results.attacks if a.condition == "heavy" and a.name == "naive")
    rate = Estimate(value=1 / 6, low=0.021, high=0.484, n=12, n_identities=12)
    verdict = results.verdict.model_copy(
        update={
            "outcome": "INCONCLUSIVE",
            "leak": False,
            "worst_attack": "naive",
            "worst_condition": "heavy",
            "upper_bound": 0.438,
            "control_rate": 1 / 12,
            "p_value": 0.5,
            "people_needed": 55,
            **more,
        }
    )
    condition = results.conditions[1].model_copy(update={"verdict": verdict})
    return results.model_copy(
        update={
            "attacks": [attack.model_copy(update={"metrics": {"ira": rate}})],
            "verdict": verdict,
            "conditions": [condition],
        }
    )


@pytest.mark.parametrize("code", available())
def test_signs_that_are_not_proven_are_called_so(results, code, read_page):
    page = read_page(render_html(signs(results), code))
    (banner,) = [n for n in page.walk() if n.attrs.get("class") == "verdict signs"]
    told = {"en": "not proven", "de": "nicht bewiesen", "fr": "non prouvés"}
    assert told[code] in banner.text()
    text = page.text(skip=("svg", "style")).replace("\u00a0", " ")
    assert "p = 0.50" in text or "p = 0,50" in text
    assert " 55 " in text  # how many people would settle it
    assert ("8.3 %" if code == "en" else "8,3 %") in text  # the control's rate


def test_words_of_a_row_of_the_drawn_page_do_not_meet(results):
    """Measured on the drawing, in every language, with the longest words there are."""
    from matplotlib.figure import Figure

    kept = {}

    def keep(figure, *rest):
        kept["figure"] = figure
        return rest

    long = results.conditions[2].model_copy(
        update={
            "anonymizer": results.conditions[2].anonymizer.model_copy(
                update={
                    "tool": "Signal (Android)",
                    "spec": "pixelate:b=12|ellipse:soft=0.25|jpeg:q=75,sub=420|rotate:deg=5",
                }
            )
        }
    )
    run = signs(results)
    run = run.model_copy(
        update={
            "conditions": [
                long.model_copy(update={"id": "heavy", "verdict": run.conditions[0].verdict}),
                *results.conditions[:2],
            ]
        }
    )
    for code in available():
        with pytest.MonkeyPatch.context() as patch, style():
            patch.setattr(decision, "drawn", keep)
            decision.overview(run, load(code), "overview")
            figure: Figure = kept["figure"]
            figure.draw_without_rendering()
            boxes = [text.get_window_extent() for text in figure.axes[0].texts]
        assert len(boxes) == 3 * len(run.conditions)
        for first, second in itertools.combinations(boxes, 2):
            assert not first.overlaps(second), code


def test_no_sign_is_claimed_below_the_limit(results, read_page):
    page = read_page(render_html(signs(results, threshold=0.2)))
    assert not [n for n in page.walk() if n.attrs.get("class") == "verdict signs"]
    (banner,) = [n for n in page.walk() if n.attrs.get("class") == "verdict inconclusive"]
    assert "Limit 20" in banner.text()


@pytest.mark.slow
def test_an_attack_above_the_clear_pictures_is_explained_where_it_happens(results, read_page):
    low = Estimate(value=0.75, n=12, n_identities=12)
    controls = results.conditions[0].controls["edgeface-xs"]
    controls = controls.model_copy(update={"clear_ceiling": low})
    condition = results.conditions[0].model_copy(update={"controls": {"edgeface-xs": controls}})
    weak = results.model_copy(update={"conditions": [condition, *results.conditions[1:]]})
    assert "not an upper limit" in read_page(render_html(weak)).text(skip=("svg", "style"))
    assert "not an upper limit" not in read_page(render_html(results)).text(skip=("svg", "style"))


@pytest.mark.slow
def test_the_page_says_who_audits_what_for_whom_and_claims_no_declaration(results, read_page):
    commission = Commission(auditor="A. Auditor", client="The archive", scope="Hall 3, May")
    page = read_page(render_html(results.model_copy(update={"commission": commission})))
    text = page.text(skip=("svg", "style"))
    assert "Auditor: A. Auditor" in text and "For: The archive" in text and "Hall 3, May" in text
    assert "declared before" not in text and "A plan was handed in" not in text
    planned = commission.model_copy(update={"plan_sha256": "ab" * 32})
    page = read_page(render_html(results.model_copy(update={"commission": planned})))
    assert "A plan was handed in with the run (SHA-256 abababab" in page.text()


@pytest.mark.slow
def test_conditions_beyond_five_are_summed_up(results, read_page):
    many = [
        results.conditions[2].model_copy(update={"id": f"m{n}", "title": f"Mosaic {n}"})
        for n in range(7)
    ]
    attack = next(a for a in results.attacks if a.condition == "mosaic")
    attacks = [attack.model_copy(update={"condition": c.id}) for c in many]
    page = read_page(
        render_html(results.model_copy(update={"conditions": many, "attacks": attacks}))
    )
    (figure,) = [f for f in page.all("figure") if "Who can be identified" in f.text(("svg",))]
    assert "2 more, with rates" in figure.all("figcaption")[0].text()
    assert len(figure.all("tbody")[0].all("tr")) == 7


def test_faces_left_clear_and_linkage_stand_on_the_first_page(results, read_page):
    faces = Faces(found=12, covered=9, partial=1, missed=2)
    rate = Estimate(value=0.75, low=0.43, high=0.95, n=9, n_identities=5)
    link = Linkage(
        attack="naive",
        recognizer="dlib",
        condition="heavy",
        rank_1=rate,
        filled=Estimate(value=0.11),
        chance=Estimate(value=1 / 12, n=12),
    )
    data = results.data.model_copy(update={"faces": faces, "gallery": Count()})
    told = [
        say("missing.gallery"),
        say("verdict.missed", count=2, faces=12),
        say("verdict.partial", count=1, faces=12),
    ]
    reasons = [english(message) for message in told]
    undecided = {"outcome": "INCONCLUSIVE", "leak": False, "told": told, "reasons": reasons}
    verdict = results.verdict.model_copy(update=undecided)
    bare = {"attacks": [], "data": data, "verdict": verdict, "linkage": [link]}
    page = read_page(render_html(results.model_copy(update=bare)))
    (decision,) = [s for s in page.all("section") if s.attrs.get("id") == "decision"]
    text = decision.text(skip=("svg",)).replace("\u00a0", " ").replace("\u2060", "")
    rows = {r.all("th")[0].text(): r for r in decision.all("tr") if r.all("td")}
    assert rows["Missed (left clear)"].all("td")[0].text() == "2"
    assert rows["Missed (left clear)"].attrs["class"] == "bad"
    assert "class" not in rows["Found"].attrs
    assert "2 of the 12 faces in these pictures are left clear" in text
    assert "1 of the 12 faces in these pictures is covered in part only" in text
    assert "Of 9 processed faces, 75.0 % (43.0–95.0 %)" in text and "not identification" in text
    assert "nobody could be looked up" in text

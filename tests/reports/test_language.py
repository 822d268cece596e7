"""How numbers and names are written, and that no catalogue claims what evidence cannot show."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid_audit.attacks.registry import attack_class, names
from reid_audit.audit.results import messages
from reid_audit.audit.results.schema import Estimate
from reid_audit.reports.text import norms
from reid_audit.reports.text.language import available, catalogue, load
from reid_audit.reports.text.names import clean
from reid_audit.reports.text.wording import violations

EN = load("en")


@given(st.floats(0, 1))
def test_a_percentage_never_feigns_none_or_all(fraction):
    text = EN.percent(fraction, unit=False)
    assert (text == "0") == (fraction == 0)
    assert (text == "100") == (fraction == 1)
    if 0.001 <= fraction <= 0.999:
        assert abs(float(text) - 100 * fraction) <= 0.051


def test_numbers_are_written_as_a_reader_expects():
    assert EN.percent(93 / 97) == "95.9\u00a0%"
    assert EN.percent(1 / 6084) == "0.016\u00a0%"
    assert (
        EN.interval(Estimate(low=0.8978, high=0.9887)).replace("\u2060", "") == "89.8–98.9\u00a0%"
    )
    assert load("de").percent(0.5678) == "56,8\u00a0%"
    assert load("de").count(6084) == "6.084"
    assert EN.declared(0.05) == "5\u00a0%"


@given(st.text(max_size=500))
def test_a_clean_name_is_one_short_line_of_visible_characters(text):
    name = clean(text).strip("\u2068\u2069")
    assert len(name) <= 300
    assert name.isprintable() or not name
    assert clean(name) == clean(text)


def sentences(node):
    if isinstance(node, dict):
        for value in node.values():
            yield from sentences(value)
    elif isinstance(node, list):
        for value in node:
            yield from sentences(value)
    elif isinstance(node, str):
        yield node


@pytest.mark.parametrize("code", available())
def test_catalogues_make_no_forbidden_claim(code):
    assert not violations(" ".join(sentences(catalogue("languages", f"{code}.yaml"))))


@pytest.mark.parametrize("code", available())
def test_norms_make_no_forbidden_claim(code):
    assert not violations(" ".join(sentences(norms._catalogues(code))))


@pytest.mark.slow
def test_the_report_makes_no_forbidden_claim(page):
    assert not violations(page.text(skip=("style",)))


@pytest.mark.parametrize("code", [c for c in available() if c != "en"])
def test_translations_fill_the_same_places(code):
    def fields(text):
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    def compare(own, english, path):
        for key, value in own.items():
            assert key in english, f"{path}.{key} is not in the English catalogue"
            if isinstance(value, dict):
                compare(value, english[key], f"{path}.{key}")
            elif isinstance(value, str):
                assert fields(value) == fields(english[key]), f"{path}.{key}"
            elif isinstance(value, list):
                assert len(value) == len(english[key]) or key == "terms", f"{path}.{key}"

    compare(catalogue("languages", f"{code}.yaml"), catalogue("languages", "en.yaml"), code)


@pytest.mark.parametrize("code", available())
def test_every_attack_has_its_name_in_every_language(code):
    titles = load(code).raw("attacks")
    assert sorted(titles) == sorted(names())
    if code == "en":
        assert titles == {name: attack_class(name).info.title for name in names()}


def leaves(node, path=""):
    for key, value in node.items():
        where = f"{path}.{key}".removeprefix(".")
        if isinstance(value, dict):
            yield from leaves(value, where)
        else:
            yield where, value


@pytest.mark.parametrize("code", [c for c in messages.languages() if c != "en"])
def test_every_message_is_told_in_every_language_with_the_same_values(code):
    def places(text):
        fields = string.Formatter().parse(text)
        return sorted((name, form) for _, name, form, _ in fields if name)

    english, own = (dict(leaves(messages.catalogue(name))) for name in ("en", code))
    assert own.keys() == english.keys()
    for key, text in english.items():
        assert places(own[key]) == places(text), key
        assert own[key] != text or key.startswith("marks.") or names_only(text), key


def names_only(text):
    return not "".join(literal for literal, *_ in string.Formatter().parse(text)).strip(" .,():–×")


def test_there_is_a_message_catalogue_for_every_language():
    assert messages.languages() == available()


@pytest.mark.parametrize("code", messages.languages())
def test_messages_make_no_forbidden_claim(code):
    assert not violations(" ".join(text for _, text in leaves(messages.catalogue(code))))


def test_a_message_writes_its_values_as_the_language_does():
    counted = messages.say("verdict.missed", count=1, faces=1234)
    assert messages.english(counted) == "1 of the 1,234 faces in these pictures is left clear."
    several = counted.model_copy(update={"values": {"count": 2, "faces": 1234}})
    assert messages.write(several, load("de")).startswith("2 von 1.234 Gesichtern")
    rated = messages.say("rate", value=0.5678, low=0.4, high=1.0)
    assert messages.write(rated, load("fr")) == "56,8\u00a0% (40,0–100\u00a0%)"
    with pytest.raises(KeyError):
        messages.say("verdict.missed", count=1)
    with pytest.raises(KeyError):
        messages.say("no.such.sentence")


NAMES = {"PSNR", "SSIM", "LPIPS", "IDD", "FID", "KID", "D_sys", "Cllr"}
SAME = {"page.tool", "evidence", "unit", "up", "share", *NAMES}
"""What needs no translation, and the restricted sheet, which nobody publishes."""


@pytest.mark.parametrize("code", [c for c in available() if c != "en"])
def test_a_language_leaves_nothing_in_english(code):
    """The words of pages, and what norms ask."""

    def left(english, own, path):
        for key, value in english.items():
            where = f"{path}.{key}".removeprefix(".")
            if SAME & {where, key, value if isinstance(value, str) else ""}:
                continue
            if isinstance(value, dict):
                yield from left(value, own.get(key, {}), where)
            elif key not in own:
                yield where

    words = [catalogue("languages", f"{name}.yaml") for name in ("en", code)]
    assert not list(left(*words, ""))
    for english, own in zip(norms._catalogues("en"), norms._catalogues(code), strict=True):
        assert own["never"] != english["never"]
        for asked, told in zip(english["controls"], own["controls"], strict=True):
            assert told["title"] != asked["title"], asked["id"]
            for part in ("says", "asks"):
                assert asked.get(part) is None or told[part] != asked[part], asked["id"]
            assert told.keys() == asked.keys()


@pytest.mark.parametrize(
    ("outcome", "state"),
    [("LEAK_DEMONSTRATED", "against"), ("BOUNDED", "within"), ("INCONCLUSIVE", "open")],
)
def test_automatic_controls_follow_the_verdict(results, outcome, state):
    verdict = results.verdict.model_copy(update={"outcome": outcome})
    mapped = norms.mapped(results.model_copy(update={"verdict": verdict}), EN)
    states = {control.id: control.state for norm in mapped for control in norm.controls}
    assert states["singling-out"] == states["intruder"] == states["very-small"] == state


def test_controls_read_findings_and_leave_questions_to_a_person(results):
    controls = {c.id: c for norm in norms.mapped(results, EN) for c in norm.controls}
    assert controls["residue"].state == "against"
    assert controls["authorisation"].state == "person"
    assert controls["inference"].state == "untested"
    assert controls["expert"].manual
    assert len([c for c in controls.values() if c.manual]) >= 6

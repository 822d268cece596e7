"""A run as the scan writes it: three anonymisations, six attacks, two recognisers."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest
from scipy.stats import beta

from reid_audit.audit.results.messages import english, say
from reid_audit.audit.results.schema import (
    Anonymizer,
    AttackResult,
    Check,
    Condition,
    Controls,
    Cost,
    Count,
    Curve,
    Data,
    Estimate,
    Excluded,
    Finding,
    Message,
    ProbeCount,
    Results,
    Run,
    Stratum,
    Unaided,
    Verdict,
    Waiver,
)
from reid_audit.audit.results.telling import fact, finding, rate, stage

PEOPLE, GALLERY = 97, 6084
HOSTILE = [
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "\"quoted\" & 'single' {{ 7*7 }} {braces}",
    "evil\u202egnp.exe\u202c\nsecond line\x1b[31m",
    "\u05d0\u05d1\u05d2 \u0645\u0631\u062d\u0628\u0627",
    "long" * 200,
    "$\\frac{1}{0}$ ]]> --> </style></svg>",
]


def estimate(hits: int, n: int = PEOPLE) -> Estimate:
    """Clopper-Pearson, two-sided 95 %."""
    return Estimate(
        value=hits / n,
        low=float(beta.ppf(0.025, hits, n - hits + 1)) if hits else 0.0,
        high=float(beta.ppf(0.975, hits + 1, n - hits)) if hits < n else 1.0,
        n=n,
        n_identities=n,
        method="clopper-pearson",
    )


def plain(value: float) -> Estimate:
    return Estimate(value=value, n=PEOPLE, n_identities=PEOPLE, method="mean")


def cmc(rank1: float) -> Curve:
    ranks = [1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0]
    return Curve(x=ranks, y=[1 - (1 - rank1) * rank**-0.4 for rank in ranks])


ATTACKS = {
    "naive": ("Naive recognition", "No knowledge of the tool", None, 2.0),
    "degraded-gallery": ("Degraded gallery", "The tool and its setting", None, 5.0),
    "wiener": ("Wiener restoration", "The tool and its setting", "Closed form", 4.0),
    "parrot": ("Parrot recognition", "The tool; the gallery", "McPherson et al. 2016", 61.0),
    "ridge": ("Ridge embedding map", "The tool; background faces", None, 9.0),
    "student": ("Distilled student", "The tool; background faces", None, 121.0),
}
HITS = {
    "light": {"naive": 92, "degraded-gallery": 94, "wiener": 95, "parrot": 59, "ridge": 95},
    "heavy": {"naive": 22, "degraded-gallery": 80, "wiener": 83, "parrot": 50, "ridge": 88},
    "mosaic": {"naive": 1, "degraded-gallery": 29, "wiener": 21, "parrot": 24, "ridge": 35},
    "solid": {"naive": 0, "degraded-gallery": 0, "wiener": 0, "parrot": 1, "ridge": 0},
}
STUDENT = {"light": 96, "heavy": 93, "mosaic": 52, "solid": 0}
RECOGNIZERS = {"edgeface-xs": 0, "dlib": 9}


def controls(condition: str, worse: int) -> Controls:
    return Controls(
        chance=Estimate(value=1 / GALLERY, n=GALLERY, method="1/G"),
        clear_ceiling=estimate(96 - worse // 3),
        naive=estimate(max(HITS[condition]["naive"] - worse, 0)),
        solid_fill=estimate(0),
        context_only=estimate(1),
        known_weak=estimate(94 - worse // 2),
        disjoint_identity=Estimate(reason="every attacker was trained on background people only"),
    )


def attack(condition: str, name: str, recognizer: str, hits: int) -> AttackResult:
    title, knowledge, paper, seconds = ATTACKS[name]
    restored = name == "wiener" and condition != "solid"
    quality = {"light": 27.4, "heavy": 24.0, "mosaic": 19.0}.get(condition, 0.0)
    fidelity = {
        "psnr": plain(quality),
        "ssim": plain(quality / 38),
        "idd": plain(1.5 - quality / 30),
        "lpips": Estimate(reason="weights not installed: run `reid-audit weights fetch lpips`"),
        "fid": Estimate(reason="weights not installed: run `reid-audit weights fetch inception`"),
        "frechet_features": plain(41.84 - quality),
    }
    rate = hits / PEOPLE
    curves = {"cmc": cmc(rate)}
    if name == "student":
        angle = [0.1 + 0.1 * step for step in range(18)]
        curves["idd_mated"] = Curve(x=angle, y=[max(0.0, 2 - 9 * (a - 0.7) ** 2) for a in angle])
        curves["idd_nonmated"] = Curve(x=angle, y=[max(0.0, 2 - 9 * (a - 1.5) ** 2) for a in angle])
        fpir = [0.01, 0.02, 0.05, 0.1, 0.2, 0.4]
        curves["det"] = Curve(x=fpir, y=[(1 - rate * 0.98) * (1 - x) for x in fpir])
    graver = condition == "light" and name == "student" and recognizer == "edgeface-xs"
    return AttackResult(
        name=name,
        recognizer=recognizer,
        condition=condition,
        title=title,
        paper=paper,
        knowledge=knowledge,
        metrics={
            "ira": estimate(hits),
            "rank_5": plain(min(1.0, rate * 1.03)),
            "ood_auroc": plain(0.5 + rate / 2.2),
            **(fidelity if restored else {}),
        },
        curves=curves,
        strata=[
            Stratum(name="under 30", ira=estimate(39, 40)),
            Stratum(name="30 to 60", ira=estimate(45, 46)),
            Stratum(name="over 60", ira=estimate(9, 11)),
            Stratum(name="unlabelled", ira=Estimate(reason="fewer than 5 people: suppressed")),
        ]
        if graver
        else [],
        worst_off=[
            Stratum(name=f"person-{tag}", ira=plain(1.0)) for tag in ("3f2a", "91bc", "e07d")
        ]
        if graver
        else [],
        inferred={"consistency_residual": 0.31, "in_gallery": 0.93} if restored else {},
        cost=Cost(seconds=seconds, device="cpu", peak_memory_mib=900.0, parameters=1_770_000),
    )


def condition(
    key: str, title: str, anonymizer: Anonymizer, unaided: Unaided | None = None
) -> Condition:
    leak = key != "solid"
    return Condition(
        id=key,
        title=title,
        anonymizer=anonymizer,
        probes=ProbeCount(identities=PEOPLE, images=PEOPLE, mated_images=PEOPLE),
        controls={name: controls(key, worse) for name, worse in RECOGNIZERS.items()},
        verdict=Verdict(
            outcome="LEAK_DEMONSTRATED" if leak else "BOUNDED",
            threshold=0.05,
            worst_attack="student" if leak else "parrot",
            worst_recognizer="edgeface-xs",
            worst_condition=key,
            leak=leak,
            bounded=not leak,
            upper_bound=None if leak else 0.048,
            detectable_risk=0.0304,
        ),
        unaided=unaided,
    )


CONDITIONS = [
    condition(
        "light",
        "Gaussian blur, kernel 37",
        Anonymizer(
            family="gaussian",
            parameters={"sigma": 5.9, "kernel_size": 37},
            spec="gaussian:k=37",
            source="identified",
            region="face",
            sigma_over_face_width=0.039,
            face_width=94.0,
            effective_resolution=38.0,
            bits_per_channel=4100.0,
            predicted_psnr=27.4,
            confidence=0.97,
        ),
    ),
    condition(
        "heavy",
        "Gaussian blur, kernel 81",
        Anonymizer(
            family="gaussian",
            parameters={"sigma": 12.5, "kernel_size": 81},
            spec="gaussian:k=81",
            source="sidecar",
            region="face",
            sigma_over_face_width=0.083,
            face_width=94.0,
            effective_resolution=20.0,
            bits_per_channel=2500.0,
            predicted_psnr=24.0,
        ),
        Unaided(tried=8, right=7, true_size=81, sizes=[77, 79, 79, 81, 81, 83, 85]),
    ),
    condition(
        "mosaic",
        "Pixelation, 12 blocks",
        Anonymizer(
            family="pixelate",
            parameters={"block": 8},
            spec="pixelate:b=8",
            source="sidecar",
            region="face",
            effective_resolution=11.8,
            bits_per_channel=980.0,
        ),
    ),
    condition(
        "solid",
        "Solid fill",
        Anonymizer(
            family="solid", spec="solid", source="sidecar", region="face", effective_resolution=0.0
        ),
    ),
]


def leak(which: str, hits: int, severity: str, share: float, setting: str) -> Finding:
    about = next(c for c in CONDITIONS if c.id == which)
    advice = say("resolution.setting", share=share, setting=setting, width=96, target=3)
    return finding(
        f"reidentification.{which}",
        "fail",
        severity,
        say("reidentification.leak"),
        say(
            "reidentification.leak-told",
            attack="student",
            recognizer="edgeface-xs",
            rate=rate(estimate(hits)),
            people=PEOPLE,
        ),
        [say("reidentification.leak-advice"), say("resolution.fill"), advice],
        {"target": "3", "setting": setting, "share": f"{share}", "face_width": "96"},
        about,
    )


FINDINGS = [
    leak("light", 96, "critical", 2.1, "gaussian:k=205"),
    leak("mosaic", 52, "high", 0.28, "pixelate:b=27"),
    finding(
        "residue.embedded-clear",
        "warn",
        "medium",
        say("residue.more", kind=say("residue.kinds.embedded-clear")),
        [
            say("residue.told", count=7, files=97),
            say("quoted", text="The thumbnail was made before the anonymisation."),
        ],
        say("residue.advice"),
        {"kind": "embedded clear", "count": "7", "files": "97"},
    ),
    finding(
        "sample.size",
        "warn",
        "low",
        say("sample.few"),
        say("sample.told", people=97, needed=299),
        say("sample.advice", needed=299),
        {"people": "299"},
    ).model_copy(
        update={
            "waiver": Waiver(
                reason="The archive holds no more people.",
                expires="2027-03-31",
                approved_by="Data protection officer",
            )
        }
    ),
    finding(
        "authorization.missing",
        "manual",
        "info",
        say("authorization.missing"),
        say("authorization.missing-told"),
        say("authorization.missing-advice"),
    ),
    finding(
        "reidentification.solid",
        "pass",
        "info",
        say("reidentification.bounded"),
        say("reidentification.bounded-told", upper=0.0481, threshold=0.05),
        say("keep"),
        about=CONDITIONS[-1],
    ),
]

REASONS = [
    say("verdict.leak", leaking=4, count=9, attack="student", rate=96 / 97),
    say("verdict.above", upper=0.9995, people=PEOPLE, threshold=0.05),
]
LIMITS = [say("limits.tested"), say("limits.sidecar")]
UNTESTED = [say("untested.gait"), say("untested.frames")]


def asked(kind: str, passed: bool, told: Message) -> Check:
    name = english(say(f"check.{kind}", recognizer="edgeface-xs"))
    return Check(
        name=name,
        passed=passed,
        evidence=english(told),
        kind=kind,
        recognizer="edgeface-xs",
        told=told,
    )


CHECKS = [
    asked("knows-clear", True, say("check.clear", value=96 / 97, wanted=0.8)),
    asked("breaks-weak", True, say("check.weak", value=94 / 97, wanted=0.5)),
    asked("solid-at-chance", True, say("check.solid", value=0.0, chance=1 / GALLERY)),
]
METHOD = [
    fact(say("method.purpose"), say("method.authorisation"), say("method.not-recorded")),
    *(
        fact(say("method.recogniser"), say("stated", text=name), say("stated", text=digest))
        for name, digest in (("edgeface-xs", "SHA-256 5f0c..."), ("dlib", "SHA-256 9a4d..."))
    ),
    *(
        fact(say("method.statistics"), say(f"method.{name}"), say(f"method.{name}-told"))
        for name in ("endpoint", "interval", "ties")
    ),
]


def build(*, hostile: bool = False) -> Results:
    """The example run; `hostile` puts injection attempts wherever a user's text can stand."""
    attacks = [
        attack(key, name, recognizer, max(hits - worse, 0))
        for key in HITS
        for recognizer, worse in RECOGNIZERS.items()
        for name, hits in {**HITS[key], "student": STUDENT[key]}.items()
    ]
    attacks.append(
        AttackResult(
            name="revelio",
            title="Revelio",
            condition="heavy",
            recognizer="edgeface-xs",
            status="skipped",
            reason="its weights are not installed",
        )
    )
    run = Results(
        title="Face blur of the visitor archive",
        verdict=Verdict(
            outcome="LEAK_DEMONSTRATED",
            threshold=0.05,
            worst_attack="student",
            worst_recognizer="edgeface-xs",
            worst_condition="light",
            leak=True,
            detectable_risk=0.0304,
            reasons=[english(reason) for reason in REASONS],
            told=REASONS,
        ),
        data=Data(
            gallery=Count(identities=GALLERY, images=GALLERY),
            probes=ProbeCount(
                identities=147,
                images=197,
                mated_images=147,
                mated_identities=PEOPLE,
                nonmated_images=50,
                nonmated_identities=50,
                failed_to_acquire=3,
            ),
            background=Count(identities=2100, images=5089),
            stages=[
                stage(204, say("stages.files")),
                stage(202, say("stages.readable"), say("stages.left-out", count=2)),
                stage(200, say("stages.references"), say("stages.without-face", count=4)),
                stage(147, say("stages.mated")),
                stage(PEOPLE, say("stages.people"), say("stages.random")),
            ],
            excluded=[
                Excluded(image="img-04c1", role="gallery", reason="near-duplicate of a probe"),
                Excluded(image="img-7e90", role="probe", reason="truncated file"),
            ],
            frame_sources={"manifest": 190, "anonymised": 7},
        ),
        anonymizer=CONDITIONS[0].anonymizer,
        controls=CONDITIONS[0].controls["edgeface-xs"],
        attacks=attacks,
        findings=FINDINGS,
        conditions=CONDITIONS,
        checks=CHECKS,
        method=METHOD,
        limitations=[english(message) for message in LIMITS],
        limitations_told=LIMITS,
        untested=[english(message) for message in UNTESTED],
        untested_told=UNTESTED,
        reassess_by="2027-11-20",
        seed=7,
        run=Run(
            version="0.1.0",
            started="2026-11-20T10:00:00+00:00",
            finished="2026-11-20T10:07:12+00:00",
            seconds=432.0,
            peak_memory_mib=1830.0,
        ),
    )
    return poison(run) if hostile else run


def poison(run: Results) -> Results:
    """Every free text replaced by an injection attempt; ids stay consistent."""
    texts = iter(HOSTILE * 400)
    free = {"title", "reason", "evidence", "recommendation", "knowledge", "paper", "value", "note"}
    free |= {"recognizer", "worst_recognizer", "topic", "spec", "text", "image", "role", "family"}
    free |= {"region"}

    def walk(node: object, key: str = "") -> object:
        if isinstance(node, dict):
            return {k: walk(v, k) for k, v in node.items()}
        if isinstance(node, list):
            return [walk(item, key) for item in node]
        if isinstance(node, str) and key in free | {"untested", "limitations", "reasons"}:
            return HOSTILE[0] if "recognizer" in key else next(texts)
        return node

    # Sentences as they were recorded are shown where no message stands beside them.
    content = run.model_dump()
    for record in (content["verdict"], *content["findings"]):
        record.pop("told")
    return Results.model_validate(walk(content))


def without_messages(run: Results) -> Results:
    """The run as earlier versions recorded it: sentences alone."""

    def walk(node: object) -> object:
        if isinstance(node, dict):
            return {k: walk(v) for k, v in node.items() if k != "told" and "_told" not in k}
        return [walk(item) for item in node] if isinstance(node, list) else node

    return Results.model_validate(walk(run.model_dump()))


VOID = {"meta", "link", "br", "img", "hr", "input"}


@dataclass
class Element:
    """A node of a parsed page."""

    tag: str
    attrs: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    def walk(self):
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def all(self, *tags: str) -> list[Element]:
        return [node for node in self.walk() if node.tag in tags]

    def text(self, skip: tuple[str, ...] = ()) -> str:
        if self.tag in skip:
            return ""
        parts = (c if isinstance(c, str) else c.text(skip) for c in self.children)
        return " ".join(" ".join(parts).split())


class _Tree(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag, attrs):
        node = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag, attrs):
        self.open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data):
        self.open[-1].children.append(data)


def parse(html: str) -> Element:
    """The page as a tree; every element must be closed by its own end tag."""
    tree = _Tree()
    tree.feed(html)
    tree.close()
    assert tree.open == [tree.root], "unclosed elements"
    return tree.root


@pytest.fixture(scope="session")
def read_page():
    return parse


@pytest.fixture(scope="session")
def html(results: Results) -> str:
    from reid_audit.reports.pages.html import render_html

    return render_html(results)


@pytest.fixture(scope="session")
def hostile_html(hostile: Results) -> str:
    from reid_audit.reports.pages.html import render_html

    return render_html(hostile)


@pytest.fixture(scope="session")
def page(html: str) -> Element:
    return parse(html)


@pytest.fixture(scope="session")
def results() -> Results:
    return build()


@pytest.fixture(scope="session")
def old(results: Results) -> Results:
    return without_messages(results)


@pytest.fixture(scope="session")
def hostile() -> Results:
    return build(hostile=True)


@pytest.fixture(scope="session")
def data() -> Path:
    return Path(__file__).parent / "data"

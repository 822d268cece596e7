"""Findings on the faces of a picture: covered or not, and linked to originals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from reid_audit.audit.results.messages import say
from reid_audit.audit.results.schema import Faces, Finding, Results
from reid_audit.audit.results.telling import finding, rate

AT_MOST = 12
"""Faces named in one sentence; all of them stand in `data.faces.open`."""


def coverage(faces: Faces) -> list[Finding | None]:
    """Faces that were not covered, where the originals tell."""
    judged = faces.covered + faces.partial + faces.missed
    if not judged:
        return []
    if not faces.missed and not faces.partial:
        alone = [say("coverage.second-detector")] if len(faces.detectors) == 1 else []
        return [
            finding(
                "coverage.missed-faces",
                "pass",
                "info",
                say("coverage.covered"),
                say(
                    "coverage.covered-told",
                    faces=judged,
                    smallest=faces.smallest or 0,
                    detectors=", ".join(faces.detectors),
                ),
                [say("coverage.covered-advice"), *alone],
                {"count": "0", "faces": str(judged)},
            )
        ]
    return [
        _uncovered(faces, "missed", judged) if faces.missed else None,
        _uncovered(faces, "partial", judged) if faces.partial else None,
    ]


def _uncovered(faces: Faces, state: Literal["missed", "partial"], judged: int) -> Finding:
    which = [face for face in faces.open if face.state == state]
    count = len(which)
    places = [
        say(
            "coverage.place",
            image=face.image,
            x=face.box[0],
            y=face.box[1],
            width=face.width,
        )
        for face in which[:AT_MOST]
    ]
    if count > AT_MOST:
        places.append(say("coverage.more", count=count - AT_MOST))
    return finding(
        f"coverage.{state}-faces",
        "fail" if state == "missed" else "warn",
        "high",
        say(f"coverage.{state}", count=count),
        say(f"coverage.{state}-told", count=count, faces=judged, places=places),
        say("coverage.advice"),
        {"count": str(count), "faces": str(judged)},
    )


def linkage(results: Results) -> Finding | None:
    """Whether covered faces are found among the originals' faces more often than painted ones."""
    scored = [link for link in results.linkage if link.rank_1.value is not None]
    if not scored:
        return None
    best = max(scored, key=lambda link: link.rank_1.value or 0.0)
    filled, blind = best.filled.value or 0.0, best.chance.value or 0.0
    linked = (best.rank_1.low or 0.0) > max(filled, blind)
    asking = linked and not results.data.gallery.images
    return finding(
        "linkage.originals",
        "warn" if linked else "pass",
        "medium" if linked else "info",
        say("linkage.linked" if linked else "linkage.not-linked"),
        say(
            "linkage.told",
            attack=best.attack,
            recognizer=best.recognizer,
            rate=rate(best.rank_1),
            faces=best.rank_1.n,
            originals=best.chance.n,
            filled=filled,
            chance=blind,
        ),
        say("linkage.ask" if asking else "linkage.advice" if linked else "none"),
        {"count": str(best.rank_1.n), **({"cause": "gallery"} if asking else {})},
    )


def originals(pairs: Mapping[str, int]) -> Finding | None:
    """Originals that show another picture, or lie turned."""
    different, turned = pairs.get("different", 0), pairs.get("turned", 0)
    if not different and not turned:
        return None
    counted = {"turned": turned, "different": different}
    return finding(
        "originals.different",
        "warn",
        "medium",
        say("originals.different"),
        [say(f"originals.{how}-told", count=count) for how, count in counted.items() if count],
        say("originals.different-advice" if different else "originals.turned-advice"),
        {
            "count": str(different + turned),
            "different": str(different),
            "turned": str(turned),
        },
    )

"""What a row of a bench holds beside identification: linkage, traces from pairs, utility."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import mean

from reid_audit.audit.bench.row import Row, recognizer_text
from reid_audit.audit.results.schema import Estimate, Linkability, Replacement, Utility
from reid_audit.metrics.geometry import MEASURES

LINKED = (
    *("defence", "recogniser", "attack", "rank-1 among the anonymised", "painted over"),
    *("TAR at FAR .01", "EER", "D_sys", "by chance", "AUROC beyond surroundings"),
)
TRACED = (
    *("defence", "recogniser", "traced from pairs", "by", "painted over"),
    *("original still matched", "outputs that match one another"),
)


def fields(
    link: Linkability | None, pairs: Replacement | None, kept: Utility | None
) -> dict[str, object]:
    """The fields of a row that these fill; where one is missing, its fields stay empty."""
    row: dict[str, object] = {}
    if link is not None and link.metrics:
        row |= {
            "link_rank_1": link.metrics["rank_1"].value,
            "link_context": link.context_only["rank_1"].value,
            "link_tar": link.metrics["tar_far_01"].value,
            "link_eer": link.metrics["eer"].value,
            "link_d_sys": link.metrics["d_sys"].value,
            "link_d_sys_chance": link.shuffled["d_sys"].value,
            "link_excess": link.excess.value,
            "link_excess_low": link.excess.low,
        }
    if pairs is not None:
        best = max(pairs.maps, key=lambda way: way.rank_1.value or 0.0)
        row |= {
            "traced": best.rank_1.value,
            "traced_by": best.name,
            "traced_context": best.context_only.value,
            "identity_kept": pairs.kept.value,
            "identity_shared": pairs.shared.value,
        }
    if kept is not None:
        row |= {
            "utility": kept.usefulness.value,
            "utility_low": kept.usefulness.low,
            "utility_high": kept.usefulness.high,
            "faces_found": kept.detected.value,
        }
    if kept is not None and kept.geometry is not None:
        shape = kept.geometry
        turns = [turn.value for turn in (shape.yaw, shape.pitch, shape.roll) if turn.value]
        row |= {
            "landmark_distance": shape.landmark_distance.value,
            "head_turn": max(turns, default=0.0),
            "expression_change": mean(getattr(shape, name).value for name in MEASURES),
            "gaze_change": shape.gaze.value,
        }
    return row


def linked(rows: Iterable[Row]) -> list[list[str]]:
    """Cells under `LINKED` of the attack that links most beyond the surroundings, by setting."""
    best: dict[tuple[object, ...], Row] = {}
    for row in rows:
        key = (*row.setting, row.recognizer)
        if row.link_excess is not None and (
            key not in best or row.link_excess > (best[key].link_excess or -1.0)
        ):
            best[key] = row
    lines = []
    for row in sorted(best.values(), key=lambda row: row.link_excess or 0.0):
        excess = Estimate(value=row.link_excess, low=row.link_excess_low)
        above = "-" if excess.low is None else f" (at least {excess.low:.3f})"
        shares = (row.link_rank_1, row.link_context, row.link_tar, row.link_eer, row.link_d_sys)
        figures = [_number(share) for share in (*shares, row.link_d_sys_chance)]
        head = [row.method, recognizer_text(row), row.attack]
        lines.append([*head, *figures, f"{_number(excess.value)}{above}"])
    return lines


def traced(rows: Iterable[Row]) -> list[list[str]]:
    """Cells under `TRACED`, one line a setting and recogniser with replaced faces."""
    known = {(*row.setting, row.recognizer): row for row in rows if row.traced is not None}
    return [
        [
            row.method,
            recognizer_text(row),
            _number(row.traced),
            str(row.traced_by),
            _number(row.traced_context),
            _number(row.identity_kept),
            _number(row.identity_shared),
        ]
        for row in known.values()
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"

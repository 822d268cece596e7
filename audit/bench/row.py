"""One row of a bench's table."""

from __future__ import annotations

from typing import Literal

from reid_audit.audit.results.schema import Record

Belief = Literal["matched", "estimated", "mismatched"]


class Row(Record):
    """One attack on one defence. Rates and shares are fractions; what is unknown is None."""

    data: str
    people: int
    """People whose pictures were attacked and whom the gallery holds."""
    strangers: int
    probes: int
    gallery_people: int
    gallery_pictures: int
    background_pictures: int
    face_width: float
    """Median of the probes, in pixels."""
    pose: str

    defence: str
    """As the bench names it."""
    method: str
    """As it was applied, lengths in pixels."""
    region: str
    sigma_over_face_width: float | None = None
    effective_resolution: float | None = None

    belief: Belief
    assumed: str | None = None
    """The method that the attacker believed in; None where nothing could be identified."""
    knowledge: str
    attack: str
    recognizer: str
    status: Literal["ok", "failed", "skipped"] = "ok"
    reason: str | None = None

    ira: float | None = None
    """Rank-1 by picture, with its interval over people (Korn-Graubard)."""
    low: float | None = None
    high: float | None = None
    n: int = 0
    n_people: int = 0
    ira_person: float | None = None
    """Rank-1 of one random picture a person, with its exact interval (Clopper-Pearson)."""
    ira_person_low: float | None = None
    ira_person_high: float | None = None
    ira_together: float | None = None
    """Rank-1 of people with several pictures, which are looked up as one."""
    chance: float | None = None
    ceiling: float | None = None
    """Rank-1 of the clear probes, by picture."""
    of_ceiling: float | None = None
    psnr: float | None = None
    ssim: float | None = None
    idd: float | None = None
    """Radians."""
    ood_auroc: float | None = None
    link_rank_1: float | None = None
    """The most similar other anonymised picture shows the same person."""
    link_context: float | None = None
    """The same with the faces painted over."""
    link_tar: float | None = None
    """Pairs of one person accepted where one in a hundred pairs of two is."""
    link_eer: float | None = None
    link_d_sys: float | None = None
    link_d_sys_chance: float | None = None
    link_excess: float | None = None
    """AUROC of telling pairs of one person, beyond that of painted faces, with its lower end."""
    link_excess_low: float | None = None
    traced: float | None = None
    """Replaced faces whose original's person came first, by the best of the maps from pairs; the
    same for all attacks on a setting, as are the next four."""
    traced_by: str | None = None
    traced_context: float | None = None
    identity_kept: float | None = None
    identity_shared: float | None = None
    utility: float | None = None
    """What is kept of the pictures in all, `results.json`'s `usefulness`, with its interval over
    people; the same for all attacks on a setting."""
    utility_low: float | None = None
    utility_high: float | None = None
    faces_found: float | None = None
    """Share of the faces that a detector still finds."""
    landmark_distance: float | None = None
    head_turn: float | None = None
    expression_change: float | None = None
    gaze_change: float | None = None
    """Of the faces still found, by dense landmarks, `results.json`'s `geometry`: 468 points; the
    largest of yaw, pitch and roll; the mean of the four lengths of expression; the irises."""

    seconds: float | None = None
    device: str = "cpu"
    parameters: int | None = None
    network_evaluations: int | None = None
    seed: int = 0

    @property
    def setting(self) -> tuple[object, ...]:
        """What is defended: rows of equal setting are attacks on the same pictures."""
        sample = self.people, self.gallery_people, self.gallery_pictures, self.background_pictures
        faces = self.strangers, self.face_width, self.pose
        return (self.data, *sample, *faces, self.method, self.region)

    @property
    def attacker(self) -> tuple[object, ...]:
        """Who attacks, whatever they believe."""
        return (*self.setting, self.recognizer, self.attack, self.knowledge, self.seed)


def recognizer_text(row: Row) -> str:
    """A recogniser without the folder of its file."""
    return row.recognizer.split(":")[-1].rsplit("/", 1)[-1]

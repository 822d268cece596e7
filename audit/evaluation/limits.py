"""What the figures of a run cannot say, and what was not tested."""

from __future__ import annotations

from reid_audit.audit.results.messages import say
from reid_audit.audit.results.schema import Clustering, Message, Results


def limitations(results: Results) -> list[Message]:
    """What the figures cannot say."""
    told = [say("limits.tested"), say("limits.groups")]
    if results.data.clustering is not None:
        told.append(_of_clustering(results.data.clustering))
    if results.data.frame_sources.get("originals"):
        told.append(say("limits.positions"))
    if any(c.anonymizer.source == "sidecar" for c in results.conditions):
        told.append(say("limits.sidecar"))
    return told


def _of_clustering(told: Clustering) -> Message:
    """How far people who were told by clustering can be relied on."""
    target, wrong = told.target_false_match_rate, told.expected_wrong_pairs
    return say(
        "limits.clustering",
        recognizer=told.recognizer,
        faces=told.faces,
        threshold=say("limits.published") if target is None else say("limits.rate", rate=target),
        pairs=told.false_match_rate.n,
        people=told.people,
        wrong=(
            say("limits.wrong-unknown")
            if wrong is None
            else say("limits.wrong", share=wrong, pairs=told.joined_pairs)
        ),
    )


def untested() -> list[Message]:
    """Channels and attackers outside this suite."""
    return [say(f"untested.{name}") for name in ("gait", "frames", "generative", "acquaintances")]

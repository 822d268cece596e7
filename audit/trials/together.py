"""Several pictures of one person looked up together: what an album or a film gives away.

What the restorations of two pictures get wrong is largely unlike, what they have in common is the
person. Whoever knows that pictures show one person averages their embeddings and searches once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reid_audit.attacks.recognition.similarity import identity_templates
from reid_audit.attacks.scoring import DIGITS, Scorer
from reid_audit.audit.trials.scoring import identification_rows

FEWEST = 2
"""Pictures of a person that there must be."""


def together(
    embeddings: NDArray[np.float32], identities: Sequence[str | None], scorer: Scorer
) -> pd.DataFrame:
    """One trial for every person of the gallery with several pictures, by their mean embedding.

    Args:
        embeddings: `(N, d)`, what an attack took from each probe.
        identities: of the probes; None where nobody knows.

    Returns:
        The columns of `identification_rows` and `pictures`, a row for each person; empty where
        nobody has several pictures.
    """
    known = Counter(person for person in identities if person in frozenset(scorer.people))
    rows = [row for row, person in enumerate(identities) if person and known[person] >= FEWEST]
    if not rows:
        return pd.DataFrame()
    shown = [str(identities[row]) for row in rows]
    means, people = identity_templates(embeddings[rows], shown, scorer.recognizer.distance)
    scores = scorer.recognizer.similarity(means, scorer.templates)
    trials = identification_rows(np.round(scores, DIGITS), scorer.mates(people.tolist()))
    return trials.assign(pictures=[known[person] for person in people])

"""What is true of a picture of somebody who does not exist, in the words of a manifest."""

from __future__ import annotations

from reid_audit.audit.people.identity import identity
from reid_audit.audit.people.picture import nuisance


def attributes(seed: int, picture: int) -> dict[str, str]:
    """Attributes of picture `picture` of person `seed`, as it was drawn.

    Returns:
        sex (feminine or masculine), age (younger or older half), beard (yes or no: a shadow of
        stubble counts) and glasses (yes or no, in this picture).

    >>> attributes(7, 0) == attributes(7, 0) and sorted(attributes(7, 0))
    ['age', 'beard', 'glasses', 'sex']
    """
    person = identity(seed)
    worn = nuisance(seed, picture).glasses < person.glasses.habit
    return {
        "sex": "feminine" if person.feminine else "masculine",
        "age": "younger" if person.age < 0.5 else "older",
        "beard": "no" if person.hair.beard == "none" else "yes",
        "glasses": "yes" if worn else "no",
    }

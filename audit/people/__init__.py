"""People who do not exist: pictures from code and a seed alone, for the demo and the tests.

They support no claim about real faces or about groups of people: traits are drawn to look
different from each other, not to match any population.
"""

from audit.people.cast import cast, name
from audit.people.identity import Identity, identity
from audit.people.picture import Nuisance, nuisance
from audit.people.render import render

__all__ = ["Identity", "Nuisance", "cast", "identity", "name", "nuisance", "render"]

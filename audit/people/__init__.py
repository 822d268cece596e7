"""People who do not exist: pictures from code and a seed alone, for the demo and the tests.

They support no claim about real faces or about groups of people: traits are drawn to look
different from each other, not to match any population.
"""

from reid_audit.audit.people.attributes import attributes
from reid_audit.audit.people.cast import cast, name
from reid_audit.audit.people.identity import Identity, identity
from reid_audit.audit.people.picture import Nuisance, nuisance
from reid_audit.audit.people.render import render

__all__ = ["Identity", "Nuisance", "attributes", "cast", "identity", "name", "nuisance", "render"]

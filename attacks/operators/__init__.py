"""Forward models: exactly what each anonymising tool does to the pixels of a region.

>>> from reid_audit.attacks.operators import parse
>>> parse("gaussian:k=81").sigma
12.5
>>> str(parse("gaussian:sigma=12.5|jpeg:q=75"))
'gaussian:k=81|jpeg:q=75'
"""

from reid_audit.attacks.operators.base import Chain, Nature, Operator
from reid_audit.attacks.operators.spec import available, parse

__all__ = ["Chain", "Nature", "Operator", "available", "parse"]

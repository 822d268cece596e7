"""What a reader should do about the results."""

from reid_audit.audit.evaluation.findings.advice import TARGET_RESOLUTION
from reid_audit.audit.evaluation.findings.detail import FAILING_RESOLUTION, detail_left
from reid_audit.audit.evaluation.findings.every import findings

__all__ = ["FAILING_RESOLUTION", "TARGET_RESOLUTION", "detail_left", "findings"]

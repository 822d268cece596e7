"""Estimates with intervals, for people: the identity, not the picture, is the unit."""

from reid_audit.metrics.stats.estimate import Estimate
from reid_audit.metrics.stats.paired import mcnemar_two_sided, paired_difference
from reid_audit.metrics.stats.power import (
    detectable_risk,
    identities_for_power,
    identities_needed,
    identities_to_show,
)
from reid_audit.metrics.stats.proportion import (
    any_hit_per_identity,
    by_identity,
    by_image,
    clopper_pearson,
    one_per_identity,
    wilson,
)
from reid_audit.metrics.stats.resampling import (
    PermutationTest,
    auroc_statistic,
    bootstrap_interval,
    bootstrap_weights,
    cllr_statistic,
    mean_estimate,
    mean_statistic,
)
from reid_audit.metrics.stats.risk import (
    bits,
    chance_p,
    excess_over,
    excess_risk,
    fano_bits,
    holm,
    holm_levels,
    information_bits,
    mcnemar_p,
    paired_excess_risk,
    retained_identifiability,
)

__all__ = [
    "Estimate",
    "PermutationTest",
    "any_hit_per_identity",
    "auroc_statistic",
    "bits",
    "bootstrap_interval",
    "bootstrap_weights",
    "by_identity",
    "by_image",
    "chance_p",
    "cllr_statistic",
    "clopper_pearson",
    "detectable_risk",
    "excess_over",
    "excess_risk",
    "fano_bits",
    "holm",
    "holm_levels",
    "identities_for_power",
    "identities_needed",
    "identities_to_show",
    "information_bits",
    "mcnemar_p",
    "mcnemar_two_sided",
    "mean_estimate",
    "mean_statistic",
    "one_per_identity",
    "paired_difference",
    "paired_excess_risk",
    "retained_identifiability",
    "wilson",
]

"""From probes to trials: attacks in resumable units, scores, controls, one row a trial."""

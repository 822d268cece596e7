"""From trials to what may be said: estimates, controls, verdict, findings, gates."""

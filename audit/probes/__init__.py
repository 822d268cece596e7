"""From files to probes: faces, what was done to them, and the conditions they belong to."""

"""Training of attackers: face packs, degradation on the device, one loop for every objective."""

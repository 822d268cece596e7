"""Finding, aligning and recognising faces: what any attacker starts from. Loads no network."""

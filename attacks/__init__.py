"""What an adversary can do to anonymised pictures."""

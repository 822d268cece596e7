"""The audit from beginning to end."""

"""Benches that ship with the tool, one YAML file each."""

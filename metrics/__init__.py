"""How results are measured: pure functions on arrays; imports nothing of ours."""

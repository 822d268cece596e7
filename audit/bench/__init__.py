"""A grid of audits: defences x strengths x what the attacker believes x attacks x recognisers.

`config` says what is asked, `plan` spells it out, `sample` draws the people, `cells` measures one
setting, `run` goes through all of them and can be killed at any moment, `table` writes what was
found.
"""

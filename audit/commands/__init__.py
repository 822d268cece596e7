"""One module a command whose work is not the audit itself: each is a plain function."""

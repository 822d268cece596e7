"""Results in, readable reports out; sees no picture and imports no torch."""

"""Figures of a report: each is a function from results to an inline SVG with its data table."""

"""Words of the reports: languages, names, norms, summaries."""

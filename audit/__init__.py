"""The application: data in, trials, verdict, results out. Importing it loads no torch."""

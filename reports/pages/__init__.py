"""The HTML pages: one run, a comparison, the restricted sheet of pictures."""

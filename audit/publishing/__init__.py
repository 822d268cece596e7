"""What a run writes for people: reports, and the restricted sheet of pictures."""

"""Networks, the frames they see faces in, and the checkpoints they come from."""

"""Where the four documents lie in the bucket. Fixed: other programs read them there."""

STATUS = "status.json"
CLEANUP = "cleanup.json"
TRAINING = "training/training.json"
INFERENCE = "inference.json"

ALL = (STATUS, CLEANUP, TRAINING, INFERENCE)

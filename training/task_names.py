"""The names under which tasks travel, for those who send and must not import what runs them."""

RUN_TRAINING_JOB = "training.run_training_job"
VALIDATE_DATASET = "training.validate_dataset"
FETCH_NETWORK = "training.fetch_network"

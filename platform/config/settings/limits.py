"""Limits of our own: stated in the forms, enforced on the bytes that really arrive; and how often work is done."""

import os
from datetime import timedelta
from urllib.parse import urlsplit

from .cache import CACHE_URL
from .database import DATABASES
from .environment import HOME, env

CORES = len(os.sched_getaffinity(0))
HERE = {"", "localhost", "127.0.0.1", "::1"}
SERVERS = {DATABASES["default"].get("HOST") or "", urlsplit(CACHE_URL).hostname or ""}
ELSEWHERE = {host for host in SERVERS - HERE if not host.startswith("/")}  # a path is that of a socket

DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 2**20
DATA_UPLOAD_MAX_NUMBER_FILES = 500  # photos of a class are handed in together
FILE_UPLOAD_MAX_MEMORY_SIZE = 1 * 2**20
FILE_UPLOAD_TEMP_DIR = HOME / "tmp"

TRAINYARD = {
    # bytes of one uploaded data set
    "MAX_DATASET_BYTES": env.int("MAX_DATASET_BYTES", default=2 * 2**30),
    # a larger data set, or one with more files, is validated by a worker instead of a web process; so is one
    # that has kept a web process for so long
    "VALIDATE_IN_WEB_BYTES": env.int("VALIDATE_IN_WEB_BYTES", default=50 * 2**20),
    "VALIDATE_IN_WEB_FILES": env.int("VALIDATE_IN_WEB_FILES", default=2_000),
    "VALIDATE_IN_WEB_FOR": timedelta(seconds=env.float("VALIDATE_IN_WEB_SECONDS", default=10)),
    # what the validation of one may take on a worker: time, and memory that its process may address
    "VALIDATION_DEADLINE": timedelta(seconds=env.int("VALIDATION_DEADLINE_SECONDS", default=3600)),
    "VALIDATION_MEMORY_BYTES": env.int("VALIDATION_MEMORY_BYTES", default=4 * 2**30),
    # bytes that an account may keep: data sets, batches and their results; of everybody without an account together
    "MAX_BYTES_PER_USER": env.int("MAX_BYTES_PER_USER", default=10 * 2**30),
    "MAX_BYTES_WITHOUT_ACCOUNT": env.int("MAX_BYTES_WITHOUT_ACCOUNT", default=10 * 2**30),
    # bytes of a data set that training.json holds itself; a larger one is named there
    "MAX_INLINE_BYTES": env.int("MAX_INLINE_BYTES", default=2**30),
    "MAX_PREDICT_INPUTS": env.int("MAX_PREDICT_INPUTS", default=64),
    # inputs of one call that asks why, too: a text is run once for each of its words
    "MAX_EXPLAINED_INPUTS": env.int("MAX_EXPLAINED_INPUTS", default=8),
    "MAX_PREDICT_BYTES": env.int("MAX_PREDICT_BYTES", default=20 * 2**20),
    # bytes of a call of Flash's that has neither an image nor a data set
    "MAX_FLASH_CALL_BYTES": env.int("MAX_FLASH_CALL_BYTES", default=100_000),
    # pixels of all images of one call together
    "MAX_PREDICT_PIXELS": env.int("MAX_PREDICT_PIXELS", default=200_000_000),
    # pixels of a small archive's images (data set or batch); 100 more for each byte of a larger one
    "MAX_ARCHIVE_PIXELS": env.int("MAX_ARCHIVE_PIXELS", default=1_000_000_000),
    "MAX_TEXT_CHARS": env.int("MAX_TEXT_CHARS", default=20_000),
    # how far in the future an owner may put the end of a model
    "MAX_KEEP": timedelta(days=env.int("MAX_KEEP_DAYS", default=30)),
    # bytes of models that a process keeps loaded
    "PREDICTOR_CACHE_BYTES": env.int("PREDICTOR_CACHE_BYTES", default=1 * 2**30),
    # how often counts of predictions are added to the table
    "USAGE_EVERY": timedelta(seconds=env.float("USAGE_SECONDS", default=5)),
    # whether images may be answered by a model's file of eight bits, on machines that are faster so
    "PREDICT_IN_EIGHT_BITS": env.bool("PREDICT_IN_EIGHT_BITS", default=False),
    # threads within one prediction (fewer: more predictions a second), and predictions that a process runs at a time
    "PREDICTOR_THREADS": env.int("PREDICTOR_THREADS", default=1),
    "PREDICTOR_SLOTS": env.int("PREDICTOR_SLOTS", default=CORES),
    # requests that a web process works on at a time as long as each is short: one more than it has cores for where
    # they wait for servers elsewhere meanwhile
    "WEB_THREADS_AT_ONCE": env.int(
        "WEB_THREADS_AT_ONCE", default=env.int("PREDICTOR_SLOTS", default=CORES) + bool(ELSEWHERE)
    ),
    # the most that one run of a network may take, and that all runs of a process may take at a time beside the weights
    "PREDICT_SECONDS": env.float("PREDICT_SECONDS", default=20),
    "PREDICT_MEMORY_BYTES": env.int("PREDICT_MEMORY_BYTES", default=1 * 2**30),
    # the most that a model from outside may take to be opened, and for 16 inputs, in a process of its own
    "EXTERNAL_MODEL_SECONDS": env.float("EXTERNAL_MODEL_SECONDS", default=10),
    "EXTERNAL_MODEL_MEMORY_BYTES": env.int("EXTERNAL_MODEL_MEMORY_BYTES", default=2 * 2**30),
    # a batch of predictions: bytes of its file and of what is in it, inputs, batches that have not ended
    "MAX_BATCH_BYTES": env.int("MAX_BATCH_BYTES", default=1 * 2**30),
    "MAX_BATCH_UNPACKED_BYTES": env.int("MAX_BATCH_UNPACKED_BYTES", default=4 * 2**30),
    "MAX_BATCH_INPUTS": env.int("MAX_BATCH_INPUTS", default=100_000),
    "MAX_UNFINISHED_BATCHES": env.int("MAX_UNFINISHED_BATCHES", default=1000),
    "MAX_UNFINISHED_BATCHES_PER_MODEL": env.int("MAX_UNFINISHED_BATCHES_PER_MODEL", default=20),
    # how long one works before another that waits has its turn, and how long results are kept
    "BATCH_TURN": timedelta(seconds=env.int("BATCH_TURN_SECONDS", default=30)),
    "BATCH_RETENTION": timedelta(hours=env.int("BATCH_RETENTION_HOURS", default=24)),
    # a job whose worker has not said a word for this long is taken from it
    "LEASE": timedelta(seconds=env.int("LEASE_SECONDS", default=60)),
    "MAX_ATTEMPTS": env.int("MAX_ATTEMPTS", default=3),
    "JOB_DEADLINE": timedelta(seconds=env.int("JOB_DEADLINE_SECONDS", default=6 * 3600)),
    # networks that may be trained beside those of the catalogue, each as timm/<name>.<tag> or hf/<owner>/<name>
    "FURTHER_NETWORKS": env.list("FURTHER_NETWORKS", default=[]),
    # jobs that have not ended: of everybody, and of one person
    "MAX_UNFINISHED_JOBS": env.int("MAX_UNFINISHED_JOBS", default=1000),
    "MAX_UNFINISHED_JOBS_PER_USER": env.int("MAX_UNFINISHED_JOBS_PER_USER", default=20),
    # how often a running job's checkpoint may go to the bucket
    "CHECKPOINT_EVERY": timedelta(seconds=env.int("CHECKPOINT_SECONDS", default=3)),
    # how often each worker looks for lost jobs and unpublished documents
    "RECONCILE_EVERY": timedelta(seconds=env.int("RECONCILE_SECONDS", default=30)),
    # bytes of uploads and of features that a worker's machine keeps for its next job
    "KEPT_UPLOADS_BYTES": env.int("KEPT_UPLOADS_BYTES", default=4 * 2**30),
    "KEPT_FEATURES_BYTES": env.int("KEPT_FEATURES_BYTES", default=4 * 2**30),
    # bytes of features in the bucket, so that no photo or text is looked at twice: of a project, and of all
    "FEATURES_BYTES_PER_PROJECT": env.int("FEATURES_BYTES_PER_PROJECT", default=2**30),
    "FEATURES_BYTES": env.int("FEATURES_BYTES", default=20 * 2**30),
    # GPUs that train one network together, where a worker has several
    "GPUS_PER_JOB": max(1, env.int("GPUS_PER_JOB", default=1)),
    # threads of one training; None leaves the choice to the machine
    "TRAINER_THREADS": env.int("TRAINER_THREADS", default=0) or None,
}

"""What every way of running Trainyard shares; each value can be set by an environment variable.

Without any variable the platform stands on its own: SQLite, a folder as bucket and a folder as
broker, all below `TRAINYARD_HOME`. A variable swaps one part for its production counterpart.
"""

import os
from datetime import timedelta
from pathlib import Path

import environ
from corsheaders.defaults import default_headers
from django.templatetags.static import static
from django.urls import reverse_lazy

from core.home import home_folder

env = environ.Env()

ROOT = Path(__file__).resolve().parents[3]
HOME = home_folder()
PORT = int(env.str("PORT", default="") or 8000)

DEBUG = False
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "core",
    "documents",
    "control",
    "accounts",
    "models_registry",
    "training",
    "inference",
    "unfold.apps.BasicAppConfig",
    "config.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "crispy_forms",
    "crispy_bootstrap5",
    "csp",
    "bootstrap",
    "corsheaders",
    "django_filters",
    "django_htmx",
    "django_structlog",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "knox",
    "rest_framework",
]

MIDDLEWARE = [
    "core.http.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "core.http.csp.PolicyMiddleware",
    "inference.api.fast_path.PredictionLane",
    "corsheaders.middleware.CorsMiddleware",
    "core.http.middleware.PlainTextMiddleware",
    "core.http.middleware.BodyLimitMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "core.http.middleware.RequestLogMiddleware",
    "control.middleware.MaintenanceMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "platform" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Database -----------------------------------------------------------------------------------

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{HOME / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # IMMEDIATE: a transaction that is going to write takes the lock at its start and waits for it;
    # a deferred one fails at once with "database is locked" when it has to upgrade a read lock.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# Opening a connection takes longer than the question that a prediction asks.
DATABASES["default"]["CONN_MAX_AGE"] = env.int("DATABASE_CONN_MAX_AGE", default=60)

# Bucket -------------------------------------------------------------------------------------

S3_BUCKET = env.str("S3_BUCKET", default="")
S3_ENDPOINT_URL = env.str("S3_ENDPOINT_URL", default="")
BUCKET_FOLDER = HOME / "bucket"

# Weights that an administrator put below pretrained/ in the bucket; from S3, `reconcile` copies them here.
PRETRAINED_FOLDER = HOME / "pretrained" if S3_BUCKET else BUCKET_FOLDER / "pretrained"
os.environ.setdefault("TRAINYARD_PRETRAINED", str(PRETRAINED_FOLDER))

if S3_BUCKET:
    from boto3.s3.transfer import TransferConfig

    BUCKET_STORAGE = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": S3_BUCKET,
            "endpoint_url": S3_ENDPOINT_URL or None,
            "addressing_style": "path" if S3_ENDPOINT_URL else "auto",
            "default_acl": None,
            "file_overwrite": True,
            "querystring_auth": True,
            "signature_version": "s3v4",  # the older one, the default for signed addresses, is not taken everywhere
            # Parts one after the other: ten at a time, boto3's choice, are 80 MB of every upload's process.
            "transfer_config": TransferConfig(use_threads=False),
            # What is read goes to disk beyond this; 0, the library's choice, keeps files in memory whole.
            "max_memory_size": 2**20,
        },
    }
else:
    BUCKET_STORAGE = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": BUCKET_FOLDER, "allow_overwrite": True},
    }

STORAGES = {
    "default": BUCKET_STORAGE,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# Queue --------------------------------------------------------------------------------------

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="") or "filesystem://localhost//"
CELERY_BROKER_CONNECTION_TIMEOUT = 3
CELERY_WORKER_CONSUMER = "core.queue.consumer:PatientConsumer"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT: str | None = None  # the one that the address names
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = {}
if CELERY_BROKER_URL.startswith("filesystem"):
    CELERY_BROKER_TRANSPORT = "core.queue.broker:Transport"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(HOME / "broker" / "messages"),
        "data_folder_out": str(HOME / "broker" / "messages"),
        "control_folder": str(HOME / "broker" / "control"),
        "polling_interval": 0.1,
    }
elif CELERY_BROKER_URL.startswith("redis"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "visibility_timeout": 6 * 3600,
        "socket_timeout": 10,
        "socket_connect_timeout": 3,
        # Platforms that share a Redis keep apart by this; on RabbitMQ each has a vhost.
        "global_keyprefix": env.str("REDIS_KEY_PREFIX", default=""),
    }
else:
    CELERY_BROKER_TRANSPORT_OPTIONS = {"confirm_publish": True}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_DEFAULT_QUEUE = "cpu"
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0.1, "interval_max": 0.2}

# Cache --------------------------------------------------------------------------------------

CACHE_URL = env.str("CACHE_URL", default="")
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": CACHE_URL}
    if CACHE_URL
    else {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},  # counters of throttles, which must not be thrown out early
    }
}
if CACHE_URL:
    CACHES["default"] |= {
        "KEY_PREFIX": env.str("REDIS_KEY_PREFIX", default=""),
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
    }

# People -------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "training:new"
ACCOUNT_LOGOUT_REDIRECT_URL = "home"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    "signup": "accounts.forms.FocusedSignupForm",
    "reset_password": "accounts.forms.FocusedResetPasswordForm",
    "change_password": "accounts.forms.GuardedChangePasswordForm",
}
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*"]
ACCOUNT_EMAIL_SUBJECT_PREFIX = "Trainyard: "
ACCOUNT_EMAIL_VERIFICATION = env.str("ACCOUNT_EMAIL_VERIFICATION", default="none")
SIGN_UP_OPEN = env.bool("SIGN_UP_OPEN", default=True)
if env.str("EMAIL_URL", default=""):
    vars().update(env.email_url("EMAIL_URL"))
else:  # links that set a password belong into no log
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = HOME / "mail"
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="trainyard@localhost")

# Pages --------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
STATIC_ROOT = env.path("STATIC_ROOT", default=str(HOME / "static"))()
STATICFILES_DIRS = [ROOT / "platform" / "static"]
CRISPY_ALLOWED_TEMPLATE_PACKS = "bootstrap5"
CRISPY_TEMPLATE_PACK = "bootstrap5"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "base-uri": ["'none'"],
        "connect-src": ["'self'"],
        "font-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "img-src": ["'self'", "data:", "blob:"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
    },
}


def _admin_link(title: str, icon: str, model: str) -> dict[str, object]:
    """Return a link of the admin's sidebar to a model's list, shown to those who may see it."""
    app, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": lambda request: request.user.has_perm(f"{app}.view_{name}"),
    }


UNFOLD = {
    "SITE_TITLE": "Trainyard",
    "SITE_HEADER": "Trainyard",
    "SITE_SUBHEADER": "Administration",
    "SITE_URL": "/",
    "SITE_SYMBOL": "account_tree",
    "SHOW_HISTORY": True,
    "DASHBOARD_CALLBACK": "config.dashboard.dashboard",
    "STYLES": [lambda request: static("trainyard/css/admin.css")],
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("favicon.svg")},
    ],
    "COLORS": {
        "primary": {
            "50": "oklch(96.2% .018 272)",
            "100": "oklch(93% .034 273)",
            "200": "oklch(87% .065 274)",
            "300": "oklch(78.5% .115 275)",
            "400": "oklch(67.3% .182 277)",
            "500": "oklch(58.5% .233 277)",
            "600": "oklch(48% .24 272)",
            "700": "oklch(42% .22 272)",
            "800": "oklch(38% .19 273)",
            "900": "oklch(34% .15 274)",
            "950": "oklch(25.7% .09 281)",
        }
    },
    "SIDEBAR": {
        "show_search": True,
        "navigation": [
            {
                "title": "Work",
                "items": [
                    _admin_link("Jobs", "play_circle", "training.trainingjob"),
                    _admin_link("Models", "deployed_code", "models_registry.registeredmodel"),
                    _admin_link("Data sets", "dataset", "training.dataset"),
                    _admin_link("Batches", "stacks", "inference.batch"),
                    _admin_link("Use of models", "bar_chart", "inference.modelusage"),
                    _admin_link("Workers", "memory", "training.workerheartbeat"),
                ],
            },
            {
                "title": "Platform",
                "separator": True,
                "items": [
                    _admin_link("Maintenance", "construction", "control.platformstatus"),
                    _admin_link("Clean-up", "mop", "control.cleanuppolicy"),
                    _admin_link("Documents", "description", "documents.document"),
                    _admin_link("Unpublished changes", "outbox", "documents.outboxentry"),
                    _admin_link("Published entries", "data_object", "documents.publishedentry"),
                    _admin_link("Overruled changes", "rule", "documents.overruledchange"),
                    _admin_link("Periodic tasks", "schedule", "core.periodictask"),
                ],
            },
            {
                "title": "People",
                "separator": True,
                "items": [
                    _admin_link("Users", "person", "accounts.user"),
                    _admin_link("Groups", "group", "auth.group"),
                    _admin_link("API tokens", "key", "knox.authtoken"),
                    _admin_link("E-mail addresses", "mail", "account.emailaddress"),
                ],
            },
        ],
    },
}

# REST ---------------------------------------------------------------------------------------

# How many proxies stand before us, each of which adds an address to X-Forwarded-For.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES
# Whether the proxy numbers requests (X-Request-ID), and its numbers are to be kept.
TRUST_REQUEST_ID = env.bool("TRUST_REQUEST_ID", default=False)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.ApiTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["core.http.parsers.BoundedJSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "core.http.pagination.NewestFirst",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["core.http.throttles.PerUser", "core.http.throttles.PerAddress"],
    # Requests in s, min, hour or day; THROTTLE_RATES="predict-token=100/s,user=none" changes some.
    "DEFAULT_THROTTLE_RATES": {
        "user": "1200/min",
        "address": "1200/min",
        "predict-token": "6000/min",
        "predict-address": "6000/min",
        "upload": "120/hour",
        "flash-train": "20/hour",
        **env.dict("THROTTLE_RATES", default={}),
    },
    "NUM_PROXIES": TRUSTED_PROXIES,
    "EXCEPTION_HANDLER": "core.http.problems.problem_details_handler",
    "PAGE_SIZE": 50,
    "URL_FORMAT_OVERRIDE": None,  # ?format= names the file to download
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Trainyard",
    "DESCRIPTION": "Train, publish and use classifiers.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "DatasetStateEnum": "training.datasets.models.Dataset.State",
        "JobStateEnum": "training.jobs.models.TrainingJob.State",
        "ModelStateEnum": "models_registry.models.RegisteredModel.State",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "core.http.schema.document_problems",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": f"/{STATIC_URL}favicon.svg",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "tryItOutEnabled": True},
}

# How long an address lasts that S3 has signed for one download.
DOWNLOAD_ADDRESS_LASTS = timedelta(seconds=env.int("DOWNLOAD_ADDRESS_SECONDS", default=300))
# A program sends it as `Authorization: Bearer …` to read /metrics; without one only staff may.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")

# Flash's clients ------------------------------------------------------------------------------

# Whether strangers may train: Flash knows no accounts.
FLASH_ALLOW_TRAINING = env.bool("FLASH_ALLOW_TRAINING", default=False)
# From which sites a browser may call /flash/, as https://host; "*" for all.
FLASH_ORIGINS: list[str] = env.list("FLASH_ORIGINS", default=["*"])
CORS_URLS_REGEX = r"^/flash/"
CORS_ALLOW_ALL_ORIGINS = "*" in FLASH_ORIGINS
CORS_ALLOWED_ORIGINS = [origin for origin in FLASH_ORIGINS if origin != "*"]
CORS_ALLOW_METHODS = ["GET", "HEAD", "OPTIONS", "POST"]
# For pages that fetch a model's file in parts, and go on where they were cut off.
CORS_ALLOW_HEADERS = [*default_headers, "if-none-match", "if-range", "range"]
CORS_EXPOSE_HEADERS = [
    "accept-ranges",
    "content-disposition",
    "content-length",
    "content-range",
    "etag",
    "retry-after",
    "x-request-id",
]

# Limits: stated in the forms, enforced on the bytes that really arrive ------------------------

DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 2**20
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
    # threads within one prediction (fewer: more predictions a second), and predictions that a process runs at a time
    "PREDICTOR_THREADS": env.int("PREDICTOR_THREADS", default=1),
    "PREDICTOR_SLOTS": env.int("PREDICTOR_SLOTS", default=len(os.sched_getaffinity(0))),
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
    # GPUs that train one network together, where a worker has several
    "GPUS_PER_JOB": max(1, env.int("GPUS_PER_JOB", default=1)),
    # threads of one training; None leaves the choice to the machine
    "TRAINER_THREADS": env.int("TRAINER_THREADS", default=0) or None,
}

# Log events, not sentences --------------------------------------------------------------------

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOG_JSON = env.bool("LOG_JSON", default=False)

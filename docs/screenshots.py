"""Write docs/screenshots from the running product; `make screenshots`.

Starts a platform of its own in a temporary home, makes an account, trains a model for each task, and
takes every page of `pages.py` wide, on a phone and in the dark. Errors are come upon as people do: at the
end the bucket, and then the database, are taken away.
"""

import io
import json
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from devtools.platform_process import FOR_EVERYTHING, PlatformProcess  # noqa: E402
from docs.pages import ADMIN, ERRORS, MODES, all_pictures, file_name  # noqa: E402
from tests.browser import errors  # noqa: E402
from tests.browser.chromium import (  # noqa: E402
    PASSWORD,
    hand_in,
    open_browser,
    open_page,
    sign_in_to_admin,
    sign_up,
)

TARGET = ROOT / "docs" / "screenshots"
SAMPLES = ROOT / "samples"
MODEL_ADDRESS = re.compile(r"/models/(image|text)Classification-")
TRAINED_WITHIN = 120_000  # milliseconds
LOOKS = 120  # at a page, one a second
TALLEST = 2400  # pixels; more of a page says nothing more
COLOURS = 256  # a page has few; a palette makes a third of the bytes
VIEWS: dict[str, dict[str, Any]] = {
    "wide": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}
CARD = """Reads **handwritten digits**, one at a time.

It was trained on:
- 400 scans of 8 × 8 pixels
- ten classes, 40 each

Not for letters, and not for numbers of several digits."""
SENTENCES = "I am still waiting for my new card to arrive in the post\nWhat is your exchange rate?"


class Photographer:
    """Takes pages in one mode."""

    taken: set[str] = set()  # files of all modes

    def __init__(self, page: Page, mode: str) -> None:
        self.page = page
        self.mode = mode

    def take(self, picture: str, path: str | None = None) -> None:
        """Save the page that is open, or the one at `path`."""
        if path is not None:
            self.page.goto(path)
        self.page.wait_for_load_state("networkidle")
        self.page.evaluate("window.scrollTo(0, 0)")
        content = self.page.screenshot(full_page=True)
        with Image.open(io.BytesIO(content)) as image:
            cut = image.convert("RGB").crop((0, 0, image.width, min(image.height, TALLEST)))
            file = TARGET / file_name(picture, self.mode)
            cut.quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
        self.taken.add(file.name)
        print(file.name, f"{file.stat().st_size // 1000} kB", flush=True)


@contextmanager
def at_work(browser: Browser, platform: PlatformProcess, mode: str) -> Iterator[Photographer]:
    """Open a page of the mode, without anybody signed in."""
    with open_page(browser, platform.base_url, answers=errors.ANSWERS, **VIEWS[mode]) as page:
        yield Photographer(page, mode)


def fill_in(page: Page, file: Path, name: str) -> None:
    """Hand in data for a new model, and fill in the rest once it has been looked at."""
    page.goto("/new/")
    hand_in(page, file)
    page.get_by_label("Name of the model").fill(name)


def wait_for_plan(page: Page) -> None:
    """Wait until the page has told what is in the chosen data."""
    page.locator("#plan:not([aria-busy])").wait_for()


def start(page: Page) -> None:
    """Send the form, and wait for the job's page."""
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url("**/jobs/*/")


def take_everything(camera: Photographer, platform: PlatformProcess, mailbox: Path) -> None:
    """Go through the product as its user does."""
    page, name = camera.page, f"ada-{camera.mode}"
    take_entrance(camera)
    sign_up(page, name)
    for listed in ("projects", "jobs", "datasets", "batches"):
        camera.take(f"{listed}-empty", f"/{listed}/")
    take_data(camera)
    make_image_model(camera)
    make_text_model(camera)
    take_large_data(camera, platform, name)
    take_additions(camera, platform, name)
    for listed in ("projects", "jobs", "datasets", "batches"):
        camera.take(listed, f"/{listed}/")
    take_project(camera)
    take_account(camera, mailbox, f"{name}@example.org")
    take_new_password(camera, mailbox, f"{name}@example.org")


def take_entrance(camera: Photographer) -> None:
    """Take what strangers see."""
    camera.take("home", "/")
    camera.take("sign-in", "/accounts/login/")
    camera.take("sign-up", "/accounts/signup/")
    camera.take("password-forgotten", "/accounts/password/reset/")


def take_data(camera: Photographer) -> None:
    """Take the first step of a new model in all that may happen there."""
    page = camera.page
    camera.take("new-model", "/new/")
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(SAMPLES / "digits.zip") as archive:
            for name in archive.namelist():
                if name.split("/")[-2:-1] in (["3"], ["7"]) and not name.endswith("/"):
                    archive.extract(name, folder)
        page.locator("#folder").set_input_files(folder)
        wait_for_plan(page)
        camera.take("new-model-classes")
        page.reload()
        page.get_by_text("Choose your photos again.").wait_for()
        camera.take("new-model-again")
        page.goto("/new/")
        table = Path(folder, "reviews.csv")
        table.write_text("comment text,mood,stars\nLovely,good,5\nDreadful,bad,1\n")
        page.locator("#id_file").set_input_files(table)
        wait_for_plan(page)
        camera.take("new-model-columns")
        page.goto("/new/")
        table.write_text("input,label\nLovely,good\nNice,good\nDreadful,bad\n,bad\nOdd,\n")
        page.locator("#id_file").set_input_files(table)
        wait_for_plan(page)
        camera.take("new-model-refused")


def make_image_model(camera: Photographer) -> None:
    """Take the way from a zip of photos to a model's page."""
    page = camera.page
    fill_in(page, SAMPLES / "digits.zip", "Handwritten digits")
    camera.take("new-model-checked")
    page.locator("#preset-best").check()
    camera.take("new-model-best")
    page.locator("#preset-finetune").check()
    page.get_by_text("Advanced", exact=True).click()
    camera.take("new-model-advanced")
    page.locator("#preset-frozen").check()
    start(page)
    page.wait_for_url(MODEL_ADDRESS, timeout=TRAINED_WITHIN)
    model = page.url
    take_project_data(camera)
    page.goto(f"{model}card/")
    page.get_by_label("Description").fill(CARD)
    camera.take("model-card")
    page.get_by_role("button", name="Save").click()
    page.goto(model)
    page.locator("#id_try_file").set_input_files(
        [SAMPLES / "digits_new" / f"{digit}.png" for digit in (5, 7)]
    )
    page.locator(".prediction-image").last.wait_for()
    camera.take("model")
    page.get_by_role("link", name="Validation report").click()
    camera.take("dataset")
    page.goto(model)
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_text("This model is deleted").wait_for()
    camera.take("model-deleted")
    page.get_by_role("button", name="Restore").click()
    page.get_by_text("is live again.").wait_for()


def take_project_data(camera: Photographer) -> None:
    """Exclude an example of the model whose page is open, and take the data of its project."""
    page = camera.page
    page.get_by_role("link", name="Mend the examples").click()
    page.wait_for_url("**/data/")
    data = page.url
    wait_for_examples(page)
    page.locator("input[name=example]").first.check()
    page.get_by_role("button", name="Exclude").click()
    page.get_by_text("1 example excluded.").wait_for()
    take_examples(camera, data)


def wait_for_examples(page: Page) -> None:
    """Load the page of a project's data anew until its examples are listed, which may be after the model is live."""
    for _ in range(LOOKS):
        if page.locator("input[name=example]").count():
            return
        page.wait_for_timeout(1_000)
        page.reload()


def take_examples(camera: Photographer, data: str) -> None:
    """Take the page of a project's data as it opens, with labels that look wrong, and the camera's beside it."""
    page = camera.page
    for picture, address in (("project-data", data), ("project-data-doubts", f"{data}?show=doubt")):
        page.goto(address)
        page.evaluate("document.querySelectorAll('img').forEach((image) => (image.loading = 'eager'))")
        camera.take(picture)
    page.goto(f"{data.partition('?')[0]}camera/")
    page.get_by_role("button", name="Start the camera").click()
    page.get_by_label("Class").fill("7")
    page.get_by_role("button", name="Hold to take photos").hover()
    page.mouse.down()
    page.get_by_role("button", name="Remove photo").nth(5).wait_for()
    page.mouse.up()
    camera.take("project-camera")


def make_text_model(camera: Photographer) -> None:
    """Take the way from a table of sentences to a model's page."""
    page = camera.page
    fill_in(page, SAMPLES / "banking.csv", "Bank intents")
    camera.take("new-model-table")
    start(page)
    page.locator(".step-current progress[max]").wait_for()
    camera.take("job-running")
    page.wait_for_url(MODEL_ADDRESS, timeout=TRAINED_WITHIN)
    page.get_by_label("Sentences").fill(SENTENCES)
    page.get_by_role("button", name="Classify", exact=True).click()
    page.locator(".prediction-label").last.wait_for()
    camera.take("model-text")
    page.locator("#id_batch_file").set_input_files(SAMPLES / "banking.csv")
    page.get_by_role("button", name="Classify the file").click()
    page.get_by_role("link", name="Download the CSV").wait_for(timeout=TRAINED_WITHIN)
    camera.take("batch")
    page.get_by_role("link", name="My jobs").click()
    page.get_by_role("link", name="Bank intents").click()
    camera.take("job")
    page.go_back()
    take_comparison(camera)


def take_comparison(camera: Photographer) -> None:
    """Train the project of texts again without some of its examples, and compare the two versions."""
    page = camera.page
    page.goto("/projects/")
    page.locator(".model-card-name", has_text="Bank intents").click()
    project = page.url
    page.goto(f"{project}data/?split=train")
    wait_for_examples(page)
    page.get_by_label("All on this page").check()
    page.get_by_role("button", name="Exclude").click()
    page.get_by_text("examples excluded.").wait_for()
    page.get_by_role("button", name="Train again").click()
    page.wait_for_url(MODEL_ADDRESS, timeout=TRAINED_WITHIN)
    page.goto(f"{project}versions/")
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_role("heading", name="What the comparison says").wait_for(timeout=TRAINED_WITHIN)
    camera.take("project-compare")
    page.goto(f"{project}versions/evaluations/")
    page.get_by_label("A labelled file", exact=True).set_input_files(SAMPLES / "banking.csv")
    page.get_by_role("button", name="Measure", exact=True).click()
    page.get_by_role("button", name="Delete").wait_for(timeout=TRAINED_WITHIN)
    camera.take("project-evaluation")
    camera.take("project-evaluations", f"{project}versions/evaluations/")
    camera.take("expiring", "/expiring/")


def take_project(camera: Photographer) -> None:
    """Take the pages of a project, the one of photos."""
    page = camera.page
    page.goto("/projects/")
    page.locator(".model-card-name").last.click()
    camera.take("project")
    for tab in ("versions", "use", "settings"):
        page.locator(".tabs a", has_text=tab.capitalize()).click()
        camera.take(f"project-{tab}")


def take_large_data(camera: Photographer, platform: PlatformProcess, owner: str) -> None:
    """Take data sets that a worker checks, as they look for as long as it has not ended and afterwards."""
    told = platform.manage("shell", "-v0", "-c", LARGE_DATA.format(owner=owner)).stdout.split()
    checking, unusable = told[-2:]
    camera.take("new-model-checking", f"/new/?dataset={checking}")
    camera.take("dataset-checking", f"/datasets/{checking}/")
    camera.take("dataset-unusable", f"/datasets/{unusable}/")


def take_additions(camera: Photographer, platform: PlatformProcess, owner: str) -> None:
    """Take the data of a project while a worker adds to it, beside what it has added and could not add."""
    told = platform.manage("shell", "-v0", "-c", ADDITIONS.format(owner=owner)).stdout.split()
    camera.page.goto(f"/projects/{told[-1]}/data/")
    camera.page.evaluate("document.querySelectorAll('img').forEach((image) => (image.loading = 'eager'))")
    camera.take("project-data-adding")
    platform.manage("shell", "-v0", "-c", NOTHING_ADDED.format(owner=owner))


def take_account(camera: Photographer, mailbox: Path, address: str) -> None:
    """Take what a person sees of the account itself."""
    page = camera.page
    camera.take("password", "/accounts/password/change/")
    camera.take("password-again", "/accounts/reauthenticate/")
    page.goto("/accounts/email/")
    page.locator("#id_email").fill(address)
    page.get_by_role("button", name="Add the address").click()
    camera.take("email-confirm", link_in(mailbox, address))
    page.get_by_role("button", name="Yes, it is mine").click()
    camera.take("email", "/accounts/email/")
    camera.take("email-link-old", "/accounts/confirm-email/old/")
    page.goto("/accounts/tokens/")
    page.get_by_role("button", name="Create a token").click()
    camera.take("tokens")
    camera.take("storage", "/accounts/storage/")
    camera.take("api-docs", "/api/v1/docs/")


def take_new_password(camera: Photographer, mailbox: Path, address: str) -> None:
    """Sign out, and take the way of somebody who has forgotten the password."""
    page = camera.page
    camera.take("sign-out", "/accounts/logout/")
    page.get_by_role("button", name="Sign out").last.click()
    page.goto("/accounts/password/reset/")
    page.locator("#id_email").fill(address)
    page.get_by_role("button", name="Send the link").click()
    camera.take("password-sent")
    link = link_in(mailbox, address)
    camera.take("password-new", link)
    page.locator("#id_password1").fill(f"another {PASSWORD}")
    page.locator("#id_password2").fill(f"another {PASSWORD}")
    page.get_by_role("button", name="Set the password").click()
    camera.take("password-set")
    camera.take("password-link-old", link)


def link_in(mailbox: Path, address: str) -> str:
    """Return the path of the link in the last message to an address."""
    last = max(
        (file for file in mailbox.iterdir() if address in file.read_text()),
        key=lambda file: file.stat().st_mtime_ns,
    )
    return str(re.findall(r"https?://[^/\s]+(/accounts/\S+)", last.read_text())[-1])


# Pictures of the admin beside its lists and rows.
ADMIN_PAGES = {
    "admin": "/admin/",
    "admin-app": "/admin/training/",
    "admin-confirm": "/admin/control/platformstatus/1/halt",
    "admin-confirm-form": "/admin/models_registry/registeredmodel/1/keep",
    "admin-history": "/admin/models_registry/registeredmodel/1/history/",
    "admin-delete": "/admin/accounts/user/1/delete/",
    "admin-user-password": "/admin/accounts/user/1/password/",
    "admin-user-new": "/admin/accounts/user/add/",
    "admin-group-new": "/admin/auth/group/add/",
    "admin-address-new": "/admin/account/emailaddress/add/",
    "admin-network-new": "/admin/training/hubnetwork/add/",
}
UNPUBLISHED = "documents.outboxentry"  # there are none while the bucket is well
FIRST_ROW = "#result_list a[href*='/change/']"


def keep_busy(platform: PlatformProcess) -> None:
    """Give the worker something that takes a while."""
    data = [
        "--task",
        "imageclassification",
        "--data",
        str(SAMPLES / "digits.zip"),
        "--name",
        "Digits from scratch",
    ]
    platform.manage("submit", *data, "--preset", "scratch")


def let_others_write(platform: PlatformProcess) -> None:
    """Do what other programs may do to the documents in the bucket, so that the admin has something to tell."""
    bucket = platform.home / "bucket"
    entries = bucket / "inference.json"
    document = json.loads(entries.read_text())
    document["imageClassification-someone-elses"] = {"name": "Without a file"}
    entries.write_text(json.dumps(document))
    status = bucket / "status.json"
    status.write_text(
        json.dumps({**json.loads(status.read_text()), "status": "active", "token": "written by hand"})
    )
    platform.manage("sync_documents", check=False)


def administrator(platform: PlatformProcess) -> str:
    """Return the password of the first administrator."""
    return (platform.home / "admin_password").read_text().split()[1]


def take_admin(camera: Photographer, platform: PlatformProcess) -> None:
    """Go through the admin."""
    page = camera.page
    sign_in_to_admin(page, "admin", administrator(platform))
    page.goto("/admin/models_registry/registeredmodel/1/pin")
    page.get_by_role("button", name="Pin", exact=True).click()
    for picture, path in ADMIN_PAGES.items():
        camera.take(picture, path)
    for label in ADMIN:
        if label != UNPUBLISHED:
            take_rows(camera, label)
    page.goto("/admin/models_registry/registeredmodel/1/unpin")
    page.get_by_role("button", name="Unpin", exact=True).click()
    page.goto("/admin/")
    page.evaluate("document.querySelector('form[action$=\"/logout/\"]').submit()")
    page.wait_for_url("**/admin/logout/")
    camera.take("admin-signed-out")


def take_rows(camera: Photographer, label: str) -> None:
    """Take a model's list, and the page of the first row in it."""
    listed, row = ADMIN[label]
    path = f"/admin/{label.replace('.', '/')}/"
    if listed is None:
        camera.take(row, path)
        return
    camera.take(listed, path)
    camera.page.locator(FIRST_ROW).first.click()
    camera.page.wait_for_url("**/change/**")
    camera.take(row)


def take_unpublished(camera: Photographer, platform: PlatformProcess) -> None:
    """Change a model while the bucket is away, and take what waits for it."""
    page = camera.page
    sign_in_to_admin(page, "admin", administrator(platform))
    for question in ("forbid_downloads", "allow_downloads"):
        page.goto(f"/admin/models_registry/registeredmodel/2/{question}")
        page.locator(".confirm button[type=submit]").click()
        page.wait_for_url("**/change/**")
    take_rows(camera, UNPUBLISHED)


def take_errors(camera: Photographer) -> None:
    """Take the errors that a platform gives which is well."""
    for template, provoke in errors.ERRORS.items():
        camera.page.context.clear_cookies()
        provoke(camera.page)
        camera.take(*ERRORS[template])


def take_closed_door(camera: Photographer, platform: PlatformProcess) -> None:
    """Take what people see of a platform whose administrator makes the accounts, and wants addresses confirmed."""
    page = camera.page
    camera.take("sign-up-closed", "/accounts/signup/")
    page.goto("/accounts/login/")
    page.locator("#id_login").fill(f"grace-{camera.mode}")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    camera.take("email-sent")
    page.goto("/accounts/login/")
    page.locator("#id_login").fill("retired")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    camera.take("account-off")


LARGE_DATA = """
from datetime import timedelta
from django.utils import timezone
from accounts.models import User
from training.models import Dataset, DatasetValidation
problem = "Nothing of class 'begonia' can be read. Mend it, or remove the class."
known = dict(owner=User.objects.get(username="{owner}"), task_type="imageclassification", sha256="0" * 64)
checking = Dataset.objects.create(
    **known, name="Herbarium", key="training/datasets/{owner}-1/dataset.zip", original_name="herbarium.zip",
    size=1_734_000_000, examples=0, state="validating",
)
DatasetValidation.objects.create(
    dataset=checking, state="running", attempt=1, worker="worker-1", started_at=timezone.now(),
    lease_expires_at=timezone.now() + timedelta(days=1), done=12_408, total=48_000,
)
unusable = Dataset.objects.create(
    **known, name="Garden", key="training/datasets/{owner}-2/dataset.zip", original_name="garden.zip",
    size=86_000_000, examples=2_980, classes=["aster", "dahlia"], state="unusable", reason=problem,
    report=dict(
        task_type="imageclassification", classes=dict(aster=1_530, dahlia=1_450), majority_baseline=0.51,
        unreadable_count=1, problems=[problem],
        unreadable=[dict(name="begonia/1.jpg", reason="not an image, or of an unknown format")],
    ),
)
DatasetValidation.objects.create(
    dataset=unusable, state="failed", attempt=1, worker="worker-1", done=2_981, total=2_981, swept=True,
    started_at=timezone.now(), finished_at=timezone.now(), message=problem,
)
print(checking.pk, unusable.pk)
"""
ADDITIONS = """
from datetime import timedelta
from django.utils import timezone
from accounts.models import User
from models_registry.models import Project
from training.examples.models import Addition, Edit
from training.models import Dataset, DatasetValidation
now, owner = timezone.now(), User.objects.get(username="{owner}")
project = Project.objects.get(owner=owner, name="Handwritten digits")
edit = Edit.objects.create(
    project=project, number=project.edits.count() + 1, author=owner, kind="add", summary="3,120 examples added",
    examples=3_120, changes=[],
)
def add(name, state, dataset="validating", reason="", edit=None, known=0, **work):
    upload = Dataset.objects.create(
        owner=owner, name=project.name, task_type=project.task_type, key=f"training/datasets/{owner}-{{name}}/x.zip",
        original_name=name, size=9, sha256="0" * 64, examples=0, state=dataset, reason=reason,
    )
    work = DatasetValidation.objects.create(dataset=upload, state=state, attempt=1, started_at=now, **work)
    Addition.objects.create(validation=work, project=project, author=owner, edit=edit, known=known)
add("empty.zip", "failed", "unusable", "The project has all its 480 examples already.", finished_at=now, swept=True)
add("from-the-scanner.zip", "succeeded", "ready", edit=edit, known=85, finished_at=now)
again = "Queued again: worker worker-1 stopped answering in attempt 1."
add("digits-of-2019.zip", "queued", message=again)
later = now + timedelta(days=1)
add("digits-of-2020.zip", "running", worker="worker-1", lease_expires_at=later, done=12_408, total=48_000)
print(project.public_id)
"""
NOTHING_ADDED = """
from training.examples.models import Addition, Edit
from training.models import Dataset
mine = Addition.objects.filter(author__username="{owner}")
edits = list(mine.values_list("edit", flat=True))
Dataset.objects.filter(validation__addition__in=mine).delete()
Edit.objects.filter(pk__in=edits).delete()
"""
NETWORKS = """
from datetime import timedelta
from django.utils import timezone
from accounts.models import User
from training.networks.models import HubNetwork, NetworkFetch
from training.networks.services import note_network
now, admin = timezone.now(), User.objects.get(username="admin")
def fetch(network, state, **more):
    NetworkFetch.objects.create(network=network, state=state, requested_by=admin, worker="worker-1", attempt=1, **more)
encoder = note_network(name="hf/intfloat/multilingual-e5-small")
files = {
    "config.json": dict(size=655, sha256="93" * 32),
    "model.safetensors": dict(size=470_641_600, sha256="1a" * 32),
    "tokenizer.json": dict(size=17_082_730, sha256="5c" * 32),
}
HubNetwork.objects.filter(pk=encoder.pk).update(
    files=files, revision="c007d7ef6fd86656326059b28395a7a03a7c5846", fetched_at=now, added_by=admin
)
fetch(encoder, "succeeded", done=487_724_985, total=487_724_985, started_at=now, finished_at=now)
gated = note_network(name="hf/somebody/gated-encoder")
told = (
    "somebody/gated-encoder is gated. Sign in on https://huggingface.co/somebody/gated-encoder, accept its licence "
    "there, and set HF_TOKEN of the workers to a token of that account; then fetch again."
)
fetch(gated, "failed", finished_at=now, message=told)
photos = note_network(name="timm/resnet18.a1_in1k")
fetch(photos, "running", done=29_360_128, total=46_807_446, started_at=now, lease_expires_at=now + timedelta(days=1))
note_network(name="timm/convnext_tiny.in12k_ft_in1k")
"""
PEOPLE = """
from accounts.models import User
for mode in {modes}:
    User.objects.create_user(f"grace-{{mode}}", email=f"grace-{{mode}}@example.org", password="{password}")
User.objects.create_user("retired", password="{password}", is_active=False)
"""
# So that the admin has something to keep longer.
EXPIRING = "from control.services import use_retention_preset; use_retention_preset('demo')"
TOKEN = "from models_registry.models import RegisteredModel; print(RegisteredModel.objects.get(pk=2).token)"
CLOSED = {"SIGN_UP_OPEN": "false", "ACCOUNT_EMAIL_VERIFICATION": "mandatory"}


def main() -> None:
    """Start what it needs, take the pages, stop what it started."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="trainyard-screenshots-") as folder, open_browser() as browser:
        mailbox = Path(folder) / "mail"
        env = {"EMAIL_URL": f"filemail:///{mailbox}"}
        with PlatformProcess(Path(folder) / "home", env=env, worker=False) as platform:
            platform.manage("shell", "-c", PEOPLE.format(modes=MODES, password=PASSWORD))
            platform.manage("shell", "-c", EXPIRING)
            errors.prepare_errors(platform)
            platform.start_worker(*FOR_EVERYTHING)
            take_the_product(browser, platform, mailbox)
            take_the_admin(browser, platform)
            take_what_goes_wrong(browser, platform)
    wanted = {file_name(picture, mode) for picture in all_pictures() for mode in MODES}
    assert Photographer.taken == wanted, wanted ^ Photographer.taken
    for file in TARGET.iterdir():
        if file.name not in wanted:
            file.unlink()
    total = sum(file.stat().st_size for file in TARGET.glob("*.png"))
    print(f"{total / 1e6:.1f} MB in all")


def take_the_product(browser: Browser, platform: PlatformProcess, mailbox: Path) -> None:
    """Take what everybody sees."""
    for mode in MODES:
        with at_work(browser, platform, mode) as camera:
            take_everything(camera, platform, mailbox)


def take_the_admin(browser: Browser, platform: PlatformProcess) -> None:
    """Take what administrators see."""
    platform.manage("ensure_admin")
    # Who sets a new password, as the others did, has no API token left.
    platform.manage("api_token", f"grace-{MODES[0]}")
    platform.manage("shell", "-c", NETWORKS)
    let_others_write(platform)
    for mode in MODES:
        keep_busy(platform)
        with at_work(browser, platform, mode) as camera:
            take_admin(camera, platform)


def take_what_goes_wrong(browser: Browser, platform: PlatformProcess) -> None:
    """Take the errors, the worst of them last."""
    platform.stop_worker()
    token = platform.manage("shell", "-c", TOKEN).stdout.split()[-1]
    for mode in MODES:
        with at_work(browser, platform, mode) as camera:
            take_errors(camera)
            with errors.bucket_away(platform):
                take_unpublished(camera, platform)
                errors.download(camera.page, token)
                camera.take("error-503")
            with errors.halted(platform):
                errors.classify_a_file(camera.page, token)
                camera.take("maintenance")
    platform.stop_web()
    platform.env |= CLOSED
    platform.start_web()
    for mode in MODES:
        with at_work(browser, platform, mode) as camera:
            take_closed_door(camera, platform)
    with errors.tables_away(platform):
        for mode in MODES:
            with at_work(browser, platform, mode) as camera:
                errors.be_known(camera.page, platform)
                camera.take("error-500", "/projects/")


if __name__ == "__main__":
    main()

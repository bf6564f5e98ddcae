"""Forms of a model's page: inputs to classify, the card, the search."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat

from models_registry.models import RegisteredModel, TaskType


class ManyFilesInput(forms.FileInput):
    """A file field of the browser that takes several files."""

    allow_multiple_selected = True


class ManyFilesField(forms.FileField):
    """Several files; every one is checked as a single one would be."""

    widget = ManyFilesInput

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile]:
        """Return the files in the order in which they were sent."""
        return [super(ManyFilesField, self).clean(file, initial) for file in data or [None]]


class ImagesForm(forms.Form):
    """Photos to classify."""

    file = ManyFilesField(
        label="Photos", error_messages={"required": "Choose a photo.", "empty": "This file is empty."}
    )

    def clean_file(self) -> list[UploadedFile]:
        """Check the bytes of all files together."""
        files: list[UploadedFile] = self.cleaned_data["file"]
        limit = settings.TRAINYARD["MAX_PREDICT_BYTES"]
        if sum(file.size or 0 for file in files) > limit:
            raise forms.ValidationError(f"The files of one try may have {filesizeformat(limit)} together.")
        return files

    @property
    def names(self) -> Sequence[str]:
        """What to call each input in the answer."""
        return [file.name or "" for file in self.cleaned_data["file"]]

    def inputs(self) -> list[bytes | str]:
        """Return the raw files."""
        return [file.read() for file in self.cleaned_data["file"]]


class TextsForm(forms.Form):
    """Sentences to classify, one on each line."""

    texts = forms.CharField(
        label="Sentences",
        widget=forms.Textarea(attrs={"rows": 4}),
        error_messages={"required": "Type a sentence."},
    )

    def clean_texts(self) -> list[str]:
        """Split into lines; empty ones do not count."""
        return [line.strip() for line in str(self.cleaned_data["texts"]).splitlines() if line.strip()]

    @property
    def names(self) -> Sequence[str]:
        """What to call each input in the answer."""
        texts: list[str] = self.cleaned_data["texts"]
        return texts

    def inputs(self) -> list[bytes | str]:
        """Return the sentences."""
        return list(self.cleaned_data["texts"])


class DescribeForm(forms.ModelForm):
    """What a model's owner may say about it, and who may have its files."""

    class Meta:
        model = RegisteredModel
        fields = ("name", "description", "downloadable")
        widgets: ClassVar[dict[str, Any]] = {
            "name": forms.TextInput(attrs={"autocomplete": "off"}),
            "description": forms.Textarea(attrs={"rows": 8}),
        }
        help_texts: ClassVar[dict[str, str]] = {
            "description": "What it is for, what it was trained on, what it should not be used for. Markdown: "
            "- lists, # headings, **bold**, *italic*, `code`.",
        }
        labels: ClassVar[dict[str, str]] = {"downloadable": "Anyone with the token may download the files"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        self.fields["downloadable"].help_text = ""


def try_form(task_type: str, *arguments: Any) -> ImagesForm | TextsForm:
    """Return the form that suits a task."""
    return ImagesForm(*arguments) if task_type == TaskType.IMAGE else TextsForm(*arguments)

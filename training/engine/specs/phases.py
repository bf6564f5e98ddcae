"""The phases of a training job, in order, with the words that its page has for them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """One phase: `words` tell what happens meanwhile."""

    name: str
    title: str
    words: str


ALL_PHASES = (
    Phase("queued", "Waiting in the queue", "A worker takes jobs in the order in which they came."),
    Phase(
        "fetch",
        "Fetching the data",
        "The worker copies the data set and checks that it is the one you uploaded.",
    ),
    Phase(
        "prepare",
        "Preparing the examples",
        "Every example is read and put into the training or the validation set.",
    ),
    Phase(
        "features", "Extracting features", "The pretrained network computes the features of every example."
    ),
    Phase(
        "fit", "Fitting the last layer", "A linear classifier is fitted to the features of the training set."
    ),
    Phase("train", "Training the network", "The network is trained on the training set, epoch by epoch."),
    Phase("export", "Exporting the files", "The model is written as ONNX and as TorchScript."),
    Phase(
        "verify",
        "Verifying the files",
        "Both files run on validation examples and must agree with the trained model.",
    ),
    Phase("publish", "Going live", "The files are uploaded and the model gets its address."),
)
PHASES = {phase.name: phase for phase in ALL_PHASES}
# Those that every job has; a strategy names the others that it usually goes through.
COMMON = ("queued", "fetch", "prepare", "export", "verify", "publish")

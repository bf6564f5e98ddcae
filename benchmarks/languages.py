"""*Fast* on texts in several languages beside the encoder alone and beside n-grams as scikit-learn fits them."""

import time
from typing import Any

import numpy as np

from benchmarks.labelled_data import DATA, Labelled, read_csv
from benchmarks.pretrained_features import text_features
from benchmarks.trained_model import train_and_test

SETS = {
    "arabic": "languages/ar_ajgt",
    "hebrew": "languages/he_sentiment",
    "indonesian": "languages/id_emot",
    "korean": "languages/ko_chatbot",
    "thai": "languages/th_wisesight",
    "english": "banking77",
}


def languages() -> dict[str, Any]:
    """For each set: accuracy on test rows of *Fast*, of the encoder's head alone, of n-grams alone; in percent."""
    figures: dict[str, Any] = {}
    for name, place in SETS.items():
        if not (DATA / f"{place}_train.csv").exists():
            raise SystemExit(f"{DATA / place}_train.csv is not here; TRAINYARD_BENCH_DATA names its folder.")
        known, test = read_csv(DATA / f"{place}_train.csv"), read_csv(DATA / f"{place}_test.csv")
        began = time.monotonic()
        fast = train_and_test(known, test, "minilm")
        figures[f"{name}_seconds"] = round(time.monotonic() - began, 1)
        figures[f"{name}_fast"] = round(fast.accuracy, 2)
        figures[f"{name}_reads"] = str(fast.metrics.get("view", "network"))
        figures[f"{name}_encoder"] = _encoder(known, test)
        figures[f"{name}_ngrams"] = _ngrams(known, test)
    means = {
        key: round(float(np.mean([figures[f"{name}_{key}"] for name in SETS])), 2)
        for key in ("fast", "encoder", "ngrams")
    }
    figures |= {f"mean_{key}": value for key, value in means.items()}
    figures["worst_margin"] = round(
        min(
            figures[f"{name}_fast"] - max(figures[f"{name}_encoder"], figures[f"{name}_ngrams"])
            for name in SETS
        ),
        2,
    )
    return figures


def _encoder(known: Labelled, test: Labelled) -> float:
    """Return the accuracy of logistic regression on the encoder's features, its strength the best for the test."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    features = text_features([*known, *test])
    scale = StandardScaler().fit(features[: len(known)])
    scaled = scale.transform(features) / np.sqrt(features.shape[1])
    labels = np.array([label for _, label in [*known, *test]])
    scores = []
    for strength in (1.0, 10.0, 100.0):
        model = LogisticRegression(C=strength, max_iter=300).fit(scaled[: len(known)], labels[: len(known)])
        scores.append(model.score(scaled[len(known) :], labels[len(known) :]))
    return round(100 * float(max(scores)), 2)


def _ngrams(known: Labelled, test: Labelled) -> float:
    """Return the accuracy of tf-idf of characters within words and logistic regression, the usual baseline."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2)
    classifier = make_pipeline(vectors, LogisticRegression(C=10, max_iter=300))
    classifier.fit(*zip(*known, strict=True))
    return round(100 * float(classifier.score(*zip(*test, strict=True))), 2)

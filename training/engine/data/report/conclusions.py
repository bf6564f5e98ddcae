"""What a person would conclude of what was seen: warnings, and problems that forbid training."""

from collections import Counter
from collections.abc import Iterator, Sequence

from models_registry.artifacts.metadata import IMAGE_CLASSIFICATION, TEXT_CLASSIFICATION
from models_registry.inputs import Corrections, Limits
from models_registry.inputs.layout import LAYOUT

from ..duplicates import Copies
from ..left_out import FEWEST, leave_out_small, of_small_classes
from .document import DataReport
from .seen import Conflicts, Example

SMALL_CLASS = 10  # examples; below it the validation of a class says little
NAMED = 10  # classes that share a problem and are named
IMBALANCED = 10  # times the examples of the smallest class


def notes_of_tests(report: DataReport, tests: Sequence[Example]) -> Iterator[str]:
    """Yield what to say of the test part, which is left alone until the model is finished. Sets its size."""
    counts = Counter(example.label for example in tests)
    unknown = sorted(counts.keys() - report.classes.keys())
    report.test = sum(count for label, count in counts.items() if label in report.classes)
    if report.test:
        yield (
            f"The data's own test part is kept apart: {report.test:,} examples. Nothing is learnt from them; the "
            "finished model is measured on them."
        )
    if unknown:
        yield (
            f"Classes of which only the test part has enough examples: {_named(unknown)}. The model cannot know "
            "them, so they are left out."
        )


def bundle_notes(report: DataReport, lookalikes: Sequence[str]) -> Iterator[str]:
    """Yield what to say of examples that stay together."""
    if report.groups:
        yield f"There are {report.groups:,} groups; each stays on one side of the split."
    if report.near_copies > report.duplicates:
        kind = "the same photo under other exposures or in other sizes"
        if report.task_type == TEXT_CLASSIFICATION:
            kind = "texts that differ by a word or a number"
        share = f"{100 * report.near_copies / max(1, report.examples):.0f} %"
        yield (
            f"Near copies of other examples, such as {kind}: {report.near_copies:,} ({share}), exact ones included. "
            "They stay on one side of the split, so that the accuracy is that on new examples; different ones would "
            "teach the model more."
        )
    if lookalikes:
        yield (
            f"All or nearly all examples of these classes are near copies of one another: {_named(lookalikes)}. What "
            "is measured of them says little of new examples. Add different ones."
        )


def leave_out_small_classes(report: DataReport, copies: Copies, corrections: Corrections) -> set[str]:
    """Leave out the classes that are too small, as was asked for or to be validated; returns their names."""
    small, lone = leave_out_small(report.classes, copies.distinct, corrections)
    least = corrections.min_examples or 0
    if small:
        report.warnings.append(
            f"Classes with fewer than {least:,} examples, which are left out: {_named(sorted(small))}."
        )
    if lone:
        report.warnings.append(
            f"Classes with fewer than {FEWEST} different examples, which are left out: {_named(sorted(lone))}. "
            "Add examples to have them trained."
        )
    for fewest, labels in ((least, small), (FEWEST, lone)):
        if labels:
            count = sum(report.classes[label] for label in labels)
            names = sorted(labels)[:NAMED]
            report.left_out.append({"reason": of_small_classes(fewest), "count": count, "names": names})
    for label in small | lone:
        report.examples -= report.classes.pop(label)
        report.samples.pop(label, None)
        report.thumbnails.pop(label, None)
        del copies.distinct[label]
    return small | lone


def judge(report: DataReport, copies: Copies, limits: Limits, conflicts: Conflicts) -> None:
    """Draw the conclusions a person would."""
    counts = report.classes
    report.duplicates, report.conflicting_duplicates = copies.duplicates, copies.conflicting
    report.leaking = round(copies.leaking)
    few = [label for label, count in copies.distinct.items() if count < FEWEST]
    report.problems += [
        f"Class {label!r} has fewer than {FEWEST} different examples. Add some, or remove the class."
        for label in few[:NAMED]
    ]
    if len(few) > NAMED:
        report.problems.append(f"So have {len(few) - NAMED:,} more classes.")
    if len(counts) < 2:
        advice = f" {LAYOUT}" if counts and report.task_type == IMAGE_CLASSIFICATION else ""
        report.problems.append(
            f"There {f'is only one class, {next(iter(counts))!r}' if counts else 'are no readable examples'}; "
            f"a classifier needs two classes or more.{advice}"
        )
        return
    if any(len(name) > limits.max_class_name_chars for name in counts):
        longest = max(counts, key=len)
        report.problems.append(
            f"The name of the class {longest[:40]!r}… has {len(longest):,} characters; a name may have "
            f"{limits.max_class_name_chars}. Shorten it."
        )
    report.majority_baseline = max(counts.values()) / report.examples
    report.imbalance = max(counts.values()) / min(counts.values())
    report.warnings += _warnings(report, conflicts.shown)


def judge_unreadable(report: DataReport, gone: Sequence[str]) -> None:
    """Leave out classes of which nothing can be read where two others remain; else say what is in the way."""
    if gone and len(report.classes) > 1:
        report.warnings.append(
            f"Nothing of these classes can be read, so they are left out: {_named(gone)}. Examples that cannot be "
            "read are listed with the reason; mend them to have these classes trained."
        )
    elif gone:
        report.problems += [
            f"Nothing of class {label!r} can be read. Mend it, or remove the class." for label in gone[:NAMED]
        ]
    if not report.classes and report.unreadable:
        first = report.unreadable[0]
        report.problems.append(f"Nothing can be used. The first: {first['name']}, {first['reason']}.")


def _warnings(report: DataReport, conflicts: Sequence[str]) -> Iterator[str]:
    small = [name for name, count in report.classes.items() if FEWEST <= count < SMALL_CLASS]
    if small:
        more = f" and {len(small) - NAMED:,} more" if len(small) > NAMED else ""
        yield (
            f"Classes with fewer than {SMALL_CLASS} examples: {', '.join(small[:NAMED])}{more}. "
            "Their accuracy is little more than a guess; add examples if you can."
        )
    if report.unreadable_count:
        yield (
            f"Examples that cannot be read and are left out: {report.unreadable_count:,}. They are listed below; "
            "mend and upload again when they matter."
        )
    if report.duplicates:
        known = f"; drawn singly, about {report.leaking:,} of the validation part would be known already"
        yield (
            f"Exact copies of other examples: {report.duplicates:,}. Nothing needs to be done: copies "
            f"stay on one side of the split{known if report.leaking else ''}."
        )
    if report.conflicting_duplicates:
        yield (
            f"Examples that stand in more than one class: {report.conflicting_duplicates}. Decide for one class: "
            "a model gives the same answer to all copies."
            f"{' Such are ' + '; '.join(conflicts) + '.' if conflicts else ''}"
        )
    if report.imbalance > IMBALANCED:
        yield (
            f"The largest class has {report.imbalance:.0f} times the examples of the smallest, so the small ones "
            "are easily overlooked. Add examples of these, or switch on class weights."
        )


def _named(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - NAMED:,} more" if len(labels) > NAMED else ""
    return ", ".join(map(repr, labels[:NAMED])) + more

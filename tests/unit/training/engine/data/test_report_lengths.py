from training.engine.data.report.seen import Lengths


def test_report_says_how_many_texts_are_long_and_how_much_of_them_is_read_at_a_time() -> None:
    lengths = Lengths()
    for size in (10, 1_000, 4_000, 6_000):
        lengths.add("x" * size)
    [words] = lengths.warnings()
    assert words.startswith("Texts of more than 1,000 characters: 2.")
    assert "20 % of these texts" in words


def test_report_says_nothing_of_short_texts() -> None:
    lengths = Lengths()
    lengths.add("x" * 1_000)
    assert list(lengths.warnings()) == []

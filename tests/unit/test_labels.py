"""What tables and figures say of how the classifiers were trained."""

from evaluated import labels_of

LABELS = labels_of("atda", "proposed", departures={"atda": "batch_size 32", "proposed": "epochs 40"})


def test_a_defense_that_was_trained_otherwise_is_named_with_what_differs() -> None:
    assert LABELS.trained == (
        "Trained at this scale: small_cnn, 20 epochs. Trained otherwise: ATDA with batch_size 32; Proposed with epochs 40."
    )
    assert LABELS.line == "small_cnn, 20 epochs; ATDA with batch_size 32; Proposed with epochs 40"


def test_a_page_of_some_defenses_says_nothing_of_the_others() -> None:
    assert LABELS.only(["proposed"]).line == "small_cnn, 20 epochs; Proposed with epochs 40"
    assert LABELS.only([]).line == "small_cnn, 20 epochs"

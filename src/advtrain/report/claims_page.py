"""The judged claims as a table and as a page."""

import pandas as pd
import pyarrow as pa

from advtrain.report.labels import Labels
from advtrain.report.pages import FAIL_SIGN, PASS_SIGN, WARN_SIGN, Section
from advtrain.report.paper_claims import Claim, Figures
from advtrain.report.verdicts import Verdict

NUMBERS = pa.struct(
    [
        *((name, pa.float64()) for name in ("mean", "lower", "upper")),
        *((name, pa.int64()) for name in ("seeds", "examples")),
        ("met", pa.bool_()),
    ]
)
SCHEMA = pa.schema(
    {
        **dict.fromkeys(("key", "sentence", "where", "paper"), pa.string()),
        "ours": pa.list_(pa.string()),
        "numbers": pa.list_(NUMBERS),
        **dict.fromkeys(("verdict", "rule"), pa.string()),
    }
)
"""Columns of the table of claims, one row a claim; each condition has a line in `ours`, and in `numbers` its
fractions, and the seeds and test images (of a time the rounds and null) that it rests on."""

HOW_JUDGED = (
    "A claim is that all of its conditions are met. A condition is met where the whole interval is on the right side of its "
    "threshold, not met where the whole interval is on the wrong side, and open otherwise. One seed leaves a condition about "
    "an accuracy open, since it cannot tell what another training gives; so do fewer than six rounds one about a time. "
    "All met: the claim holds. Some met, some not: it holds in part. Some not met and none met: it does not hold. "
    "Some open, none not met: it cannot be told."
)
VERDICT_SIGNS = dict(zip(Verdict, (PASS_SIGN, WARN_SIGN, FAIL_SIGN, "?"), strict=True))
ANSWER_SIGNS = {True: PASS_SIGN, None: WARN_SIGN, False: FAIL_SIGN}


def claims_table(claims: list[Claim]) -> pa.Table:
    """The claims in the columns of `SCHEMA`."""
    rows = [
        {
            **vars(claim),
            "verdict": str(claim.verdict),
            "ours": [str(condition) for condition in claim.conditions],
            "numbers": [{**vars(condition.quantity.ours), "met": condition.met} for condition in claim.conditions],
        }
        for claim in claims
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def page(claims: list[Claim], figures: Figures, labels: Labels, device: str) -> list[Section]:
    """The page of the claims as judged on `figures`: all verdicts, then a section for each; time was measured on `device`."""
    if not claims:
        return [Section("", f"The paper claims nothing of {', '.join(labels.datasets.values())}.")]
    bim = figures.evaluations[figures.evaluations["attack"] == "bim"]
    images = ", ".join(f"{n:,}" for n in sorted(bim["examples"].unique()))
    seeds = bim["seed"].nunique()
    spread = f"{seeds} seeds; the 95% intervals are over seeds, for these images" if seeds > 1 else "one seed"
    note = (
        f"{labels.trained} Accuracy on {images} test images, of {spread}. "
        f"Time: medians over {figures.timing_blocks['block'].nunique()} rounds, on {device}; the paper's on a Tesla K20m."
    )
    verdicts = pd.DataFrame(
        [(claim.sentence, f"{VERDICT_SIGNS[claim.verdict]} {claim.verdict}", claim.basis) for claim in claims],
        columns=["claim", "verdict", "rests on"],
    )
    sections = [_section(claim) for claim in claims]
    return [Section("", note), Section("", HOW_JUDGED, verdicts, index=False), *sections]


def _section(claim: Claim) -> Section:
    """A claim with its conditions."""
    judged = f"Rule: {claim.rule}" if claim.conditions else f"{claim.rule[0].upper()}{claim.rule[1:]}."
    rows = [
        (one.quantity.name, one.quantity.figure, one.quantity.ours.basis, one.wanted, f"{ANSWER_SIGNS[one.met]} {one.answer}")
        for one in claim.conditions
    ]
    table = pd.DataFrame(rows, columns=["figure", "ours, with 95% interval", "rests on", "wanted", "answer"]) if rows else None
    text = f"{claim.where}. The paper: {claim.paper}. {judged}"
    return Section(f"{str(claim.verdict).capitalize()}: {claim.sentence}", text, table, index=False)

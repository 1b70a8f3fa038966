"""The judged claims as people read them: a Markdown file and a page of HTML."""

from pathlib import Path

import pyarrow as pa
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from advtrain.claims import Claim, Evidence
from advtrain.pages import escape_markdown

NUMBERS = pa.struct([("mean", pa.float64()), ("lower", pa.float64()), ("upper", pa.float64()), ("met", pa.bool_())])
SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("sentence", pa.string()),
        ("where", pa.string()),
        ("paper", pa.string()),
        ("ours", pa.list_(pa.string())),
        ("numbers", pa.list_(NUMBERS)),
        ("verdict", pa.string()),
        ("rule", pa.string()),
    ]
)
"""Columns of the table of claims, one row a claim; each condition has a line in `ours`, and its fractions in `numbers`."""

HOW_JUDGED = (
    "A claim is that all of its conditions are met. A condition is met where the whole interval is on the right side of its "
    "threshold, not met where the whole interval is on the wrong side, and open otherwise. All met: the claim holds. Some met, "
    "some not: it holds in part. Some not met and none met: it does not hold. None that is not met, but one that is open: it "
    "cannot be told."
)

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
TEMPLATES.filters["markdown"] = escape_markdown


def claims_table(claims: list[Claim]) -> pa.Table:
    """The claims in the columns of `SCHEMA`."""
    rows = [
        {
            **vars(claim),
            "verdict": str(claim.verdict),
            "ours": [str(condition) for condition in claim.conditions],
            "numbers": [{**vars(condition.ours), "met": condition.met} for condition in claim.conditions],
        }
        for claim in claims
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def note(evidence: Evidence, scale: str, device: str) -> str:
    """What the claims were judged on, and what the intervals tell.

    Args:
        evidence: our figures.
        scale: what the models were trained on, in words.
        device: where the time was measured.
    """
    bim = evidence.evaluations[evidence.evaluations["attack"] == "bim"]
    images = ", ".join(f"{n:,}" for n in sorted(bim["examples"].unique()))
    seeds = bim["seed"].nunique()
    intervals = (
        f"of {seeds} seeds; the 95% intervals are over seeds"
        if seeds > 1
        else "of one seed; the 95% intervals are over images only, and the seed's luck comes on top"
    )
    rounds = evidence.timing_blocks["block"].nunique()
    return (
        f"Trained at this scale: {scale}. Accuracy on {images} test images, {intervals}. "
        f"Time: medians over {rounds} rounds, on {device}; the paper's on a Tesla K20m."
    )


def to_markdown(claims: list[Claim], about: str) -> str:
    """The claims as Markdown, `about` above them."""
    return TEMPLATES.get_template("claims.md").render(claims=claims, about=about, how_judged=HOW_JUDGED)


def to_html(claims: list[Claim], about: str) -> str:
    """The claims as an HTML page of its own, `about` above them."""
    return TEMPLATES.get_template("claims.html").render(claims=claims, about=about, how_judged=HOW_JUDGED)

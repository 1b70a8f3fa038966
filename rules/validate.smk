"""A wrong configuration stops here, with one line for each key or value that is wrong, before any job."""

from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from snakemake.exceptions import WorkflowError

SCHEMA = yaml.safe_load(Path(workflow.basedir, "config/config.schema.yaml").read_text())
WRONG = [
    "{}: {}".format(".".join(map(str, error.absolute_path)) or "top level", error.message)
    for error in Draft202012Validator(SCHEMA).iter_errors(config)
]
if not WRONG and config["timing"]["dataset"] not in config["datasets"]:
    WRONG = ["timing.dataset: {!r} is not one of the datasets".format(config["timing"]["dataset"])]
if WRONG:
    raise WorkflowError("The configuration is wrong.", *WRONG)

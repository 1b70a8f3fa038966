"""Liu, Khalil, Khreishah 2019: six classifiers, attacked and timed, as Table I and Figures 1 and 2."""

import os
import sys

from snakemake.utils import min_version

min_version("9.27.0")

# Jobs run the Python that runs Snakemake, and find what lies beside their scripts, whatever the shell has set.
os.environ.update(PATH=os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")]))
os.environ.pop("PYTHONSAFEPATH", None)
os.environ.setdefault("USERNAME", str(os.getuid()))  # for Snakemake's log, in a container whose user has no name


report: "report/workflow.rst"


# One GPU job at a time on each machine, not on the whole cluster.
resource_scopes:
    gpu="local",


include: "rules/validate.smk"
include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/external.smk"
include: "rules/evaluate.smk"
include: "rules/timing.smk"
include: "rules/paper.smk"
include: "rules/audit.smk"
include: "rules/variants.smk"
include: "rules/publish.smk"


rule all:
    default_target: True
    input:
        evaluations=EVALUATIONS,
        histories=of_trained(*HISTORIES),
        audit=multiext("<results>/audit", ".parquet", ".md", ".html"),
        table=multiext("<results>/table1", ".parquet", ".csv", ".md", ".tex", ".html"),
        headline=multiext("<results>/headline", ".md", ".html"),
        against_paper=multiext("<results>/against_paper", ".parquet", ".md", ".html"),
        differences=multiext("<results>/differences", ".parquet", ".md", ".html"),
        claims=multiext("<results>/claims", ".parquet", ".md", ".html"),
        overfitting=multiext("<results>/overfitting", ".parquet", ".md", ".html"),
        pareto="<results>/pareto.parquet",
        cost=multiext("<results>/cost", ".parquet", ".md", ".html"),
        figures=expand(
            "<results>/{figure}.{format}",
            figure=["figure1", "figure2", "table1_bars", "pareto", "transfer", "histories"],
            format=["svg", "pdf", "png"],
        ),


include: "rules/targets.smk"

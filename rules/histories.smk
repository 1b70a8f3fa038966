"""The training histories as a figure.

Input: the histories of all cells.
Output: <results>/histories.svg, .pdf, .png.
"""


use rule table1 as histories with:
    input:
        code=code("histories"),
        histories=HISTORIES,
    output:
        report(
            "<results>/histories.svg",
            caption="../report/histories.rst",
            category="Training",
            labels={"result": "Training histories"},
        ),
        "<results>/histories.pdf",
        "<results>/histories.png",
    log:
        "<results>/logs/histories.log",
    benchmark:
        "<results>/benchmarks/histories.tsv"
    params:
        options=report_options(iterations=config["training"]["monitor_iterations"]),

"""The training histories as a figure.

Input: the histories of all cells.
Output: <results>/histories.svg, .pdf, .png.
"""


use rule table1 as histories with:
    input:
        script="src/histories.py",
        code=code("histories"),
        histories=HISTORIES,
    output:
        picture("histories", "Training", "Training histories"),
    log:
        "<results>/logs/histories.log",
    params:
        settings=setting_options(iterations=config["training"]["monitor_iterations"]),

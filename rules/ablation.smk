"""The step and the period of resets of Proposed, each pair trained. Not part of `all`: it is asked for by name.

Input: the evaluations of Proposed with each step and period.
Output: <results>/ablation.parquet, .md, .html, the figures and those of the paper's own choice; <results>/ablation.svg, .pdf, .png,
heat maps.
"""


use rule table1 as ablation with:
    input:
        script="src/ablation.py",
        code=code("ablation"),
        evaluations=expand(
            "<results>/evaluations/{dataset}/{classifier}.{evaluation}.parquet",
            dataset=DATASETS,
            classifier=ABLATED,
            evaluation=[*TABLE_1_BIM, "strong"],
        ),
    output:
        page("ablation", "Beyond the paper", "Step and resets of Proposed"),
        picture("ablation", "Beyond the paper", "Step and resets of Proposed, as heat maps"),
    log:
        "<results>/logs/ablation.log",
    params:
        settings=setting_options(classifiers=ABLATED, epochs=recipe("proposed")["epochs"] if ABLATED else 0),

"""The choices that the paper leaves open, each tried alone. Not part of `all`: it is asked for by name.

Input: the evaluations of classifiers that differ from a defense of the paper in one choice.
Output: <results>/variants.parquet, .md, .html, how near each comes to the paper's Table I.
"""


use rule table1 as variants with:
    input:
        script="src/variants.py",
        code=code("variants"),
        evaluations=expand(
            "<results>/evaluations/{dataset}/{classifier}.{evaluation}.parquet",
            dataset=DATASETS,
            classifier=[name for defense in VARIANTS for name in [defense, *VARIANTS[defense]]],
            evaluation=TABLE_1_BIM,
        ),
    output:
        page("variants", "The paper", "What the paper leaves open"),
    log:
        "<results>/logs/variants.log",
    params:
        settings=setting_options(
            **{
                "classifiers": {
                    defense: {
                        defense: "As configured",
                        **{name: choice["title"] for name, choice in VARIANTS[defense].items()},
                    }
                    for defense in VARIANTS
                },
                "fixed_step_divisor": config["evaluation"]["fixed_step"]["divisor"],
            }
        ),

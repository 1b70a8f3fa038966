"""Defenses with other settings. Not part of `all`: these are asked for by name.

Input: the evaluations of classifiers that differ from a defense of the paper in one choice, of Proposed with each step and
period of resets, of defenses that are trained at equal price, and of those that lead from one method to another.
Output: <results>/variants.parquet, .md, .html, how near each choice comes to the paper's Table I; <results>/variants.svg, .pdf,
.png, the same under BIM(30) as a chart; <results>/ablation.parquet, .md, .html, the steps and periods and those of the paper's own
choice; <results>/ablation.svg, .pdf, .png, the same as heat maps; <results>/budgets.parquet, .md, .html, .svg, .pdf, .png,
robustness against the price; <results>/ladder.parquet, .md, .html, .svg, .pdf, .png, what each change from one method to another
does; <results>/successors.parquet, .md, .html, .svg, .pdf, .png, price, robustness and collapses of the methods in each
setting.
"""


use rule table1 as variants with:
    input:
        code=code("src/variants.py"),
        evaluations=expand(
            "<results>/evaluations/{dataset}/{classifier}.{evaluation}.parquet",
            dataset=DATASETS,
            classifier=[name for defense, choices in VARIANTS.items() for name in (defense, *choices)],
            evaluation=[*TABLE_1_BIM, "strong"],
        ),
    output:
        page("variants", "The paper", "What the paper leaves open"),
        picture("variants", "The paper", "What the paper leaves open, as a chart"),
    log:
        "<results>/logs/variants.log",
    params:
        settings=setting_options(
            classifiers={
                defense: {defense: "As configured", **{name: choice["title"] for name, choice in choices.items()}}
                for defense, choices in VARIANTS.items()
            },
            fixed_step_divisor=config["evaluation"]["fixed_step"]["divisor"],
        ),


use rule table1 as ablation with:
    input:
        code=code("src/ablation.py"),
        evaluations=expand(
            "<results>/evaluations/{dataset}/{classifier}.{evaluation}.parquet",
            dataset=DATASETS,
            classifier=ABLATED,
            evaluation=[*TABLE_1_BIM, "strong"],
        ),
        # The images held out are what a choice is picked on.
        histories=expand(
            "<results>/models/{dataset}/{classifier}.history.parquet",
            dataset=DATASETS,
            classifier=ABLATED if COMMON["held_out_examples"] else [],
        ),
    output:
        page("ablation", "Beyond the paper", "Step and resets of Proposed"),
        picture("ablation", "Beyond the paper", "Step and resets of Proposed, as heat maps"),
    log:
        "<results>/logs/ablation.log",
    params:
        settings=setting_options(classifiers=ABLATED, epochs=recipe("proposed")["epochs"] if ABLATED else 0),


use rule table1 as budgets with:
    input:
        code=code("src/budgets.py"),
        evaluations=expand(
            "<results>/{dataset}/{classifier}.parquet",
            dataset=DATASETS,
            classifier=list(dict.fromkeys(one["classifier"] for one in BUDGETED)),
        ),
        after=filled("budgets", BUDGETED),
    output:
        page("budgets", "Beyond the paper", "Equal budgets"),
        picture("budgets", "Beyond the paper", "Equal budgets, as a chart"),
    log:
        "<results>/logs/budgets.log",
    params:
        settings=setting_options(trained=BUDGETED),
        labels=labels_about(config["budgets"]["defenses"], epochs="epochs by budget", apart_from="epochs"),


use rule table1 as ladder with:
    input:
        code=code("src/ladder.py"),
        evaluations=[*EVALUATIONS, *OUTCOMES],
        timing=of_trained("<results>/timing.parquet"),
        after=filled("ladder", config["ladder"]),
    output:
        page("ladder", "Beyond the paper", "One change at a time"),
        picture("ladder", "Beyond the paper", "One change at a time, as a chart"),
    log:
        "<results>/logs/ladder.log",
    params:
        settings=setting_options(rungs=config["ladder"], epochs=EPOCHS),
        labels=labels_about([rung["defense"] for rung in config["ladder"]]),


use rule table1 as successors with:
    input:
        code=code("src/successors.py"),
        evaluations=[*EVALUATIONS, *OUTCOMES],
        timing=of_trained("<results>/timing.parquet"),
        overfitting="<results>/overfitting.parquet",
        after=filled("successors", SUCCESSORS),
    output:
        page("successors", "Beyond the paper", "Methods by price"),
        picture("successors", "Beyond the paper", "Methods by price, as a chart"),
    log:
        "<results>/logs/successors.log",
    params:
        settings=setting_options(settings=SUCCESSORS, epochs=EPOCHS),
        labels=labels_about([name for setting in SUCCESSORS for name in setting["defenses"]]),

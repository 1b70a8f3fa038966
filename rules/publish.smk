"""Publishing: the small result files of a run, to be read without running anything.

Input: the tables and figures of a run.
Output: docs/results/{name of the results' folder}/, a copy of each; about.md, about_variants.md, about_ablation.md,
about_budgets.md, about_ladder.md and about_successors.md, what made them.

No rule asks for these, and no file there is written by hand: `snakemake --cores 2 --configfile config/quick.yaml -- publish`.
"""

RESULTS = Path(config["pathvars"]["results"])
SCALE = RESULTS.name if RESULTS.parent != Path() else "paper"
FOLDER = "docs/results/{}".format(SCALE)
GIVEN = workflow.config_settings
FILES = " ".join(shlex.quote(os.path.relpath(file, ROOT)) for file in GIVEN.configfiles)
COMMAND = "snakemake --cores 2 {}{}-- ".format(
    "--configfile {} ".format(FILES) if FILES else "",
    "".join(
        "--config {} ".format(shlex.quote("{}={}".format(key, value if isinstance(value, str) else json.dumps(value))))
        for key, value in GIVEN.config.items()
    ),
)
PUBLISHED = [
    *expand(
        "{table}.{format}",
        table=["table1", "against_paper", "differences", "claims", "audit", "overfitting", "cost"],
        format=["md", "parquet"],
    ),
    *expand("{figure}.svg", figure=["figure1", "figure2", "table1_bars", "pareto", "transfer", "histories"]),
    "headline.md",
    "pareto.parquet",
    "timing.parquet",
    "timing_blocks.parquet",
    *(file.removeprefix("<results>/") for file in [*EVALUATIONS, *HISTORIES]),
    *expand("transfer/{dataset}.parquet", dataset=DATASETS),
    *(file.removeprefix("<results>/") for file in OUTCOMES),
]


rule publish:
    input:
        files=of_trained(*expand("<results>/{file}", file=PUBLISHED)),
        code=code("src/publish.py"),
    output:
        files=expand("{folder}/{file}", folder=FOLDER, file=PUBLISHED),
        about="{}/about.md".format(FOLDER),
    log:
        "<results>/logs/publish.log",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem="1GB",
        runtime="10m",
    params:
        results=subpath(input[0], parent=True),
        config=constant(json.dumps(config)),
        command=lambda wildcards, output: COMMAND + Path(output.about).stem.replace("about", "publish"),
        folder=subpath(output.about, parent=True),
    shell:
        """
        exec python3 {input.code[0]:q} \
            {input.files:q} \
            --results {params.results:q} \
            --config {params.config:q} \
            --command {params.command:q} \
            --folder {params.folder:q} \
            --about {output.about:q} \
            >{log:q} 2>&1
        """


use rule publish as publish_variants with:
    input:
        files=multiext("<results>/variants", ".md", ".parquet", ".svg"),
        code=code("src/publish.py"),
    output:
        files=multiext("{}/variants".format(FOLDER), ".md", ".parquet", ".svg"),
        about="{}/about_variants.md".format(FOLDER),
    log:
        "<results>/logs/publish_variants.log",


use rule publish as publish_ablation with:
    input:
        files=multiext("<results>/ablation", ".md", ".parquet", ".svg"),
        code=code("src/publish.py"),
    output:
        files=multiext("{}/ablation".format(FOLDER), ".md", ".parquet", ".svg"),
        about="{}/about_ablation.md".format(FOLDER),
    log:
        "<results>/logs/publish_ablation.log",


use rule publish as publish_budgets with:
    input:
        files=multiext("<results>/budgets", ".md", ".parquet", ".svg"),
        code=code("src/publish.py"),
    output:
        files=multiext("{}/budgets".format(FOLDER), ".md", ".parquet", ".svg"),
        about="{}/about_budgets.md".format(FOLDER),
    log:
        "<results>/logs/publish_budgets.log",


use rule publish as publish_ladder with:
    input:
        files=multiext("<results>/ladder", ".md", ".parquet", ".svg"),
        code=code("src/publish.py"),
    output:
        files=multiext("{}/ladder".format(FOLDER), ".md", ".parquet", ".svg"),
        about="{}/about_ladder.md".format(FOLDER),
    log:
        "<results>/logs/publish_ladder.log",


use rule publish as publish_successors with:
    input:
        files=multiext("<results>/successors", ".md", ".parquet", ".svg"),
        code=code("src/publish.py"),
    output:
        files=multiext("{}/successors".format(FOLDER), ".md", ".parquet", ".svg"),
        about="{}/about_successors.md".format(FOLDER),
    log:
        "<results>/logs/publish_successors.log",

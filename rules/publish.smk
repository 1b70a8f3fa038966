"""Publishing: the small result files of a run, to be read without running anything.

Input: the tables and figures of a run.
Output: docs/results/{name of the results' folder}/, a copy of each; about.md, about_variants.md and about_ablation.md,
what made them.

No rule asks for these, and no file there is written by hand: `snakemake --cores 2 --configfile config/quick.yaml -- publish`.
"""

RESULTS = Path(config["pathvars"]["results"])
PUBLISHED_AS = RESULTS.name if RESULTS.parent != Path() else "paper"
PUBLISHED = [
    *expand(
        "{table}.{format}",
        table=["table1", "against_paper", "differences", "claims", "audit", "cost"],
        format=["md", "parquet"],
    ),
    *expand("{figure}.svg", figure=["figure1", "figure2", "table1_bars", "pareto", "transfer", "histories"]),
    "headline.md",
    "pareto.parquet",
    "timing.parquet",
    "timing_blocks.parquet",
    *expand("{dataset}/{defense}.parquet", dataset=DATASETS, defense=DEFENSES),
    *expand("models/{dataset}/{defense}.history.parquet", dataset=DATASETS, defense=DEFENSES),
    *expand("transfer/{dataset}.parquet", dataset=DATASETS),
]
PUBLISHED_OF_VARIANTS = multiext("variants", ".md", ".parquet")
PUBLISHED_OF_ABLATION = multiext("ablation", ".md", ".parquet", ".svg")
COMMAND = "snakemake --cores 2 {}-- ".format(
    "" if PUBLISHED_AS == "paper" else "--configfile config/{}.yaml ".format(PUBLISHED_AS)
)


rule publish:
    input:
        files=expand("<results>/{file}", file=PUBLISHED),
        script="src/publish.py",
        code=code("publish"),
    output:
        files=expand("docs/results/{name}/{file}", name=PUBLISHED_AS, file=PUBLISHED),
        about="docs/results/{}/about.md".format(PUBLISHED_AS),
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
        exec python3 {input.script:q} \
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
        files=expand("<results>/{file}", file=PUBLISHED_OF_VARIANTS),
        script="src/publish.py",
        code=code("publish"),
    output:
        files=expand("docs/results/{name}/{file}", name=PUBLISHED_AS, file=PUBLISHED_OF_VARIANTS),
        about="docs/results/{}/about_variants.md".format(PUBLISHED_AS),
    log:
        "<results>/logs/publish_variants.log",


use rule publish as publish_ablation with:
    input:
        files=expand("<results>/{file}", file=PUBLISHED_OF_ABLATION),
        script="src/publish.py",
        code=code("publish"),
    output:
        files=expand("docs/results/{name}/{file}", name=PUBLISHED_AS, file=PUBLISHED_OF_ABLATION),
        about="docs/results/{}/about_ablation.md".format(PUBLISHED_AS),
    log:
        "<results>/logs/publish_ablation.log",

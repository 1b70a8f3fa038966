"""A target that nothing makes stops here, with the nearest one that there is."""

from snakemake.io import apply_wildcards


def made_of(dataset, defense):
    """Every file that the rules make of a data set and a classifier, and those that they make of all."""
    wildcards = {"dataset": dataset, "defense": defense}
    return {apply_wildcards(file, wildcards) for made in workflow.rules for file in made.output}


def wrong_target(target, known):
    """What is wrong with a target that is unknown and no file that is there; None if nothing is."""
    if target in known:
        return None
    if Path(target).stem == "report":
        return "{!r}: an option makes it, `--report {}`, with the target `all`".format(target, target)
    if below := [file for file in known if Path(target) in Path(file).parents]:
        return "{!r}: a folder; name a file in it, such as {}".format(target, min(sorted(below), key=len))
    for (name, entry), dataset in itertools.product(EXTERNAL.items(), DATASETS):
        if dataset not in entry["datasets"] and target in made_of(dataset, name):
            return "{!r}: {} is a classifier of {}, not of {}".format(target, name, ", ".join(entry["datasets"]), dataset)
    if Path(target).is_file():
        return None
    near, *_ = difflib.get_close_matches(target, known, n=1, cutoff=0.8) or [None]
    return "{!r}: nothing makes it{}".format(target, ", did you mean {}?".format(near) if near else "")


# Snakemake itself looks at its targets only when it has read the rules. They stand behind --, as the README says.
TARGETS = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
if TARGETS:
    KNOWN = {made.name for made in workflow.rules}.union(
        *(
            made_of(dataset, name)
            for dataset, name in itertools.product(DATASETS, [*CLASSIFIERS, *BESTS, *EXTERNAL])
            if name not in EXTERNAL or dataset in EXTERNAL[name]["datasets"]
        )
    )
    WRONG = [said for target in TARGETS if (said := wrong_target(target, KNOWN))]
    if WRONG and workflow.basedir == str(ROOT):  # a workflow that imports this one has other targets too
        raise WorkflowError(
            "A target is wrong.",
            *WRONG,
            "There are the data sets {} and the classifiers {}.".format(", ".join(DATASETS), ", ".join(DEFENSES)),
        )

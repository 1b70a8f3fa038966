"""A target that nothing makes stops here, with the nearest one that there is."""

from snakemake.io import apply_wildcards


def known_targets():
    """Every target that can be asked for: the rules, and the files that they make of the data sets and classifiers."""
    for made in workflow.rules:
        yield made.name
        for file, dataset, defense in itertools.product(made.output, DATASETS, [*CLASSIFIERS, *BESTS, *EXTERNAL]):
            yield apply_wildcards(file, {"dataset": dataset, "defense": defense})


def wrong_target(target, known):
    """What is wrong with a target that is unknown and no file that is there."""
    near, *_ = difflib.get_close_matches(target, known, n=1, cutoff=0.8) or [None]
    return "{!r}: nothing makes it{}".format(target, ", did you mean {}?".format(near) if near else "")


# Snakemake itself looks at its targets only when it has read the rules. They stand behind --, as the README says.
TARGETS = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
if TARGETS:
    KNOWN = set(known_targets())
    WRONG = [wrong_target(target, KNOWN) for target in TARGETS if target not in KNOWN and not Path(target).exists()]
    if WRONG and workflow.basedir == str(ROOT):  # a workflow that imports this one has other targets too
        raise WorkflowError(
            "A target is wrong.",
            *WRONG,
            "There are the data sets {} and the classifiers {}.".format(
                ", ".join(DATASETS), ", ".join([*CLASSIFIERS, *EXTERNAL])
            ),
        )

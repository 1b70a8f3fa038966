"""What a whole training costs, in seconds and in passes: trainings of different lengths compare by nothing less."""

from collections.abc import Mapping

import pandas as pd

from advtrain.system.errors import InputError


def prices(timing: pd.DataFrame, epochs: Mapping[str, int]) -> pd.DataFrame:
    """The price of each classifier in `epochs`, the length of its training, by its name.

    `timing` is of time_epochs.py. Columns `epochs`; `seconds` of the training, median, with the quartiles `seconds_lower` and
    `seconds_upper`; `passes` over a training image in all. Raises InputError where a time is missing.
    """
    for defense in epochs:
        if defense not in set(timing["defense"]):
            raise InputError(f"the training time of {defense} was not measured")
    columns = ["seconds_median", "seconds_lower", "seconds_upper", "passes"]
    of_epoch = timing.set_index("defense").loc[list(epochs), columns].rename(columns={"seconds_median": "seconds"})
    table = of_epoch.mul(pd.Series(epochs), axis=0)
    table.insert(0, "epochs", pd.Series(epochs))
    return table

"""What tables and figures call the data sets and classifiers, and how these were trained."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Titles by name, in the order of tables and figures, and the scale of the run."""

    datasets: Mapping[str, str]
    defenses: Mapping[str, str]
    families: Mapping[str, str]
    """`none`, `single_adv` or `iter_adv` of each defense: how many attack steps its training uses."""
    scale: str
    """How the classifiers were trained, such as "small_cnn, 60,000 images, 80 epochs, batch 64, 5 seeds"."""
    departures: Mapping[str, str]
    """Where a defense's own recipe departs from that, such as "batch_size 32", by name; empty where none does."""
    external: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of those that were trained elsewhere the data sets that they classify, by name; they have no price and no history."""

    def on(self, dataset: str) -> dict[str, str]:
        """Title of each defense that was evaluated on a data set, by name."""
        return {name: title for name, title in self.defenses.items() if dataset in self.external.get(name, (dataset,))}

    def only(self, names: Container[str]) -> "Labels":
        """The same with these defenses alone."""
        return replace(self, defenses={name: title for name, title in self.defenses.items() if name in names})

    @property
    def trained_here(self) -> dict[str, str]:
        """Title of each defense that was trained here, by name."""
        return {name: title for name, title in self.defenses.items() if name not in self.external}

    @property
    def trained(self) -> str:
        """How the classifiers were trained, in sentences."""
        otherwise = "; ".join(self._otherwise())
        return f"Trained at this scale: {self.scale}." + (f" Trained otherwise: {otherwise}." if otherwise else "")

    @property
    def line(self) -> str:
        """The same in a line, for a figure."""
        return "; ".join([self.scale, *self._otherwise()])

    def _otherwise(self) -> list[str]:
        return [f"{title} with {self.departures[name]}" for name, title in self.defenses.items() if name in self.departures]

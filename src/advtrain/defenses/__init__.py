"""The defenses, one file each, found by the file's name."""

import pkgutil


def methods() -> list[str]:
    """Names of all defenses: those of the files in this folder, without the base class and the registry."""
    return sorted({module.name for module in pkgutil.iter_modules(__path__)} - {"base", "registry"})

"""Empty in a clone, where the folder tells what there is; `freezing/register.py` writes the one of the wheel."""

NAMES: tuple[str, ...] = ()

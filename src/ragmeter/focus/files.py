"""Rows as a file, CSV or Parquet, which appears when it is whole."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

from ragmeter.focus.columns import COLUMNS, type_of
from ragmeter.focus.rows import Row, Value

PART = ".part"
"""What the name of a file ends with that is not whole yet."""

Write = Callable[[Sequence[Row]], None]


class FileError(ValueError):
    """A file that cannot be written; the message says what to give."""


def check(path: Path) -> None:
    """Raise `FileError` for a file that cannot be written, before anything is read."""
    if path.suffix not in WRITERS:
        raise FileError(f"{path} ends with neither {' nor '.join(WRITERS)}: its ending chooses the format.")
    if path.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise FileError("Parquet needs pyarrow: pip install 'ragmeter[parquet]', or write a file that ends with .csv.")
    if not path.resolve().parent.is_dir():
        raise FileError(f"There is no folder {path.parent}.")
    if path.exists() and not path.is_file():
        raise FileError(f"{path} is not a file that can be replaced.")


@contextmanager
def written(path: Path) -> Iterator[Write]:
    """A function that takes rows, as often as there are some; the file replaces one that was there when all are in."""
    unfinished = path.with_name(path.name + PART)
    try:
        with WRITERS[path.suffix](unfinished) as write:
            yield write
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _csv(path: Path) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        yield lambda several: rows.writerows([[_text(row[column]) for column in COLUMNS] for row in several])


@contextmanager
def _parquet(path: Path) -> Iterator[Write]:
    import pyarrow as pa
    from pyarrow import parquet

    types = {"decimal": pa.float64(), "datetime": pa.timestamp("us", tz="UTC"), "boolean": pa.bool_()}
    schema = pa.schema([(column, types.get(type_of(column), pa.string())) for column in COLUMNS])
    with parquet.ParquetWriter(path, schema) as file:
        yield lambda several: file.write_table(pa.Table.from_pylist([dict(row) for row in several], schema=schema))


WRITERS = {".csv": _csv, ".parquet": _parquet}
"""How a file is written, by what its name ends with."""


def _text(value: Value) -> str:
    """A value as the specification writes it: decimals with a point and no exponent, times in UTC, nothing for null."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case datetime():
            return f"{value:%Y-%m-%dT%H:%M:%SZ}"
        case float():
            return f"{Decimal(repr(value)):f}"
    return str(value)

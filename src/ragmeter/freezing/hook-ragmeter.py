"""What an app frozen by PyInstaller needs of ragmeter beyond its imports: run by PyInstaller, in no app."""

from importlib.metadata import PackageNotFoundError

from PyInstaller.utils.hooks import (  # type: ignore[import-untyped]
    collect_data_files,
    collect_submodules,
    copy_metadata,
)

from ragmeter.reading import clients

hiddenimports = [*collect_submodules("ragmeter.reading.clients"), "genai_prices.data", "genai_prices.data_units"]

# The price library is read from its files, so these lie there as they are.
module_collection_mode = {"genai_prices": "py"}

# The rows of prices, hosts and names.
datas = collect_data_files("ragmeter.facts")
# How the versions of the clients, and of the packages that are shown, are known.
for distribution in (
    "ragmeter",
    "genai-prices",
    "opentelemetry-sdk",
    *(clients.load(name).distribution for name in clients.names()),
):
    try:
        datas += copy_metadata(distribution)
    except PackageNotFoundError:
        continue

"""Names of `reading.providers` under the place where they once stood: programs outside import them from here."""

from ragmeter.reading.providers import provider_of_host, provider_of_url

__all__ = ["provider_of_host", "provider_of_url"]

"""The version of ragmeter: read here by the build as well, so that nothing needs to look up package metadata."""

VERSION = "0.1.0"

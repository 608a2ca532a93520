"""The contract of ragmeter with the app, for every client: design section "Contract with the host".

A client's test class derives from `ClientContract` and fills the blanks of `ClientBlanks`.
"""

from __future__ import annotations

from clients.blanks import ClientBlanks, chunks_of, each_of, entering, finished, first_of, plain
from clients.promises_faults import Faults
from clients.promises_memory import Memory
from clients.promises_ownership import Ownership
from clients.promises_processes import Processes
from clients.promises_results import Results
from clients.promises_streams import Streams
from clients.promises_switching import Switching
from clients.promises_telemetry import TelemetryPromises

__all__ = ["ClientBlanks", "ClientContract", "chunks_of", "each_of", "entering", "finished", "first_of", "plain"]


class ClientContract(Results, Faults, Streams, TelemetryPromises, Switching, Processes, Memory, Ownership):
    """All promises, to be kept by one client."""

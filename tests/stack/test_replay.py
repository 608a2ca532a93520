"""Two weeks of history with planted incidents: each raises its alert, and no other alert fires."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ragmeter.demo.history.incidents import Incident

from .past import Past
from .replay import Firing

AFTERWARDS = timedelta(hours=2)
"""An alert looks back over up to an hour, and may hold on: so long after an incident it may still be there."""


def belongs(firing: Firing, incident: Incident) -> bool:
    """Whether an alert is the one that an incident should raise, there and then."""
    labels = {"ragmeter_strategy": incident.strategy, "db_collection_name": incident.collection}
    return (
        firing.alert == incident.alert
        and all(firing.labels[name] == wanted for name, wanted in labels.items() if name in firing.labels)
        and incident.start.timestamp() <= firing.start <= (incident.end + AFTERWARDS).timestamp()
    )


def shown(firing: Firing) -> str:
    """An alert in words, for whoever has to find out why it fired."""
    start, end = (datetime.fromtimestamp(at, UTC).strftime("%d %H:%M") for at in (firing.start, firing.end))
    return f"{firing.alert} {dict(firing.labels)} {start} to {end}"


def test_every_incident_raises_its_alert(past: Past, capsys: pytest.CaptureFixture[str]):
    """All planted incidents are found, and it is printed how long each took."""
    assert len(past.planted) == 5
    rows = []
    for incident in past.planted:
        found = [firing for firing in past.fired if belongs(firing, incident)]
        assert found, f"{incident} was not found; fired: {[shown(firing) for firing in past.fired]}"
        delay = timedelta(seconds=found[0].start - incident.start.timestamp())
        assert delay <= incident.end - incident.start + AFTERWARDS
        rows.append(f"  {incident.name:<28}{incident.alert:<28}{delay.total_seconds() / 60:>4.0f} min")
    with capsys.disabled():
        print("\nDetection of the planted incidents:", *rows, sep="\n")


def test_nothing_else_fires(past: Past):
    """In two weeks of rhythm, weekends, noise and a deploy, no alert fires that is not due."""
    strays = [firing for firing in past.fired if not any(belongs(firing, incident) for incident in past.planted)]
    assert [shown(firing) for firing in strays] == []

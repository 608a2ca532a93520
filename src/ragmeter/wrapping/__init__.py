"""The caller's thread: functions wrapped, calls and streams observed, the query a call belongs to."""

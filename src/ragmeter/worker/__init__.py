"""The worker's thread: the queue in front of it, the stations of a finished call, the end of a process."""

"""What an operation and a query amount to: figures of one call, and of the queries that are open."""

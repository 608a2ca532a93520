"""What was measured as rows of FOCUS, the FinOps Open Cost and Usage Specification: an estimate, hour by hour."""

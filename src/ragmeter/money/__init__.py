"""What an operation costs: prices of models, conditions on them, and the sum."""

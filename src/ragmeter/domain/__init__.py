"""The words of the field as values: operations, prompts, usage, strategies; and the gate for all from outside."""

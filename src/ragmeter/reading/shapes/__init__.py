"""What the answers of several clients look like: one reader for each shape, whatever library carries it."""

"""Where a prompt's tokens come from: its parts, the chunks found in it, and what of them the answer used."""

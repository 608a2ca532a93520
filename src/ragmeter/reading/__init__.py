"""What clients say: their calls and answers, turned into the domain's words. Nothing is wrapped or recorded here."""

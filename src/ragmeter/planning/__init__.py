"""Which strategy is cheapest, from which volume on, and how sure that is. Pure: no files, no servers, no clock."""

"""What a thousand answers cost: ragmeter measures LLM and retrieval spend on live traffic."""

"""Mistakes that a type checker tells before the app runs; behind each what it says."""

import ragmeter

ragmeter.instrument(lables=["team"])  # Unexpected keyword argument "lables" for "instrument"; did you mean "labels"?
ragmeter.instrument(["team"])  # Too many positional arguments for "instrument"
ragmeter.instrument(labels=3)  # Argument "labels" to "instrument" has incompatible type "int"; expected "Iterable
ragmeter.instrument(profile="newest")  # expected "Literal['released', 'latest', 'both'] | None"
ragmeter.instrument(prices={"gpt-4o": 3})  # "str": "int"; expected "str": "Mapping[str, float | Mapping[
ragmeter.instrument(prometheus_port="9464")  # incompatible type "str"; expected "int | None"
ragmeter.instrument(tracer_provider="https://collector")  # incompatible type "str"; expected "TracerProvider | None"
ragmeter.query(3)  # Argument 1 to "query" has incompatible type "int"; expected "str | None"
ragmeter.label("team")  # Too many arguments for "label"
ragmeter.context(text for text in ["a"])  # expected "Sequence[Any]"
ragmeter.flush("5")  # Argument 1 to "flush" has incompatible type "str"; expected "float"
print(ragmeter.status().exporters)  # "Status" has no attribute "exporters"; maybe "exporter"?
ragmeter.spans()  # Module has no attribute "spans"


@ragmeter.query()  # "QueryScope" not callable
def answer(question: str) -> str:
    return question

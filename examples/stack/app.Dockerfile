# ragmeter with its demo, from this repository. `docker compose build` after a change of the sources.
FROM python:3.11-slim
COPY pyproject.toml README.md LICENSE /ragmeter/
COPY src /ragmeter/src
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore "/ragmeter[demo]"
CMD ["ragmeter", "demo", "--serve"]

"""`python -m ragmeter`: the same as the command `ragmeter`."""

from ragmeter.cli import main

if __name__ == "__main__":
    main()

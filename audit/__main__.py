"""`python -m audit` is `reid-audit`."""

from audit.cli import main

if __name__ == "__main__":
    main()

"""`python -m reid_audit` is `reid-audit`."""

from reid_audit.audit.cli import main

if __name__ == "__main__":
    main()

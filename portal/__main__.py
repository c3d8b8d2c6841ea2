"""``python -m portal`` is the ``motherlode`` command."""

from portal.cli import main

if __name__ == "__main__":
    main()

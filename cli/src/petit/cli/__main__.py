"""`python -m petit.cli`, which is what `./petit` runs."""

from petit.cli.main import main

if __name__ == "__main__":
    main()

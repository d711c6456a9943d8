"""`python -m fastbroker`: the command line."""
from fastbroker.cli.main import main

if __name__ == "__main__":
    main()

"""`python -m fastbroker`, and the script `fastbroker`: the command line."""
import gc

# Modules are no garbage: the collector need not look after every few hundred of their objects.
gc.set_threshold(50_000)

from fastbroker.cli.main import main  # noqa: E402

if __name__ == "__main__":
    main()

"""`python -m lotwise_training` is `lotwise-train`, from a source tree that nobody installed."""

from lotwise_training.cli.app import main

if __name__ == "__main__":  # the processes that train import this module, too
    main()

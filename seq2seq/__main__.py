"""``python -m seq2seq``: see :mod:`seq2seq.cli`."""

import sys

from seq2seq.cli import main

if __name__ == "__main__":
    sys.exit(main())

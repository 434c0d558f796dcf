"""Run the page: ``python app.py``, then open the address that it prints."""

import sys

from seq2seq.ui.server import build, serve
from seq2seq.ui.service import Service

service = Service()
demo = build(service)

if __name__ == "__main__":
    sys.exit(serve(demo, service, sys.argv[1:]))

"""Run the page: ``python app.py``, then open the address that it prints."""

import sys

from seq2seq.ui.server import Options, build, serve, start

options = Options.read(sys.argv[1:] if __name__ == "__main__" else [])
service = start()
demo = build(service)

if __name__ == "__main__":
    sys.exit(serve(demo, service, options))

"""Run the page: ``python app.py``, then open the address that it prints."""

import argparse

from seq2seq.ui.server import build, launch_options
from seq2seq.ui.service import Service

service = Service()
demo = build(service)


def main() -> None:
    """Launch; without options GRADIO_SERVER_NAME and GRADIO_SERVER_PORT are followed."""
    parser = argparse.ArgumentParser(description="Translate in the browser and see how.")
    parser.add_argument("--host", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, help="port (default: the first free one from 7860)")
    options = parser.parse_args()
    service.warm()
    demo.launch(server_name=options.host, server_port=options.port, **launch_options())


if __name__ == "__main__":
    main()

"""The browser interface; the only part that imports gradio and plotly."""

import os

from seq2seq.ui.surroundings import settle

# Read when gradio, huggingface_hub and torch are imported, so they have to stand here. The page
# must work with the network cable pulled: nobody is told that it runs.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
# Models of this size are fastest on one thread each, above all with several users at once.
os.environ.setdefault("OMP_NUM_THREADS", "1")
settle()

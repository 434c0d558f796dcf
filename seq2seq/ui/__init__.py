"""The browser interface; the only part that imports gradio and plotly."""

"""The web page: a thin Gradio face of `sifa_core.Analysis`. It holds no maths."""

"""How the page looks: the viewer's own fonts, greys and accent colour, light and dark, for all of the page."""

from __future__ import annotations

import gradio as gr

FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Consolas", "monospace")


def build_theme() -> gr.themes.Base:
    """Gradio's plain theme in our colours; the rest is in the front end's style sheet."""
    theme = gr.themes.Base(
        primary_hue="blue",
        secondary_hue="blue",
        neutral_hue="slate",
        text_size="md",
        spacing_size="md",
        radius_size="md",
        font=FONT,
        font_mono=MONO,
    )
    return theme.set(
        body_background_fill="#f6f7f8",
        body_background_fill_dark="#111417",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#191d21",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_shadow="none",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_300",
        block_title_text_color="*neutral_600",
        block_title_text_color_dark="*neutral_300",
        block_title_text_weight="500",
        block_padding="0px",
        border_color_primary="#e1e4e8",
        border_color_primary_dark="#2a3037",
        input_background_fill="#ffffff",
        input_background_fill_dark="#191d21",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_dark="#191d21",
        button_border_width="1px",
        body_text_color="#16191d",
        body_text_color_dark="#e8ebee",
        body_text_color_subdued="#59626d",
        body_text_color_subdued_dark="#98a2ad",
    )

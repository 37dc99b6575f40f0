"""How the page looks: the viewer's own fonts, greys and accent colour, light and dark, for all of the page."""

from __future__ import annotations

import gradio as gr

from sifa_core.explain.viewer.theme import PAGE

FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Consolas", "monospace")


def build_theme() -> gr.themes.Base:
    """Gradio's plain theme in our colours; the rest is in the front end's style sheet."""
    paper, card, line, ink, quiet = (PAGE[name] for name in ("paper", "card", "line", "ink", "quiet"))
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
        body_background_fill=paper[0],
        body_background_fill_dark=paper[1],
        background_fill_primary=card[0],
        background_fill_primary_dark=card[1],
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
        border_color_primary=line[0],
        border_color_primary_dark=line[1],
        input_background_fill=card[0],
        input_background_fill_dark=card[1],
        button_secondary_background_fill=card[0],
        button_secondary_background_fill_dark=card[1],
        button_border_width="1px",
        body_text_color=ink[0],
        body_text_color_dark=ink[1],
        body_text_color_subdued=quiet[0],
        body_text_color_subdued_dark=quiet[1],
    )

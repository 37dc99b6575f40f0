"""Every temporal module: importing its file registers it. A new module is a file beside these and a line here."""

from sifa_core.layers import (  # noqa: F401
    correlation,
    sifa,
    sifa_c,
    sifa_star,
    temporal_conv,
    temporal_difference,
    temporal_shift,
)

"""Stand-alone Inter-Frame Attention (CVPR 2022): models, explanations and data.

import sifa_core as sifa
clip = sifa.read_clip("walk.mp4", num_frames=16)
model = sifa.load_model("sifa_net_tiny")
analysis = sifa.analyze(model, clip)
analysis.save("walk.html")
"""

from typing import TYPE_CHECKING

from sifa_core.errors import SifaError
from sifa_core.lazy import lazy_names
from sifa_core.version import __version__

if TYPE_CHECKING:
    from sifa_core.data import Clip, read_clip, read_views
    from sifa_core.explain.analysis import Analysis
    from sifa_core.explain.explanation import Explanation, analyze, explore
    from sifa_core.explain.points import SamplingPoints
    from sifa_core.inference import predict_video
    from sifa_core.models import create_model, load_model, model_names
    from sifa_core.ops import sifa_attention
    from sifa_core.timeline import video_timeline
else:  # a type checker would take any name for one that __getattr__ answers
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sifa_core.data": ("Clip", "read_clip", "read_views"),
            "sifa_core.explain.analysis": ("Analysis",),
            "sifa_core.explain.explanation": ("Explanation", "analyze", "explore"),
            "sifa_core.explain.points": ("SamplingPoints",),
            "sifa_core.inference": ("predict_video",),
            "sifa_core.models": ("create_model", "load_model", "model_names"),
            "sifa_core.ops": ("sifa_attention",),
            "sifa_core.timeline": ("video_timeline",),
        },
    )

__all__ = [
    "Analysis",
    "Clip",
    "Explanation",
    "SamplingPoints",
    "SifaError",
    "__version__",
    "analyze",
    "create_model",
    "explore",
    "load_model",
    "model_names",
    "predict_video",
    "read_clip",
    "read_views",
    "sifa_attention",
    "video_timeline",
]

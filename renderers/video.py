"""H.264 of pictures that are shown at once: nothing is held back, and each is decoded as soon as it has come."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter

from renderers.picture import Pixels

RATE = 30
"""Pictures a second for which bits are reckoned; they come when they come."""
FINEST = 21
"""The constant rate factor where the link is no bound."""
BURST_S = 0.1
"""No picture has more bits than the link carries in about this time."""
CODEC = "libx264"


class NoEncoder(RuntimeError):
    """There is no H.264 to be had: why."""


def even(pixels: Pixels) -> Pixels:
    """The picture with its last row and column doubled where their number is odd: colour is coded for two by two."""
    height, width, _ = pixels.shape
    if height % 2 == 0 and width % 2 == 0:
        return pixels
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


class Encoder:
    """One chain of pictures of the same size.  It belongs to the thread that made it."""

    def __init__(self, width: int, height: int, kbit: int) -> None:
        """``kbit``: per second, at most.  Raises NoEncoder."""
        self.size = width, height
        self._reformat = VideoReformatter()
        self._pictures = 0
        try:
            context = av.CodecContext.create(CODEC, "w")
            assert isinstance(context, av.VideoCodecContext)
            context.width, context.height = width + width % 2, height + height % 2
            context.pix_fmt = "yuv420p"
            context.time_base, context.framerate = Fraction(1, RATE), Fraction(RATE)
            context.thread_count = 1  # the other cores draw, or infer
            context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
            context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.IEC61966_2_1
            context.options = {
                "preset": "superfast",
                "tune": "zerolatency",
                "crf": str(FINEST),
                "maxrate": f"{kbit}k",
                "bufsize": f"{max(1, round(kbit * BURST_S))}k",
                "forced-idr": "1",
                # Key frames come when somebody needs one, and at no other time.
                "x264-params": "keyint=infinite:scenecut=0",
            }
            context.open()
        except (av.FFmpegError, ValueError) as why:
            raise NoEncoder(f"H.264 of {width}x{height} pixels cannot be encoded: {why}") from None
        self._context = context

    def encode(self, pixels: Pixels, *, key: bool) -> bytes:
        """The next picture in Annex B; with ``key`` it decodes by itself.  Raises NoEncoder."""
        frame = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(even(pixels)), format="rgb24")
        try:
            frame = self._reformat.reformat(frame, format="yuv420p", dst_colorspace=Colorspace.ITU709)
            frame.pts, self._pictures = self._pictures, self._pictures + 1
            frame.pict_type = PictureType.I if key else PictureType.NONE
            packets = self._context.encode(frame)
        except (av.FFmpegError, ValueError) as why:
            raise NoEncoder(f"a picture cannot be encoded as H.264: {why}") from None
        if len(packets) != 1 or bool(packets[0].is_keyframe) != (key or self._pictures == 1):
            raise NoEncoder(f"the encoder made {len(packets)} packets of a picture")
        return bytes(packets[0])

"""A film as MP4, written piece by piece: a second's pictures at a time, so that nothing has to be kept."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter

from renderers.picture import Pixels
from renderers.video import CODEC, NoEncoder

MOST_KBIT = 12_000
"""So a film has a bound."""
QUALITY = 20
"""The constant rate factor."""


class _Sink:
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, raw: bytes | memoryview) -> int:
        self._parts.append(bytes(raw))
        return len(raw)

    def take(self) -> bytes:
        found, self._parts = b"".join(self._parts), []
        return found


class Film:
    """A film of pictures of the same, even size."""

    def __init__(self, width: int, height: int, rate: int) -> None:
        """Raises NoEncoder."""
        self._sink, self._reformat, self._count = _Sink(), VideoReformatter(), 0
        try:
            self._file = av.open(
                self._sink, "w", format="mp4", options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}
            )
            stream = self._file.add_stream(CODEC, rate=Fraction(rate))
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            context = stream.codec_context
            context.thread_count = 1  # the other cores draw, or infer
            context.gop_size = rate
            context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
            context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.IEC61966_2_1
            context.options = {
                "preset": "veryfast", "crf": str(QUALITY), "maxrate": f"{MOST_KBIT}k", "bufsize": f"{MOST_KBIT}k",
                "x264-params": "scenecut=0",  # a fragment is a second: whoever saves it sees how far it is
            }  # fmt: skip
        except (av.FFmpegError, ValueError) as why:
            raise NoEncoder(f"a film of {width}x{height} pixels cannot be encoded: {why}") from None
        self._stream = stream

    def add(self, pixels: Pixels) -> bytes:
        """One more picture; what of the file has become ready."""
        try:
            frame = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(pixels), format="rgb24")
            frame = self._reformat.reformat(frame, format="yuv420p", dst_colorspace=Colorspace.ITU709)
            frame.pts, self._count = self._count, self._count + 1
            self._file.mux(self._stream.encode(frame))
        except (av.FFmpegError, ValueError) as why:
            raise NoEncoder(f"a film's picture cannot be encoded: {why}") from None
        return self._sink.take()

    def end(self) -> bytes:
        """The rest of the file."""
        try:
            self._file.mux(self._stream.encode(None))
            self._file.close()
        except (av.FFmpegError, ValueError) as why:
            raise NoEncoder(f"a film cannot be finished: {why}") from None
        return self._sink.take()

"""A session of the program in a terminal, of which pictures are taken."""

from __future__ import annotations

import time
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.e2e.terminal import Terminal
from tests.pictures.paint import paint

# The entry of a picture's file that holds the screen's text.
TEXT = "Screen"


class PictureSession(Terminal):
    """The program, its keys, and pictures of its screen."""

    def take(self, path: Path) -> None:
        """Write the screen into a PNG file, with its text beside the pixels."""
        with self._lock:
            image, text = paint(self._screen), self._screen.text()
        info = PngInfo()
        info.add_itxt(TEXT, text)
        palette = image.quantize(256, dither=Image.Dither.NONE)
        palette.save(path, optimize=True, pnginfo=info)

    def settle(self, seconds: float = 1.0, limit: float = 10.0) -> None:
        """Wait until the screen has stayed the same for a while; a live one never does."""
        text, since = self.text(), time.monotonic()
        end = since + limit
        while time.monotonic() - since < seconds and time.monotonic() < end:
            time.sleep(0.05)
            if (now := self.text()) != text:
                text, since = now, time.monotonic()

    def frame(self) -> Image.Image:
        with self._lock:
            return paint(self._screen)


class Film:
    """Frames of a session, each shown for its own time."""

    def __init__(self, session: PictureSession) -> None:
        self._session = session
        self._frames: list[Image.Image] = []
        self._milliseconds: list[int] = []

    def show(self, seconds: float) -> None:
        """Show the screen as it is now for so long."""
        frame = self._session.frame()
        if self._frames and frame.tobytes() == self._frames[-1].tobytes():
            self._milliseconds[-1] += round(1000 * seconds)
        else:
            self._frames.append(frame)
            self._milliseconds.append(round(1000 * seconds))

    def press(self, *keys: str, seconds: float) -> None:
        """Press keys; what each of them shows is a frame."""
        for key in keys:
            self._session.press(key)
            self._session.settle(0.5)
            self.show(seconds)

    def watch(self, pattern: str, *, every: float, seconds: float, limit: float = 600.0) -> None:
        """Show what happens until the text matches: a frame `every` so many seconds."""
        end = time.monotonic() + limit
        while True:
            try:
                self._session.until(pattern, every)
                break
            except AssertionError:
                if time.monotonic() > end or not self._session.alive:
                    raise
                self.show(seconds)
        self.show(seconds)

    def save(self, path: Path) -> None:
        """Write an animated GIF with one palette for all frames."""
        width, height = self._frames[0].size
        samples = self._frames[:: max(1, len(self._frames) // 12)]
        sheet = Image.new("RGB", (width, height * len(samples)))
        for index, frame in enumerate(samples):
            sheet.paste(frame, (0, index * height))
        palette = sheet.quantize(255, dither=Image.Dither.NONE)
        frames = [
            frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in self._frames
        ]
        frames[0].save(
            path,
            save_all=True,
            append_images=frames[1:],
            duration=self._milliseconds,
            loop=0,
            optimize=False,
        )

"""imageio 2.36: the ffmpeg plug-in is there, its download is not."""

from types import SimpleNamespace


def _download(directory=None, force_download=False):
    raise RuntimeError("imageio.ffmpeg.download() has been deprecated. Use 'pip install imageio-ffmpeg' instead.'")


def _get_exe():
    import imageio_ffmpeg

    return imageio_ffmpeg.get_ffmpeg_exe()


ffmpeg = SimpleNamespace(download=_download, get_exe=_get_exe)

"""moviepy 2: everything is here, there is no moviepy.editor."""

__version__ = "2.1.1"


class VideoFileClip:
    opened = []

    def __init__(self, filename, **options):
        self.filename = filename
        self.duration = 12.5
        self.closed = False
        self.opened.append(self)

    def close(self):
        self.closed = True


class Film:
    def __init__(self, clips):
        self.clips = clips

    def write_videofile(self, filename, *args, **options):
        with open(filename, "wb") as sink:
            sink.write(b"film of %d clips" % len(self.clips))

    def close(self):
        pass


def concatenate_videoclips(clips, method="chain", **options):
    return Film(clips)

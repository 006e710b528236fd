"""The response of S3 is closed when reading it fails, and when it does not."""
import pytest
from helpers import ObjectResponse, wav_bytes

RECORDING = "5f0c9a9e-0000-4000-8000-000000000001"


class Response(ObjectResponse):
    def __init__(self, data, failing):
        super().__init__(data)
        self.failing = failing
        self.given_back = False

    def read(self, *args, **options):
        if self.failing:
            raise ConnectionResetError("connection reset by peer")
        return super().read(*args)

    readinto = None

    def close(self):
        self.given_back = True
        super().close()

    def release_conn(self):
        self.given_back = True


class Metadata:
    def put(self, url, **options):
        return self

    def raise_for_status(self):
        pass


@pytest.mark.parametrize("failing", [True, False])
def test_response_is_closed(world, failing):
    responses = []

    def get_object(*args, **options):
        responses.append(Response(wav_bytes(), failing))
        return responses[-1]

    def fget_object(bucket_name, object_name, file_path, **options):
        if failing:
            raise ConnectionResetError("connection reset by peer")
        with open(file_path, "wb") as fh:
            fh.write(wav_bytes())

    world.s3.get_object = get_object
    world.s3.fget_object = fget_object
    heard = []
    world.whisper.hear = lambda fh: heard.append(fh.read())
    module = world.load("asr", "worker.py")
    module.metadata = Metadata()
    job = module.Job(RECORDING, "2025/a.wav")
    if failing:
        with pytest.raises(ConnectionResetError):
            module.process_recording(job)
    else:
        module.process_recording(job)
        assert heard == [wav_bytes()]
    assert all(response.given_back for response in responses), "the connection is not given back"

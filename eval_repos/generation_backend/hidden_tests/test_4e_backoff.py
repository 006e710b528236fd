from statistics import mean

from hidden_helpers import run_virtual, world  # noqa: F401


def test_pauses_grow(world, monkeypatch):  # noqa: F811
    from errors import StorageError
    import services.generation_service as module

    runs = []

    async def main():
        import asyncio

        loop = asyncio.get_running_loop()
        for _ in range(60):
            times = []

            async def fail(*args, **kwargs):
                times.append(loop.time())
                raise StorageError("bucket is down")

            monkeypatch.setattr(module.storage_service, "store_from_url", fail)
            try:
                await world.service._store_output("https://fal.test/0.png", "user", "generation", 0)
            except StorageError:
                pass
            else:
                raise AssertionError("the failure got lost")
            runs.append([later - earlier for earlier, later in zip(times, times[1:])])

    run_virtual(main, monkeypatch)
    assert all(2 <= len(pauses) <= 10 for pauses in runs)
    averages = [mean(pauses) for pauses in zip(*runs)]
    assert averages[0] > 0.01
    assert averages[-1] > 1.6 * averages[0], averages
    assert max(max(pauses) for pauses in runs) <= 600


def test_second_attempt_succeeds(world, monkeypatch):  # noqa: F811
    from errors import StorageError
    import services.generation_service as module

    outcomes = [StorageError("bucket is down"), "u/g/0.png"]

    async def store(*args, **kwargs):
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(module.storage_service, "store_from_url", store)
    assert run_virtual(lambda: world.service._store_output("x", "u", "g", 0), monkeypatch) == "u/g/0.png"

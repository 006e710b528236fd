"""A background task is not garbage collected while it waits."""

import asyncio
import gc
import weakref

from conftest import USER


class Marker:
    pass


def test_waiting_task_survives_a_collection(target):
    runner = target.module("app.workers.task_runner")

    async def scenario():
        markers = []

        async def function(report):
            marker = Marker()
            markers.append(weakref.ref(marker))
            # only this coroutine knows the future
            await asyncio.get_running_loop().create_future()
            return {"marker": marker}

        await runner.start_background_task(USER, function)
        del function
        for _ in range(50):
            await asyncio.sleep(0.001)
            if markers:
                break
        for _ in range(3):
            await asyncio.sleep(0.001)
            gc.collect()
        return markers[0]() is not None

    assert asyncio.run(scenario())


def test_finished_task_is_let_go(target):
    runner = target.module("app.workers.task_runner")

    async def scenario():
        markers = []

        async def function(report):
            marker = Marker()
            markers.append(weakref.ref(marker))
            await report(1, 1, "done")
            return {"ok": True}

        task_id = await runner.start_background_task(USER, function)
        for _ in range(500):
            await asyncio.sleep(0.001)
            if runner.get_task_state(task_id)["state"] == "SUCCESS":
                break
        return runner.get_task_state(task_id)["meta"]

    assert asyncio.run(scenario()) == {"ok": True}

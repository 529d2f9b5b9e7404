import pickle
import threading

import numpy as np
import torch

from rdc_sweeps.data.memory import Memory


def test_memory_is_used_again_once_nobody_holds_it() -> None:
    memory = Memory()
    held = torch.from_numpy(memory.array((2, 3), np.float32))[1:]
    first = held.data_ptr() - 12
    others = [memory.array(shape, dtype) for shape, dtype in [((2, 3), np.float32), ((3, 2), np.float32)]]
    assert first not in [other.ctypes.data for other in others]
    del held
    assert memory.array((2, 3), np.int32).ctypes.data != first
    assert memory.array((2, 3), np.float32).ctypes.data == first
    assert pickle.loads(pickle.dumps(memory)).array((2, 3), np.float32).ctypes.data != first


def test_threads_never_have_the_same_array() -> None:
    memory, wrong = Memory(), []

    def use(number: int) -> None:
        for _ in range(300):
            held = [memory.array((50,), np.int64) for _ in range(3)]
            for one in held:
                one[:] = number
            if any((one != number).any() for one in held) or len({one.ctypes.data for one in held}) < 3:
                wrong.append(number)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_many_arrays_and_many_shapes_are_not_kept() -> None:
    memory = Memory()
    held = [memory.array((4,), np.float32) for _ in range(100)]
    assert len({one.ctypes.data for one in held}) == 100
    assert all(memory.array((length,), np.uint8).shape == (length,) for length in range(1, 200))

import numpy as np

from training.export.quantized import compare_quantized


def test_bound_is_wider_than_that_of_the_full_files() -> None:
    full = np.array([[0.7, 0.3], [0.52, 0.48]], np.float32)
    assert compare_quantized(full, full + np.array([0.05, -0.05], np.float32)).holds
    assert compare_quantized(
        full, np.array([[0.7, 0.3], [0.48, 0.52]], np.float32)
    ).holds  # too close to call
    assert not compare_quantized(full, np.array([[0.4, 0.6], [0.52, 0.48]], np.float32)).holds
    assert not compare_quantized(full, full + np.array([0.2, -0.2], np.float32)).holds

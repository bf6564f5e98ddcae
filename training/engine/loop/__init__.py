"""The training loop: inputs, augmentation, optimization, checkpoints, evaluation, distributed training."""

"""Networks: their pretrained weights, their stages, and what is exported of them once on each machine."""

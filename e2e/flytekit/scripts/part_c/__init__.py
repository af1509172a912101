"""The checks of part C of the feature map, a script each; tests/test_part_c.py runs them."""

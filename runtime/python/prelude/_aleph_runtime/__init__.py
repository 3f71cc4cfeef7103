"""The Python half of the engine: what stands between _aleph, the contract in C, and a program. boot is its entry."""

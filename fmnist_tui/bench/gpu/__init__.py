"""Benchmarks on an NVIDIA GPU: throughput, time to an accuracy, the dashboard, memory.

Every function takes a device and sizes, so that tests can run it on a CPU.
"""

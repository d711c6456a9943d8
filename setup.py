"""Compiled modules: bodies in cext/, headers (.pxd, .pyi) in fastbroker/_c/.

FASTBROKER_DEBUG=1 builds with bounds checks, assertions and line tracing.
"""
import os

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("FASTBROKER_DEBUG") == "1"

MODULES = (
    "buffer", "codec", "record_batch", "connection", "sync_thread", "cleaner",
    "unflushed", "journal", "exposition", "meter", "partition_scan",
)

EXTENSIONS = [
    Extension(
        f"fastbroker._c.{name}",
        [f"cext/{name}.pyx"],
        include_dirs=["cext"],
        depends=["cext/wire.h", "cext/siphash.h", "cext/crc32c.h"],
        extra_compile_args=["-O1", "-g"] if DEBUG else ["-O2"],
        define_macros=[("CYTHON_TRACE", "1")] if DEBUG else [],
    )
    for name in MODULES
]

setup(
    ext_modules=cythonize(
        EXTENSIONS,
        compiler_directives={
            "language_level": 3,
            "boundscheck": DEBUG,
            "wraparound": False,
            "initializedcheck": DEBUG,
            "cdivision": True,
            "embedsignature": True,
            "linetrace": DEBUG,
        },
    )
)

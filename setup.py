"""Package metadata. Tool settings are in pyproject.toml; exact versions in requirements.lock."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).resolve().parent
VERSION = re.search(
    r'^__version__ = "(.+)"$', (HERE / "keras_gan" / "version.py").read_text(), re.MULTILINE
).group(1)

setup(
    name="keras_gan",
    version=VERSION,
    description="Train, judge and serve generative adversarial networks on TensorFlow and Keras 3",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE", "pipelines/originals/mnist/NOTICE"],
    python_requires=">=3.11",
    packages=find_packages(include=["keras_gan", "keras_gan.*", "pipelines", "pipelines.*"]),
    package_data={
        "keras_gan": ["py.typed", "templates/*"],
        "pipelines": [
            "py.typed",
            "originals/mnist/*.gz",
            "originals/mnist/NOTICE",
            "schemas/*.pbtxt",
        ],
    },
    install_requires=[
        "absl-py>=2.1",
        "apache-beam>=2.77",
        "google-crc32c>=1.5",  # Beam's and our TFRecord framing
        "importlib-resources>=6",  # used, but not declared, by tensorflow-datasets
        "jinja2>=3.1",
        "keras>=3.15",
        "matplotlib>=3.9",
        "numpy>=2.1",
        "pillow>=11",
        "protobuf>=5",
        "requests>=2.31",
        "scipy>=1.14",
        "tensorboard>=2.20",
        "tensorflow>=2.21",
        "tensorflow-datasets>=4.9.10",
        "tensorflow-metadata>=1.17",
        "tqdm>=4.66",
        "urllib3>=2.1",
    ],
    extras_require={
        "dev": [
            "distributed>=2024.4.2",  # Dask, on which the pipeline is tested
            "grpcio>=1.60",
            "hypothesis>=6.100",
            "mypy>=2",
            "playwright>=1.50",  # with a Chromium of the system: what pages do in a browser
            "pre-commit>=4",
            "pytest>=9",
            "pytest-xdist>=3.8",
            "pyyaml>=6",
            "ruff>=0.17",
            "setuptools>=77",
            "tensorflow-serving-api>=2.19",  # what the client's messages are compared with
        ],
        "serving": ["grpcio>=1.60"],  # for keras_gan.client; its REST needs nothing more
    },
    entry_points={
        "console_scripts": [
            "keras-gan-train = keras_gan.train:run",
            "keras-gan-classify = keras_gan.classify:run",
            "keras-gan-evaluate = keras_gan.evaluate:run",
            "keras-gan-export-model = keras_gan.export_model:run",
            "keras-gan-figures = keras_gan.figures:run",
            "keras-gan-infer = keras_gan.infer:run",
            "keras-gan-inpaint = keras_gan.inpaint:run",
            "keras-gan-loader = keras_gan.loader:run",
            "keras-gan-reconstruct = keras_gan.reconstruct:run",
            "keras-gan-report = keras_gan.report:run",
            "keras-gan-runs = keras_gan.runs:run",
            "keras-gan-sample = keras_gan.sample:run",
            "keras-gan-theory = keras_gan.theory:run",
            "keras-gan-preprocess = pipelines.preprocess:run",
            "keras-gan-verify = pipelines.verify:run",
            "keras-gan-run = pipelines.run:run",
            "keras-gan-lineage = pipelines.lineage:run",
            "keras-gan-verify-model = keras_gan.verify_model:run",
        ]
    },
    classifiers=[
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)

"""Start a worker as Beam's containers do: install the staged package, then run the harness.

The package comes from the job, not from a checkout: what `--setup_file` staged is fetched from the
artifact service and installed into a folder of its own, which workers of one job share.
"""

import argparse
import fcntl
import hashlib
import os
import pathlib
import subprocess
import sys

import grpc
from apache_beam.portability.api import (
    beam_artifact_api_pb2,
    beam_artifact_api_pb2_grpc,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    beam_runner_api_pb2,
    endpoints_pb2,
)
from google.protobuf import json_format, text_format

ENDPOINTS = ("logging_endpoint", "artifact_endpoint", "provision_endpoint", "control_endpoint")
UNLIMITED = [("grpc.max_receive_message_length", -1)]


def main():
    parser = argparse.ArgumentParser()
    for name in ("id", *ENDPOINTS):
        parser.add_argument(f"--{name}", required=True)
    arguments, _ = parser.parse_known_args()
    who = (("worker_id", arguments.id),)
    with grpc.insecure_channel(arguments.provision_endpoint, options=UNLIMITED) as channel:
        stub = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        request = beam_provision_api_pb2.GetProvisionInfoRequest()
        info = stub.GetProvisionInfo(request, timeout=20, metadata=who).info
    site = install(fetch(arguments.artifact_endpoint, info, who))
    os.environ.update(
        WORKER_ID=arguments.id,
        PIPELINE_OPTIONS=json_format.MessageToJson(info.pipeline_options),
        SEMI_PERSISTENT_DIRECTORY=str(site),
        RUNNER_CAPABILITIES=" ".join(info.runner_capabilities),
        LOGGING_API_SERVICE_DESCRIPTOR=described(arguments.logging_endpoint),
        CONTROL_API_SERVICE_DESCRIPTOR=described(arguments.control_endpoint),
        PYTHONPATH=str(site),
    )
    os.chdir(site)
    program = "import pipelines; print('worker uses', pipelines.__file__, flush=True)"
    subprocess.run([sys.executable, "-c", program], check=True, stdout=sys.stderr)
    harness = "apache_beam.runners.worker.sdk_worker_main"
    os.execv(sys.executable, [sys.executable, "-m", harness])


def fetch(endpoint, info, who):
    """Fetch what was staged: {name: content}."""
    with grpc.insecure_channel(endpoint, options=UNLIMITED) as channel:
        stub = beam_artifact_api_pb2_grpc.ArtifactRetrievalServiceStub(channel)
        request = beam_artifact_api_pb2.ResolveArtifactsRequest(artifacts=info.dependencies)
        staged = stub.ResolveArtifacts(request, timeout=20, metadata=who).replacements
        found = {}
        for artifact in staged:
            role = beam_runner_api_pb2.ArtifactStagingToRolePayload
            name = role.FromString(artifact.role_payload).staged_name
            request = beam_artifact_api_pb2.GetArtifactRequest(artifact=artifact)
            parts = stub.GetArtifact(request, timeout=60, metadata=who)
            found[name] = b"".join(part.data for part in parts)
    return found


def install(staged):
    """Install the staged package once for all workers of a job."""
    package = staged["workflow.tar.gz"]
    folder = pathlib.Path(os.environ["STAGE_ROOT"]) / hashlib.sha256(package).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            (folder / "workflow.tar.gz").write_bytes(package)
            subprocess.run(
                [
                    *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
                    *("--no-build-isolation", "--disable-pip-version-check"),
                    *("--target", str(folder / "site"), str(folder / "workflow.tar.gz")),
                ],
                check=True,
                stdout=sys.stderr,
            )
            (folder / "done").touch()
    return folder / "site"


def described(url):
    return text_format.MessageToString(endpoints_pb2.ApiServiceDescriptor(url=url))


if __name__ == "__main__":
    main()

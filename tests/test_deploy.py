"""The files of deploy/: against TensorFlow Serving's own protocol buffers, and each other."""

import http.server
import pathlib
import re
import socket
import subprocess
import threading

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf import wrappers_pb2 as wrappers
from tensorflow_serving.config import model_server_config_pb2

DEPLOY = pathlib.Path(__file__).resolve().parent.parent / "deploy"
README = (DEPLOY / "README.md").read_text()
READY = "/v1/models/mnist/labels/stable/metadata"
LIMIT = 1024  # images that an export makes in one run of its graph
IMAGE = "tensorflow/serving:2.21.0"

# Fields of TensorFlow Serving's session_bundle_config.proto and monitoring_config.proto, which
# tensorflow-serving-api leaves out.
BATCHING = {
    "max_batch_size": ".google.protobuf.Int64Value",
    "batch_timeout_micros": ".google.protobuf.Int64Value",
    "max_enqueued_batches": ".google.protobuf.Int64Value",
    "num_batch_threads": ".google.protobuf.Int64Value",
    "enable_large_batch_splitting": ".google.protobuf.BoolValue",
    "max_execution_batch_size": ".google.protobuf.Int64Value",
}
KINDS = descriptor_pb2.FieldDescriptorProto


def _message(name: str, **messages: dict[str, str | int]):
    """Make the message `name` of a file with these messages, their fields as name -> type."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(
        name="deploy.proto", syntax="proto3", dependency=[wrappers.DESCRIPTOR.name]
    )
    for message, fields in messages.items():
        added = file.message_type.add(name=message)
        for number, (field, kind) in enumerate(fields.items(), start=1):
            named = isinstance(kind, str)
            added.field.add(
                name=field,
                number=number,
                label=KINDS.LABEL_OPTIONAL,
                type=KINDS.TYPE_MESSAGE if named else kind,
                type_name=kind if named else None,
            )
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))()


def _batching():
    text = (DEPLOY / "batching.config").read_text()
    return text_format.Parse(text, _message("BatchingParameters", BatchingParameters=BATCHING))


def _models():
    text = (DEPLOY / "models.config").read_text()
    return text_format.Parse(text, model_server_config_pb2.ModelServerConfig())


def _serving():
    (service,) = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].values()
    return service


def _kubernetes(kind):
    documents = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    return [document for document in documents if document["kind"] == kind]


def _deployment():
    (deployment,) = _kubernetes("Deployment")
    return deployment["spec"]


def _pod():
    return _deployment()["template"]["spec"]


def _container():
    (container,) = _pod()["containers"]
    return container


def _flags(arguments):
    return dict(argument.removeprefix("--").split("=", 1) for argument in arguments)


def test_labels_point_to_versions_that_the_policy_loads():
    (model,) = _models().model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == (
        "mnist",
        "/models/mnist",
        "tensorflow",
    )
    versions = set(model.model_version_policy.specific.versions)
    assert set(model.version_labels) == {"stable", "canary"}
    assert set(model.version_labels.values()) <= versions
    assert 1 in versions  # the first export there is


def test_no_batch_is_larger_than_an_export_takes():
    parameters = _batching()
    request, run = parameters.max_batch_size.value, parameters.max_execution_batch_size.value
    assert parameters.enable_large_batch_splitting.value
    assert 0 < run <= request <= LIMIT
    # Else the largest request that is allowed could never be queued.
    assert run * parameters.max_enqueued_batches.value >= request
    assert 0 < parameters.batch_timeout_micros.value <= 10_000


def test_an_unknown_batching_field_is_refused():
    message = _message("BatchingParameters", BatchingParameters=BATCHING)
    with pytest.raises(text_format.ParseError, match="max_batch"):
        text_format.Parse("max_batch { value: 1 }", message)


def test_metrics_are_fetched_where_they_are():
    prometheus = {"enable": KINDS.TYPE_BOOL, "path": KINDS.TYPE_STRING}
    message = _message(
        "MonitoringConfig",
        PrometheusConfig=prometheus,
        MonitoringConfig={"prometheus_config": ".PrometheusConfig"},
    )
    config = text_format.Parse((DEPLOY / "monitoring.config").read_text(), message)
    (job,) = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]
    assert config.prometheus_config.enable
    assert config.prometheus_config.path == job["metrics_path"]
    assert job["static_configs"] == [{"targets": ["127.0.0.1:8501"]}]
    assert f"http://127.0.0.1:8501{job['metrics_path']}" in README


def test_ports_are_published_on_loopback_unless_asked():
    assert _serving()["ports"] == [
        "${BIND:-127.0.0.1}:8500:8500",
        "${BIND:-127.0.0.1}:8501:8501",
    ]
    published = re.findall(r"(?:--publish=| -p )(\S*:\S+)", README)
    assert published == ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"]
    assert {service["spec"].get("type", "ClusterIP") for service in _kubernetes("Service")} == {
        "ClusterIP"
    }


def test_the_image_is_pinned_and_everywhere_the_same():
    assert _serving()["image"] == _container()["image"] == IMAGE
    text = "".join(path.read_text() for path in DEPLOY.iterdir())
    assert set(re.findall(r"tensorflow/serving:[\w.-]+", text)) == {IMAGE}
    assert not re.findall(r"(?:image:|FROM) *tensorflow/serving(?!:)", text)


def test_nothing_is_mounted_writable():
    volumes = _serving()["volumes"]
    assert [volume["target"] for volume in volumes] == ["/models", "/config"]
    assert all(volume["read_only"] for volume in volumes)
    assert [(DEPLOY / volume["source"]).resolve() for volume in volumes] == [
        DEPLOY.parent / "saved_models",
        DEPLOY,
    ]
    mounts = _container()["volumeMounts"]
    assert [mount["mountPath"] for mount in mounts] == ["/models", "/config"]
    assert all(mount["readOnly"] for mount in mounts)
    assert {mount["name"] for mount in mounts} == {volume["name"] for volume in _pod()["volumes"]}
    mentioned = re.findall(r"--mount=(\S+)", README)
    assert mentioned
    assert all(mount.endswith(",readonly") for mount in mentioned)


def test_the_server_has_no_rights_that_it_does_not_need():
    service = _serving()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service
    uid, gid = map(int, service["user"].split(":"))
    pod, container = _pod()["securityContext"], _container()["securityContext"]
    assert (uid, gid) == (pod["runAsUser"], pod["runAsGroup"])
    assert uid > 0
    assert pod["runAsNonRoot"] is True
    assert container == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert _pod()["automountServiceAccountToken"] is False


def test_compose_and_kubernetes_start_the_same_server():
    service, container = _serving(), _container()
    assert service["entrypoint"] == container["command"] == ["tensorflow_model_server"]
    assert service["command"] == container["args"]
    flags = _flags(service["command"])
    assert (flags["port"], flags["rest_api_port"]) == ("8500", "8501")
    assert flags["allow_version_labels_for_unavailable_models"] == "true"
    assert int(flags["model_config_file_poll_wait_seconds"]) > 0
    files = {value for name, value in flags.items() if name.endswith("_file")}
    assert files == {f"/config/{path.name}" for path in DEPLOY.glob("*.config")}


def test_threads_are_as_many_as_the_cpus():
    flags, resources = _flags(_serving()["command"]), _container()["resources"]
    assert {
        int(_serving()["cpus"]),
        int(resources["limits"]["cpu"]),
        int(flags["tensorflow_intra_op_parallelism"]),
        int(flags["tensorflow_inter_op_parallelism"]),
        _batching().num_batch_threads.value,
    } == {2}
    assert _serving()["mem_limit"] == "2g"
    assert resources["limits"]["memory"] == "2Gi"


def test_ready_means_that_the_stable_version_is_served():
    container = _container()
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}
    assert container["readinessProbe"]["httpGet"] == {"path": READY, "port": "rest"}
    start = container["startupProbe"]
    assert start["httpGet"] == container["readinessProbe"]["httpGet"]
    assert start["periodSeconds"] * start["failureThreshold"] > 5 * 60  # the load's own retries
    assert container["livenessProbe"]["tcpSocket"] == {"port": "grpc"}
    assert "httpGet" not in container["livenessProbe"]
    assert f"GET {READY} " in _serving()["healthcheck"]["test"][-1]


def test_everything_selects_the_pods_of_the_deployment():
    labels = _deployment()["template"]["metadata"]["labels"]
    assert _deployment()["selector"]["matchLabels"] == labels
    for service in _kubernetes("Service"):
        assert service["spec"]["selector"] == labels
        assert all(
            {"grpc": 8500, "rest": 8501}[port["targetPort"]] == port["port"]
            for port in service["spec"]["ports"]
        )
    (budget,) = _kubernetes("PodDisruptionBudget")
    assert budget["spec"]["selector"]["matchLabels"] == labels
    (policy,) = _kubernetes("NetworkPolicy")
    assert policy["spec"]["podSelector"]["matchLabels"] == labels
    (scaler,) = _kubernetes("HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] == "keras-gan-serving"
    assert budget["spec"]["minAvailable"] < scaler["spec"]["minReplicas"]
    assert "replicas" not in _deployment()  # it would fight with the autoscaler
    assert _container()["resources"]["requests"]["cpu"]  # what utilization is a share of


def test_the_readme_names_what_the_manifests_want():
    names = [volume for volume in _pod()["volumes"] if "configMap" in volume]
    assert f"create configmap {names[0]['configMap']['name']} " in README
    for path in DEPLOY.glob("*.config"):
        assert f"--from-file=deploy/{path.name}" in README
    for link in re.findall(r"\]\(([\w./]+)\)", README):
        assert (DEPLOY / link).exists()


def _check_health(port: int) -> int:
    kind, *command = _serving()["healthcheck"]["test"]
    assert kind == "CMD"
    command = [part.replace("$$", "$").replace("/8501", f"/{port}") for part in command]
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (404, False), (503, False)])
def test_the_health_check_tells_a_served_label_from_others(status, healthy):
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            asked.append((self.path, self.headers["Host"]))
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert (_check_health(server.server_port) == 0) is healthy
        server.shutdown()
    assert asked == [(READY, "localhost")]


def test_the_health_check_fails_where_nobody_listens():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # taken, but not listening
        assert _check_health(held.getsockname()[1]) != 0

"""Kubernetes without nodes: etcd, the API server and the controllers of deployments, built from their Go modules.

Objects are checked, stored, watched and turned into pods, which stay Pending: there is no scheduler and no kubelet, so
a test says what becomes of a pod. RBAC is on; the password of a site is the token of its administrator.
"""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from modelog_common.domain.errors import Unavailable

from modelog_platform.parts.ports import LOOPBACK
from modelog_platform.servers.packages import apt_install, installing, need, run
from modelog_platform.servers.recipe import ANSWER_TIMEOUT_S, Recipe, Say, Site
from modelog_platform.servers.together import serves as ready

USER = "admin"
VERSION = "1.34.2"
PROGRAMS = ("kube-apiserver", "kube-controller-manager")
# The module k8s.io/kubernetes asks for each of its libraries as v0.0.0 and replaces it by a folder of its checkout.
LIBRARIES = (
    "api", "apiextensions-apiserver", "apimachinery", "apiserver", "cli-runtime", "client-go", "cloud-provider",
    "cluster-bootstrap", "code-generator", "component-base", "component-helpers", "controller-manager", "cri-api",
    "cri-client", "csi-translation-lib", "dynamic-resource-allocation", "endpointslice", "externaljwt", "kms",
    "kube-aggregator", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet", "metrics",
    "mount-utils", "pod-security-admission", "sample-apiserver", "sample-cli-plugin", "sample-controller",
)  # fmt: skip
# Definitions of kinds that a cluster may have besides: the module, and the files in it.
EXTENSIONS = {
    "sigs.k8s.io/gateway-api@v1.4.1": (
        "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
        "config/crd/standard/gateway.networking.k8s.io_grpcroutes.yaml",
    ),
    "github.com/kedacore/keda/v2@v2.18.1": ("config/crd/bases/keda.sh_scaledobjects.yaml",),
}
ETCD = Path("/usr/bin/etcd")
GO_MOD = "module local/kubernetes\n\ngo 1.24\n\nreplace (\n{})\n"


def install(home: Path, say: Say) -> None:
    apt_install(home, say, ["etcd-server"], ETCD.exists)
    install_extensions(home.with_name("kubernetes-extensions"), say)
    libraries = "".join(f"\tk8s.io/{name} => k8s.io/{name} v0{VERSION[1:]}\n" for name in LIBRARIES)
    with installing(home, f"kubernetes {VERSION}\n{libraries}".encode()) as wanted:
        if not wanted:
            return
        need("go", "building Kubernetes", "install Go 1.24 or newer (https://go.dev/doc/install)")
        (home / "go.mod").write_text(GO_MOD.format(libraries))
        packages = [f"k8s.io/kubernetes/cmd/{program}" for program in PROGRAMS]
        say(f"go build of Kubernetes {VERSION}: takes minutes the first time")
        run(home, ["go", "get", "-tool", *(f"{package}@v{VERSION}" for package in packages)])
        named = f"-s -w -X k8s.io/component-base/version.gitVersion=v{VERSION}"
        run(home, ["go", "build", "-ldflags", named, "-o", str(home), *packages])


def install_extensions(home: Path, say: Say) -> None:
    """The definitions of the Gateway API's routes and of KEDA's ScaledObject, into `home`."""
    with installing(home, json.dumps(EXTENSIONS).encode()) as wanted:
        if not wanted:
            return
        say("go mod download of the Gateway API and of KEDA, for their definitions")
        (home / "go.mod").write_text("module local/extensions\n\ngo 1.24\n")
        for module, files in EXTENSIONS.items():
            download = ["go", "mod", "download", "-json", module]
            told = subprocess.run(download, cwd=home, capture_output=True, check=False)
            if told.returncode:
                raise Unavailable(f"go mod download {module} failed: {told.stdout.decode()[-1000:]}")
            for file in files:
                shutil.copy(Path(json.loads(told.stdout)["Dir"]) / file, home)


def prepare(site: Site) -> None:
    """Its certificate, its key for the tokens of service accounts, and the administrator's token."""
    key = site.folder / "accounts.key"
    if not key.exists():
        for command in (
            ["genrsa", "-out", str(key), "2048"],
            ["rsa", "-in", str(key), "-pubout", "-out", f"{key}.pub"],
        ):
            subprocess.run(["openssl", *command], check=True, capture_output=True)
        certificate = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650"]
        names = ["-subj", "/CN=kubernetes", "-addext", f"subjectAltName=IP:{LOOPBACK},DNS:localhost"]
        files = ["-keyout", str(site.folder / "server.key"), "-out", str(authority(site))]
        subprocess.run([*certificate, *names, *files], check=True, capture_output=True)
    (site.folder / "tokens.csv").write_text(f"{site.password},{USER},1,system:masters\n")
    cluster = {"server": address(site), "certificate-authority": str(authority(site))}
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": USER, "user": {"token": site.password}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": USER}}],
        "current-context": "local",
    }
    (site.folder / "kubeconfig").write_text(json.dumps(kubeconfig))


def authority(site: Site) -> Path:
    """What clients check the API server by: its own certificate, which it signed itself."""
    return site.folder / "server.crt"


def programs(site: Site) -> list[dict[str, object]]:
    """The three, in the order in which they are started, and where each says that it is ready."""
    api, clients, peers, controllers = site.ports
    peer, key = f"http://{LOOPBACK}:{peers}", site.folder / "accounts.key"
    etcd = [
        str(ETCD), "--data-dir", str(site.data), "--log-level", "error",
        "--listen-client-urls", f"http://{LOOPBACK}:{clients}", "--advertise-client-urls", f"http://{LOOPBACK}:{clients}",
        "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
    ]  # fmt: skip
    server = [
        str(site.home / "kube-apiserver"), "--etcd-servers", f"http://{LOOPBACK}:{clients}", "--secure-port", str(api),
        "--bind-address", LOOPBACK, "--advertise-address", LOOPBACK,
        "--tls-cert-file", str(authority(site)), "--tls-private-key-file", str(site.folder / "server.key"),
        "--cert-dir", str(site.folder / "certificates"),
        "--service-account-issuer", "https://kubernetes.local", "--service-account-key-file", f"{key}.pub",
        "--service-account-signing-key-file", str(key), "--token-auth-file", str(site.folder / "tokens.csv"),
        "--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.0.0.0/24",
        "--disable-admission-plugins", "ServiceAccount",
    ]  # fmt: skip
    manager = [
        str(site.home / "kube-controller-manager"), "--kubeconfig", str(site.folder / "kubeconfig"),
        "--controllers", "deployment-controller,replicaset-controller,garbage-collector-controller",
        "--leader-elect=false", "--secure-port", str(controllers), "--bind-address", LOOPBACK,
        "--cert-dir", str(site.folder / "manager"),
    ]  # fmt: skip
    return [
        {"command": etcd, "ready": f"http://{LOOPBACK}:{clients}/health"},
        {"command": server, "ready": f"{address(site)}/readyz"},
        {"command": manager, "ready": f"https://{LOOPBACK}:{controllers}/healthz"},
    ]


def command(site: Site) -> list[str]:
    told = json.dumps(programs(site))
    return [sys.executable, "-m", "modelog_platform.servers.together", told]


def serves(site: Site) -> bool:
    """Whether the API server has its first namespace, and the controllers work."""
    trust = ssl.create_default_context(cafile=str(authority(site))) if authority(site).exists() else None
    default = f"{address(site)}/api/v1/namespaces/default"
    request = urllib.request.Request(default, headers={"authorization": f"Bearer {site.password}"})  # noqa: S310
    try:
        urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_S, context=trust).close()  # noqa: S310
    except (OSError, urllib.error.URLError):
        return False
    return ready(f"https://{LOOPBACK}:{site.ports[-1]}/healthz")


def address(site: Site) -> str:
    return f"https://{LOOPBACK}:{site.port}"


KUBERNETES = Recipe(
    name="kubernetes",
    title="Kubernetes",
    user=USER,
    install=install,
    prepare=prepare,
    command=command,
    serves=serves,
    address=address,
    ports=4,
)

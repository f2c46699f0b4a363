"""Environment variables of the compute process: an allow-list, so that no credential is passed on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

PASSED_ON = (
    # Variables that numerical libraries need.
    "CUDA_DEVICE_ORDER", "CUDA_HOME", "CUDA_VISIBLE_DEVICES", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "MKL_NUM_THREADS",
    "NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "PATH", "PYTORCH_CUDA_ALLOC_CONF", "TZ",
)  # fmt: skip
PASSED_ON_FOR_NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_DIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HF_ENDPOINT")
ALLOCATOR = f"glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold={1 << 30}"
"""Freed activations stay mapped: to map and clear them anew for each layer takes about as long as the layers of a MobileNet. An idle
compute process returns free memory. Other C libraries ignore the variable."""
HTTP_PORT, HTTPS_PORT, DNS_PORT = 80, 443, 53


def scrubbed_environment(environment: Mapping[str, str], scratch: Path, downloads: Path, *, network: bool) -> dict[str, str]:
    """Environment of the compute process: allowed variables, its own home and temporary folder, and the path of our packages.

    Parameters
    ----------
    environment : the worker's
    scratch : folder for HOME and TMPDIR
    downloads : folder of the owner's downloaded weights and data sets
    network : whether the process may download; adds proxies, certificates and the address of the Hub
    """
    names = PASSED_ON + (PASSED_ON_FOR_NETWORK if network else ())
    kept = {name: environment[name] for name in names if name in environment}
    folders = {"HOME": scratch, "TMPDIR": scratch, "HF_HOME": downloads, "TORCH_HOME": downloads, "MPLCONFIGDIR": scratch / "matplotlib"}
    return (
        kept
        | {name: str(folder) for name, folder in folders.items()}
        | {
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "MPLBACKEND": "agg",
            "GLIBC_TUNABLES": ALLOCATOR,
            # Waiting threads sleep, because spinning ones take cores from the database, the API and a second job.
            "OMP_WAIT_POLICY": "PASSIVE",
            "HF_HUB_OFFLINE": "0" if network else "1",
            # The first shares files of many users, and the second resolves names and connects by itself.
            "HF_HUB_DISABLE_SHARED_BLOBS": "1",
            "HF_HUB_DISABLE_XET": "1",
            # Also for libraries that call torch.load themselves; see worker.child.unpickling.
            "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",
        }
        # The C library then asks name servers by TCP, whose ports Landlock restricts; UDP sockets are refused.
        | ({"RES_OPTIONS": "use-vc"} if network else {})
    )


def proxy_ports(environment: Mapping[str, str]) -> tuple[int, ...]:
    """Ports of the HTTP proxies in the environment."""
    proxies = [urlsplit(environment.get(name, "")) for name in ("HTTP_PROXY", "HTTPS_PROXY")]
    return tuple(sorted({proxy.port or HTTP_PORT for proxy in proxies if proxy.hostname}))

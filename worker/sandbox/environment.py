"""What of the worker's environment a compute process is given: nothing by default."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

PASSED_ON = (
    # What a numerical library needs to run; everything else, and with it every credential, stays behind.
    "CUDA_HOME", "CUDA_VISIBLE_DEVICES", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "MKL_NUM_THREADS",
    "NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "PATH", "PYTORCH_CUDA_ALLOC_CONF", "TZ",
)  # fmt: skip
PASSED_ON_FOR_NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_DIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
HTTP_PORT, HTTPS_PORT = 80, 443


def scrubbed_environment(environment: Mapping[str, str], scratch: Path, downloads: Path, *, network: bool) -> dict[str, str]:
    """The compute process's environment: an allow-list, a home of its own, and where our packages are."""
    names = PASSED_ON + (PASSED_ON_FOR_NETWORK if network else ())
    kept = {name: environment[name] for name in names if name in environment}
    places = {"HOME": scratch, "TMPDIR": scratch, "HF_HOME": downloads, "TORCH_HOME": downloads, "MPLCONFIGDIR": scratch / "matplotlib"}
    return (
        kept
        | {name: str(folder) for name, folder in places.items()}
        | {
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "MPLBACKEND": "agg",
            # Waiting threads sleep: spinning ones starve the database, the API and a second job on the same cores.
            "OMP_WAIT_POLICY": "PASSIVE",
            "HF_HUB_OFFLINE": "0" if network else "1",
        }
    )


def proxy_ports(environment: Mapping[str, str]) -> tuple[int, ...]:
    """The ports of the proxies that the environment names."""
    given = [urlsplit(environment.get(name, "")) for name in ("HTTP_PROXY", "HTTPS_PROXY")]
    return tuple(sorted({proxy.port or HTTP_PORT for proxy in given if proxy.hostname}))
